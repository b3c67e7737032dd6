# SPDX-License-Identifier: MIT
"""Time-based one-time passwords (RFC 6238): SHA-1, six digits, 30 seconds, as all authenticator apps know them."""

import base64
import hmac
import secrets
import time

import pyotp

STEP_SECONDS = 30
# The clocks of a telephone and of a Pi may differ by this many steps.
STEPS_APART = 1


def new_key() -> bytes:
    return secrets.token_bytes(20)


def as_text(key: bytes) -> str:
    return base64.b32encode(key).decode()


def address(key: bytes, user: str, device: str) -> str:
    """What an app on the same telephone opens."""
    return pyotp.TOTP(as_text(key)).provisioning_uri(user, issuer_name=device)


def code(key: bytes, step: int) -> str:
    # Not TOTP.at(), which goes through local time and back: the hour that comes twice in autumn is ambiguous.
    return pyotp.HOTP(as_text(key)).at(step)


def step_of(key: bytes, typed: str) -> int | None:
    """The step that `typed` is the code of, if it is now. pyotp's verify() does not tell, and each code counts once."""
    now = int(time.time()) // STEP_SECONDS
    for step in range(now - STEPS_APART, now + STEPS_APART + 1):
        if hmac.compare_digest(code(key, step).encode(), typed.encode()):
            return step
    return None
