# SPDX-License-Identifier: MIT
"""A disk that is full, defective or read-only locks nobody out: the database of users goes on in memory."""

import errno
import os
import sqlite3
import threading

import pytest
from tinypilot import notices
from tinypilot.auth import copies, stand_in, store
from tinypilot.auth.auth import Auth
from tinypilot.auth.sessions import ClientInfo
from tinypilot.auth.store import make_database

from .conftest import PASSWORD

LOGIN = {"name": "ada", "password": PASSWORD, "code": ""}


@pytest.fixture(autouse=True)
def memory(tmp_path, monkeypatch):
    folder = tmp_path / "memory"
    folder.mkdir()
    monkeypatch.setattr(stand_in, "FOLDER", folder)
    return folder


def disk_error(code):
    error = sqlite3.OperationalError("what SQLite says of it")
    error.sqlite_errorcode = code
    return error


@pytest.fixture
def unwritable_disk(config, monkeypatch):
    """As the web app meets one: what it writes to the file on the disk fails, and so does a copy to there."""
    real = Auth.log_in

    def log_in(auth, *arguments):
        if stand_in.in_use(config.auth_file) == config.auth_file:
            raise disk_error(sqlite3.SQLITE_READONLY)
        return real(auth, *arguments)

    def refuse(*_):
        raise OSError(errno.EROFS, "Read-only file system")

    with monkeypatch.context() as patch:
        patch.setattr(Auth, "log_in", log_in)
        patch.setattr(store, "_make", refuse)
        yield patch


def events(audited):
    return [event for event, _ in audited]


@pytest.mark.parametrize(
    "code",
    [
        *(sqlite3.SQLITE_READONLY, sqlite3.SQLITE_FULL, sqlite3.SQLITE_CANTOPEN),
        *(sqlite3.SQLITE_IOERR, sqlite3.SQLITE_IOERR_WRITE, sqlite3.SQLITE_READONLY_DBMOVED),
    ],
)
def test_errors_of_the_disk_are_known(code):
    assert stand_in.is_due_to(disk_error(code))


@pytest.mark.parametrize(
    "error",
    [
        disk_error(sqlite3.SQLITE_BUSY),
        disk_error(sqlite3.SQLITE_ERROR),
        sqlite3.OperationalError("?"),
        PermissionError(errno.EACCES, ""),
    ],
)
def test_other_errors_are_no_reason_to_leave_the_disk(error):
    assert not stand_in.is_due_to(error)


def test_people_log_in_on_a_read_only_disk(app, ada, config, browser, audited, unwritable_disk):
    reader = Auth.from_config(config)
    assert reader.session_for(ada.session)
    visitor = browser("192.0.2.7")
    answers = [visitor.ask("POST", "/api/login", LOGIN) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [503, 200]
    assert "in memory: try again" in answers[0].get_json()["error"]
    assert "database_in_memory" in events(audited)
    # Relay and HID service, too, know who came then, and who was there before.
    assert reader.session_for(visitor.token).user == "ada"
    assert reader.session_for(ada.session).user == "ada"


def test_the_web_app_starts_on_a_read_only_disk(auth, ada, config, unwritable_disk):
    auth.store.database.close()
    make_database(config.auth_file)
    again = Auth.from_config(config, stands_in=True)
    assert again.session_for(ada.session).user == "ada"
    assert again.log_in("ada", PASSWORD, "", ClientInfo("192.0.2.9")).session


def test_who_starts_first_waits_for_the_web_app(auth, ada, config, monkeypatch):
    """SQLite can't open a database with a log on a read-only disk, if nobody else has it open."""
    connect = store.Store._connect
    # One, which has ended with this test: it would make a database for the next one, too.
    web_app = threading.Timer(0.2, stand_in.begin, [config.auth_file])

    def connect_or_fail(this):
        if not stand_in.of(config.auth_file).exists():
            raise disk_error(sqlite3.SQLITE_CANTOPEN)
        connect(this)

    monkeypatch.setattr(store.Store, "_connect", connect_or_fail)
    web_app.start()
    assert Auth.from_config(config).session_for(ada.session).user == "ada"
    web_app.join()


def test_a_note_of_use_that_fails_is_noticed(app, ada, config, clock, monkeypatch):
    holder = app.extensions["auth"]

    def fail(*_):
        raise disk_error(sqlite3.SQLITE_IOERR_FSYNC)

    clock.pass_by(120)
    with monkeypatch.context() as patch:
        patch.setattr(holder.store, "do", fail)
        assert holder.session_for(ada.session)
    assert stand_in.of(config.auth_file).exists()


def test_a_program_that_only_reads_makes_none(auth, ada, config, clock, monkeypatch):
    def fail(*_):
        raise disk_error(sqlite3.SQLITE_READONLY)

    clock.pass_by(120)
    monkeypatch.setattr(auth.store, "do", fail)
    assert auth.session_for(ada.session)
    assert not stand_in.of(config.auth_file).exists()


def test_when_the_disk_can_be_written_again_it_gets_what_was_kept(auth, ada, config, audited):
    assert stand_in.begin(config.auth_file)
    late = auth.log_in("ada", PASSWORD, "", ClientInfo("192.0.2.9"))
    copies.look_after(config.auth_file, store.SCHEMA_VERSION)
    assert not stand_in.of(config.auth_file).exists()
    assert auth.session_for(late.session).user == "ada"
    assert stand_in.in_use(config.auth_file) == config.auth_file
    assert Auth.from_config(config).session_for(late.session).user == "ada"
    assert events(audited)[-1] == "database_on_disk"


def test_while_it_can_not_be_written_memory_goes_on(auth, ada, config, monkeypatch):
    assert stand_in.begin(config.auth_file)

    def refuse(*_):
        raise OSError(errno.EROFS, "Read-only file system")

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", refuse)
        with pytest.raises(OSError):
            stand_in.end(config.auth_file)
    late = auth.log_in("ada", PASSWORD, "", ClientInfo("192.0.2.9"))
    assert auth.session_for(late.session).user == "ada"
    assert not list(config.auth_file.parent.glob("*.new-*"))


def test_what_was_damaged_in_memory_does_not_get_to_the_disk(auth, ada, config):
    assert stand_in.begin(config.auth_file)
    stand_in.of(config.auth_file).write_bytes(b"damaged" * 10_000)
    make_database(config.auth_file)
    again = Auth.from_config(config)
    assert again.session_for(ada.session).user == "ada"
    assert stand_in.in_use(config.auth_file) == config.auth_file


def test_a_copy_that_does_not_fit_leaves_no_pieces(auth, ada, config, monkeypatch):
    assert stand_in.begin(config.auth_file)

    def fail(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", fail)
        with pytest.raises(OSError):
            stand_in.end(config.auth_file)
    assert not config.auth_file.with_suffix(".new").exists()
    assert auth.session_for(ada.session).user == "ada"


def test_a_database_that_can_not_be_read_has_no_stand_in(auth, config):
    config.auth_file.write_bytes(b"damaged" * 1000)
    assert not stand_in.begin(config.auth_file)
    assert not stand_in.of(config.auth_file).exists()


def test_a_full_disk_leaves_no_transaction_open(auth):
    """SQLite is told that there is no more room than the file has."""
    database = auth.store.database
    (pages,) = database.execute("PRAGMA page_count").fetchone()
    database.execute(f"PRAGMA max_page_count = {pages}")
    with pytest.raises(sqlite3.OperationalError, match="full"), auth.store.transaction() as inside:
        inside.execute("INSERT INTO rate_limits VALUES (?, 1)", ("x" * 100_000,))
    assert not database.in_transaction
    database.execute(f"PRAGMA max_page_count = {10 * pages}")
    with auth.store.transaction() as inside:
        inside.execute("INSERT INTO rate_limits VALUES ('y', 1)")


def test_a_commit_that_fails_leaves_no_transaction_open(auth):
    with pytest.raises(sqlite3.IntegrityError), auth.store.transaction() as inside:
        inside.execute("PRAGMA defer_foreign_keys = ON")
        inside.execute("INSERT INTO recovery_codes VALUES (?, 'nobody')", (b"x",))
    with auth.store.transaction() as inside:
        inside.execute("INSERT INTO rate_limits VALUES ('y', 1)")


# --- What an admin is told ---


@pytest.mark.parametrize("path", ["/", "/settings"])
def test_an_admin_reads_it_on_the_page(logged_in, config, path):
    admin = logged_in("admin")
    assert "kept in memory" not in admin.ask("GET", path).get_data(as_text=True)
    assert stand_in.begin(config.auth_file)
    assert "kept in memory" in admin.ask("GET", path).get_data(as_text=True)
    assert "kept in memory" not in logged_in("viewer").ask("GET", "/").get_data(as_text=True)


def test_a_disk_that_is_almost_full_is_named(logged_in, monkeypatch):
    class Usage:
        free = 3_400_000

    monkeypatch.setattr(notices.shutil, "disk_usage", lambda _: Usage)
    assert "3 MB are free" in logged_in("admin").ask("GET", "/").get_data(as_text=True)


def test_a_database_that_was_replaced_is_named_for_a_week(logged_in, config, monkeypatch):
    admin = logged_in("admin")
    copies.damaged_of(config.auth_file).write_bytes(b"")
    made = copies.damaged_of(config.auth_file).stat().st_ctime
    monkeypatch.setattr(notices.time, "time", lambda: made + notices.REPLACED_SECONDS)
    assert "a copy took its place" in admin.ask("GET", "/").get_data(as_text=True)
    monkeypatch.setattr(notices.time, "time", lambda: made + notices.REPLACED_SECONDS + 1)
    assert "a copy took its place" not in admin.ask("GET", "/").get_data(as_text=True)
