# SPDX-License-Identifier: MIT
"""Time-based one-time passwords (RFC 6238): SHA-1, six digits, 30 seconds, as all apps know them."""

import base64
import hmac
import secrets
import time
from urllib.parse import quote

STEP_SECONDS = 30
# The clocks of a telephone and of a Pi may differ by this many steps.
STEPS_APART = 1


def new_key() -> bytes:
    return secrets.token_bytes(20)


def as_text(key: bytes) -> str:
    return base64.b32encode(key).decode()


def address(key: bytes, user: str, device: str) -> str:
    """What an app on the same telephone opens."""
    return (
        f"otpauth://totp/{quote(device)}:{quote(user)}?secret={as_text(key)}&issuer={quote(device)}"
    )


def code(key: bytes, step: int) -> str:
    digest = hmac.digest(key, step.to_bytes(8, "big"), "sha1")
    offset = digest[-1] & 15
    number = int.from_bytes(digest[offset : offset + 4], "big") & 0x7FFFFFFF
    return f"{number % 1_000_000:06}"


def step_of(key: bytes, typed: str) -> int | None:
    """The step that `typed` is the code of, if it is now."""
    now = int(time.time()) // STEP_SECONDS
    for step in range(now - STEPS_APART, now + STEPS_APART + 1):
        if hmac.compare_digest(code(key, step).encode(), typed.encode()):
            return step
    return None
