# SPDX-License-Identifier: MIT
"""systemd_units takes away what an earlier version of a role has left on the device."""

import importlib.util
from pathlib import Path

import pytest

MODULE = Path(__file__).parents[2] / "plugins/modules/systemd_units.py"
specification = importlib.util.spec_from_file_location("systemd_units", MODULE)
systemd_units = importlib.util.module_from_spec(specification)
specification.loader.exec_module(systemd_units)


class Module:
    """An AnsibleModule that notes what it was to run. `there`: whether the files still were at that moment."""

    def __init__(self, files, check_mode=False):
        self.files = files
        self.check_mode = check_mode
        self.commands = []
        self.there = []

    def run_command(self, command):
        self.commands.append(command)
        self.there.append(all(file.exists() for file in self.files))
        return 0, "", ""


@pytest.fixture
def left(tmp_path, monkeypatch):
    """A service with its drop-ins, its socket, and a file that is no unit."""
    units = tmp_path / "system"
    units.mkdir()
    monkeypatch.setattr(systemd_units, "UNITS", str(units))
    files = [units / "old.socket", units / "old.service", tmp_path / "old.sock"]
    for file in files:
        file.touch()
    drop_ins = units / "old.service.d"
    drop_ins.mkdir()
    (drop_ins / "more.conf").touch()
    return [*files, drop_ins]


def test_units_are_stopped_and_disabled_while_their_files_are_there(left):
    module = Module(left)
    reasons = systemd_units.remove(module, [*map(str, left), "/nowhere/else.service"])
    assert [reason.split()[0] for reason in reasons] == [*map(str, left)]
    assert module.commands == [
        ["systemctl", "disable", "--now", "old.socket", "old.service"],
        ["systemctl", "daemon-reload"],
        ["systemctl", "reset-failed", "old.socket", "old.service"],
    ]
    assert module.there == [True, False, False]
    assert not any(file.exists() for file in left)


def test_where_nothing_is_left_nothing_is_done(left):
    systemd_units.remove(Module(left), [*map(str, left)])
    module = Module(left)
    assert systemd_units.remove(module, [*map(str, left)]) == []
    assert module.commands == []


def test_check_mode_tells_and_removes_nothing(left):
    module = Module(left, check_mode=True)
    assert len(systemd_units.remove(module, [*map(str, left)])) == 4
    assert module.commands == []
    assert all(file.exists() for file in left)


def test_a_unit_that_can_not_be_stopped_keeps_its_file(left):
    class Failed(Exception):
        pass

    def fail(**facts):
        raise Failed(facts["msg"])

    module = Module(left)
    module.run_command = lambda command: (1, "", "Access denied")
    module.fail_json = fail
    with pytest.raises(Failed, match="Access denied"):
        systemd_units.remove(module, [*map(str, left)])
    assert all(file.exists() for file in left)
