# SPDX-License-Identifier: MIT
"""What the machine tells of itself. What it does not tell is left out, and is never a zero."""

from __future__ import annotations

import contextlib
import os
import subprocess
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from tinypilot.certificate import OPENSSL

SYS = Path("/sys")
DISKS = ("/", "/var")
MOUNTS = Path("/proc/self/mountinfo")
# A Pi has one; a large board a dozen.
MOST_ZONES = 16
LONGEST_NAME = 32
# Bits of a Pi's firmware: now, and 16 higher, at any time since its start.
CONDITIONS = {
    "under_voltage": 0,
    "frequency_capped": 1,
    "throttled": 2,
    "soft_temperature_limit": 3,
}
SINCE_START_BITS = 16
ANSWER_SECONDS = 2


@dataclass(frozen=True)
class Disk:
    free_bytes: int
    size_bytes: int
    is_read_only: bool


def temperatures_celsius(sys: Path = SYS) -> dict[str, float]:
    """By the zone's name."""
    found: dict[str, float] = {}
    for zone in sorted(sys.glob("class/thermal/thermal_zone*"))[:MOST_ZONES]:
        # A sensor that is asleep fails to be read.
        with contextlib.suppress(OSError, ValueError):
            name = (zone / "type").read_text(encoding="ascii").strip()[:LONGEST_NAME]
            celsius = int((zone / "temp").read_text(encoding="ascii")) / 1000
            found[name] = max(celsius, found.get(name, celsius))
    return found


def throttling(sys: Path = SYS) -> dict[str, tuple[bool, bool]]:
    """By condition: now, and at any time since the start. {}: this is no Pi."""
    for file in sys.glob("devices/platform/soc/soc:firmware/get_throttled"):
        with contextlib.suppress(OSError, ValueError):
            bits = int(file.read_text(encoding="ascii"), 16)
            return {
                name: (bool(bits >> bit & 1), bool(bits >> bit + SINCE_START_BITS & 1))
                for name, bit in CONDITIONS.items()
            }
    return {}


def disks() -> dict[str, Disk]:
    """free_bytes: what programs that are not root may still take."""
    found = {}
    mounts = _mounts()
    for path in DISKS:
        with contextlib.suppress(OSError):
            told = os.statvfs(path)
            found[path] = Disk(
                told.f_bavail * told.f_frsize,
                told.f_blocks * told.f_frsize,
                is_read_only(path, mounts),
            )
    return found


def _mounts() -> list[str]:
    try:
        return MOUNTS.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return []


def is_read_only(path: str, mounts: list[str]) -> bool:
    """Whether the file system itself is: a sandbox sees all of them so. mounts: lines of proc(5)'s mountinfo."""
    holding: tuple[str, str] = "", ""
    for line in mounts:
        of_mount, _, of_file_system = line.partition(" - ")
        place = of_mount.split()[4]
        is_inside = path == place or path.startswith(place.rstrip("/") + "/")
        if is_inside and len(place) >= len(holding[0]):
            holding = place, of_file_system.split()[-1]
    return "ro" in holding[1].split(",")


@lru_cache(maxsize=2)
def end_of_certificate(pem: str) -> float | None:
    """In Unix time; None: that can't be told."""
    import ssl

    command = [OPENSSL, "x509", "-noout", "-enddate"]
    with contextlib.suppress(OSError, ValueError, subprocess.SubprocessError):
        told = subprocess.run(
            command, input=pem, capture_output=True, text=True, timeout=ANSWER_SECONDS, check=True
        ).stdout
        return ssl.cert_time_to_seconds(told.strip().removeprefix("notAfter="))
    return None
