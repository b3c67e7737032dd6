# SPDX-License-Identifier: MIT
"""Where programs come from: each pin is exact, and the plugin is the same wherever it is compiled."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
PLUGIN = ROOT / "roles/ustreamer/files/janus_plugin"
COMMIT = re.compile(r"[0-9a-f]{40}")
DEFAULTS = {
    name: value
    for file in (*ROOT.glob("roles/*/defaults/main.yml"), ROOT / "inventory/group_vars/kvm.yml")
    for name, value in (yaml.safe_load(file.read_text()) or {}).items()
}


def named(end):
    found = {name: value for name, value in DEFAULTS.items() if name.endswith(end)}
    assert found
    return found


def test_what_a_device_compiles_is_one_commit_or_one_version():
    for name, commit in named("_upstream_commit").items():
        assert COMMIT.fullmatch(commit), name
        assert name.replace("_commit", "_repository") in DEFAULTS
    for name, version in {**named("_upstream_version"), **named("_debian_version")}.items():
        assert re.fullmatch(r"v?\d+(\.\d+)+(-\d+)?", version), name


def test_each_python_package_is_one_version_with_digests():
    packages = re.split(r"\n(?=[a-z0-9])", (ROOT / "requirements.txt").read_text())
    packages = [each for each in packages if not each.startswith("#")]
    assert len(packages) > 50
    for package in packages:
        head, *rest = package.splitlines()
        assert re.match(r"[a-z0-9.-]+(\[[a-z,-]+\])?==[0-9][0-9a-z.+-]*( |$)", head), head
        digests = [line for line in rest if "--hash" in line]
        assert digests, head
        for digest in digests:
            assert re.fullmatch(r" +--hash=sha256:[0-9a-f]{64}( \\)?", digest), head


def test_each_action_of_the_workflows_is_one_commit():
    workflows = list((ROOT / ".github/workflows").glob("*.yml"))
    assert len(workflows) >= 2
    for file in workflows:
        for used in re.findall(r"uses: (\S+)", file.read_text()):
            assert COMMIT.fullmatch(used.partition("@")[2]), f"{file.name}: {used}"
        assert "ubuntu-latest" not in file.read_text()


def test_hooks_bring_no_programs_of_their_own():
    hooks = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())
    assert {each["repo"] for each in hooks["repos"]} == {"local"}


def compiled(source: Path, folder: Path, run_in: Path) -> dict[str, bytes]:
    """All but what needs Janus' headers: on a virtual Pi the whole plugin is compared (molecule/default)."""
    modules = [each.stem for each in source.glob("*.c") if each.stem != "plugin"]
    subprocess.run(
        ["make", "--silent", "-f", source / "Makefile", f"BUILD={folder}", "WERROR="]
        + [f"{folder}/{module}.o" for module in modules],
        cwd=run_in,
        check=True,
    )
    return {module: (folder / f"{module}.o").read_bytes() for module in modules}


def test_the_plugin_is_the_same_wherever_it_is_compiled(tmp_path):
    here, there = tmp_path / "here", tmp_path / "somewhere-else/with/a/longer/name"
    for folder in (here, there):
        shutil.copytree(PLUGIN, folder / "source", ignore=shutil.ignore_patterns("tests"))
    first = compiled(here / "source", here / "build", here / "source")
    second = compiled(there / "source", there / "source/objects", tmp_path)
    assert len(first) > 5
    for module, data in first.items():
        assert str(tmp_path).encode() not in data, module
        assert data == second[module], module


@pytest.mark.parametrize("word", ["__DATE__", "__TIME__", "__TIMESTAMP__"])
def test_nothing_that_is_compiled_knows_when(word):
    for file in (*PLUGIN.glob("*.[ch]"), *PLUGIN.glob("Makefile")):
        assert word not in file.read_text(), file.name
