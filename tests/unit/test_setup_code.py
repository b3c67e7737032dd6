# SPDX-License-Identifier: MIT
"""The one-time set-up code, which makes the first admin."""

import pytest

from .auth_helpers import HOUR, refused
from .conftest import PASSWORD


def test_the_set_up_code_makes_the_first_admin_once(auth, client_info):
    code = auth.new_setup_code()
    tokens = auth.set_up(code.lower(), "Ada", PASSWORD, client_info("192.0.2.1"))
    assert auth.session_for(tokens.session).user == "ada"
    assert auth.session_for(tokens.session).may("admin")
    assert refused(auth.set_up, code, "eve", PASSWORD, client_info("192.0.2.1")).status == 401
    assert [user["name"] for user in auth.users.all()] == ["ada"]


@pytest.mark.parametrize("dash", ["", " ", "\t", "\N{EN DASH}", "\N{NON-BREAKING HYPHEN}"])
def test_the_set_up_code_is_taken_with_any_dash(auth, client_info, dash):
    code = auth.new_setup_code().replace("-", dash)
    auth.set_up(f" {code}\n", "ada", PASSWORD, client_info("192.0.2.1"))


def test_without_a_code_nobody_is_set_up(auth, client_info):
    assert refused(auth.set_up, "", "eve", PASSWORD, client_info("192.0.2.1")).status == 401
    assert not auth.users.exist()


def test_a_new_code_replaces_the_one_before(auth, client_info):
    old = auth.new_setup_code()
    auth.new_setup_code()
    assert refused(auth.set_up, old, "eve", PASSWORD, client_info("192.0.2.1")).status == 401


def test_a_code_expires(auth, clock, client_info):
    code = auth.new_setup_code()
    clock.pass_by(25 * HOUR)
    assert refused(auth.set_up, code, "ada", PASSWORD, client_info("192.0.2.1")).status == 401


@pytest.mark.parametrize("hours", [24, -24, 24 * 365, -24 * 365])
def test_a_clock_that_is_set_leaves_a_code_its_day(auth, clock, client_info, hours):
    code = auth.new_setup_code()
    clock.set_by(hours * HOUR)
    clock.pass_by(23 * HOUR)
    auth.set_up(code, "ada", PASSWORD, client_info("192.0.2.1"))
    code = auth.new_setup_code()
    clock.pass_by(25 * HOUR)
    assert refused(auth.set_up, code, "ada", PASSWORD, client_info("192.0.2.1")).status == 401


def test_a_start_with_a_clock_that_is_late_leaves_a_code_no_more_than_its_day(
    auth, clock, client_info, next_start
):
    code = auth.new_setup_code()
    later = next_start(-24 * 365 * HOUR)
    assert refused(later.set_up, code, "ada", PASSWORD, client_info("192.0.2.1")).status == 401
    later.set_up(later.new_setup_code(), "ada", PASSWORD, client_info("192.0.2.1"))


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
