# SPDX-License-Identifier: MIT
"""A copy of the database, at most a day old, which takes its place if it is damaged; and room on the disk for a login.

Sessions do not come back with the copy: one that was ended meanwhile would hold again.
"""

import contextlib
import os
import shutil
import sqlite3
import time
from pathlib import Path

from tinypilot import audit
from tinypilot.auth import stand_in
from tinypilot.auth.stand_in import forget_log

COPY_EACH_SECONDS = 12 * 3600
LOOK_SECONDS = 600
RESERVE_BYTES = 512 * 1024
# The reserve is made of room that nobody misses.
FREE_BYTES = 16 * 1024 * 1024


def _copy_of(path: Path) -> Path:
    return path.with_suffix(".copy")


def damaged_of(path: Path) -> Path:
    return path.with_suffix(".damaged")


def _reserve_of(path: Path) -> Path:
    return path.with_suffix(".reserve")


def is_damaged(path: Path, version: int = 0) -> bool:
    """version: it must be complete up to this one. A power cut may leave an empty file."""
    try:
        with contextlib.closing(
            sqlite3.connect(f"{path.absolute().as_uri()}?mode=rw", uri=True)
        ) as database:
            (found,) = database.execute("PRAGMA quick_check(1)").fetchone()
            (made,) = database.execute("PRAGMA user_version").fetchone()
            return found != "ok" or made < version
    except sqlite3.OperationalError:  # locked, or a disk that can't be read now
        return False
    except sqlite3.DatabaseError:
        return True


def restore_if_damaged(path: Path, version: int) -> None:
    """Whatever is killed in between is completed by the next call. Who has the damaged file open goes on with that."""
    copy = _copy_of(path)
    has_copy = copy.exists() and not is_damaged(copy, version)
    # Without a copy it may be the one of an earlier version.
    if not path.exists() or not is_damaged(path, version if has_copy else 0):
        return
    if not has_copy:
        audit.note(
            "database_damaged", f"{path} is damaged, and there is no copy of it", refused=True
        )
        os.replace(path, damaged_of(path))
        forget_log(path)
        return
    age_hours = (time.time() - copy.stat().st_mtime) / 3600
    new = path.with_suffix(".new")
    shutil.copyfile(copy, new)
    with contextlib.closing(sqlite3.connect(new, isolation_level=None)) as database:
        for table in ("sessions", "setup_code"):
            database.execute(f"DELETE FROM {table}")
    forget_log(new)
    damaged_of(path).unlink(missing_ok=True)
    os.link(path, damaged_of(path))
    # What is in the log belongs to the damaged one.
    forget_log(path)
    os.replace(new, path)
    audit.note(
        "database_restored",
        f"{path} was damaged: users and tokens are those of {age_hours:.0f} hours before, and all must log in anew",
        refused=True,
    )


def make_copy(path: Path, version: int) -> None:
    new = path.with_suffix(".copying")
    new.unlink(missing_ok=True)
    with (
        contextlib.closing(
            sqlite3.connect(f"{path.absolute().as_uri()}?mode=rw", uri=True)
        ) as source,
        contextlib.closing(sqlite3.connect(new)) as copy,
    ):
        source.backup(copy)
        copy.execute("PRAGMA journal_mode = DELETE")
    if not is_damaged(new, version):
        os.replace(new, _copy_of(path))


def give_reserve(path: Path) -> bool:
    """For a disk that is full: whether there was some."""
    try:
        _reserve_of(path).unlink()
    except OSError:
        return False
    return True


def keep_reserve(path: Path) -> None:
    reserve = _reserve_of(path)
    if reserve.exists() or shutil.disk_usage(path.parent).free < FREE_BYTES:
        return
    with open(reserve, "wb") as opened:
        os.posix_fallocate(opened.fileno(), 0, RESERVE_BYTES)


def look_after(path: Path, version: int) -> None:
    """What is due. A disk that is full or can't be written changes nothing."""
    with contextlib.suppress(OSError, sqlite3.Error):
        stand_in.end(path)
        restore_if_damaged(path, version)
        copy = _copy_of(path)
        if not copy.exists() or not 0 <= time.time() - copy.stat().st_mtime < COPY_EACH_SECONDS:
            make_copy(path, version)
        keep_reserve(path)


def keep_looking_after(path: Path, version: int) -> None:
    while True:
        look_after(path, version)
        time.sleep(LOOK_SECONDS)
