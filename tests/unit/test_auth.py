# SPDX-License-Identifier: MIT
"""Who may log in, and what a session may do, without HTTP."""

import io
import json

import pytest
from tinypilot import __main__ as command
from tinypilot.auth import passwords, rate_limit, second_factor
from tinypilot.auth.auth import SESSION_COOKIE, ApiError, Auth

from .conftest import PASSWORD

HOUR = 3600


def refused(action, *arguments):
    with pytest.raises(ApiError) as refusal:
        action(*arguments)
    return refusal.value


# --- Set-up ---


def test_the_set_up_code_makes_the_first_admin_once(auth, client_info):
    code = auth.new_setup_code()
    tokens = auth.set_up(code.lower(), "Ada", PASSWORD, client_info("192.0.2.1"))
    assert auth.session_for(tokens.session).user == "ada"
    assert auth.session_for(tokens.session).may("admin")
    assert refused(auth.set_up, code, "eve", PASSWORD, client_info("192.0.2.1")).status == 401
    assert [user["name"] for user in auth.users()] == ["ada"]


def test_without_a_code_nobody_is_set_up(auth, client_info):
    assert refused(auth.set_up, "", "eve", PASSWORD, client_info("192.0.2.1")).status == 401
    assert not auth.has_users()


def test_a_new_code_replaces_the_one_before(auth, client_info):
    old = auth.new_setup_code()
    auth.new_setup_code()
    assert refused(auth.set_up, old, "eve", PASSWORD, client_info("192.0.2.1")).status == 401


def test_a_code_expires(auth, clock, client_info):
    code = auth.new_setup_code()
    clock.pass_by(25 * HOUR)
    assert refused(auth.set_up, code, "ada", PASSWORD, client_info("192.0.2.1")).status == 401


def test_a_wrong_name_or_password_does_not_use_up_the_code(auth, client_info):
    code = auth.new_setup_code()
    for name, password in [
        ("", PASSWORD),
        ("Ada Lovelace", PASSWORD),
        ("ada", "short"),
        ("ada", "a" * 20),
    ]:
        assert refused(auth.set_up, code, name, password, client_info("192.0.2.1")).status == 400
    auth.set_up(code, "ada", PASSWORD, client_info("192.0.2.1"))


def test_the_code_is_not_kept(auth, config):
    code = auth.new_setup_code()
    kept = b"".join(path.read_bytes() for path in config.auth_file.parent.iterdir())
    assert code.encode() not in kept


def test_a_code_brings_back_who_forgot_the_password(auth, ada, client_info):
    auth.set_up(auth.new_setup_code(), "ada", "another password", client_info("192.0.2.9"))
    assert auth.session_for(ada.session) is None
    assert refused(auth.log_in, "ada", PASSWORD, "", client_info("192.0.2.1")).status == 401
    auth.log_in("ada", "another password", "", client_info("192.0.2.1"))


# --- Login and sessions ---


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
    assert auth.sessions() == []


def test_sessions_survive_a_restart(auth, ada, config):
    assert Auth.from_config(config).session_for(ada.session).user == "ada"


def test_another_process_sees_at_once_that_a_session_was_ended(auth, ada, config):
    other = Auth.from_config(config)
    before = other.store.revision
    assert other.store.revision == before
    auth.log_out(auth.session_for(ada.session))
    assert other.store.revision != before
    assert other.session_for(ada.session) is None


def test_a_disk_that_takes_nothing_locks_nobody_out(auth, ada, admin, clock):
    program = auth.add_token("probe", "viewer", admin)
    auth.store.database.execute("PRAGMA query_only = 1")
    clock.pass_by(120)
    assert auth.session_for(ada.session).user == "ada"
    assert auth.api_token_session(program).user


def test_a_session_of_the_play_ends_by_itself(auth, clock):
    token = auth.new_provisioning_session("viewer", 120)
    assert auth.session_for(token).user is None
    assert not auth.session_for(token).may("operator")
    clock.pass_by(120)
    assert auth.session_for(token) is None


def test_a_session_can_be_listed_and_revoked(auth, ada, client_info):
    other = auth.log_in("ada", PASSWORD, "", client_info("198.51.100.1", agent="Tool/1"))
    listed = auth.sessions()
    assert {row["agent"] for row in listed} == {"", "Tool/1"}
    (number,) = [row["number"] for row in listed if row["agent"] == "Tool/1"]
    auth.revoke(number, auth.session_for(ada.session))
    assert auth.session_for(other.session) is None
    assert auth.session_for(ada.session)
    assert refused(auth.revoke, number, auth.session_for(ada.session)).status == 404


# --- Users ---


@pytest.fixture
def admin(auth, ada):
    return auth.session_for(ada.session)


@pytest.fixture
def bob(auth, admin, client_info):
    auth.add_user("bob", "operator", PASSWORD, admin)
    return auth.log_in("bob", PASSWORD, "", client_info("192.0.2.2"))


def test_roles_include_those_below(auth, bob):
    session = auth.session_for(bob.session)
    assert session.may("viewer") and session.may("operator") and not session.may("admin")


def test_a_changed_role_ends_the_sessions(auth, admin, bob, ada):
    auth.change_role("bob", "viewer", admin)
    assert auth.session_for(bob.session) is None
    assert auth.session_for(ada.session)


def test_a_removed_user_is_out(auth, admin, bob):
    auth.remove_user("bob", admin)
    assert auth.session_for(bob.session) is None


def test_a_changed_password_ends_all_sessions_but_gives_a_new_one(auth, bob, client_info):
    tokens = auth.change_password(
        auth.session_for(bob.session), PASSWORD, "another password", client_info("192.0.2.2")
    )
    assert auth.session_for(bob.session) is None
    assert auth.session_for(tokens.session).user == "bob"


def test_the_password_is_changed_by_who_knows_it_alone(auth, bob, client_info):
    session = auth.session_for(bob.session)
    refusal = refused(
        auth.change_password, session, "wrong", "another password", client_info("192.0.2.2")
    )
    assert refusal.status == 403
    assert auth.session_for(bob.session)


def test_one_admin_is_left(auth, admin, bob):
    assert refused(auth.remove_user, "ada", admin).status == 409
    assert refused(auth.change_role, "ada", "viewer", admin).status == 409
    assert auth.users()[0] == {
        "name": "ada",
        "role": "admin",
        "is_provisioned": False,
        "has_totp": False,
    }


def test_nobody_is_added_twice(auth, admin, bob):
    assert refused(auth.add_user, "Bob", "admin", PASSWORD, admin).status == 409


def test_an_unknown_role_is_refused(auth, admin, bob):
    assert refused(auth.change_role, "bob", "root", admin).status == 400
    assert refused(auth.add_user, "carol", "root", PASSWORD, admin).status == 400


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
def test_the_play_can_not_set_nonsense(auth, any_cost, wrong):
    assert refused(auth.set_provisioned_users, [{**entry("carol"), **wrong}]).status == 400
    assert not auth.has_users()


@pytest.mark.usefixtures("any_cost")
def test_the_play_sets_its_users_and_no_others(auth, ada, client_info):
    users = [entry("carol"), entry("dave")]
    assert auth.set_provisioned_users(users)
    assert not auth.set_provisioned_users(users)
    carol = auth.log_in("carol", PASSWORD, "", client_info("192.0.2.3"))
    dave = auth.log_in("dave", PASSWORD, "", client_info("192.0.2.3"))
    assert auth.set_provisioned_users([users[0], entry("dave", "operator")])
    assert auth.session_for(carol.session)
    assert auth.session_for(dave.session) is None
    assert auth.set_provisioned_users([])
    assert [user["name"] for user in auth.users()] == ["ada"]


@pytest.mark.usefixtures("any_cost")
def test_a_user_of_the_play_is_changed_by_the_play(auth, admin, client_info):
    auth.set_provisioned_users([entry("carol")])
    assert "carol is a provisioned user" in str(refused(auth.remove_user, "carol", admin))


# --- Guessing ---


def guess(auth, client_info, name="ada", attempts=1):
    """The statuses of this many wrong tries."""
    return [
        refused(auth.log_in, name, "wrong password", "", client_info).status
        for _ in range(attempts)
    ]


def test_a_network_is_answered_twenty_times_and_then_twenty_times_an_hour(
    auth, ada, clock, client_info
):
    eve = client_info("203.0.113.1")
    assert guess(auth, eve, attempts=22) == [401] * 20 + [429] * 2
    refusal = refused(auth.log_in, "ada", "wrong password", "", eve)
    assert 0 < refusal.retry_after <= HOUR / 20 + 1
    clock.pass_by(HOUR)
    assert guess(auth, eve, attempts=21) == [401] * 20 + [429]


def test_the_owner_comes_in_from_another_network_meanwhile(auth, ada, client_info):
    guess(auth, client_info("203.0.113.1"), attempts=30)
    auth.log_in("ada", PASSWORD, "", client_info("192.0.2.1"))


def test_one_who_guesses_for_ever_leaves_tries_to_the_owner(auth, ada, clock, client_info):
    for _ in range(200):
        guess(auth, client_info("203.0.113.1"), attempts=2)
        clock.pass_by(HOUR / 20)
    auth.log_in("ada", PASSWORD, "", client_info("192.0.2.1"))


def test_many_networks_together_get_no_more_of_one_account(auth, ada, clock, client_info):
    networks = [client_info(f"203.0.113.{number}") for number in range(1, 100)]
    answered = sum(guess(auth, eve, attempts=1) == [401] for eve in networks)
    assert answered == 40
    clock.pass_by(HOUR)
    assert sum(guess(auth, eve) == [401] for eve in networks) == 20


def test_many_networks_do_not_lock_out_a_browser_that_was_here_before(auth, ada, client_info):
    for number in range(1, 100):
        guess(auth, client_info(f"203.0.113.{number}"))
    auth.log_in("ada", PASSWORD, "", client_info("198.51.100.1", browser=ada.browser))
    # Its attempts are limited, too.
    assert guess(auth, client_info("198.51.100.1", browser=ada.browser), attempts=21)[-1] == 429


def test_the_sign_of_one_users_browser_is_none_for_another(auth, ada, admin, bob, client_info):
    eve = client_info("203.0.113.1", browser=bob.browser)
    assert guess(auth, eve, attempts=21) == [401] * 20 + [429]


def test_one_ipv6_line_is_one_network(auth, ada, client_info):
    answers = [guess(auth, client_info(f"2001:db8::{number:x}"))[0] for number in range(21)]
    assert answers == [401] * 20 + [429]
    assert guess(auth, client_info("2001:db8:0:1::1")) == [401]


def test_the_right_password_takes_no_try(auth, ada, client_info):
    for _ in range(30):
        auth.log_in("ada", PASSWORD, "", client_info("192.0.2.1"))


def test_a_password_that_was_not_looked_at_takes_no_try(auth, ada, client_info, monkeypatch):
    def be_busy(*_):
        raise passwords.Busy

    owner = client_info("192.0.2.1")
    with monkeypatch.context() as busy:
        busy.setattr(passwords, "matches", be_busy)
        for _ in range(30):
            with pytest.raises(passwords.Busy):
                auth.log_in("ada", PASSWORD, "", owner)
            with pytest.raises(passwords.Busy):
                auth.change_password(
                    auth.session_for(ada.session), PASSWORD, f"{PASSWORD} 2", owner
                )
    auth.log_in("ada", PASSWORD, "", owner)
    auth.change_password(auth.session_for(ada.session), PASSWORD, f"{PASSWORD} 2", owner)


def test_set_up_codes_are_not_guessed_either(auth, client_info):
    auth.new_setup_code()
    eve = client_info("203.0.113.1")
    statuses = [refused(auth.set_up, "AAAA", "eve", PASSWORD, eve).status for _ in range(21)]
    assert statuses == [401] * 20 + [429]


def test_a_clock_that_is_set_back_locks_nobody_out_for_long(auth, ada, clock, client_info):
    guess(auth, client_info("203.0.113.1"), attempts=30)
    clock.pass_by(-365 * 24 * HOUR)
    assert (
        refused(auth.log_in, "ada", PASSWORD, "", client_info("203.0.113.1")).retry_after
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
    assert rate_limit.network_of(address) == network


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


@pytest.mark.parametrize(
    ("costs", "good"),
    [
        ("ln=13,r=8,p=1", False),
        ("ln=14,r=8,p=1", True),
        ("ln=16,r=8,p=1", True),
        ("ln=17,r=8,p=1", False),
        ("ln=15,r=7,p=1", False),
        ("ln=15,r=9,p=1", False),
        ("ln=15,r=8,p=0", False),
        ("ln=15,r=8,p=8", True),
        ("ln=15,r=8,p=9", False),
    ],
)
def test_a_hash_from_elsewhere_may_cost_so_much(costs, good):
    hashed = f"$scrypt${costs}$" + "A" * 22 + "$" + "A" * 43
    assert passwords.is_hash(hashed) == good
    if good:
        assert not passwords.matches(PASSWORD, hashed)  # it can be computed


# --- Two-factor ---


@pytest.fixture
def key(auth, ada, admin, clock, client_info):
    """Of ada, who has turned codes on; with her recovery codes."""
    key = second_factor.new_key()
    code = second_factor.code(key, int(clock.now) // 30)
    recovery = auth.turn_on_totp(admin, key, code, PASSWORD, client_info("192.0.2.1"))
    clock.pass_by(30)
    return key, recovery


def test_with_codes_on_the_password_alone_is_not_enough(auth, key, clock, client_info):
    refusal = refused(auth.log_in, "ada", PASSWORD, "", client_info("192.0.2.1"))
    assert (refusal.status, refusal.code_needed) == (401, True)
    assert refused(auth.log_in, "ada", PASSWORD, "000000", client_info("192.0.2.1")).status == 401
    code = second_factor.code(key[0], int(clock.now) // 30)
    auth.log_in("ada", PASSWORD, f"{code[:3]} {code[3:]}", client_info("192.0.2.1"))
    assert refused(auth.log_in, "ada", PASSWORD, code, client_info("192.0.2.1")).status == 401


def test_that_a_code_is_needed_is_told_only_to_who_knows_the_password(auth, key, client_info):
    refusal = refused(auth.log_in, "ada", "wrong password", "", client_info("192.0.2.1"))
    assert not refusal.code_needed


def test_a_recovery_code_works_once(auth, key, client_info):
    code = key[1][0]
    auth.log_in("ada", PASSWORD, code.lower(), client_info("192.0.2.1"))
    assert refused(auth.log_in, "ada", PASSWORD, code, client_info("192.0.2.1")).status == 401
    assert len(set(key[1])) == 10


def test_codes_are_guessed_as_slowly_as_passwords(auth, key, client_info):
    eve = client_info("203.0.113.1")
    statuses = [refused(auth.log_in, "ada", PASSWORD, "000000", eve).status for _ in range(21)]
    assert statuses == [401] * 20 + [429]


def test_codes_are_turned_on_by_who_has_the_key_in_the_app(auth, admin, client_info):
    refusal = refused(
        auth.turn_on_totp,
        admin,
        second_factor.new_key(),
        "000000",
        PASSWORD,
        client_info("192.0.2.1"),
    )
    assert refusal.status == 400
    assert not auth.users()[0]["has_totp"]


def test_codes_are_turned_off_with_the_password(auth, key, admin, client_info):
    assert refused(auth.turn_off_totp, admin, "wrong", client_info("192.0.2.1")).status == 403
    auth.turn_off_totp(admin, PASSWORD, client_info("192.0.2.1"))
    auth.log_in("ada", PASSWORD, "", client_info("192.0.2.1"))


# --- The command line ---


def run_command(monkeypatch, capsys, config, typed, *arguments):
    monkeypatch.setattr(command.Config, "from_environment", lambda: config)
    monkeypatch.setattr("sys.argv", ["tinypilot", *arguments])
    monkeypatch.setattr("sys.stdin", io.StringIO(typed))
    command.main()
    return capsys.readouterr().out.strip()


def test_the_command_line_lets_in(monkeypatch, capsys, config, auth, client_info):
    def run(*arguments, typed=""):
        return run_command(monkeypatch, capsys, config, typed, *arguments)

    code = run("setup-code", "--unless-users")
    auth.set_up(code, "ada", PASSWORD, client_info("192.0.2.1"))
    assert run("setup-code", "--unless-users") == ""
    assert len(run("setup-code")) == len(code)
    name, _, token = run("session", "--role", "operator").partition("=")
    assert (name, auth.session_for(token).role) == (SESSION_COOKIE, "operator")
    hashed = run("hash", typed=f"{PASSWORD}\n")
    assert passwords.matches(PASSWORD, hashed)
    with pytest.raises(SystemExit, match="10 to 256"):
        run("hash", typed="short\n")


@pytest.mark.usefixtures("any_cost")
def test_the_command_line_sets_the_users_of_the_play(monkeypatch, capsys, config, auth):
    users = json.dumps([entry("carol")])
    for answer in ("changed", "unchanged"):
        assert run_command(monkeypatch, capsys, config, users, "provisioned-users") == answer
    with pytest.raises(SystemExit, match="scrypt"):
        run_command(
            monkeypatch,
            capsys,
            config,
            '[{"name": "", "role": "", "password": ""}]',
            "provisioned-users",
        )
