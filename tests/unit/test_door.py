# SPDX-License-Identifier: MIT
"""Who may come in, by the rules of the door, without HTTP."""

import io
import json

import pytest
from tinypilot import __main__ as command
from tinypilot import passwords, throttle, totp
from tinypilot.door import SESSION_COOKIE, Door, Refused

from .conftest import PASSWORD

HOUR = 3600


def refused(action, *arguments):
    with pytest.raises(Refused) as refusal:
        action(*arguments)
    return refusal.value


# --- Set-up ---


def test_the_set_up_code_makes_the_first_admin_once(door, visitor):
    code = door.new_setup_code()
    keys = door.set_up(code.lower(), "Ada", PASSWORD, visitor("192.0.2.1"))
    assert door.find(keys.session).user == "ada"
    assert door.find(keys.session).may("admin")
    assert refused(door.set_up, code, "eve", PASSWORD, visitor("192.0.2.1")).status == 401
    assert [user["name"] for user in door.users()] == ["ada"]


def test_without_a_code_nobody_is_set_up(door, visitor):
    assert refused(door.set_up, "", "eve", PASSWORD, visitor("192.0.2.1")).status == 401
    assert not door.has_users()


def test_a_new_code_replaces_the_one_before(door, visitor):
    old = door.new_setup_code()
    door.new_setup_code()
    assert refused(door.set_up, old, "eve", PASSWORD, visitor("192.0.2.1")).status == 401


def test_a_code_expires(door, clock, visitor):
    code = door.new_setup_code()
    clock.pass_by(25 * HOUR)
    assert refused(door.set_up, code, "ada", PASSWORD, visitor("192.0.2.1")).status == 401


def test_a_wrong_name_or_password_does_not_use_up_the_code(door, visitor):
    code = door.new_setup_code()
    for name, password in [
        ("", PASSWORD),
        ("Ada Lovelace", PASSWORD),
        ("ada", "short"),
        ("ada", "a" * 20),
    ]:
        assert refused(door.set_up, code, name, password, visitor("192.0.2.1")).status == 400
    door.set_up(code, "ada", PASSWORD, visitor("192.0.2.1"))


def test_the_code_is_not_kept(door, config):
    code = door.new_setup_code()
    kept = b"".join(path.read_bytes() for path in config.door_file.parent.iterdir())
    assert code.encode() not in kept


def test_a_code_brings_back_who_forgot_the_password(door, ada, visitor):
    door.set_up(door.new_setup_code(), "ada", "another password", visitor("192.0.2.9"))
    assert door.find(ada.session) is None
    assert refused(door.log_in, "ada", PASSWORD, "", visitor("192.0.2.1")).status == 401
    door.log_in("ada", "another password", "", visitor("192.0.2.1"))


# --- Login and sessions ---


def test_the_right_password_lets_in(door, ada, visitor):
    keys = door.log_in(" ADA ", PASSWORD, "", visitor("192.0.2.1"))
    assert door.find(keys.session).user == "ada"


@pytest.mark.parametrize("name", ["ada", "nobody", "", "no name at all", "x" * 256])
def test_a_wrong_name_is_answered_as_a_wrong_password(door, ada, visitor, name):
    refusal = refused(door.log_in, name, "wrong password", "", visitor("192.0.2.1"))
    assert (refusal.status, refusal.sentence) == (401, "The name or the password is wrong.")


def test_what_was_typed_is_not_in_the_audit_log(door, ada, visitor, audited):
    refused(door.log_in, "typed-into-the-wrong-field", "secret typed", "", visitor("192.0.2.1"))
    event, facts = audited[-1]
    assert event == "login_refused"
    assert facts["user"] == "unknown"
    assert "typed" not in repr(facts)


@pytest.mark.parametrize("token", ["", "unknown", "\N{SNOWMAN}"])
def test_an_unknown_token_is_nobody(door, token):
    assert door.find(token) is None


def test_tokens_and_passwords_are_kept_as_hashes(door, ada, config):
    kept = b"".join(path.read_bytes() for path in config.door_file.parent.iterdir())
    for secret in (ada.session, ada.browser, PASSWORD):
        assert secret.encode() not in kept


def test_a_session_that_is_used_ends_after_its_absolute_lifetime(door, ada, clock, config):
    for _ in range(config.absolute_minutes // 30 - 1):
        clock.pass_by(1800)
        assert door.find(ada.session)
    clock.pass_by(1800)
    assert door.find(ada.session) is None


def test_a_session_that_is_not_used_ends_earlier(door, ada, clock, config):
    clock.pass_by(60 * config.idle_minutes)
    assert door.find(ada.session) is None
    assert door.sessions() == []


def test_sessions_survive_a_restart(door, ada, config):
    assert Door.from_config(config).find(ada.session).user == "ada"


def test_another_process_sees_at_once_that_a_session_was_ended(door, ada, config):
    other = Door.from_config(config)
    before = other.store.revision
    assert other.store.revision == before
    door.log_out(door.find(ada.session))
    assert other.store.revision != before
    assert other.find(ada.session) is None


def test_a_disk_that_takes_nothing_locks_nobody_out(door, ada, admin, clock):
    program = door.add_token("probe", "viewer", admin)
    door.store.database.execute("PRAGMA query_only = 1")
    clock.pass_by(120)
    assert door.find(ada.session).user == "ada"
    assert door.find_token(program).user


def test_a_session_of_the_play_ends_by_itself(door, clock):
    token = door.new_play_session("viewer", 120)
    assert door.find(token).user is None
    assert not door.find(token).may("operator")
    clock.pass_by(120)
    assert door.find(token) is None


def test_a_session_can_be_listed_and_revoked(door, ada, visitor):
    other = door.log_in("ada", PASSWORD, "", visitor("198.51.100.1", agent="Tool/1"))
    listed = door.sessions()
    assert {row["agent"] for row in listed} == {"", "Tool/1"}
    (number,) = [row["number"] for row in listed if row["agent"] == "Tool/1"]
    door.revoke(number, door.find(ada.session))
    assert door.find(other.session) is None
    assert door.find(ada.session)
    assert refused(door.revoke, number, door.find(ada.session)).status == 404


# --- Users ---


@pytest.fixture
def admin(door, ada):
    return door.find(ada.session)


@pytest.fixture
def bob(door, admin, visitor):
    door.add_user("bob", "operator", PASSWORD, admin)
    return door.log_in("bob", PASSWORD, "", visitor("192.0.2.2"))


def test_roles_include_those_below(door, bob):
    session = door.find(bob.session)
    assert session.may("viewer") and session.may("operator") and not session.may("admin")


def test_a_changed_role_ends_the_sessions(door, admin, bob, ada):
    door.change_role("bob", "viewer", admin)
    assert door.find(bob.session) is None
    assert door.find(ada.session)


def test_a_removed_user_is_out(door, admin, bob):
    door.remove_user("bob", admin)
    assert door.find(bob.session) is None


def test_a_changed_password_ends_all_sessions_but_gives_a_new_one(door, bob, visitor):
    keys = door.change_password(
        door.find(bob.session), PASSWORD, "another password", visitor("192.0.2.2")
    )
    assert door.find(bob.session) is None
    assert door.find(keys.session).user == "bob"


def test_the_password_is_changed_by_who_knows_it_alone(door, bob, visitor):
    session = door.find(bob.session)
    refusal = refused(
        door.change_password, session, "wrong", "another password", visitor("192.0.2.2")
    )
    assert refusal.status == 403
    assert door.find(bob.session)


def test_one_admin_is_left(door, admin, bob):
    assert refused(door.remove_user, "ada", admin).status == 409
    assert refused(door.change_role, "ada", "viewer", admin).status == 409
    assert door.users()[0] == {
        "name": "ada",
        "role": "admin",
        "from_play": False,
        "has_totp": False,
    }


def test_nobody_is_added_twice(door, admin, bob):
    assert refused(door.add_user, "Bob", "admin", PASSWORD, admin).status == 409


def test_an_unknown_role_is_refused(door, admin, bob):
    assert refused(door.change_role, "bob", "root", admin).status == 400
    assert refused(door.add_user, "carol", "root", PASSWORD, admin).status == 400


# --- Users of the play ---


def entry(name, role="viewer", password=PASSWORD):
    return {"name": name, "role": role, "password": passwords.hash_password(password)}


@pytest.fixture
def any_cost(monkeypatch):
    """The hashes of these tests are cheap."""
    monkeypatch.setattr(passwords, "LOWEST_LOG_N", 1)


@pytest.mark.parametrize(
    "wrong",
    [
        {"name": "Carol C"},
        {"role": "root"},
        {"password": PASSWORD},
        {"password": "$scrypt$ln=30,r=8,p=1$" + "A" * 22 + "$" + "A" * 43},
        {"password": "$scrypt$ln=15,r=8,p=1$" + "A" * 21 + "$" + "A" * 43},
    ],
)
def test_the_play_can_not_set_nonsense(door, any_cost, wrong):
    assert refused(door.set_users_of_play, [{**entry("carol"), **wrong}]).status == 400
    assert not door.has_users()


@pytest.mark.usefixtures("any_cost")
def test_the_play_sets_its_users_and_no_others(door, ada, visitor):
    users = [entry("carol"), entry("dave")]
    assert door.set_users_of_play(users)
    assert not door.set_users_of_play(users)
    carol = door.log_in("carol", PASSWORD, "", visitor("192.0.2.3"))
    dave = door.log_in("dave", PASSWORD, "", visitor("192.0.2.3"))
    assert door.set_users_of_play([users[0], entry("dave", "operator")])
    assert door.find(carol.session)
    assert door.find(dave.session) is None
    assert door.set_users_of_play([])
    assert [user["name"] for user in door.users()] == ["ada"]


@pytest.mark.usefixtures("any_cost")
def test_a_user_of_the_play_is_changed_by_the_play(door, admin, visitor):
    door.set_users_of_play([entry("carol")])
    assert "carol is a provisioned user" in str(refused(door.remove_user, "carol", admin))


# --- Guessing ---


def guess(door, visitor, name="ada", tries=1):
    """The statuses of this many wrong tries."""
    return [refused(door.log_in, name, "wrong password", "", visitor).status for _ in range(tries)]


def test_a_network_is_answered_twenty_times_and_then_twenty_times_an_hour(
    door, ada, clock, visitor
):
    eve = visitor("203.0.113.1")
    assert guess(door, eve, tries=22) == [401] * 20 + [429] * 2
    refusal = refused(door.log_in, "ada", "wrong password", "", eve)
    assert 0 < refusal.retry_after <= HOUR / 20 + 1
    clock.pass_by(HOUR)
    assert guess(door, eve, tries=21) == [401] * 20 + [429]


def test_the_owner_comes_in_from_another_network_meanwhile(door, ada, visitor):
    guess(door, visitor("203.0.113.1"), tries=30)
    door.log_in("ada", PASSWORD, "", visitor("192.0.2.1"))


def test_one_who_guesses_for_ever_leaves_tries_to_the_owner(door, ada, clock, visitor):
    for _ in range(200):
        guess(door, visitor("203.0.113.1"), tries=2)
        clock.pass_by(HOUR / 20)
    door.log_in("ada", PASSWORD, "", visitor("192.0.2.1"))


def test_many_networks_together_get_no_more_of_one_account(door, ada, clock, visitor):
    networks = [visitor(f"203.0.113.{number}") for number in range(1, 100)]
    answered = sum(guess(door, eve, tries=1) == [401] for eve in networks)
    assert answered == 40
    clock.pass_by(HOUR)
    assert sum(guess(door, eve) == [401] for eve in networks) == 20


def test_many_networks_do_not_lock_out_a_browser_that_was_here_before(door, ada, visitor):
    for number in range(1, 100):
        guess(door, visitor(f"203.0.113.{number}"))
    door.log_in("ada", PASSWORD, "", visitor("198.51.100.1", browser=ada.browser))
    # Its tries are limited, too.
    assert guess(door, visitor("198.51.100.1", browser=ada.browser), tries=21)[-1] == 429


def test_the_sign_of_one_users_browser_is_none_for_another(door, ada, admin, bob, visitor):
    eve = visitor("203.0.113.1", browser=bob.browser)
    assert guess(door, eve, tries=21) == [401] * 20 + [429]


def test_one_ipv6_line_is_one_network(door, ada, visitor):
    answers = [guess(door, visitor(f"2001:db8::{number:x}"))[0] for number in range(21)]
    assert answers == [401] * 20 + [429]
    assert guess(door, visitor("2001:db8:0:1::1")) == [401]


def test_the_right_password_takes_no_try(door, ada, visitor):
    for _ in range(30):
        door.log_in("ada", PASSWORD, "", visitor("192.0.2.1"))


def test_a_password_that_was_not_looked_at_takes_no_try(door, ada, visitor, monkeypatch):
    def be_busy(*_):
        raise passwords.Busy

    owner = visitor("192.0.2.1")
    with monkeypatch.context() as busy:
        busy.setattr(passwords, "matches", be_busy)
        for _ in range(30):
            with pytest.raises(passwords.Busy):
                door.log_in("ada", PASSWORD, "", owner)
            with pytest.raises(passwords.Busy):
                door.change_password(door.find(ada.session), PASSWORD, f"{PASSWORD} 2", owner)
    door.log_in("ada", PASSWORD, "", owner)
    door.change_password(door.find(ada.session), PASSWORD, f"{PASSWORD} 2", owner)


def test_set_up_codes_are_not_guessed_either(door, visitor):
    door.new_setup_code()
    eve = visitor("203.0.113.1")
    statuses = [refused(door.set_up, "AAAA", "eve", PASSWORD, eve).status for _ in range(21)]
    assert statuses == [401] * 20 + [429]


def test_a_clock_that_is_set_back_locks_nobody_out_for_long(door, ada, clock, visitor):
    guess(door, visitor("203.0.113.1"), tries=30)
    clock.pass_by(-365 * 24 * HOUR)
    assert (
        refused(door.log_in, "ada", PASSWORD, "", visitor("203.0.113.1")).retry_after
        <= HOUR / 20 + 1
    )


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
    ],
)
def test_networks(address, network):
    assert throttle.network_of(address) == network


# --- Passwords ---


@pytest.mark.parametrize(
    ("password", "words"),
    [
        ("ninechars", "10 to 256"),
        ("x" * 257, "10 to 256"),
        ("aaaaaaaaaaab", "different"),
        ("ada-password", "the name"),
    ],
)
def test_bad_passwords_are_refused_in_a_sentence(password, words):
    assert words in str(refused(passwords.check, password, "ada"))


def test_a_hash_fits_its_password_alone():
    hashed = passwords.hash_password(PASSWORD)
    assert passwords.matches(PASSWORD, hashed)
    assert not passwords.matches(PASSWORD + " ", hashed)
    assert hashed != passwords.hash_password(PASSWORD)


def test_a_password_is_the_same_however_it_is_composed():
    assert passwords.matches(
        "stra\u00dfe caf\u00e9", passwords.hash_password("stra\u00dfe cafe\u0301")
    )


def test_hashes_of_devices_are_strong(monkeypatch):
    monkeypatch.undo()
    assert passwords.hash_password(PASSWORD).startswith("$scrypt$ln=15,r=8,p=3$")


# --- Two-factor ---


def test_codes_are_those_of_the_rfc():
    """RFC 6238, appendix B, the last six digits."""
    key = b"12345678901234567890"
    assert [totp.code(key, at // 30) for at in (59, 1111111109, 20000000000)] == [
        "287082",
        "081804",
        "353130",
    ]


@pytest.fixture
def key(door, ada, admin, clock, visitor):
    """Of ada, who has turned codes on; with her recovery codes."""
    key = totp.new_key()
    code = totp.code(key, int(clock.now) // 30)
    recovery = door.turn_on_totp(admin, key, code, PASSWORD, visitor("192.0.2.1"))
    clock.pass_by(30)
    return key, recovery


def test_with_codes_on_the_password_alone_is_not_enough(door, key, clock, visitor):
    refusal = refused(door.log_in, "ada", PASSWORD, "", visitor("192.0.2.1"))
    assert (refusal.status, refusal.code_needed) == (401, True)
    assert refused(door.log_in, "ada", PASSWORD, "000000", visitor("192.0.2.1")).status == 401
    code = totp.code(key[0], int(clock.now) // 30)
    door.log_in("ada", PASSWORD, f"{code[:3]} {code[3:]}", visitor("192.0.2.1"))
    assert refused(door.log_in, "ada", PASSWORD, code, visitor("192.0.2.1")).status == 401


def test_that_a_code_is_needed_is_told_only_to_who_knows_the_password(door, key, visitor):
    refusal = refused(door.log_in, "ada", "wrong password", "", visitor("192.0.2.1"))
    assert not refusal.code_needed


def test_a_recovery_code_works_once(door, key, visitor):
    code = key[1][0]
    door.log_in("ada", PASSWORD, code.lower(), visitor("192.0.2.1"))
    assert refused(door.log_in, "ada", PASSWORD, code, visitor("192.0.2.1")).status == 401
    assert len(set(key[1])) == 10


def test_codes_are_guessed_as_slowly_as_passwords(door, key, visitor):
    eve = visitor("203.0.113.1")
    statuses = [refused(door.log_in, "ada", PASSWORD, "000000", eve).status for _ in range(21)]
    assert statuses == [401] * 20 + [429]


def test_codes_are_turned_on_by_who_has_the_key_in_the_app(door, admin, visitor):
    refusal = refused(
        door.turn_on_totp, admin, totp.new_key(), "000000", PASSWORD, visitor("192.0.2.1")
    )
    assert refusal.status == 400
    assert not door.users()[0]["has_totp"]


def test_codes_are_turned_off_with_the_password(door, key, admin, visitor):
    assert refused(door.turn_off_totp, admin, "wrong", visitor("192.0.2.1")).status == 403
    door.turn_off_totp(admin, PASSWORD, visitor("192.0.2.1"))
    door.log_in("ada", PASSWORD, "", visitor("192.0.2.1"))


# --- The command line ---


def run_command(monkeypatch, capsys, config, typed, *arguments):
    monkeypatch.setattr(command.Config, "from_environment", lambda: config)
    monkeypatch.setattr("sys.argv", ["tinypilot", *arguments])
    monkeypatch.setattr("sys.stdin", io.StringIO(typed))
    command.main()
    return capsys.readouterr().out.strip()


def test_the_command_line_lets_in(monkeypatch, capsys, config, door, visitor):
    def run(*arguments, typed=""):
        return run_command(monkeypatch, capsys, config, typed, *arguments)

    code = run("setup-code", "--unless-users")
    door.set_up(code, "ada", PASSWORD, visitor("192.0.2.1"))
    assert run("setup-code", "--unless-users") == ""
    assert len(run("setup-code")) == len(code)
    name, _, token = run("session", "--role", "operator").partition("=")
    assert (name, door.find(token).role) == (SESSION_COOKIE, "operator")
    hashed = run("hash", typed=f"{PASSWORD}\n")
    assert passwords.matches(PASSWORD, hashed)
    with pytest.raises(SystemExit, match="10 to 256"):
        run("hash", typed="short\n")


@pytest.mark.usefixtures("any_cost")
def test_the_command_line_sets_the_users_of_the_play(monkeypatch, capsys, config, door):
    users = json.dumps([entry("carol")])
    for answer in ("changed", "unchanged"):
        assert run_command(monkeypatch, capsys, config, users, "users-of-play") == answer
    with pytest.raises(SystemExit, match="scrypt"):
        run_command(
            monkeypatch,
            capsys,
            config,
            '[{"name": "", "role": "", "password": ""}]',
            "users-of-play",
        )
