# SPDX-License-Identifier: MIT
"""Modules are asked without Ansible's library whether they have anything to do."""

import importlib
import json
import subprocess
import sys
from types import SimpleNamespace

import pytest

from plugins.plugin_utils import looking

SHOWN = {
    "Id": "a.service",
    "LoadState": "loaded",
    "ActiveState": "active",
    "UnitFileState": "enabled",
    "NeedDaemonReload": "no",
    "FragmentPath": "",
    "DropInPaths": "",
    "InactiveExitTimestampMonotonic": "0",
}


def looked(module: str, arguments: dict) -> tuple[int, str]:
    """Exit code of the module on a device, which is this machine, and what it printed."""
    done = subprocess.run(
        [sys.executable, "-"],
        input=looking.script(module, arguments),
        capture_output=True,
        check=False,
    )
    return done.returncode, done.stdout.decode()


@pytest.fixture
def run_module(monkeypatch):
    """Runs a module as an action does; returns its answer, and what was handed over to Ansible."""

    def run(module: str, arguments: dict, rc: int | None = None, stdout: str | None = None):
        handed_over = []

        def execute(command, in_data):
            assert command == "/usr/bin/python3 -"
            done = subprocess.run([sys.executable, "-"], input=in_data, capture_output=True)
            return {
                "rc": done.returncode if rc is None else rc,
                "stdout": done.stdout.decode() if stdout is None else stdout,
            }

        action = SimpleNamespace(
            _task=SimpleNamespace(action=f"kvm.appliance.{module}"),
            _low_level_execute_command=execute,
            _execute_module=lambda module_args, task_vars: (
                handed_over.append((module_args, task_vars)) or {"changed": True, "by": "Ansible"}
            ),
        )
        return looking.run_module(action, arguments, {"of": "task"}), handed_over

    return run


@pytest.fixture
def systemctl(tmp_path, monkeypatch):
    """Answers of systemctl: what of it is different from a unit that runs from what is on disk."""

    def answers(**different: str) -> None:
        shown = "\n".join(f"{key}={value}" for key, value in {**SHOWN, **different}.items())
        program = tmp_path / "systemctl"
        program.write_text(f"#!/bin/sh\ncat <<'END'\n{shown}\nEND\n")
        program.chmod(0o755)

    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    return answers


def test_a_module_with_nothing_to_do_is_not_handed_over_to_ansible(run_module, systemctl):
    systemctl()
    answer, handed_over = run_module("systemd_units", {"groups": [{"units": ["a.service"]}]})
    assert answer == {"changed": False, "reasons": []}
    assert handed_over == []


def test_a_module_with_something_to_do_is_run_by_ansible(run_module, systemctl):
    systemctl(ActiveState="failed")
    arguments = {"groups": [{"units": ["a.service"]}]}
    answer, handed_over = run_module("systemd_units", arguments)
    assert answer == {"changed": True, "by": "Ansible"}
    assert handed_over == [(arguments, {"of": "task"})]


def test_looking_changes_nothing(run_module, tmp_path):
    arguments = {"folders": [{"path": str(tmp_path / "a")}]}
    assert looked("write_files", arguments)[0] == 0
    assert json.loads(looked("write_files", arguments)[1])["written"] == [str(tmp_path / "a")]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("rc", "stdout"),
    [
        pytest.param(127, "", id="no Python"),
        pytest.param(0, "", id="no answer"),
        pytest.param(0, "Welcome!\n", id="something else"),
        pytest.param(0, "[]\n", id="no mapping"),
        pytest.param(0, '{"reasons": []}\n', id="no verdict"),
        pytest.param(1, '{"changed": false}\n', id="an answer, and an error"),
    ],
)
def test_a_device_that_can_not_be_asked_is_left_to_ansible(run_module, systemctl, rc, stdout):
    systemctl()
    answer, handed_over = run_module(
        "systemd_units", {"groups": [{"units": ["a.service"]}]}, rc=rc, stdout=stdout
    )
    assert answer["by"] == "Ansible"
    assert len(handed_over) == 1


def test_what_a_shell_says_before_is_passed_over():
    assert looking.nothing_to_do('Welcome!\n{"changed": false, "a": 1}\n') == {
        "changed": False,
        "a": 1,
    }


@pytest.mark.parametrize(
    ("module", "arguments"),
    [
        pytest.param("systemd_units", {}, id="missing"),
        pytest.param("systemd_units", {"groups": None}, id="nothing"),
        pytest.param("systemd_units", {"groups": [], "absent": None}, id="nothing for a default"),
        pytest.param("systemd_units", {"groups": [], "group": []}, id="unknown"),
        pytest.param("systemd_units", {"groups": [{"unit": "a"}]}, id="unknown, within"),
        pytest.param("systemd_units", {"groups": [{}]}, id="missing, within"),
        pytest.param("systemd_units", {"groups": "a"}, id="no list"),
        pytest.param("systemd_units", {"groups": ["a"]}, id="a list of something else"),
        pytest.param("systemd_units", {"groups": [], "absent": ["~/a"]}, id="a home"),
        pytest.param("systemd_units", {"groups": [], "absent": ["$HOME/a"]}, id="a variable"),
        pytest.param(
            "systemd_units", {"groups": [{"units": ["a.service"], "wanted": "no"}]}, id="no bool"
        ),
        pytest.param("active_build", {"state": "other", "link": "/opt/a"}, id="no choice"),
        pytest.param(
            "write_files", {"files": [{"dest": "/a", "content": "", "wanted": "no"}]}, id="text"
        ),
    ],
)
def test_arguments_that_ansible_would_convert_or_refuse_are_left_to_it(
    systemctl, module, arguments
):
    systemctl()
    code, printed = looked(module, arguments)
    assert code != 0
    assert printed == ""


def test_a_module_that_fails_is_left_to_ansible(systemctl):
    """Which shows its sentence."""
    systemctl(LoadState="masked")
    assert looked("systemd_units", {"groups": [{"units": ["a.service"]}]}) == (1, "")


def test_what_is_left_to_its_default_is_the_same_as_by_ansible(systemctl, tmp_path):
    """The groups' own as well."""
    systemctl()
    groups = [{"units": ["a.service"]}, {"units": ["b.service"], "wanted": False}]
    assert looked("systemd_units", {"groups": groups})[0] == 0
    (tmp_path / "opt").mkdir()
    arguments = {"state": "active", "link": str(tmp_path / "opt/a")}
    assert json.loads(looked("active_build", arguments)[1])["build"] == ""


@pytest.mark.parametrize("name", ["systemd_units", "active_build", "native_build"])
def test_actions_ask_first(monkeypatch, name):
    module = importlib.import_module(f"plugins.action.{name}")
    monkeypatch.setattr("ansible.plugins.action.ActionBase.run", lambda *_: {"of": "Ansible"})
    asked = []
    monkeypatch.setitem(
        module.looking,
        "run_module",
        lambda action, arguments, task_vars: asked.append((arguments, task_vars)) or {"a": 1},
    )
    action = object.__new__(module.ActionModule)
    action._task = SimpleNamespace(args={"state": "inspected"})
    assert action.run(None, {"name": "rack"}) == {"of": "Ansible", "a": 1}
    assert asked == [({"state": "inspected"}, {"name": "rack"})]


@pytest.mark.parametrize("state", ["begun", "finished"])
def test_a_build_is_ansibles(monkeypatch, state):
    """It has something to do, or takes its time."""
    module = importlib.import_module("plugins.action.native_build")
    monkeypatch.setattr("ansible.plugins.action.ActionBase.run", lambda *_: {"of": "Ansible"})
    action = object.__new__(module.ActionModule)
    action._task = SimpleNamespace(args={"state": state})
    action._execute_module = lambda module_args, task_vars: {"changed": True}
    assert action.run(None, {}) == {"of": "Ansible", "changed": True}
