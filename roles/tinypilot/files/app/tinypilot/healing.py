# SPDX-License-Identifier: MIT
"""What was started anew because it hung: noted for each unit, for people (journal) and programs (FOLDER).

python3 -m tinypilot.healing UNIT
    Notes that systemd's watchdog has ended UNIT. Units run it as root, after their end.

A unit that hangs again and again gets more patience each time, so that nothing is restarted in a storm.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import sys
import time
from collections.abc import AsyncIterator
from dataclasses import asdict, dataclass, field
from pathlib import Path

from systemd import daemon

FOLDER = Path("/run/kvm-healings")
# As the units' WatchdogSec=.
WATCHDOG_SECONDS = 5.0
SIGN_OF_LIFE_SECONDS = 1.0
# So often in a row a unit is healed as fast as at first.
QUICK_HEALINGS = 10
# Whoever has lived for so much longer than it takes to find that it hangs, begins anew.
WELL_SECONDS = 20.0
LONGEST_PATIENCE_SECONDS = 300.0
# Of processes that want a processor, or wait for a disk, for each processor: with more all takes longer.
BUSY_LOAD = 5
LONGEST_SLOWNESS = 6.0
NO_SIGN_OF_LIFE = "gave no sign of life"
# Reasons for programs: by how the sentence begins.
KINDS = {
    "does not answer": "no_answer",
    "takes no connection": "no_connection",
    "answers what": "not_understood",
    "brings no H.264": "no_h264",
    "shows no picture": "no_picture",
    "does not read the sink": "sink_not_read",
    "has a process that is stopped": "stopped",
    "could not ask its": "no_ice_server",
    NO_SIGN_OF_LIFE: "no_sign_of_life",
}
OTHER_KIND = "other"


@dataclass(frozen=True)
class Healings:
    """Of one unit since the device was started. in_row: how many followed each other closely; at: the last, in seconds
    since the start of the device; reason: why; kinds: how many there were of each kind."""

    count: int = 0
    in_row: int = 0
    at: float = 0.0
    reason: str = ""
    kinds: dict[str, int] = field(default_factory=dict)

    def patience_seconds(self, first: float, now: float) -> float:
        """How long the unit may not be heard of, before it is healed once more."""
        doublings = min(max(0, self.in_row - QUICK_HEALINGS), 16)
        patience = min(first * 2**doublings, max(first, LONGEST_PATIENCE_SECONDS))
        return patience if now - self.at < patience + WELL_SECONDS else first

    def and_another(self, now: float, reason: str) -> Healings:
        longest = self.patience_seconds(WATCHDOG_SECONDS, self.at) + WELL_SECONDS
        is_in_row = self.count and now - self.at < longest
        kind = kind_of(reason)
        kinds = {**self.kinds, kind: self.kinds.get(kind, 0) + 1}
        return Healings(self.count + 1, self.in_row + 1 if is_in_row else 1, now, reason, kinds)


def kind_of(reason: str) -> str:
    return next((kind for begin, kind in KINDS.items() if reason.startswith(begin)), OTHER_KIND)


def of(unit: str, folder: Path = FOLDER) -> Healings:
    """None are known of a file that can't be read: healing goes on."""
    try:
        noted = Healings(**json.loads((folder / unit).read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return Healings()
    return noted if isinstance(noted.kinds, dict) else Healings()


def of_all(folder: Path = FOLDER) -> dict[str, Healings]:
    try:
        units = [each.name for each in folder.iterdir() if each.suffix == ".service"]
    except OSError:
        return {}
    return {unit: of(unit, folder) for unit in sorted(units)}


def note(unit: str, reason: str, folder: Path = FOLDER) -> None:
    """One line for the journal, and the number."""
    healings = of(unit, folder).and_another(time.monotonic(), reason)
    print(
        f"Healed: {unit} {reason}, and is started anew. Times since the start of the device: {healings.count}.",
        file=sys.stderr,
        flush=True,
    )
    # Without room for it nothing is remembered, and healing goes on.
    with contextlib.suppress(OSError):
        new = folder / f"{unit}.new"
        new.write_text(json.dumps(asdict(healings)), encoding="utf-8")
        # Whatever the unit's UMask= is: who hung reads it as well, and who tells of it.
        new.chmod(0o644)
        os.replace(new, folder / unit)


class _SystemInformation(ctypes.Structure):
    _fields_ = (
        ("uptime", ctypes.c_long),
        ("loads", ctypes.c_ulong * 3),
        ("rest", ctypes.c_byte * 256),
    )


def slowness() -> float:
    """How much longer than usual all may take, because the machine or its disk is overloaded. From the kernel: units do
    not see /proc/loadavg."""
    information = _SystemInformation()
    if ctypes.CDLL(None).sysinfo(ctypes.byref(information)):
        return 1
    load = information.loads[0] / 65536
    return min(max(1, load / (os.cpu_count() or 1) / BUSY_LOAD), LONGEST_SLOWNESS)


def give_sign_of_life() -> None:
    daemon.notify("WATCHDOG=1")


class SignOfLife:
    """What a program whose unit has WatchdogSec= tells systemd, from the loop that does its work. `unit`: its name,
    which tells how often it has hung."""

    def __init__(self, unit: str | None = None):
        unit = unit or os.environ.get("TINYPILOT_UNIT", "")
        self._healings = of(unit)

    def is_ready(self) -> None:
        daemon.notify(f"READY=1\n{self._patience()}")

    def give(self) -> None:
        daemon.notify(self._patience())

    def _patience(self) -> str:
        seconds = self._healings.patience_seconds(WATCHDOG_SECONDS, time.monotonic()) * slowness()
        return f"WATCHDOG_USEC={int(seconds * 1e6)}\nWATCHDOG=1"

    async def keep_giving(self) -> None:
        import asyncio  # not for who notes a healing: each tenth of a second counts

        self.is_ready()
        while True:
            self.give()
            await asyncio.sleep(SIGN_OF_LIFE_SECONDS)


async def give_signs_of_life(_: object) -> AsyncIterator[None]:
    """For a web application's cleanup_ctx."""
    import asyncio

    task = asyncio.create_task(SignOfLife().keep_giving())
    yield
    task.cancel()


if __name__ == "__main__":
    note(sys.argv[1], NO_SIGN_OF_LIFE)
