# SPDX-License-Identifier: MIT
"""One-time codes of authenticator apps."""

from urllib.parse import parse_qs, unquote, urlsplit

import pytest
from tinypilot.auth import second_factor

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
