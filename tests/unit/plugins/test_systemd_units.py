# SPDX-License-Identifier: MIT
"""When a unit is restarted, and what is done with one that does not run as it should."""

import os
import time

import pytest

from plugins.modules import systemd_units
from plugins.modules.systemd_units import changed_at, refresh, restart_reasons


def unit(**properties):
    """A service that was started long ago, and from then on has run as it should."""
    return {
        "Id": "program.service",
        "LoadState": "loaded",
        "ActiveState": "active",
        "UnitFileState": "enabled",
        "NeedDaemonReload": "no",
        "FragmentPath": "",
        "DropInPaths": "",
        "InactiveExitTimestampMonotonic": "0",
        **properties,
    }


def started_now(**properties):
    now = time.clock_gettime(time.CLOCK_MONOTONIC) + 1
    return unit(InactiveExitTimestampMonotonic=str(int(now * 1e6)), **properties)


@pytest.fixture
def program(tmp_path):
    path = tmp_path / "program"
    path.write_text("new")
    return str(path)


def test_a_unit_older_than_its_files_is_restarted(program):
    assert restart_reasons(unit(), [program]) == [
        f"program.service: {program} changed after the start"
    ]
    assert restart_reasons(started_now(), [program]) == []


def test_unit_file_and_drop_ins_count(program):
    told = [f"program.service: {program} changed after the start"]
    assert restart_reasons(unit(FragmentPath=program), []) == told
    assert restart_reasons(unit(DropInPaths=f"/absent {program}"), []) == told


def test_a_unit_file_that_was_not_read_again_is_reason_enough(program):
    assert restart_reasons(started_now(NeedDaemonReload="yes"), [program]) == [
        "program.service: its unit file changed"
    ]


def test_what_is_absent_is_passed_over():
    assert restart_reasons(unit(), ["/absent"]) == []
    assert restart_reasons(unit(), []) == []


def test_a_clock_that_was_set_since_the_start_misleads_nobody(program, monkeypatch):
    """A Pi has no clock of its own: it may have started in 1970."""
    year = 365 * 86400
    now = time.time()
    monkeypatch.setattr("time.time", lambda: now + 50 * year)
    monkeypatch.setattr(systemd_units, "changed_at", lambda path: (now + 50 * year - 60, path))
    uptime = time.clock_gettime(time.CLOCK_MONOTONIC)
    fresh = unit(InactiveExitTimestampMonotonic=str(int((uptime - 30) * 1e6)))
    stale = unit(InactiveExitTimestampMonotonic=str(int((uptime - 90) * 1e6)))
    assert restart_reasons(fresh, [program]) == []
    assert restart_reasons(stale, [program])


def test_a_change_anywhere_below_a_folder_counts(tmp_path):
    (tmp_path / "app/static").mkdir(parents=True)
    (tmp_path / "app/static/page.js").touch()
    later = tmp_path / "app/static/page.js"
    # Not by the time that anybody can set.
    os.utime(later, (0, 0))
    when, path = changed_at(str(tmp_path / "app"))
    assert (when, path) == (later.stat().st_ctime, str(later))


def after(path):
    """Waits until the file system's clock, which is coarse, is later than this path's change."""
    other = path.parent / "clock"
    while True:
        other.touch()
        if other.stat().st_ctime > path.lstat().st_ctime:
            other.unlink()
            return


def test_a_removal_counts(tmp_path):
    folder = tmp_path / "app"
    folder.mkdir()
    (folder / "old.js").touch()
    before = changed_at(str(folder))[0]
    after(folder)
    (folder / "old.js").unlink()
    assert changed_at(str(folder))[0] > before


def test_a_link_that_points_to_something_older_counts(tmp_path):
    for name in ("old", "new"):
        (tmp_path / name).mkdir()
        after(tmp_path / name)
    (tmp_path / "active").symlink_to("new")
    before = changed_at(str(tmp_path / "active"))[0]
    after(tmp_path / "active")
    (tmp_path / "active").unlink()
    (tmp_path / "active").symlink_to("old")
    assert changed_at(str(tmp_path / "active"))[0] > before


class Systemd:
    """Answers `systemctl show`; a unit is active once it is started, unless it is among the `bad`."""

    def __init__(self, make_module, *units, bad=(), check_mode=False):
        self.units = {unit["Id"]: unit for unit in units}
        self.bad = bad
        self.module = make_module(check_mode=check_mode)
        self.module.run_command = self.run_command
        self.commands = []

    def run_command(self, command):
        program, *arguments = command
        if program == "journalctl":
            return 0, "its last words\n", ""
        if arguments[0] == "show":
            blocks = [
                "\n".join(f"{name}={value}" for name, value in self.units[unit].items())
                for unit in arguments[2:]
            ]
            return 0, "\n\n".join(blocks), ""
        self.commands.append(" ".join(arguments))
        if arguments[0] in ("start", "restart"):
            for name in arguments[1:]:
                self.units[name]["ActiveState"] = "failed" if name in self.bad else "active"
        return 0, "", ""

    def refresh(self, *files):
        return refresh(self.module, list(self.units), list(files))


def test_what_runs_as_it_should_is_left_alone(make_module):
    systemd = Systemd(make_module, unit(), unit(Id="static.service", UnitFileState="static"))
    assert systemd.refresh() == []
    assert systemd.commands == []


def test_a_new_unit_is_read_enabled_and_started(make_module):
    new = unit(LoadState="not-found", UnitFileState="", ActiveState="inactive")
    systemd = Systemd(make_module, new)
    assert systemd.refresh() == ["program.service: not enabled", "program.service: not running"]
    assert systemd.commands == [
        "daemon-reload",
        "enable program.service",
        "reset-failed program.service",
        "start program.service",
    ]


def test_a_unit_alone_is_restarted_and_keeps_what_it_keeps(make_module, program):
    systemd = Systemd(make_module, unit())
    assert systemd.refresh(program)
    assert "restart program.service" in systemd.commands
    assert "stop program.service" not in systemd.commands


def test_a_socket_is_not_restarted_under_its_service(make_module, program):
    systemd = Systemd(make_module, unit(Id="program.socket"), unit())
    assert len(systemd.refresh(program)) == 2
    assert systemd.commands == [
        "reset-failed program.socket program.service",
        "stop program.service program.socket",
        "start program.socket program.service",
    ]


def test_one_that_does_not_stay_up_is_named_with_its_last_words(make_module, failure):
    systemd = Systemd(make_module, unit(ActiveState="failed"), bad=["program.service"])
    with pytest.raises(failure) as end:
        systemd.refresh()
    sentence, more = end.value.args
    assert sentence == "program.service does not stay up; its last words are below."
    assert more.journal == ["its last words"]


def test_a_masked_unit_is_not_unmasked_behind_somebodys_back(make_module, failure):
    systemd = Systemd(make_module, unit(LoadState="masked"))
    with pytest.raises(failure, match=r"program.service is masked: `systemctl unmask` it"):
        systemd.refresh()
    assert systemd.commands == []


def test_a_unit_that_was_empty_after_a_power_cut_is_read_again_and_started(make_module):
    """systemd takes the empty file for a masked unit, until it reads what the play has written there."""
    empty = unit(
        LoadState="masked", UnitFileState="masked", ActiveState="inactive", NeedDaemonReload="yes"
    )
    systemd = Systemd(make_module, empty)
    assert systemd.refresh() == ["program.service: not enabled", "program.service: not running"]
    assert systemd.commands == [
        "daemon-reload",
        "enable program.service",
        "reset-failed program.service",
        "start program.service",
    ]


def test_groups_are_looked_at_one_by_one_after_what_is_left_was_removed(
    run_module, tmp_path, monkeypatch
):
    left = tmp_path / "old"
    left.touch()
    looked_at = []

    def refresh(module, units, files):
        looked_at.append((units, files, left.exists()))
        return [f"{units[0]}: not running"]

    monkeypatch.setattr(systemd_units, "refresh", refresh)
    groups = [
        {"units": ["a.socket", "a.service"], "files": ["/opt/a"]},
        {"units": ["absent.service"], "wanted": False},
        {"units": ["b.service"]},
    ]
    answer = run_module(systemd_units, groups=groups, absent=[str(left)])
    assert looked_at == [
        (["a.socket", "a.service"], ["/opt/a"], False),
        (["b.service"], [], False),
    ]
    assert answer["reasons"] == [
        f"{left} is not used any more",
        "a.socket: not running",
        "b.service: not running",
    ]
    assert answer["changed"]


def test_where_nothing_was_to_be_done_nothing_changed(run_module):
    answer = run_module(systemd_units, groups=[{"units": ["a.service"], "wanted": False}])
    assert (answer["changed"], answer["reasons"]) == (False, [])


@pytest.mark.parametrize("group", [{}, {"units": "a.service", "order": 1}, None])
def test_a_group_that_is_none_is_refused(run_module, group):
    params = {} if group is None else {"groups": [group]}
    assert run_module(systemd_units, **params)["failed"]


def test_check_mode_gets_through(run_module, tmp_path):
    (tmp_path / "old").touch()
    assert run_module(systemd_units, True, groups=[], absent=[str(tmp_path / "old")])["changed"]
    assert (tmp_path / "old").exists()


def test_check_mode_says_why_and_does_nothing(make_module, program):
    systemd = Systemd(make_module, unit(), check_mode=True)
    assert systemd.refresh(program)
    assert systemd.commands == []


def test_what_systemctl_refuses_is_said(make_module, failure):
    module = make_module(
        answers={"systemctl": (1, "", "Access denied\n"), "journalctl": (0, "", "")}
    )
    with pytest.raises(failure, match=r"`systemctl enable a.service` failed: Access denied"):
        systemd_units.Units(module, ["a.service"]).systemctl("enable", "a.service")


def test_what_one_unit_refuses_keeps_no_other_from_its_start(make_module):
    """reset-failed fails for a unit that was never loaded."""
    systemd = Systemd(make_module, unit(ActiveState="inactive"))
    run = systemd.run_command
    systemd.module.run_command = lambda command: (
        (1, "", "Unit not loaded") if "reset-failed" in command else run(command)
    )
    assert systemd.refresh() == ["program.service: not running"]
    assert systemd.commands == ["start program.service"]


def test_a_unit_that_reloads_is_running(make_module):
    systemd = Systemd(make_module, unit(ActiveState="reloading"))
    assert systemd.refresh() == []


def test_units_are_only_read_again_for_a_reason(make_module, program):
    systemd = Systemd(make_module, started_now(ActiveState="inactive"))
    systemd.refresh(program)
    assert systemd.commands == ["reset-failed program.service", "start program.service"]
    systemd = Systemd(make_module, started_now(NeedDaemonReload="yes"))
    systemd.refresh()
    assert systemd.commands == [
        "daemon-reload",
        "reset-failed program.service",
        "restart program.service",
        "start program.service",
    ]
