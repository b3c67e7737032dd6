# SPDX-License-Identifier: MIT
"""The database of users and sessions: made by the web app alone, which takes over that of an earlier version."""

import hashlib
import sqlite3
import threading
import time

import pytest
from tinypilot.auth import passwords, second_factor, store
from tinypilot.auth.auth import Auth, ClientInfo
from tinypilot.auth.store import Store, make_database

from .conftest import PASSWORD

# What the version before made, in a file of another name.
EARLIER_SCHEMA = """
CREATE TABLE users (
    name TEXT PRIMARY KEY,
    role TEXT NOT NULL,
    password TEXT NOT NULL,
    from_play INTEGER NOT NULL DEFAULT 0,
    totp_key BLOB,
    totp_step INTEGER NOT NULL DEFAULT 0
);
CREATE TABLE recovery_codes (
    hash BLOB PRIMARY KEY,
    user TEXT NOT NULL REFERENCES users ON DELETE CASCADE
);
CREATE TABLE browsers (
    hash BLOB PRIMARY KEY,
    user TEXT NOT NULL REFERENCES users ON DELETE CASCADE,
    expires REAL NOT NULL
);
CREATE TABLE sessions (
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
CREATE TABLE tokens (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    name TEXT NOT NULL UNIQUE,
    role TEXT NOT NULL,
    hash BLOB NOT NULL UNIQUE,
    made_by TEXT,
    created REAL NOT NULL,
    seen REAL
);
CREATE TABLE setup_code (
    only INTEGER PRIMARY KEY CHECK (only = 1),
    hash BLOB NOT NULL,
    expires REAL NOT NULL
);
CREATE TABLE throttle (
    key TEXT PRIMARY KEY,
    free_at REAL NOT NULL
);
"""
KEY = b"12345678901234567890"


def hashed(secret):
    return hashlib.sha256(secret.encode()).digest()


@pytest.fixture
def earlier(config, clock):
    """The earlier version's database, with a connection of its relay that is still open: its WAL is not empty."""
    file = config.auth_file.with_name("door.sqlite")
    database = sqlite3.connect(file, isolation_level=None)
    database.execute("PRAGMA journal_mode = WAL")
    database.execute("PRAGMA foreign_keys = ON")
    database.executescript(EARLIER_SCHEMA)
    password, now = passwords.hash_password(PASSWORD), clock.now
    users = [("ada", "admin", password, 0, KEY, 7), ("carol", "viewer", password, 1, None, 0)]
    database.executemany("INSERT INTO users VALUES (?, ?, ?, ?, ?, ?)", users)
    database.execute("INSERT INTO recovery_codes VALUES (?, 'ada')", (hashed("ABCDE23456"),))
    database.execute("INSERT INTO browsers VALUES (?, 'ada', ?)", (hashed("browser"), now + 3600))
    database.execute(
        "INSERT INTO sessions VALUES (41, ?, 'ada', NULL, ?, ?, ?, '192.0.2.1', 'Tool/1')",
        (hashed("session"), now, now, now + 3600),
    )
    database.execute(
        "INSERT INTO tokens VALUES (5, 'probe', 'viewer', ?, 'ada', ?, NULL)",
        (hashed("kvm_token"), now),
    )
    database.execute("INSERT INTO setup_code VALUES (1, ?, ?)", (hashed("CODE"), now + 3600))
    database.execute("INSERT INTO throttle VALUES ('203.0.113.1', ?)", (now + 20 * 180,))
    yield database
    database.close()


def files(config):
    return sorted(
        file.name.removesuffix("-shm").removesuffix("-wal")
        for file in config.auth_file.parent.iterdir()
    )


@pytest.fixture
def taken_over(earlier, config):
    make_database(config.auth_file)
    return Auth.from_config(config)


def test_users_keep_role_password_and_where_they_come_from(taken_over):
    assert taken_over.users() == [
        {"name": "ada", "role": "admin", "is_provisioned": False, "has_totp": True},
        {"name": "carol", "role": "viewer", "is_provisioned": True, "has_totp": False},
    ]
    taken_over.log_in("carol", PASSWORD, "", ClientInfo("192.0.2.2"))


def test_sessions_tokens_and_the_set_up_code_hold(taken_over):
    session = taken_over.session_for("session")
    assert (session.number, session.user, session.role) == (41, "ada", "admin")
    assert taken_over.api_token_session("kvm_token").user == "token probe"
    assert taken_over.tokens()[0]["made_by"] == "ada"
    taken_over.set_up("CODE", "eve", PASSWORD, ClientInfo("192.0.2.3"))
    # Numbers of sessions that have ended are not given again.
    assert max(row["number"] for row in taken_over.sessions()) == 42


def test_the_second_factor_holds(taken_over, clock):
    code = second_factor.code(KEY, int(clock.now) // 30)
    taken_over.log_in("ada", PASSWORD, code, ClientInfo("192.0.2.1"))
    taken_over.log_in("ada", PASSWORD, "ABCDE-23456", ClientInfo("192.0.2.1"))


def test_remembered_browsers_and_used_up_attempts_are_remembered(taken_over):
    def statuses(client):
        with pytest.raises(Exception) as refused:
            taken_over.log_in("ada", "wrong password", "", client)
        return refused.value.status

    assert statuses(ClientInfo("203.0.113.1")) == 429
    assert statuses(ClientInfo("203.0.113.1", browser="browser")) == 401


def test_nothing_is_left_of_the_earlier_files(taken_over, config):
    assert set(files(config)) == {"auth.sqlite3"}


def test_it_is_taken_over_once(earlier, config):
    """Also when the power failed before the earlier file was removed."""
    file = config.auth_file.with_name("door.sqlite")
    earlier.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    before = file.read_bytes()
    make_database(config.auth_file)
    auth = Auth.from_config(config)
    auth.log_out(auth.session_for("session"))
    auth.store.database.close()
    file.write_bytes(before)
    make_database(config.auth_file)
    assert Auth.from_config(config).session_for("session") is None
    assert set(files(config)) == {"auth.sqlite3"}


def test_a_power_cut_in_the_middle_is_made_good(earlier, config, monkeypatch):
    class PowerCut(Exception):
        pass

    def cut(*_):
        raise PowerCut

    with monkeypatch.context() as failing:
        failing.setattr(store.os, "replace", cut)
        with pytest.raises(PowerCut):
            make_database(config.auth_file)
    assert not config.auth_file.exists()
    config.auth_file.with_suffix(".new").write_bytes(b"half written" * 1000)
    make_database(config.auth_file)
    assert Auth.from_config(config).session_for("session")
    assert set(files(config)) == {"auth.sqlite3"}


def test_the_earlier_relay_reads_on_until_it_is_restarted(taken_over, earlier):
    assert earlier.execute("SELECT count(*) FROM sessions").fetchone() == (1,)


def test_another_program_waits_for_the_web_app(config):
    opened = []
    waiting = threading.Thread(target=lambda: opened.append(Store(config.auth_file)))
    waiting.start()
    time.sleep(0.2)
    assert not opened and not config.auth_file.exists()
    make_database(config.auth_file)
    waiting.join(10)
    assert opened[0].revision


def test_another_program_does_not_make_a_database(config, monkeypatch):
    monkeypatch.setattr(store, "WAIT_SECONDS", 0)
    with pytest.raises(sqlite3.OperationalError):
        Store(config.auth_file)
    assert not config.auth_file.exists()
