# SPDX-License-Identifier: MIT
"""The file that remembers who may come in: SQLite, one connection for each thread.

Another process may change it (the relay reads it, the command line writes it): `revision` tells so.
"""

import contextlib
import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path

BUSY_SECONDS = 5

# Times are seconds of time.time(). What proves something (token, code) is kept as a hash.
SCHEMA = """
CREATE TABLE IF NOT EXISTS users (
    name TEXT PRIMARY KEY,
    role TEXT NOT NULL,
    password TEXT NOT NULL,
    from_play INTEGER NOT NULL DEFAULT 0,
    totp_key BLOB,
    totp_step INTEGER NOT NULL DEFAULT 0
);
CREATE TABLE IF NOT EXISTS recovery_codes (
    hash BLOB PRIMARY KEY,
    user TEXT NOT NULL REFERENCES users ON DELETE CASCADE
);
CREATE TABLE IF NOT EXISTS browsers (
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
CREATE TABLE IF NOT EXISTS throttle (
    key TEXT PRIMARY KEY,
    free_at REAL NOT NULL
);
"""


class Store:
    def __init__(self, path: Path):
        self._path = path
        self._local = threading.local()
        with self.transaction() as database:
            for statement in SCHEMA.split(";"):
                database.execute(statement)

    @property
    def database(self) -> sqlite3.Connection:
        """This thread's connection. Each statement outside transaction() is one by itself."""
        if not hasattr(self._local, "connection"):
            connection = sqlite3.connect(self._path, timeout=BUSY_SECONDS, isolation_level=None)
            connection.row_factory = sqlite3.Row
            connection.execute("PRAGMA journal_mode = WAL")
            # A session that was ended must not return with the power.
            connection.execute("PRAGMA synchronous = FULL")
            connection.execute("PRAGMA foreign_keys = ON")
            self._local.connection = connection
        return self._local.connection

    @contextlib.contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """All or nothing, and nobody else writes meanwhile."""
        self.database.execute("BEGIN IMMEDIATE")
        try:
            yield self.database
        except BaseException:
            self.database.execute("ROLLBACK")
            raise
        self.database.execute("COMMIT")

    @property
    def revision(self) -> int:
        """Another number after each change that another connection has made."""
        return self.database.execute("PRAGMA data_version").fetchone()[0]
