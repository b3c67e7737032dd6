# SPDX-License-Identifier: MIT
"""The collection that the repository is, installed, and used from a folder outside of any checkout."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
BIN = Path(sys.executable).parent
MODULES = sorted(path.stem for path in (ROOT / "plugins/modules").glob("*.py"))
ROLES = sorted(path.name for path in (ROOT / "roles").iterdir())
SITE = "- import_playbook: kvm.appliance.site\n"


class Workstation:
    """Has ansible-core, the collection, and nothing else of this repository."""

    def __init__(self, folder):
        self.folder = folder
        self.environment = {
            name: value for name, value in os.environ.items() if not name.startswith("ANSIBLE_")
        }
        self.environment |= {
            "ANSIBLE_COLLECTIONS_PATH": str(folder / "collections"),
            "ANSIBLE_HOME": str(folder / "home"),
            "ANSIBLE_NOCOLOR": "1",
            "COLUMNS": "1000",
        }
        self.installed = folder / "collections/ansible_collections/kvm/appliance"

    def run(self, program, *arguments, folder=None):
        return subprocess.run(
            [BIN / program, *arguments],
            cwd=folder or self.folder,
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
        )

    def write(self, name, text):
        (self.folder / name).write_text(text)
        return name


@pytest.fixture(scope="module")
def workstation(tmp_path_factory):
    workstation = Workstation(tmp_path_factory.mktemp("workstation"))
    built = workstation.run(
        "ansible-galaxy", "collection", "build", f"--output-path={workstation.folder}", folder=ROOT
    )
    assert built.returncode == 0, built.stderr
    [archive] = workstation.folder.glob("kvm-appliance-*.tar.gz")
    done = workstation.run("ansible-galaxy", "collection", "install", "--offline", str(archive))
    assert done.returncode == 0, done.stderr
    return workstation


def test_the_collection_brings_what_a_provisioning_needs_alone(workstation):
    assert {path.name for path in workstation.installed.iterdir()} <= {
        *("CHANGELOG.md", "CONTRIBUTING.md", "LICENSE", "README.md"),
        *("FILES.json", "MANIFEST.json", "changelogs", "docs", "inventory", "meta"),
        *("playbooks", "plugins", "roles"),
    }
    for role in ROLES:
        assert (workstation.installed / "roles" / role / "tasks/main.yml").exists()


def test_a_playbook_of_somebody_else_is_understood(workstation):
    roles = "".join(f"- {{hosts: kvm, roles: [kvm.appliance.{role}]}}\n" for role in ROLES)
    name = workstation.write("play.yml", SITE + roles)
    done = workstation.run("ansible-playbook", "--inventory=kvm-example,", "--syntax-check", name)
    assert done.returncode == 0, done.stderr


# What the plays of the collection see, written down by one that lies beside them.
SHOW = """
- hosts: one
  gather_facts: false
  tasks:
    - copy: {content: "{{ hostvars['one'] | dict2items | selectattr('key', 'in', names) | items2dict | to_json }}",
             dest: "{{ shown }}"}
"""


def test_the_wiring_is_in_force_and_group_vars_of_an_inventory_are_stronger(workstation):
    wiring = yaml.safe_load((ROOT / "inventory/group_vars/kvm.yml").read_text())
    (workstation.installed / "playbooks/show.yml").write_text(SHOW)
    inventory = workstation.write(
        "hosts.yml",
        "kvm:\n"
        f"  hosts: {{one: {{ansible_connection: local, ansible_python_interpreter: {sys.executable}}}}}\n",
    )
    (workstation.folder / "group_vars").mkdir()
    workstation.write("group_vars/kvm.yml", "ustreamer_prefix: /opt/mine\n")
    name = workstation.write("play.yml", "- import_playbook: kvm.appliance.show\n")
    shown = workstation.folder / "shown.json"
    done = workstation.run(
        "ansible-playbook",
        f"--inventory={inventory}",
        f"--extra-vars={json.dumps({'shown': str(shown), 'names': list(wiring)})}",
        name,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    seen = json.loads(shown.read_text())
    assert seen.keys() == wiring.keys()
    assert seen["ustreamer_prefix"] == "/opt/mine"
    assert seen["janus_plugins_dir"] == "/opt/mine/plugins"
    assert seen["janus_prefix"] == wiring["janus_prefix"]


def test_a_wrong_variable_is_refused_by_a_role_of_the_collection(workstation):
    """Its modules are found by their short names, and they know which role called them."""
    name = workstation.write(
        "wrong.yml",
        """
- hosts: localhost
  gather_facts: false
  vars: {emulated_hardware_mode: huge, emulated_hardware_mood: sunny}
  tasks:
    - include_role: {name: kvm.appliance.emulated_hardware, tasks_from: preflight}
""",
    )
    done = workstation.run("ansible-playbook", "--inventory=localhost,", name)
    assert done.returncode == 2, done.stdout + done.stderr
    assert "emulated_hardware_mood: there is no such variable." in done.stdout
    assert "emulated_hardware_mode is 'huge': it must be " in done.stdout


def test_a_module_of_the_collection_finds_what_modules_share(workstation):
    done = workstation.run(
        "ansible",
        "localhost",
        "--module-name=kvm.appliance.active_build",
        f"--args=state=active link={workstation.folder}/none",
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert '"changed": false' in done.stdout


def test_modules_and_what_they_return_are_documented(workstation):
    names = [f"kvm.appliance.{name}" for name in MODULES]
    documented = json.loads(workstation.run("ansible-doc", "--json", *names).stdout)
    assert sorted(documented) == names
    for name in names:
        assert documented[name]["doc"]["options"], name
        assert documented[name]["return"], name


def test_roles_and_the_callback_are_documented(workstation):
    roles = json.loads(
        workstation.run("ansible-doc", "--type=role", "--json", "--list", "kvm.appliance").stdout
    )
    assert sorted(roles) == [f"kvm.appliance.{role}" for role in ROLES]
    calm = workstation.run("ansible-doc", "--type=callback", "--json", "kvm.appliance.calm")
    assert json.loads(calm.stdout)["kvm.appliance.calm"]["doc"]["description"]


def test_both_names_of_the_version_agree():
    with (ROOT / "pyproject.toml").open() as file:
        line = next(line for line in file if line.startswith("version = "))
    assert line.split('"')[1] == yaml.safe_load((ROOT / "galaxy.yml").read_text())["version"]
