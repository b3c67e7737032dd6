# SPDX-License-Identifier: MIT
"""One-time codes of authenticator apps."""

from urllib.parse import parse_qs, unquote, urlsplit

import pytest
from tinypilot.auth import second_factor

from .auth_helpers import HOUR, refused
from .conftest import PASSWORD

KEY = b"12345678901234567890"


def test_codes_are_those_of_the_rfc():
    """RFC 6238, appendix B, the last six digits."""
    assert [second_factor.code(KEY, at // 30) for at in (59, 1111111109, 20000000000)] == [
        "287082",
        "081804",
        "353130",
    ]


@pytest.mark.parametrize(
    ("apart", "is_taken"), [(-2, False), (-1, True), (0, True), (1, True), (2, False)]
)
def test_the_clocks_of_app_and_device_may_be_one_step_apart(clock, apart, is_taken):
    step = int(clock.now) // 30 + apart
    typed = second_factor.code(KEY, step)
    assert second_factor.step_of(KEY, typed) == (step if is_taken else None)


@pytest.mark.parametrize("typed", ["", "12345", "none", "\N{SNOWMAN}" * 6])
def test_what_is_no_code_has_no_step(clock, typed):
    assert second_factor.step_of(KEY, typed) is None


def test_an_app_is_told_key_user_and_device():
    address = urlsplit(second_factor.address(KEY, "ada@example", "rack 3"))
    assert (address.scheme, address.netloc) == ("otpauth", "totp")
    assert unquote(address.path) == "/rack 3:ada@example"
    assert parse_qs(address.query) == {"secret": [second_factor.as_text(KEY)], "issuer": ["rack 3"]}


def test_keys_are_never_the_same_and_as_long_as_the_digest():
    keys = {second_factor.new_key() for _ in range(10)}
    assert len(keys) == 10
    assert {len(key) for key in keys} == {20}


# --- Login with them ---


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


def test_asking_for_the_code_takes_no_attempt(auth, key, client_info):
    """The page asks for it after the password, with a login that has none."""
    owner = client_info("192.0.2.1")
    for _ in range(30):
        assert refused(auth.log_in, "ada", PASSWORD, "", owner).code_needed
    auth.log_in("ada", PASSWORD, key[1][0], owner)


def test_a_recovery_code_works_once(auth, key, client_info):
    code = key[1][0]
    auth.log_in("ada", PASSWORD, code.lower(), client_info("192.0.2.1"))
    assert refused(auth.log_in, "ada", PASSWORD, code, client_info("192.0.2.1")).status == 401
    assert len(set(key[1])) == 10


@pytest.mark.parametrize(
    "typed",
    [
        "{0}-{1}",
        "{0}\N{NO-BREAK SPACE}{1}",
        "{0}\t{1}\n",
        "{0}\N{EN DASH}{1}",
        pytest.param("wide", id="full-width"),
        pytest.param("arabic", id="Arabic-Indic"),
    ],
)
def test_a_code_is_taken_as_keyboards_and_apps_write_it(auth, key, clock, client_info, typed):
    code = second_factor.code(key[0], int(clock.now) // 30)
    zeros = {"wide": 0xFF10, "arabic": 0x660}
    if typed in zeros:
        typed = "".join(chr(zeros[typed] + int(digit)) for digit in code)
    typed = typed.format(code[:3], code[3:])
    assert second_factor.step_of(key[0], typed) == int(clock.now) // 30
    auth.log_in("ada", PASSWORD, typed, client_info("192.0.2.1"))


@pytest.mark.parametrize("dash", ["\N{EN DASH}", "\N{NON-BREAKING HYPHEN}", "\t", "", " - "])
def test_a_recovery_code_is_taken_with_any_dash(auth, key, client_info, dash):
    code = key[1][0].replace("-", dash)
    auth.log_in("ada", PASSWORD, code, client_info("192.0.2.1"))


@pytest.mark.parametrize("seconds", [24 * HOUR, -24 * HOUR, 365 * 24 * HOUR])
def test_a_clock_that_was_wrong_bars_no_code_afterwards(auth, key, clock, client_info, seconds):
    """The telephone may have had the same wrong time."""
    for wrong in (seconds, -seconds):
        clock.set_by(wrong)
        clock.pass_by(30)
        code = second_factor.code(key[0], int(clock.now) // 30)
        auth.log_in("ada", PASSWORD, code, client_info("192.0.2.1"))


def test_a_clock_that_is_set_back_makes_no_code_good_again(auth, key, clock, client_info):
    code = second_factor.code(key[0], int(clock.now) // 30)
    auth.log_in("ada", PASSWORD, code, client_info("192.0.2.1"))
    clock.set_by(-24 * HOUR)
    past = second_factor.code(key[0], int(clock.now) // 30)
    auth.log_in("ada", PASSWORD, past, client_info("192.0.2.1"))
    clock.set_by(24 * HOUR)
    assert refused(auth.log_in, "ada", PASSWORD, code, client_info("192.0.2.1")).status == 401


def test_of_used_codes_no_more_than_needed_are_kept(auth, key, clock, client_info):
    for _ in range(second_factor.USED_CODES + 10):
        clock.pass_by(30)
        code = second_factor.code(key[0], int(clock.now) // 30)
        auth.log_in("ada", PASSWORD, code, client_info("192.0.2.1"))
    assert auth.store.one("SELECT count(*) FROM used_totp_steps")[0] == second_factor.USED_CODES
    assert refused(auth.log_in, "ada", PASSWORD, code, client_info("192.0.2.1")).status == 401


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
    assert not auth.users.all()[0]["has_totp"]


def test_codes_are_turned_off_with_the_password(auth, key, admin, client_info):
    assert refused(auth.turn_off_totp, admin, "wrong", client_info("192.0.2.1")).status == 403
    auth.turn_off_totp(admin, PASSWORD, client_info("192.0.2.1"))
    auth.log_in("ada", PASSWORD, "", client_info("192.0.2.1"))
