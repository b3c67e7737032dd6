# SPDX-License-Identifier: MIT
"""The list of what is on a device: all of it, with versions, and in the form that CycloneDX 1.6 demands."""

import hashlib
import importlib.util
import json
import re
import subprocess
from pathlib import Path

import pytest
import yaml

from tests.support.bill_of_materials import check_form

PROGRAM = Path(__file__).parents[2] / "playbooks/files/sbom.py"
_spec = importlib.util.spec_from_file_location("sbom", PROGRAM)
sbom = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(sbom)

COMMIT = "85304a7a4bdb2719583ad53ae04130a8273dba6a"
SYSTEM = {"ID": "debian", "VERSION_ID": "13", "PRETTY_NAME": "Debian GNU/Linux 13 (trixie)"}
TOLD = (
    "installed\tlibstdc++6\t14.2.0-19\tamd64\tDebian GCC Maintainers <d@example.org>\t\n"
    "installed\tnginx\t1:1.26.3-3~deb13u1+x\tamd64\tDebian <n@example.org>\thttps://nginx.example\n"
    "config-files\tapache2\t2.4\tamd64\tSomebody <s@example.org>\t\n"
)


@pytest.fixture
def wiring(tmp_path):
    """A device that has compiled Janus and a plugin for Debian's uStreamer."""

    def make(program, inputs, files):
        folder = tmp_path / f"{program}.builds/v1.4.1-77a0b1d2"
        for name, content in files.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text(content)
        (folder / "built-from").write_text(json.dumps({"inputs": inputs, "compiler": "gcc 14"}))
        (tmp_path / program).symlink_to(folder)

    make(
        "janus",
        {"source": "upstream", "version": COMMIT, "flags": "-O2"},
        {"bin/janus": "program", "share/janus/javascript/janus.js": "js", "include/janus/x.h": ""},
    )
    make("ustreamer", {"source": "debian "}, {"plugins/libjanus_ustreamer.so": "plugin"})
    app = tmp_path / "app"
    (app / "static").mkdir(parents=True)
    (app / "static/main.js").write_text("page")
    (app / "__pycache__").mkdir()
    (app / "__pycache__/main.pyc").write_text("")
    return {
        "name": "rack-3",
        "version": "0.1.0",
        "builds": {name: str(tmp_path / name) for name in ("janus", "ustreamer")},
        "repositories": {
            name: f"https://git.example/{name}.git" for name in ("janus", "ustreamer")
        },
        "own": [str(app), str(tmp_path / "nowhere")],
    }


def test_it_has_the_form_that_readers_of_it_expect(wiring):
    check_form(sbom.bom(wiring, SYSTEM, TOLD))


def test_packages_are_those_that_are_installed(wiring):
    found = {each["name"]: each for each in sbom.bom(wiring, SYSTEM, TOLD)["components"]}
    assert "apache2" not in found
    assert found["libstdc++6"]["purl"] == (
        "pkg:deb/debian/libstdc%2B%2B6@14.2.0-19?arch=amd64&distro=debian-13"
    )
    assert found["nginx"]["version"] == "1:1.26.3-3~deb13u1+x"
    assert "@1%3A1.26.3-3~deb13u1%2Bx?" in found["nginx"]["purl"]


def test_what_was_compiled_is_there_with_its_commit_and_its_files(wiring):
    found = {each["name"]: each for each in sbom.bom(wiring, SYSTEM, TOLD)["components"]}
    janus = found["janus"]
    assert janus["version"] == "v1.4.1"
    assert janus["purl"] == (
        f"pkg:generic/janus@{COMMIT}?vcs_url=git%2Bhttps%3A%2F%2Fgit.example%2Fjanus.git%40{COMMIT}"
    )
    assert {"name": "kvm:build:commit", "value": COMMIT} in janus["properties"]
    assert [each["name"] for each in janus["components"]] == [
        "bin/janus",
        "share/janus/javascript/janus.js",
    ]
    digest = hashlib.sha256(b"program").hexdigest()
    assert janus["components"][0]["hashes"] == [{"alg": "SHA-256", "content": digest}]
    (plugin,) = found["ustreamer"]["components"]
    assert plugin["name"] == "plugins/libjanus_ustreamer.so"
    product = found["kvm-appliance"]
    assert product["version"] == "0.1.0"
    assert [Path(each["name"]).name for each in product["components"]] == ["main.js"]


def test_each_program_of_a_role_is_listed():
    """Those that its variables name."""
    root = PROGRAM.parents[2]
    installed = {
        name
        for file in (*root.glob("roles/*/vars/*.yml"), *root.glob("roles/*/vars/main/*.yml"))
        for name in re.findall(r"^__\w+: /usr/local/sbin/([\w-]+)$", file.read_text(), re.MULTILINE)
    }
    (play,) = yaml.safe_load((root / "playbooks/sbom.yml").read_text())
    assert installed == set(play["vars"]["__programs"])


def test_a_device_that_has_compiled_nothing_has_a_list_too(wiring):
    wiring["builds"] = {"janus": "/nowhere/janus"}
    bom = sbom.bom(wiring, SYSTEM, TOLD)
    check_form(bom)
    assert "janus" not in {each["name"] for each in bom["components"]}


def test_it_runs_where_there_is_dpkg(wiring):
    done = subprocess.run([PROGRAM, json.dumps(wiring)], capture_output=True, text=True, check=True)
    bom = json.loads(done.stdout)
    check_form(bom)
    listed = subprocess.run(
        ["dpkg-query", "-W", "-f", "${db:Status-Status} ${Package}\n"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split("\n")
    installed = {line.split()[1] for line in listed if line.startswith("installed ")}
    assert installed <= {each["name"] for each in bom["components"]}
