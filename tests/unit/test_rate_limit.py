# SPDX-License-Identifier: MIT
"""Guessing is slow, and locks nobody out who is known."""

import pytest
from tinypilot.auth import passwords, rate_limit

from .auth_helpers import HOUR, guess, refused
from .conftest import PASSWORD


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
    eve = client_info("203.0.113.1")
    guess(auth, eve, attempts=30)
    clock.set_by(-365 * 24 * HOUR)
    assert refused(auth.log_in, "ada", PASSWORD, "", eve).retry_after <= HOUR / 20 + 1


def test_a_clock_that_is_set_ahead_gives_nobody_more_attempts(auth, ada, clock, client_info):
    eve = client_info("203.0.113.1")
    guess(auth, eve, attempts=30)
    clock.set_by(24 * HOUR)
    assert guess(auth, eve) == [429]


def test_a_start_with_a_clock_that_is_late_locks_nobody_out_for_long(
    auth, ada, next_start, client_info
):
    eve = client_info("203.0.113.1")
    guess(auth, eve, attempts=30)
    later = next_start(-365 * 24 * HOUR)
    assert refused(later.log_in, "ada", PASSWORD, "", eve).retry_after <= HOUR / 20 + 1


def test_a_start_after_a_clock_that_was_ahead_locks_nobody_out_for_long(
    auth, ada, clock, next_start, client_info
):
    """Each refusal comes to the same end, not to one that goes ahead with the time."""
    eve = client_info("203.0.113.1")
    guess(auth, eve, attempts=30)
    later = next_start(-30 * 24 * HOUR)
    assert refused(later.log_in, "ada", PASSWORD, "", eve).status == 429
    clock.pass_by(HOUR / 20 + 20)
    later.log_in("ada", PASSWORD, "", eve)


def test_who_has_the_set_up_code_is_kept_out_by_nobody(auth, client_info):
    """Not from other networks, nor from the own: 80 bits need no patience."""
    code = auth.new_setup_code()
    for address in ("203.0.113.1", "203.0.113.2", "192.0.2.1"):
        eve = client_info(address)
        statuses = [refused(auth.set_up, "AAAA", "eve", PASSWORD, eve).status for _ in range(30)]
        assert statuses == 20 * [401] + 10 * [429]
    auth.set_up(code, "ada", PASSWORD, client_info("192.0.2.1"))


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
