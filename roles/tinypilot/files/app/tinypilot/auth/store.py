# SPDX-License-Identifier: MIT
"""The database of users and sessions: SQLite, one connection for each thread.

Another process may change it (relay and HID service read it, the command line writes it): `revision` tells so. The web
app alone makes it, and takes over the one of an earlier version.
"""

import contextlib
import os
import sqlite3
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from tinypilot.auth import copies, stand_in

BUSY_SECONDS = 5
SEEN_EACH_SECONDS = 60
# gunicorn says that it is ready before its worker, which makes the database, has started.
WAIT_SECONDS = 20

# Times are those of Store.now(). What proves something (token, code) is kept as a hash.
CLOCK = """
CREATE TABLE IF NOT EXISTS clock (
    only INTEGER PRIMARY KEY CHECK (only = 1),
    boot TEXT NOT NULL,
    began REAL NOT NULL
)
"""
SCHEMA = f"""
{CLOCK};
CREATE TABLE IF NOT EXISTS users (
    name TEXT PRIMARY KEY,
    role TEXT NOT NULL,
    password TEXT NOT NULL,
    is_provisioned INTEGER NOT NULL DEFAULT 0,
    totp_key BLOB
);
CREATE TABLE IF NOT EXISTS used_totp_steps (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    user TEXT NOT NULL REFERENCES users ON DELETE CASCADE,
    step INTEGER NOT NULL,
    UNIQUE (user, step)
);
CREATE TABLE IF NOT EXISTS recovery_codes (
    hash BLOB PRIMARY KEY,
    user TEXT NOT NULL REFERENCES users ON DELETE CASCADE
);
CREATE TABLE IF NOT EXISTS remembered_browsers (
    hash BLOB PRIMARY KEY,
    user TEXT NOT NULL REFERENCES users ON DELETE CASCADE,
    expires REAL NOT NULL
);
CREATE TABLE IF NOT EXISTS sessions (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    hash BLOB NOT NULL UNIQUE,
    user TEXT REFERENCES users ON DELETE CASCADE,
    role TEXT,
    created REAL NOT NULL,
    seen REAL NOT NULL,
    expires REAL NOT NULL,
    network TEXT NOT NULL,
    agent TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS tokens (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    name TEXT NOT NULL UNIQUE,
    role TEXT NOT NULL,
    hash BLOB NOT NULL UNIQUE,
    made_by TEXT,
    created REAL NOT NULL,
    seen REAL
);
CREATE TABLE IF NOT EXISTS setup_code (
    only INTEGER PRIMARY KEY CHECK (only = 1),
    hash BLOB NOT NULL,
    expires REAL NOT NULL
);
CREATE TABLE IF NOT EXISTS rate_limits (
    key TEXT PRIMARY KEY,
    free_at REAL NOT NULL
);
CREATE TABLE IF NOT EXISTS machines (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    name TEXT NOT NULL UNIQUE COLLATE NOCASE,
    mac TEXT NOT NULL,
    broadcast TEXT NOT NULL,
    interface TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS sequences (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    name TEXT NOT NULL UNIQUE COLLATE NOCASE,
    steps TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS device (
    only INTEGER PRIMARY KEY CHECK (only = 1),
    id TEXT NOT NULL
);
INSERT OR IGNORE INTO device VALUES (1, lower(hex(randomblob(4))));
PRAGMA user_version = 1
"""
# What belongs to a user ends with the user, and with the role or the password that it was made with, whichever program
# changes that and by which way; and so does what was made with what ends.
TRIGGERS = (
    """CREATE TRIGGER IF NOT EXISTS user_changed AFTER UPDATE OF role, password ON users BEGIN
        DELETE FROM sessions WHERE user = new.name;
        DELETE FROM tokens WHERE made_by = new.name;
    END""",
    """CREATE TRIGGER IF NOT EXISTS user_removed AFTER DELETE ON users BEGIN
        DELETE FROM tokens WHERE made_by = old.name;
    END""",
    """CREATE TRIGGER IF NOT EXISTS token_removed AFTER DELETE ON tokens BEGIN
        DELETE FROM tokens WHERE made_by = 'token ' || old.name;
    END""",
)
# Earlier versions left these tokens.
ORPHANS = """DELETE FROM tokens WHERE made_by IS NOT NULL
    AND made_by NOT IN (SELECT name FROM users WHERE role = 'admin')
    AND made_by NOT IN (SELECT 'token ' || name FROM tokens)"""
# As in the last line of the schema.
SCHEMA_VERSION = 1


# Earlier versions had the same with other names, in another file.
EARLIER_FILE = "door.sqlite"
RENAMES = (
    "ALTER TABLE users RENAME COLUMN from_play TO is_provisioned",
    "ALTER TABLE browsers RENAME TO remembered_browsers",
    "ALTER TABLE throttle RENAME TO rate_limits",
)


def make_database(path: Path) -> None:
    """For the web app, before anybody opens it. On a disk that can't be written it is the one in memory."""
    try:
        stand_in.end(path)
        _make(path)
    except (OSError, sqlite3.Error) as error:
        if not (stand_in.is_due_to(error) and stand_in.begin(path)):
            raise
        _make_tables(path)


def _make(path: Path) -> None:
    """Nobody writes to an earlier version's file now: the web app of that version has ended. Its relay may go on
    reading it until it is restarted, so the file is copied, not renamed."""
    earlier = path.with_name(EARLIER_FILE)
    if earlier.exists() and not path.exists():
        _take_over(earlier, path)
    for suffix in ("", *stand_in.LOGS):
        earlier.with_name(f"{EARLIER_FILE}{suffix}").unlink(missing_ok=True)
    copies.restore_if_damaged(path, SCHEMA_VERSION)
    _make_tables(path)


def _make_tables(path: Path) -> None:
    store = Store(path, is_new=True)
    with contextlib.closing(store.database), store.transaction() as database:
        for statement in (*SCHEMA.split(";"), *TRIGGERS, ORPHANS):
            database.execute(statement)


def _take_over(earlier: Path, path: Path) -> None:
    """The new file is there whole or not at all, whenever the power fails."""
    new = path.with_suffix(".new")
    for rest in path.parent.glob(f"{new.name}*"):
        rest.unlink()
    with (
        contextlib.closing(sqlite3.connect(earlier, timeout=BUSY_SECONDS)) as source,
        contextlib.closing(sqlite3.connect(new, isolation_level=None)) as copy,
    ):
        source.backup(copy)
        for statement in RENAMES:
            copy.execute(statement)
    os.replace(new, path)


def boot() -> str:
    """Another text after each start of the device. (The units' sandbox hides the file.)"""
    if given := os.environ.get("TINYPILOT_BOOT"):
        return given
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip().replace("-", "")
    except OSError:
        return ""


def _identity(file: Path) -> tuple[int, int]:
    found = file.stat()
    return found.st_dev, found.st_ino


class Store:
    """Waits for the web app if that has not made the database yet, or has only that of an earlier version. Raises
    sqlite3.OperationalError if it makes none. `stands_in`: this program makes the one in memory if the disk can't be
    written."""

    def __init__(self, path: Path, is_new: bool = False, stands_in: bool = False):
        self._path = path
        self._is_new = is_new
        self._stands_in = stands_in
        self._local = threading.local()
        self._began: float | None = None
        began = time.monotonic()
        while not (is_new or self._is_made(path)):
            # Fails here rather than with the first question, so that systemd starts the program again.
            if time.monotonic() > began + WAIT_SECONDS:
                raise sqlite3.OperationalError(f"The web app has not made {path}.")
            time.sleep(0.1)

    def _is_made(self, path: Path) -> bool:
        if not stand_in.in_use(path).exists():
            return False
        try:
            return self.database.execute("PRAGMA user_version").fetchone()[0] >= SCHEMA_VERSION
        except sqlite3.OperationalError as error:
            # On a disk that can't be written SQLite can't even read it, until the web app has put it into memory.
            if stand_in.is_due_to(error):
                return False
            raise

    @property
    def database(self) -> sqlite3.Connection:
        """This thread's connection. Each statement outside transaction() is one by itself."""
        connection = getattr(self._local, "connection", None)
        if connection is None or (self._has_moved() and not connection.in_transaction):
            self._connect()
        return self._local.connection

    def _has_moved(self) -> bool:
        """Whether another file is there, since the database was restored, or is in memory or no more."""
        try:
            return _identity(stand_in.in_use(self._path)) != self._local.identity
        except OSError:
            return False

    def _connect(self) -> None:
        file = stand_in.in_use(self._path)
        connection = sqlite3.connect(
            f"{file.absolute().as_uri()}?mode={'rwc' if self._is_new else 'rw'}",
            uri=True,
            timeout=BUSY_SECONDS,
            isolation_level=None,
        )
        connection.row_factory = sqlite3.Row
        connection.execute("PRAGMA journal_mode = WAL")
        # A session that was ended must not return with the power.
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA foreign_keys = ON")
        # A token that ends takes with it those that it made, which take those that they made.
        connection.execute("PRAGMA recursive_triggers = ON")
        self._local.connection = connection
        self._local.identity = _identity(file)

    @contextlib.contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """All or nothing, and nobody else writes meanwhile."""
        self.database.execute("BEGIN IMMEDIATE")
        try:
            yield self.database
            self.database.execute("COMMIT")
        except BaseException:
            # On a full disk SQLite has done so by itself.
            if self.database.in_transaction:
                self.database.execute("ROLLBACK")
            raise

    def one(self, query: str, *values: object) -> sqlite3.Row | None:
        return self.database.execute(query, values).fetchone()

    def all(self, query: str, *values: object) -> list[dict]:
        return [dict(row) for row in self.database.execute(query, values)]

    def do(self, statement: str, *values: object) -> int:
        """How many rows that changed."""
        return self.database.execute(statement, values).rowcount

    def now(self) -> float:
        """The time, as seconds since 1970. It passes evenly, for all programs of the device: a clock that is set by a
        day ends no session, and lets none live for a day longer."""
        if self._began is None:
            try:
                self._began = self._read_began()
            except sqlite3.OperationalError:  # a full disk
                return time.time()
        return self._began + time.monotonic()

    def _read_began(self) -> float:
        """When the device was started, by the clock that it had when it was asked for the first time since."""
        # Without a lock, for which somebody may keep it waiting. An earlier version's database has no such table.
        with contextlib.suppress(sqlite3.OperationalError):
            if row := self.one("SELECT began FROM clock WHERE boot = ?", boot()):
                return row["began"]
        with self.transaction() as database:
            database.execute(CLOCK)
            row = database.execute("SELECT began FROM clock WHERE boot = ?", (boot(),)).fetchone()
            if row:
                return row["began"]
            # Not before the last use of a session: without a clock that runs on, a device that was off is late.
            (seen,) = database.execute("SELECT coalesce(max(seen), 0) FROM sessions").fetchone()
            began = max(time.time(), seen) - time.monotonic()
            database.execute("INSERT OR REPLACE INTO clock VALUES (1, ?, ?)", (boot(), began))
            return began

    def note_seen(self, table: str, row: sqlite3.Row, now: float) -> None:
        """The last use of a session or token, to the minute. On a full disk nobody is locked out for a note."""
        if abs(now - (row["seen"] or 0)) > SEEN_EACH_SECONDS:
            try:
                self.do(f"UPDATE {table} SET seen = ? WHERE number = ?", now, row["number"])
            except sqlite3.OperationalError as error:
                if self._stands_in and stand_in.is_due_to(error):
                    stand_in.begin(self._path)

    @property
    def revision(self) -> int:
        """Another number after each change that another connection has made."""
        return self.database.execute("PRAGMA data_version").fetchone()[0]
