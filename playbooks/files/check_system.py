#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Look at the device's system before anything is changed: can packages be installed?

    check_system.py NOW     the controller's time, in seconds since 1970

Looks at the clock, waits for another program that installs packages, looks for packages that it left half installed,
and has apt ask the package mirror, unless its lists are of today. If something is in the way it prints a sentence, and
its exit code is not 0.
"""

import fcntl
import os
import re
import struct
import subprocess
import sys
import time
from pathlib import Path

# apt takes lists that were made some hours ago, and no list of the future.
MOST_SECONDS_APART = 3600
# A device that was just started asks a time server.
CLOCK_PATIENCE_SECONDS = 30
TIMESYNC = Path("/run/systemd/timesync")
LOCKS = ("/var/lib/dpkg/lock-frontend", "/var/lib/dpkg/lock", "/var/lib/apt/lists/lock")
# As long as an upgrade of everything takes, which a Pi may begin by itself when it is started.
PATIENCE_SECONDS = 600
DPKG = Path("/var/lib/dpkg")
LISTS = Path("/var/lib/apt/lists")
DAY = 24 * 3600


class Obstacle(Exception):
    """What is in the way, and what to do."""


def clocks(here, there):
    def as_text(seconds):
        return time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(seconds))

    return (
        f"the clock of this device says {as_text(here)}, and the one of the machine that provisions it "
        f"{as_text(there)}. Set the wrong one (`timedatectl set-ntp true`, or `date --set`), then run the play again."
    )


def wait_for_clock(there, timesync=TIMESYNC):
    began = time.monotonic()
    while abs(time.time() - (there + time.monotonic() - began)) > MOST_SECONDS_APART:
        is_being_set = timesync.is_dir() and not (timesync / "synchronized").exists()
        if not is_being_set or time.monotonic() > began + CLOCK_PATIENCE_SECONDS:
            raise Obstacle(
                f"apt refuses lists of packages with a wrong clock: {clocks(time.time(), there)}"
            )
        time.sleep(1)


def holder(path):
    """Number and name of the process that has locked this file, None if nobody has."""
    try:
        file = os.open(path, os.O_RDONLY)
    except FileNotFoundError:
        return None
    try:
        question = struct.pack("hhqqi0q", fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0)
        kind, _, _, _, process = struct.unpack(
            "hhqqi0q", fcntl.fcntl(file, fcntl.F_GETLK, question)
        )
    finally:
        os.close(file)
    if kind == fcntl.F_UNLCK:
        return None
    try:
        return process, Path(f"/proc/{process}/comm").read_text().strip()
    except OSError:
        return process, "a program"


def wait_for_locks(locks=LOCKS, patience_seconds=PATIENCE_SECONDS):
    deadline = time.monotonic() + patience_seconds
    while found := next(filter(None, map(holder, locks)), None):
        if time.monotonic() > deadline:
            raise Obstacle(
                f"{found[1]} (process {found[0]}) installs packages for more than {patience_seconds // 60} minutes: "
                "wait until it is done, or end it, then run the play again."
            )
        time.sleep(1)


def half_installed(status):
    """Names of packages, from lines of `State Error Name`."""
    states = ("half-installed", "unpacked", "half-configured")
    words = (line.split() for line in status.splitlines())
    return [name for state, error, name in words if state in states or error != "ok"]


def check_dpkg(folder=DPKG):
    command = [
        *("dpkg-query", f"--admindir={folder}", "--show"),
        "--showformat=${db:Status-Status} ${db:Status-Eflag} ${Package}\n",
    ]
    status = subprocess.run(command, capture_output=True, text=True, check=False).stdout
    found = half_installed(status)
    # apt looks here as well.
    begun = [file for file in (folder / "updates").glob("*") if re.fullmatch("[0-9]+", file.name)]
    if found or begun:
        names = f" ({', '.join(found[:5])}{', ...' if len(found) > 5 else ''})" if found else ""
        raise Obstacle(
            f"dpkg was interrupted on this device, and left packages half installed{names}: run "
            "`sudo dpkg --configure -a` and `sudo apt-get --fix-broken install` there, then the play again."
        )


def refresh_lists(there, lists=LISTS):
    if any(lists.glob("*Release")) and abs(time.time() - lists.stat().st_mtime) < DAY:
        return
    command = ["apt-get", "update", "-qq", "-o", "APT::Update::Error-Mode=any"]
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, env={**os.environ, "LC_ALL": "C"}
    )
    if done.returncode == 0:
        return
    # The next run is to ask again.
    if lists.exists():
        os.utime(lists, (0, 0))
    reason = next((line for line in done.stderr.splitlines() if line.startswith("E:")), done.stderr)
    if "is not valid yet" in done.stderr or "is expired" in done.stderr:
        raise Obstacle(
            f"apt refuses the mirror's lists ({reason.strip()}); {clocks(time.time(), there)}"
        )
    raise Obstacle(
        "The package mirror can't be reached: check the device's network and /etc/apt/sources.list. "
        f"({reason.strip()})"
    )


def main():
    there = float(sys.argv[1])
    try:
        wait_for_clock(there)
        wait_for_locks()
        check_dpkg()
        refresh_lists(there)
    except Obstacle as obstacle:
        print(obstacle)
        sys.exit(1)


if __name__ == "__main__":
    main()
