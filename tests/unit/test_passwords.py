# SPDX-License-Identifier: MIT
"""What a good password is, and its hashes."""

import pytest
from tinypilot.auth import passwords

from .auth_helpers import refused
from .conftest import PASSWORD


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
