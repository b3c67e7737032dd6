# SPDX-License-Identifier: MIT
"""Logging in, and what a session may do and for how long."""

import pytest
from tinypilot.auth.auth import Auth

from .auth_helpers import refused
from .conftest import PASSWORD


def test_the_right_password_lets_in(auth, ada, client_info):
    tokens = auth.log_in(" ADA ", PASSWORD, "", client_info("192.0.2.1"))
    assert auth.session_for(tokens.session).user == "ada"


@pytest.mark.parametrize("name", ["ada", "nobody", "", "no name at all", "x" * 256])
def test_a_wrong_name_is_answered_as_a_wrong_password(auth, ada, client_info, name):
    refusal = refused(auth.log_in, name, "wrong password", "", client_info("192.0.2.1"))
    assert (refusal.status, refusal.sentence) == (401, "The name or the password is wrong.")


def test_what_was_typed_is_not_in_the_audit_log(auth, ada, client_info, audited):
    refused(auth.log_in, "typed-into-the-wrong-field", "secret typed", "", client_info("192.0.2.1"))
    event, facts = audited[-1]
    assert event == "login_refused"
    assert facts["user"] == "unknown"
    assert "typed" not in repr(facts)


@pytest.mark.parametrize("token", ["", "unknown", "\N{SNOWMAN}"])
def test_an_unknown_token_is_nobody(auth, token):
    assert auth.session_for(token) is None


def test_tokens_and_passwords_are_kept_as_hashes(auth, ada, config):
    kept = b"".join(path.read_bytes() for path in config.auth_file.parent.iterdir())
    for secret in (ada.session, ada.browser, PASSWORD):
        assert secret.encode() not in kept


def test_a_session_that_is_used_ends_after_its_absolute_lifetime(auth, ada, clock, config):
    for _ in range(config.absolute_minutes // 30 - 1):
        clock.pass_by(1800)
        assert auth.session_for(ada.session)
    clock.pass_by(1800)
    assert auth.session_for(ada.session) is None


def test_a_session_that_is_not_used_ends_earlier(auth, ada, clock, config):
    clock.pass_by(60 * config.idle_minutes)
    assert auth.session_for(ada.session) is None
    assert auth.sessions.all() == []


DAY = 24 * 3600


@pytest.mark.parametrize("seconds", [DAY, -DAY, 365 * DAY, -365 * DAY])
def test_a_clock_that_is_set_ends_no_session_and_prolongs_none(auth, ada, clock, config, seconds):
    clock.set_by(seconds)
    # Relay and HID service see the same.
    for each in (auth, Auth.from_config(config)):
        assert each.session_for(ada.session).user == "ada"
    (listed,) = auth.sessions.all()
    assert (listed["created"], listed["seen"]) == (clock.now, clock.now)
    clock.pass_by(60 * config.idle_minutes)
    for each in (auth, Auth.from_config(config)):
        assert each.session_for(ada.session) is None


def test_a_browser_is_remembered_whatever_the_clock_says(auth, ada, clock):
    clock.set_by(365 * DAY)
    assert auth.sessions.remembers(ada.browser, "ada")
    clock.pass_by(181 * DAY)
    assert not auth.sessions.remembers(ada.browser, "ada")


def test_the_time_that_a_device_is_off_counts(auth, ada, next_start, config):
    assert next_start(600).session_for(ada.session).user == "ada"
    assert next_start(60 * config.idle_minutes).session_for(ada.session) is None


def test_a_start_with_a_clock_that_is_late_prolongs_no_session(
    auth, ada, clock, next_start, config
):
    later = next_start(-365 * DAY)
    assert later.session_for(ada.session).user == "ada"
    clock.pass_by(60 * config.idle_minutes)
    assert later.session_for(ada.session) is None


def test_all_programs_of_the_device_have_the_same_time(auth, clock, config):
    began = clock.now
    assert auth.store.now() == began
    clock.set_by(DAY)
    clock.pass_by(60)
    assert Auth.from_config(config).store.now() == auth.store.now() == began + 60


def test_sessions_survive_a_restart(auth, ada, config):
    assert Auth.from_config(config).session_for(ada.session).user == "ada"


def test_another_process_sees_at_once_that_a_session_was_ended(auth, ada, config):
    other = Auth.from_config(config)
    before = other.store.revision
    assert other.store.revision == before
    auth.sessions.log_out(auth.session_for(ada.session))
    assert other.store.revision != before
    assert other.session_for(ada.session) is None


def test_a_disk_that_takes_nothing_locks_nobody_out(auth, ada, admin, clock):
    program = auth.tokens.add("probe", "viewer", admin)
    auth.store.database.execute("PRAGMA query_only = 1")
    clock.pass_by(120)
    assert auth.session_for(ada.session).user == "ada"
    assert auth.tokens.session_for(program).user


def test_a_session_of_the_play_ends_by_itself(auth, clock):
    token = auth.sessions.create_for_provisioning("viewer", 120)
    assert auth.session_for(token).user is None
    assert not auth.session_for(token).may("operator")
    clock.pass_by(120)
    assert auth.session_for(token) is None


def test_a_session_can_be_listed_and_revoked(auth, ada, client_info):
    other = auth.log_in("ada", PASSWORD, "", client_info("198.51.100.1", agent="Tool/1"))
    listed = auth.sessions.all()
    assert {row["agent"] for row in listed} == {"", "Tool/1"}
    (number,) = [row["number"] for row in listed if row["agent"] == "Tool/1"]
    auth.sessions.revoke(number, auth.session_for(ada.session))
    assert auth.session_for(other.session) is None
    assert auth.session_for(ada.session)
    assert refused(auth.sessions.revoke, number, auth.session_for(ada.session)).status == 404


def test_a_browser_may_call_itself_anything_and_little_of_it_is_kept(auth, ada, client_info):
    auth.log_in("ada", PASSWORD, "", client_info("192.0.2.1", agent="x" * 10_000))
    assert {row["agent"] for row in auth.sessions.all()} == {"", "x" * 256}
