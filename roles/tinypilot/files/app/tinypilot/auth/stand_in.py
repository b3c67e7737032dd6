# SPDX-License-Identifier: MIT
"""The database of users in memory, while the disk is full, defective or read-only: nobody is locked out for that.

The web app alone makes it, when a write fails, and takes it back to the disk when that can be written again. All
programs use it while it is there. What was changed meanwhile is lost if the device is restarted before.
"""

import contextlib
import errno
import os
import shutil
import sqlite3
import threading
from pathlib import Path

from tinypilot import audit

# Made by systemd-tmpfiles, for this product's own user.
FOLDER = Path("/run/tinypilot-auth")
LOGS = ("-wal", "-shm")
_REASONS = (
    *(sqlite3.SQLITE_READONLY, sqlite3.SQLITE_FULL),
    *(sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN),
)
_ERRNOS = (errno.EROFS, errno.ENOSPC, errno.EDQUOT, errno.EIO)
_making = threading.Lock()


def of(path: Path) -> Path:
    return FOLDER / path.name


def in_use(path: Path) -> Path:
    """The database that counts now."""
    return of(path) if of(path).exists() else path


def is_due_to(error: Exception) -> bool:
    """Whether the disk is the reason. One that is merely busy is not."""
    if isinstance(error, OSError):
        return error.errno in _ERRNOS
    # The lower byte says it, the rest says where.
    return getattr(error, "sqlite_errorcode", 0) & 0xFF in _REASONS


def forget_log(path: Path) -> None:
    for suffix in LOGS:
        path.with_name(path.name + suffix).unlink(missing_ok=True)


def begin(path: Path) -> bool:
    """Whether there is one now."""
    target = of(path)
    new = target.with_suffix(".new")
    with _making:
        if target.exists():
            return True
        try:
            _forget(new)
            _read(path, new)
            os.replace(new, target)
        except (OSError, sqlite3.Error):
            return False
    audit.note(
        "database_in_memory",
        f"{path} can't be written: users and sessions are kept in memory, and what changes is lost with a restart",
        refused=True,
    )
    return True


def _read(path: Path, new: Path) -> None:
    """Whole, with what is in its log. What can't be opened for writing is copied as it is; nobody writes then."""
    address = f"{path.absolute().as_uri()}?mode=ro"
    try:
        with (
            contextlib.closing(sqlite3.connect(address, uri=True)) as source,
            contextlib.closing(sqlite3.connect(new)) as copy,
        ):
            source.backup(copy)
    except sqlite3.Error:
        new.unlink(missing_ok=True)
        for suffix in ("", "-wal"):
            with contextlib.suppress(FileNotFoundError):
                shutil.copyfile(f"{path}{suffix}", f"{new}{suffix}")
    with contextlib.closing(sqlite3.connect(new, isolation_level=None)) as copy:
        copy.execute("PRAGMA journal_mode = DELETE")
    if not _is_whole(new):
        raise sqlite3.DatabaseError(f"{path} can't be read")


def end(path: Path) -> None:
    """Takes it back to the disk. Raises OSError or sqlite3.Error if that can't be written yet; all goes on then."""
    target = of(path)
    with _making:
        if not target.exists():
            return
        if not _is_whole(target):
            _forget(target)
            return
        new = path.with_suffix(".new")
        _forget(new)
        try:
            _write(target, new, path)
        except (OSError, sqlite3.Error):
            # What there is of it would take the room that is missing.
            with contextlib.suppress(OSError):
                _forget(new)
            raise
    audit.note("database_on_disk", f"{path} can be written again, and has what was kept in memory")


def _write(target: Path, new: Path, path: Path) -> None:
    with (
        contextlib.closing(sqlite3.connect(target, isolation_level=None)) as lock,
        contextlib.closing(sqlite3.connect(target)) as source,
    ):
        # Nobody writes meanwhile.
        lock.execute("BEGIN IMMEDIATE")
        with contextlib.closing(sqlite3.connect(new, isolation_level=None)) as copy:
            source.backup(copy)
            copy.execute("PRAGMA journal_mode = DELETE")
        with open(new, "rb") as written:
            os.fsync(written.fileno())
        # What is in the log belongs to the former one, and must not be missed there if the power fails in between.
        with (
            contextlib.suppress(sqlite3.DatabaseError),
            contextlib.closing(sqlite3.connect(path)) as former,
        ):
            former.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        forget_log(path)
        os.replace(new, path)
        _forget(target)


def _forget(file: Path) -> None:
    file.unlink(missing_ok=True)
    forget_log(file)


def _is_whole(file: Path) -> bool:
    try:
        with contextlib.closing(sqlite3.connect(file)) as database:
            (found,) = database.execute("PRAGMA quick_check(1)").fetchone()
            (tables,) = database.execute("SELECT count(*) FROM sqlite_master").fetchone()
    except sqlite3.OperationalError:  # locked
        return True
    except sqlite3.DatabaseError:
        return False
    return found == "ok" and tables > 0
