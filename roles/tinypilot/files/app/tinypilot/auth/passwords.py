# SPDX-License-Identifier: MIT
"""Passwords: what a good one is, and scrypt hashes of them in the PHC string format."""

import base64
import hashlib
import hmac
import re
import secrets
import threading
import unicodedata

from tinypilot.errors import ApiError

LENGTHS = range(10, 257)
DIFFERENT_CHARACTERS = 5
# 32 MiB and three passes: one of the equivalents that OWASP's cheat sheet recommends; about a second on a Pi 4.
LOG_N, R, P = 15, 8, 3
# What a hash from elsewhere may cost this device: 64 MiB, and not for ever.
LOWEST_LOG_N, HIGHEST_LOG_N, ONLY_R, HIGHEST_P = 14, 16, 8, 8
MOST_BYTES = 96 << 20
FORM = re.compile(
    r"\$scrypt\$ln=(\d{1,2}),r=(\d),p=(\d)\$([A-Za-z0-9+/]{16,86})\$([A-Za-z0-9+/]{43,86})"
)

# One at a time: each takes 32 MiB, and the unit has a limit. Few may wait for their turn, so that a flood of logins
# leaves threads to those who are in.
_one_at_a_time = threading.Lock()
_turns = threading.BoundedSemaphore(3)


class Busy(Exception):
    """Too many passwords are being compared just now."""


def check(password: str, name: str) -> None:
    """Refuses a new password that is too easy to guess."""
    if len(password) not in LENGTHS:
        raise ApiError(
            400,
            "The password must have {least} to {most} characters.",
            least=LENGTHS[0],
            most=LENGTHS[-1],
        )
    if len(set(password)) < DIFFERENT_CHARACTERS:
        raise ApiError(
            400,
            "The password must have at least {least} different characters.",
            least=DIFFERENT_CHARACTERS,
        )
    if name and name.casefold() in password.casefold() and len(password) < 2 * LENGTHS[0]:
        raise ApiError(400, "The password must not contain the name.")


def hash_password(password: str) -> str:
    salt = secrets.token_bytes(16)
    digest = _scrypt(password, salt, LOG_N, R, P, 32)
    return f"$scrypt$ln={LOG_N},r={R},p={P}${_encode(salt)}${_encode(digest)}"


def dummy_hash() -> str:
    """Compared with for unknown names, so that the time of the answer does not reveal them."""
    return f"$scrypt$ln={LOG_N},r={R},p={P}${_encode(bytes(16))}${_encode(bytes(32))}"


def matches(password: str, hashed: str) -> bool:
    found = FORM.fullmatch(hashed)
    # What is stored was made by hash_password() or has passed is_hash().
    assert found
    log_n, r, p, salt, digest = found.groups()
    wanted = _decode(digest)
    made = _scrypt(password, _decode(salt), int(log_n), int(r), int(p), len(wanted))
    return hmac.compare_digest(made, wanted)


def is_hash(text: str) -> bool:
    """Whether `text` is a hash that this device can and will compute."""
    found = FORM.fullmatch(text)
    if not found or any(len(part) % 4 == 1 for part in found.groups()[3:]):
        return False
    log_n, r, p = map(int, found.groups()[:3])
    return LOWEST_LOG_N <= log_n <= HIGHEST_LOG_N and r == ONLY_R and 1 <= p <= HIGHEST_P


def _scrypt(password: str, salt: bytes, log_n: int, r: int, p: int, length: int) -> bytes:
    # The same letters, however a keyboard composes them.
    text = unicodedata.normalize("NFKC", password).encode()
    if not _turns.acquire(blocking=False):
        raise Busy
    try:
        with _one_at_a_time:
            return hashlib.scrypt(
                text, salt=salt, n=1 << log_n, r=r, p=p, maxmem=MOST_BYTES, dklen=length
            )
    finally:
        _turns.release()


def _encode(data: bytes) -> str:
    return base64.b64encode(data).decode().rstrip("=")


def _decode(text: str) -> bytes:
    return base64.b64decode(text + "=" * (-len(text) % 4))
