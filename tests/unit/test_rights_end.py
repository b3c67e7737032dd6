# SPDX-License-Identifier: MIT
"""What belongs to a user ends with the user, and what acts sees to it once more that it still may."""

import threading
import time

import pytest
from tinypilot.auth import passwords, second_factor, sessions, tokens, users
from tinypilot.auth.sessions import ClientInfo
from tinypilot.auth.store import make_database
from tinypilot.errors import ApiError

from .auth_helpers import entry, refused
from .conftest import PASSWORD

OWNER = ClientInfo("192.0.2.1")


@pytest.fixture(autouse=True)
def cheap_provisioned_hashes(monkeypatch):
    monkeypatch.setattr(passwords, "LOWEST_LOG_N", 4)


@pytest.fixture
def carol(auth, admin):
    """A second admin, with a token, and one that this token made."""
    auth.users.add("carol", "admin", PASSWORD, admin)
    carol = auth.session_for(auth.log_in("carol", PASSWORD, "", OWNER).session)
    first = auth.tokens.add("first", "admin", carol)
    second = auth.tokens.add("second", "viewer", auth.tokens.session_for(first))
    third = auth.tokens.add("third", "admin", auth.tokens.session_for(first))
    fourth = auth.tokens.add("fourth", "operator", auth.tokens.session_for(third))
    return carol, [first, second, third, fourth]


ENDS = {
    "removed": lambda auth, admin, carol: auth.users.remove("carol", admin),
    "demoted": lambda auth, admin, carol: auth.users.change_role("carol", "operator", admin),
    "watches": lambda auth, admin, carol: auth.users.change_role("carol", "viewer", admin),
    "new password": lambda auth, admin, carol: auth.change_password(
        carol, PASSWORD, f"{PASSWORD} 2", OWNER
    ),
    "set up anew": lambda auth, admin, carol: auth.set_up(
        auth.new_setup_code(), "carol", f"{PASSWORD} 2", OWNER
    ),
    "provisioned": lambda auth, admin, carol: auth.users.set_provisioned([entry("carol", "admin")]),
}


@pytest.mark.parametrize("end", ENDS)
def test_what_was_made_with_the_rights_of_one_who_lost_them_ends(auth, admin, carol, end):
    session, made = carol
    kept = auth.tokens.add("kept", "admin", admin)
    assert all(auth.tokens.session_for(token) for token in made)
    ENDS[end](auth, admin, session)
    assert not any(auth.tokens.session_for(token) for token in made)
    assert auth.tokens.session_for(kept)
    assert not auth.store.one("SELECT 1 FROM sessions WHERE number = ?", session.number)


def test_a_token_that_ends_takes_with_it_what_it_made(auth, admin, carol):
    _, made = carol
    number = next(each["number"] for each in auth.tokens.all() if each["name"] == "first")
    auth.tokens.remove(number, admin)
    assert not any(auth.tokens.session_for(token) for token in made)


def test_tokens_of_users_who_are_gone_end_with_the_next_version(auth, admin, carol, config):
    _, made = carol
    for trigger in ("user_removed", "user_changed", "token_removed"):
        auth.store.do(f"DROP TRIGGER {trigger}")
    auth.users.remove("carol", admin)
    assert auth.tokens.session_for(made[0])
    make_database(config.auth_file)
    assert not any(auth.tokens.session_for(token) for token in made)


# --- Meanwhile ---


@pytest.fixture
def meanwhile(monkeypatch):
    """`meanwhile(act)`: while the next password is compared, something else happens."""

    def arrange(act, after="matches"):
        compare = getattr(passwords, after)

        def compare_and_act(*arguments):
            result = compare(*arguments)
            monkeypatch.setattr(passwords, after, compare)
            act()
            return result

        monkeypatch.setattr(passwords, after, compare_and_act)

    return arrange


def totp_key():
    return b"12345678901234567890"


def code_of(key):
    return second_factor.code(key, int(time.time()) // second_factor.STEP_SECONDS)


@pytest.mark.parametrize("change", ["password", "totp", "removal", "set-up", "provisioning"])
def test_who_logs_in_while_that_changes_is_not_in(auth, admin, bob, meanwhile, change):
    bobs = auth.session_for(bob.session)
    act = {
        "password": lambda: auth.change_password(bobs, PASSWORD, f"{PASSWORD} 2", OWNER),
        "totp": lambda: auth.turn_on_totp(bobs, totp_key(), code_of(totp_key()), PASSWORD, OWNER),
        "removal": lambda: auth.users.remove("bob", admin),
        "set-up": lambda: auth.set_up(auth.new_setup_code(), "bob", f"{PASSWORD} 2", OWNER),
        "provisioning": lambda: auth.users.set_provisioned([entry("bob")]),
    }[change]
    meanwhile(act)
    assert refused(auth.log_in, "bob", PASSWORD, "", OWNER).status == 401


def test_a_code_of_the_app_is_of_no_use_to_one_who_was_removed(auth, admin, bob, monkeypatch):
    bobs = auth.session_for(bob.session)
    auth.turn_on_totp(bobs, totp_key(), code_of(totp_key()), PASSWORD, OWNER)
    step_of = second_factor.step_of

    def step_and_remove(*arguments):
        auth.users.remove("bob", admin)
        return step_of(*arguments)

    monkeypatch.setattr(second_factor, "step_of", step_and_remove)
    code = second_factor.code(totp_key(), int(time.time()) // second_factor.STEP_SECONDS + 1)
    assert refused(auth.log_in, "bob", PASSWORD, code, OWNER).status == 401


LOSSES = {
    "removed": lambda auth, admin, session: auth.users.remove("carol", admin),
    "demoted": lambda auth, admin, session: auth.users.change_role("carol", "viewer", admin),
    "ended": lambda auth, admin, session: auth.sessions.revoke(session.number, admin),
}


@pytest.mark.parametrize("loss", LOSSES)
def test_who_lost_the_rights_meanwhile_changes_nothing(auth, admin, carol, meanwhile, loss):
    session, _ = carol
    LOSSES[loss](auth, admin, session)
    before = (auth.users.all(), auth.tokens.all(), auth.sessions.all())
    for act, arguments in [
        (auth.users.add, ("eve", "admin", PASSWORD, session)),
        (auth.users.change_role, ("ada", "viewer", session)),
        (auth.users.remove, ("ada", session)),
        (auth.tokens.add, ("more", "admin", session)),
        (auth.tokens.remove, (1, session)),
        (auth.sessions.revoke, (admin.number, session)),
        (auth.change_password, (session, PASSWORD, f"{PASSWORD} 2", OWNER)),
        (auth.turn_on_totp, (session, totp_key(), code_of(totp_key()), PASSWORD, OWNER)),
        (auth.turn_off_totp, (session, PASSWORD, OWNER)),
    ]:
        assert refused(act, *arguments).status in (401, 403)
    assert (auth.users.all(), auth.tokens.all(), auth.sessions.all()) == before


@pytest.mark.parametrize("act", ["password", "totp", "totp off"])
@pytest.mark.parametrize("loss", ["removed", "ended", "new password"])
def test_an_account_that_changed_meanwhile_is_left_alone(auth, admin, carol, meanwhile, act, loss):
    session, _ = carol
    losses = {
        **LOSSES,
        "new password": lambda auth, admin, session: auth.set_up(
            auth.new_setup_code(), "carol", f"{PASSWORD} 3", OWNER
        ),
    }
    meanwhile(lambda: losses[loss](auth, admin, session))
    action, arguments = {
        "password": (auth.change_password, (session, PASSWORD, f"{PASSWORD} 2", OWNER)),
        "totp": (auth.turn_on_totp, (session, totp_key(), code_of(totp_key()), PASSWORD, OWNER)),
        "totp off": (auth.turn_off_totp, (session, PASSWORD, OWNER)),
    }[act]
    assert refused(action, *arguments).status in (401, 403)
    if loss == "new password":
        auth.log_in("carol", f"{PASSWORD} 3", "", OWNER)


def test_two_who_change_the_password_at_once_do_not_both(auth, admin, bob, meanwhile):
    one = auth.session_for(bob.session)
    other = auth.session_for(auth.log_in("bob", PASSWORD, "", OWNER).session)
    meanwhile(lambda: auth.change_password(other, PASSWORD, f"{PASSWORD} 2", OWNER))
    assert refused(auth.change_password, one, PASSWORD, f"{PASSWORD} 3", OWNER).status in (401, 403)
    auth.log_in("bob", f"{PASSWORD} 2", "", OWNER)


def test_who_is_set_up_while_somebody_removes_the_user_is_told(auth, admin, audited, monkeypatch):
    """The set-up's own session is made after its user, whom somebody may have removed."""
    create = auth.sessions.create

    def remove_and_create(*arguments):
        auth.users.remove("dan", admin)
        return create(*arguments)

    monkeypatch.setattr(auth.sessions, "create", remove_and_create)
    assert refused(auth.set_up, auth.new_setup_code(), "dan", PASSWORD, OWNER).status == 401


def test_of_two_admins_who_remove_each_other_one_stays(auth, admin, carol):
    session, _ = carol
    results = []

    def remove(name, by):
        try:
            auth.users.remove(name, by)
            results.append("done")
        except ApiError as error:
            results.append(error.status)

    threads = [
        threading.Thread(target=remove, args=arguments)
        for arguments in [("carol", admin), ("ada", session)]
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(map(str, results)) == ["401", "done"]
    assert len([each for each in auth.users.all() if each["role"] == "admin"]) == 1


# --- Bounds ---


def test_a_user_has_so_many_sessions_and_the_oldest_end(auth, admin, bob, monkeypatch):
    monkeypatch.setattr(sessions, "SESSIONS_MAX", 3)
    monkeypatch.setattr(sessions, "REMEMBERED_BROWSERS_MAX", 2)
    later = [auth.log_in("bob", PASSWORD, "", OWNER).session for _ in range(3)]
    assert auth.session_for(bob.session) is None
    assert all(auth.session_for(each) for each in later)
    assert auth.store.one("SELECT 1 FROM sessions WHERE number = ?", admin.number)
    kept = auth.store.one("SELECT count(*) AS n FROM remembered_browsers WHERE user = 'bob'")
    assert kept["n"] == 2


def test_there_are_so_many_users_and_tokens(auth, admin, monkeypatch):
    monkeypatch.setattr(users, "USERS_MAX", 2)
    monkeypatch.setattr(tokens, "TOKENS_MAX", 1)
    auth.users.add("bob", "viewer", PASSWORD, admin)
    assert refused(auth.users.add, "carol", "viewer", PASSWORD, admin).status == 409
    auth.tokens.add("one", "viewer", admin)
    assert refused(auth.tokens.add, "two", "viewer", admin).status == 409
