# SPDX-License-Identifier: MIT
"""What is in the way of a device that is not fresh: said, or waited for, before anything is changed."""

import fcntl
import os
import subprocess
import sys
import time
from types import SimpleNamespace

import pytest

from playbooks.files import check_system

HOUR = 3600
NOW = 1_800_000_000.0


def said(action, *arguments, **options):
    with pytest.raises(check_system.Obstacle) as obstacle:
        action(*arguments, **options)
    return str(obstacle.value)


# --- The clock ---


class Clock:
    """now: what it says. It is set to NOW after so many seconds, if ever; sleeping is what lets them pass."""

    def __init__(self, folder):
        self.timesync = folder / "timesync"
        self.now, self.set_after, self.waited = NOW, None, 0

    def sleep(self, seconds):
        self.waited += seconds
        self.now = NOW + self.waited if self.waited == self.set_after else self.now + seconds


@pytest.fixture
def clock(tmp_path, monkeypatch):
    clock = Clock(tmp_path)
    stand_in = SimpleNamespace(
        time=lambda: clock.now,
        monotonic=lambda: float(clock.waited),
        sleep=clock.sleep,
        gmtime=time.gmtime,
        strftime=time.strftime,
    )
    monkeypatch.setattr(check_system, "time", stand_in)
    return clock


@pytest.mark.parametrize("late", [-24 * HOUR, -2 * HOUR, 2 * HOUR, 24 * HOUR])
def test_a_clock_that_apt_would_refuse_is_named_with_the_other_one(clock, late):
    clock.now = NOW - late
    sentence = said(check_system.wait_for_clock, NOW, clock.timesync)
    for seconds in (NOW, NOW - late):
        assert time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(seconds)) in sentence
    assert "timedatectl" in sentence
    assert clock.waited == 0


@pytest.mark.parametrize("late", [-1800, 0, 1800])
def test_clocks_may_be_apart_by_less(clock, late):
    clock.now = NOW - late
    check_system.wait_for_clock(NOW, clock.timesync)
    assert clock.waited == 0


def test_a_clock_that_is_being_set_is_waited_for(clock):
    clock.timesync.mkdir()
    clock.now, clock.set_after = NOW - 24 * HOUR, 5
    check_system.wait_for_clock(NOW, clock.timesync)
    assert clock.waited == 5


def test_the_wait_for_the_clock_ends(clock):
    clock.timesync.mkdir()
    clock.now = NOW - 24 * HOUR
    assert "wrong clock" in said(check_system.wait_for_clock, NOW, clock.timesync)
    assert 30 <= clock.waited < 35


# --- A lock that somebody has ---


@pytest.fixture
def locked(tmp_path):
    """A lock file, and the program that holds it until end() is called."""
    file = tmp_path / "lock"
    program = (
        "import fcntl, sys; file = open(sys.argv[1], 'w'); fcntl.lockf(file, fcntl.LOCK_EX);"
        "print('locked', flush=True); sys.stdin.read()"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", program, file],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout.readline() == "locked\n"

    def end():
        process.stdin.close()
        process.wait()

    yield file, process, end
    if process.poll() is None:
        end()


def test_whoever_holds_a_lock_is_known(locked, tmp_path):
    file, process, end = locked
    number, name = check_system.holder(file)
    assert number == process.pid
    assert name.startswith("python")
    end()
    assert check_system.holder(file) is None
    assert check_system.holder(tmp_path / "none") is None


def test_a_lock_is_waited_for(locked, monkeypatch):
    file, _, end = locked
    waits = []

    def wait(_):
        waits.append(1)
        if len(waits) == 3:
            end()

    monkeypatch.setattr(check_system.time, "sleep", wait)
    check_system.wait_for_locks([file])
    assert len(waits) == 3
    with open(file, "w") as free:
        fcntl.lockf(free, fcntl.LOCK_EX | fcntl.LOCK_NB)


def test_the_wait_for_a_lock_ends(locked):
    file, process, _ = locked
    sentence = said(check_system.wait_for_locks, [file], patience_seconds=-60)
    assert f"(process {process.pid}) installs packages for more than" in sentence


# --- Half installed packages ---


def test_packages_that_dpkg_left_half_installed():
    status = (
        "installed ok bash\nconfig-files ok old\nunpacked ok nginx\nhalf-configured ok openssl\n"
        "half-installed reinstreq perl\ninstalled reinstreq dash\ntriggers-pending ok man-db\n"
    )
    assert check_system.half_installed(status) == ["nginx", "openssl", "perl", "dash"]


@pytest.fixture
def dpkg(tmp_path):
    """dpkg's folder: dpkg(state of its one package)."""

    def make(state):
        (tmp_path / "updates").mkdir(exist_ok=True)
        (tmp_path / "info").mkdir(exist_ok=True)
        (tmp_path / "status").write_text(
            f"Package: demo\nStatus: install {state}\nVersion: 1\nArchitecture: all\n"
            "Maintainer: nobody\nDescription: demo\n"
        )
        return tmp_path

    return make


@pytest.mark.skipif(
    not os.path.exists("/usr/bin/dpkg-query"), reason="this machine has no dpkg-query"
)
@pytest.mark.parametrize("state", ["ok half-configured", "ok unpacked", "reinstreq half-installed"])
def test_an_interrupted_dpkg_is_named(dpkg, state):
    sentence = said(check_system.check_dpkg, dpkg(state))
    assert "half installed (demo)" in sentence
    assert "sudo dpkg --configure -a" in sentence


def test_what_dpkg_was_about_to_do_counts_as_well(dpkg):
    folder = dpkg("ok installed")
    check_system.check_dpkg(folder)
    (folder / "updates/tmp.i").touch()
    check_system.check_dpkg(folder)
    (folder / "updates/0007").touch()
    assert "dpkg was interrupted" in said(check_system.check_dpkg, folder)


# --- Lists ---


@pytest.fixture
def apt(tmp_path, monkeypatch):
    """A stand-in that fails with a text, if there is one: apt(text) returns the folder of its lists, a day old."""

    def make(text=""):
        program = tmp_path / "bin/apt-get"
        program.parent.mkdir()
        program.write_text(
            f"#!/bin/sh\ntouch {tmp_path}/asked\n"
            + (f"echo '{text}' >&2; exit 100\n" if text else "")
        )
        program.chmod(0o755)
        monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
        lists = tmp_path / "lists"
        lists.mkdir()
        (lists / "mirror_Release").touch()
        os.utime(lists, (0, 0))
        return lists

    return make


def test_lists_of_today_are_not_asked_for_again(apt, tmp_path):
    lists = apt()
    os.utime(lists)
    check_system.refresh_lists(NOW, lists)
    assert not (tmp_path / "asked").exists()


@pytest.mark.parametrize("age", [25 * HOUR, -25 * HOUR])
def test_lists_of_another_day_are_also_when_the_clock_was_ahead(apt, tmp_path, age):
    lists = apt()
    os.utime(lists, (time.time() - age,) * 2)
    check_system.refresh_lists(NOW, lists)
    assert (tmp_path / "asked").exists()


def test_a_mirror_that_does_not_answer(apt):
    lists = apt("W: Some warning\nE: Failed to fetch http://mirror.invalid/ Could not resolve")
    sentence = said(check_system.refresh_lists, NOW, lists)
    assert "can't be reached" in sentence and "(E: Failed to fetch" in sentence
    # The next run asks again.
    assert lists.stat().st_mtime == 0


def test_lists_that_are_not_valid_by_this_clock(apt):
    lists = apt(
        "E: Release file for http://mirror.example/ is not valid yet (invalid for another 20min)"
    )
    sentence = said(check_system.refresh_lists, NOW, lists)
    assert "is not valid yet" in sentence
    assert time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(NOW)) in sentence
    assert "can't be reached" not in sentence
