# SPDX-License-Identifier: MIT
"""What an admin is told at the top of a page, because nobody looks into the journal: the disk, and lost accounts."""

import shutil
import time
from pathlib import Path

from tinypilot.auth import copies, stand_in
from tinypilot.i18n import t

# So long it is said that the database of users was replaced.
REPLACED_SECONDS = 7 * 24 * 3600


def of(database: Path) -> list[str]:
    return [
        sentence
        for sentence in (_disk(database), _replaced(copies.damaged_of(database)))
        if sentence
    ]


def _disk(database: Path) -> str:
    if stand_in.of(database).exists():
        return t(
            "The device's disk is full, defective or read-only. Users and sessions are kept in memory: what you change "
            "now is lost when the device restarts. Make room on the disk, or replace it."
        )
    try:
        free = shutil.disk_usage(database.parent).free
    except OSError:
        return ""
    if free >= copies.FREE_BYTES:
        return ""
    return t(
        "The device's disk is almost full: {free} MB are free. Without room nothing can be saved.",
        free=free // 1_000_000,
    )


def _replaced(damaged: Path) -> str:
    try:
        at = damaged.stat().st_ctime
    except OSError:
        return ""
    if time.time() - at > REPLACED_SECONDS:
        return ""
    return t(
        "The database of users was damaged on {date}, and a copy took its place that may be a day older. Check users "
        "and tokens.",
        date=time.strftime("%Y-%m-%d", time.gmtime(at)),
    )
