# SPDX-License-Identifier: MIT
"""A machine that hangs is rebooted, and not again and again."""

import pytest
from tinypilot import hardware_watchdog


@pytest.fixture
def device(tmp_path, clock, monkeypatch):
    """device(orderly) starts it an hour later: after how many seconds is it rebooted?"""
    told = []
    monkeypatch.setattr(
        hardware_watchdog.subprocess, "run", lambda command, check: told.append(command)
    )
    monkeypatch.setattr(hardware_watchdog, "IDENTITY", tmp_path / "identity")
    monkeypatch.setenv("STATE_DIRECTORY", str(tmp_path))

    def run(command):
        monkeypatch.setattr("sys.argv", ["", command])
        hardware_watchdog.main()

    def start(orderly=True, seconds=3600, command="arm"):
        if orderly:
            run("note-end")
        clock.pass_by(seconds)
        run(command)
        return int(told[-1][-1]) / 1_000_000 if told else None

    (tmp_path / "identity").write_text("iTCO_wdt\n")
    start.folder = tmp_path
    return start


def test_a_pi_is_rebooted_after_what_its_hardware_counts_to(device):
    assert device() == 30
    (device.folder / "identity").write_text("Broadcom BCM2835 Watchdog timer\n")
    assert device() == 15


def test_so_many_reboots_a_day_and_no_more(device):
    assert device() == 30
    assert [device(orderly=False) for _ in range(6)] == [30] * 4 + [0, 0]
    # Whoever shuts it down in an orderly way does not change that, but time does.
    assert device() == 0
    assert device(seconds=24 * 3600) == 30


def test_orderly_ends_do_not_count(device):
    assert [device() for _ in range(10)] == [30] * 10


@pytest.mark.parametrize("text", ["", "{", "7", '["x"]', "null"])
def test_damaged_notes_keep_nobody_from_being_rebooted(device, text):
    device()
    (device.folder / "ends.json").write_text(text)
    assert device(orderly=False) == 30


def test_a_clock_that_was_ahead_counts_for_nothing(device, clock):
    device()
    clock.set_by(10 * 24 * 3600)
    for _ in range(5):
        device(orderly=False)
    clock.set_by(-10 * 24 * 3600)
    assert device(orderly=False) == 30


def test_who_does_not_want_it_and_who_has_none(device, capsys):
    assert device(command="disarm") == 0
    (device.folder / "identity").unlink()
    capsys.readouterr()
    assert device() == 0
    assert capsys.readouterr().out == "This hardware has no watchdog.\n"
