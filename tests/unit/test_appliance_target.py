# SPDX-License-Identifier: MIT
"""What `make appliance` is given and what it shows: the inventory of HOST=, and the box at the end."""

import json
import os
import shutil
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
PICTURE = {
    "host": "kvm-virtual-pi",
    "url": "https://192.0.2.10/",
    "signal": True,
    "width": 1280,
    "height": 720,
    "fps": 29.97,
    "latency_ms": 9.2,
    "stop": "make stop",
}
CODE = "ABCD-EFGH-JKLM-NPQR"


# --- The box ---


@pytest.fixture
def show(tmp_path):
    """The lines of the box: show(changed, code, **what_is_different)."""

    def run(changed=45, code="", **picture):
        (tmp_path / "picture.json").write_text(json.dumps({**PICTURE, **picture}))
        (tmp_path / "run.json").write_text(json.dumps({"changed": changed, "seconds": 126.6}))
        if code:
            (tmp_path / "setup-code").write_text(code)
        program = ROOT / "tools/show_appliance.py"
        shown = subprocess.check_output([sys.executable, program, tmp_path], text=True)
        return shown.splitlines()

    return run


def facts(box):
    return dict(line.strip("│ ").split(maxsplit=1) for line in box[3:-1] if line[3] != " ")


def test_the_box_says_where_the_picture_is_and_how_it_flows(show, tmp_path):
    assert facts(show()) == {
        "Open": "https://192.0.2.10/",
        "Picture": "1280x720, 30.0 frames per second, 9 ms from capture to decoded pixel",
        "Try": "take the controls and type: the picture shows the computer that you control",
        "Run": "45 changes in 127 s",
        "Stop": "make stop",
    }
    written = json.loads((tmp_path / "appliance.json").read_text())
    assert written == {**PICTURE, "changed": 45, "seconds": 126.6}


@pytest.mark.parametrize(
    ("what", "fact", "text"),
    [
        ({"changed": 0}, "Run", "nothing had to be changed (127 s)"),
        ({"latency_ms": None}, "Picture", "1280x720, 30.0 frames per second"),
        (
            {"signal": False, "fps": 0, "latency_ms": None},
            "Picture",
            "no signal: the attached computer is off, or its cable is out",
        ),
    ],
)
def test_the_box_says_what_is_different(show, what, fact, text):
    assert facts(show(**what))[fact] == text


def test_there_is_nothing_to_try_without_a_signal(show):
    assert "Try" not in facts(show(signal=False, fps=0, latency_ms=None))


def test_the_virtual_pi_shows_what_is_typed():
    inventory = yaml.safe_load((ROOT / "inventory/virtual.yml").read_text())
    hosts = inventory["kvm"]["children"]["virtual"]["hosts"]
    assert hosts["kvm-virtual-pi"]["emulated_hardware_content"] == "computer"


def test_a_device_has_the_plugin_that_measured_better():
    """The role's default holds: nothing else is said of it."""
    variables = yaml.safe_load((ROOT / "inventory/hosts.yml").read_text())["kvm"]["vars"]
    defaults = yaml.safe_load((ROOT / "roles/ustreamer/defaults/main.yml").read_text())
    assert variables.get("ustreamer_plugin", defaults["ustreamer_plugin"]) == "bundled"
    assert variables["ustreamer_source"] == "upstream"


def test_a_set_up_code_is_shown_and_not_kept(show, tmp_path):
    assert facts(show(code=CODE))["Code"] == CODE
    assert CODE not in "".join(path.read_text() for path in tmp_path.iterdir())
    assert "Code" not in facts(show())


def test_the_box_is_closed_whatever_the_device_is_called(show):
    box = show(host="kvm-機械室")
    assert box[1].startswith("│  kvm-機械室 is up")
    # Each of the three takes two columns.
    assert {len(line) for line in box} == {len(box[0]), len(box[0]) - 3}
    assert len(box[1]) == len(box[0]) - 3


# --- A checkout in a place of its own ---


@pytest.fixture
def checkout(tmp_path):
    """Makes a checkout: checkout("folder")."""

    def make(name):
        folder = tmp_path / name
        shutil.copytree(ROOT / "plugins", folder / "plugins")
        for file in ("Makefile", "ansible.cfg", "requirements.txt"):
            shutil.copy(ROOT / file, folder)
        return folder

    return make


def test_ansible_has_its_settings_in_a_checkout_that_anybody_may_write_to(checkout):
    """Without the name of ansible.cfg it would ignore that file, and find neither plugins nor roles."""
    folder = checkout("checkout")
    folder.chmod(0o777)
    programs = folder / "venv/bin"
    programs.mkdir(parents=True)
    (folder / "venv/lock").touch()
    # The settings that Ansible has, and of them those that come from a file.
    (programs / "ansible-playbook").write_text(
        f"#!/bin/sh\nexec {Path(sys.executable).parent}/ansible-config dump --only-changed > settings\n"
    )
    (programs / "ansible-playbook").chmod(0o755)
    environment = {name: value for name, value in os.environ.items() if name[:8] != "ANSIBLE_"}
    command = ["make", "--silent", "verify", "VENV=venv", "BUILD=build", "SUDO="]
    subprocess.run(command, cwd=folder, env=environment, check=True)
    settings = (folder / "settings").read_text()
    for folder_of, setting in (("modules", "MODULE"), ("module_utils", "MODULE_UTILS")):
        assert f"DEFAULT_{setting}" in settings
        assert f"{folder}/plugins/{folder_of}'" in settings
    assert "DEFAULT_STDOUT_CALLBACK" in settings


@pytest.mark.parametrize(
    ("locale", "wanted"),
    [
        ({"LC_ALL": "C"}, "C.UTF-8"),
        ({"LC_ALL": "xx_XX.UTF-8"}, "C.UTF-8"),
        ({"LANG": "C.UTF-8", "LC_TIME": "xx_XX.UTF-8"}, "C.UTF-8"),
        ({"LANG": "C.UTF-8"}, "unset"),
    ],
)
def test_ansible_runs_in_whichever_locale_somebody_has(tmp_path, locale, wanted):
    programs = tmp_path / "venv/bin"
    programs.mkdir(parents=True)
    (tmp_path / "venv/lock").touch()
    (programs / "ansible-playbook").write_text(
        f"#!/bin/sh\necho ${{LC_ALL-unset}} > {tmp_path}/lc_all\n"
    )
    (programs / "ansible-playbook").chmod(0o755)
    own = {
        name: value for name, value in os.environ.items() if not name.startswith(("LC_", "LANG"))
    }
    command = ["make", "--silent", "verify", f"VENV={tmp_path}/venv", f"BUILD={tmp_path}", "SUDO="]
    subprocess.run(command, cwd=ROOT, env={**own, **locale}, check=True)
    assert (tmp_path / "lc_all").read_text().strip() == wanted


def test_a_path_with_a_space_is_refused_in_a_sentence(checkout):
    folder = checkout("my checkout")
    done = subprocess.run(["make", "help"], cwd=folder, capture_output=True, text=True)
    assert done.returncode != 0
    assert done.stderr.strip().endswith(
        f'This checkout lies in "{folder}", and make can\'t work below a folder with a space in its name: move it to '
        "one without.  Stop."
    )


# --- A device of one's own ---


@pytest.mark.parametrize(
    ("host", "device"),
    [
        ("pi@192.0.2.10", {"ansible_host": "192.0.2.10", "ansible_user": "pi"}),
        ("kvm.example", {"ansible_host": "kvm.example"}),
        ("pi@2001:db8::7", {"ansible_host": "2001:db8::7", "ansible_user": "pi"}),
        (
            "pi@kvm.lan:2222",
            {"ansible_host": "kvm.lan", "ansible_user": "pi", "ansible_port": 2222},
        ),
    ],
)
def test_host_becomes_an_inventory_and_the_only_one_to_be_changed(tmp_path, host, device):
    """The virtual environment is a stand-in that writes down what it was asked for."""
    programs = tmp_path / "venv/bin"
    programs.mkdir(parents=True)
    (tmp_path / "venv/lock").touch()
    for name in ("ansible-playbook", "python"):
        (programs / name).write_text(f'#!/bin/sh\nprintf "%s\\n" "$@" > {tmp_path}/{name}\n')
        (programs / name).chmod(0o755)
    build = tmp_path / "build"
    subprocess.run(
        [
            "make",
            "--silent",
            "appliance",
            f"HOST={host}",
            f"VENV={tmp_path}/venv",
            f"BUILD={build}",
            "SUDO=",
            "ARGS=--ask-become-pass",
        ],
        cwd=ROOT,
        check=True,
    )
    inventory = yaml.safe_load((build / "device.yml").read_text())
    assert inventory == {"kvm": {"hosts": {"device": {**device, "ansible_become": True}}}}
    asked = (tmp_path / "ansible-playbook").read_text().splitlines()
    assert asked[asked.index("--limit") + 1] == "device"
    assert [file for flag, file in pairwise(asked) if flag == "-i"] == [
        "inventory/hosts.yml",
        f"{build}/device.yml",
    ]
    assert "playbooks/site.yml" in asked
    assert "--ask-become-pass" in asked
    assert (tmp_path / "python").read_text().split() == ["tools/show_appliance.py", str(build)]


@pytest.mark.parametrize("target", ["appliance", "doctor"])
def test_a_host_that_another_program_has_set_is_asked_about(tmp_path, target):
    """tcsh and conda's compilers set HOST. Nobody wants that machine to be provisioned."""
    (tmp_path / "venv").mkdir()
    (tmp_path / "venv/lock").touch()
    done = subprocess.run(
        ["make", "--silent", target, f"VENV={tmp_path}/venv", f"BUILD={tmp_path}/build", "SUDO="],
        cwd=ROOT,
        env={**os.environ, "HOST": "x86_64-conda-linux-gnu"},
        capture_output=True,
        text=True,
    )
    assert done.returncode != 0
    assert 'HOST is "x86_64-conda-linux-gnu" in the environment.' in done.stderr
    assert f"`make {target} HOST=`" in done.stderr
