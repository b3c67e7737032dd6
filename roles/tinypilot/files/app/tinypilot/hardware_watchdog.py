# SPDX-License-Identifier: MIT
"""The hardware's watchdog reboots a machine on which nothing runs any more, not even systemd.

python3 -m tinypilot.hardware_watchdog arm      at the start: has systemd feed it, unless there were too many reboots
python3 -m tinypilot.hardware_watchdog disarm   at the start: leaves it alone
python3 -m tinypilot.hardware_watchdog note-end at an orderly end

Who pulls the plug looks the same as the watchdog's reboot, and is counted with these.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

from tinypilot import whole_files

IDENTITY = Path("/sys/class/watchdog/watchdog0/identity")
# By the driver's name. A Pi's counts to 15 s.
SECONDS = {"Broadcom BCM2835 Watchdog timer": 15}
OTHER_SECONDS = 30
MOST_A_DAY = 5
DAY_SECONDS = 24 * 3600
PROPERTY = (
    *("org.freedesktop.systemd1", "/org/freedesktop/systemd1"),
    *("org.freedesktop.systemd1.Manager", "RuntimeWatchdogUSec"),
)


def arm(folder: Path, identity: str) -> int:
    """Returns after how many seconds the machine is rebooted; 0: never."""
    ends = _ends(folder)
    now = time.time()
    if (folder / "running").exists():
        ends.append(now)
    # A clock that was ahead counts for nothing.
    ends = [end for end in ends if 0 <= now - end < DAY_SECONDS][-MOST_A_DAY:]
    whole_files.replace_all({folder / "ends.json": json.dumps(ends), folder / "running": "\n"})
    seconds = 0 if len(ends) >= MOST_A_DAY else SECONDS.get(identity, OTHER_SECONDS)
    _tell_systemd(seconds)
    return seconds


def _tell_systemd(seconds: int) -> None:
    subprocess.run(
        ["/usr/bin/busctl", "set-property", *PROPERTY, "t", str(seconds * 1_000_000)], check=True
    )


def _ends(folder: Path) -> list[float]:
    """Ends of the device that were not orderly."""
    try:
        return [float(end) for end in json.loads((folder / "ends.json").read_text())]
    except (OSError, ValueError, TypeError):
        return []


def main() -> None:
    folder = Path(os.environ["STATE_DIRECTORY"])
    if sys.argv[1] == "note-end":
        (folder / "running").unlink(missing_ok=True)
    elif not IDENTITY.exists():
        print("This hardware has no watchdog.")
    elif sys.argv[1] == "disarm":
        _tell_systemd(0)
    elif seconds := arm(folder, IDENTITY.read_text().strip()):
        print(f"A machine that hangs for {seconds} s is rebooted.")
    else:
        print(
            f"The device ended {MOST_A_DAY} times within a day without being shut down: until its next start the "
            "watchdog does not reboot it, so that somebody can look."
        )


if __name__ == "__main__":
    main()
