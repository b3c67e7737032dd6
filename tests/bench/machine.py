# SPDX-License-Identifier: MIT
"""Which machine the figures come from, without naming it."""

from __future__ import annotations

import os
import platform
from datetime import UTC, datetime
from pathlib import Path


def _value(file: str, key: str) -> str:
    for line in Path(file).read_text().splitlines():
        name, _, value = line.partition(":")
        if name.strip() == key:
            return value.strip()
    return "unknown"


def describe() -> str:
    """One line: day, cores, processor, memory, kernel and how busy the machine was before."""
    memory_gib = int(_value("/proc/meminfo", "MemTotal").split()[0]) / 2**20
    kernel = platform.release().partition("-")[0]
    return (
        f"Measured on {datetime.now(UTC):%Y-%m-%d}: {os.cpu_count()} cores "
        f"({_value('/proc/cpuinfo', 'model name')}), {memory_gib:.0f} GiB, "
        f"{platform.system()} {kernel}; load before the measurement "
        f"{os.getloadavg()[0]:.1f}."
    )
