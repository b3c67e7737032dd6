# SPDX-License-Identifier: MIT
"""A damaged database, or a full disk, locks nobody out for good."""

import sqlite3

import pytest
from tinypilot.auth import copies
from tinypilot.auth.auth import Auth
from tinypilot.auth.sessions import ClientInfo
from tinypilot.auth.store import SCHEMA_VERSION, make_database

from .conftest import PASSWORD


@pytest.fixture
def with_ada(auth, config):
    """A device with a user and a copy; its database is in one file."""
    auth.set_up(auth.new_setup_code(), "ada", PASSWORD, ClientInfo("192.0.2.1"))
    copies.make_copy(config.auth_file, SCHEMA_VERSION)
    auth.store.database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return auth


DAMAGES = {
    "overwritten": lambda data: b"\xff" * len(data),
    "empty": lambda data: b"",
    "cut": lambda data: data[: len(data) // 2],
    "a page of zeros": lambda data: data[:4096] + bytes(4096) + data[8192:],
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_database_is_restored_and_this_is_said(with_ada, config, audited, damage):
    config.auth_file.write_bytes(DAMAGES[damage](config.auth_file.read_bytes()))
    make_database(config.auth_file)
    auth = Auth.from_config(config)
    auth.log_in("ada", PASSWORD, "", ClientInfo("192.0.2.2"))
    assert "database_restored" in [event for event, _ in audited]
    assert config.auth_file.with_suffix(".damaged").exists()


def test_sessions_and_used_codes_do_not_come_back(with_ada, config, clock):
    tokens = with_ada.log_in("ada", PASSWORD, "", ClientInfo("192.0.2.2"))
    copies.make_copy(config.auth_file, SCHEMA_VERSION)
    with_ada.sessions.log_out(with_ada.session_for(tokens.session))
    config.auth_file.write_bytes(b"damaged" * 1000)
    make_database(config.auth_file)
    auth = Auth.from_config(config)
    assert auth.session_for(tokens.session) is None
    assert auth.store.all("SELECT * FROM setup_code") == []


def test_programs_that_have_it_open_follow(with_ada, config):
    reader = Auth.from_config(config)
    assert reader.users.exist()
    config.auth_file.write_bytes(b"damaged" * 1000)
    make_database(config.auth_file)
    tokens = Auth.from_config(config).log_in("ada", PASSWORD, "", ClientInfo("192.0.2.2"))
    assert reader.session_for(tokens.session).user == "ada"


def test_without_a_copy_the_device_can_be_set_up_anew(auth, config, audited):
    config.auth_file.write_bytes(b"damaged" * 1000)
    make_database(config.auth_file)
    assert not Auth.from_config(config).users.exist()
    assert "database_damaged" in [event for event, _ in audited]


def test_a_good_database_is_left_alone(with_ada, config, audited):
    inode = config.auth_file.stat().st_ino
    make_database(config.auth_file)
    assert config.auth_file.stat().st_ino == inode
    assert "database_restored" not in [event for event, _ in audited]


def test_a_copy_is_made_in_time_and_never_of_what_is_damaged(with_ada, config, monkeypatch):
    copy = config.auth_file.with_suffix(".copy")
    made = copy.stat().st_mtime
    monkeypatch.setattr(copies.time, "time", lambda: made + copies.COPY_EACH_SECONDS - 1)
    before = copy.stat().st_ino
    copies.look_after(config.auth_file, SCHEMA_VERSION)
    assert copy.stat().st_ino == before
    monkeypatch.setattr(copies.time, "time", lambda: made + copies.COPY_EACH_SECONDS)
    copies.look_after(config.auth_file, SCHEMA_VERSION)
    assert copy.stat().st_ino != before
    copy.unlink()
    config.auth_file.write_bytes(b"damaged" * 1000)
    copies.look_after(config.auth_file, SCHEMA_VERSION)
    assert not copy.exists()


def test_who_meets_the_damage_is_told_and_the_next_try_succeeds(with_ada, config, browser, app):
    visitor = browser()
    config.auth_file.write_bytes(b"\xff" * 65536)
    answers = [
        visitor.ask("POST", "/api/login", {"name": "ada", "password": PASSWORD, "code": ""})
        for _ in range(2)
    ]
    assert [answer.status_code for answer in answers] == [503, 200]
    assert "restored" in answers[0].get_json()["error"]


def test_on_a_full_disk_the_reserve_lets_people_in(with_ada, config, browser, app, monkeypatch):
    copies.keep_reserve(config.auth_file)
    reserve = config.auth_file.with_suffix(".reserve")
    assert reserve.stat().st_size == copies.RESERVE_BYTES
    execute = Auth.log_in

    def log_in(*arguments):
        if reserve.exists():
            raise sqlite3.OperationalError("database or disk is full")
        return execute(*arguments)

    monkeypatch.setattr(Auth, "log_in", log_in)
    answers = [browser().log_in("ada") for _ in range(2)]
    assert [answer.status_code for answer in answers] == [503, 200]
    assert "try again" in answers[0].get_json()["error"]


def test_a_disk_that_can_not_be_written_is_named(with_ada, browser, app, monkeypatch):
    def log_in(*_):
        raise sqlite3.OperationalError("attempt to write a readonly database")

    monkeypatch.setattr(Auth, "log_in", log_in)
    answer = browser().log_in("ada")
    assert answer.status_code == 503
    assert "read-only" in answer.get_json()["error"]
