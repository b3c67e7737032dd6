# SPDX-License-Identifier: MIT
"""Time-based one-time passwords (RFC 6238): SHA-1, six digits, 30 seconds, as all authenticator apps know them."""

import base64
import hmac
import secrets
import sqlite3
import time

import pyotp

from tinypilot.auth.codes import hashed, random_code, typed_code
from tinypilot.auth.sessions import Session
from tinypilot.auth.store import Store
from tinypilot.auth.users import check_unchanged

STEP_SECONDS = 30
# The clocks of a telephone and of a Pi may differ by this many steps.
STEPS_APART = 1
RECOVERY_CODES = 10
# The last codes of a user that were used, each good once. All of them and not the newest alone: that one may be of a
# clock that was ahead, and would refuse each code until then; or of one that was set back, to use a code again.
USED_CODES = 100


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
    typed = typed_code(typed)
    for step in range(now - STEPS_APART, now + STEPS_APART + 1):
        if hmac.compare_digest(code(key, step).encode(), typed.encode()):
            return step
    return None


class SecondFactor:
    """Of users who have turned two-factor authentication on."""

    def __init__(self, store: Store):
        self._store = store

    def turn_on(self, user: sqlite3.Row, by: Session, key: bytes, step: int) -> list[str]:
        """Returns the recovery codes, which are shown once."""
        name = user["name"]
        codes = [random_code(2, 5) for _ in range(RECOVERY_CODES)]
        with self._store.transaction() as database:
            check_unchanged(user, by, database)
            database.execute("UPDATE users SET totp_key = ? WHERE name = ?", (key, name))
            database.execute("DELETE FROM used_totp_steps WHERE user = ?", (name,))
            self._use_step(database, name, step)
            database.execute("DELETE FROM recovery_codes WHERE user = ?", (name,))
            database.executemany(
                "INSERT INTO recovery_codes VALUES (?, ?)",
                [(hashed(typed_code(each)), name) for each in codes],
            )
        return codes

    def turn_off(self, user: sqlite3.Row, by: Session) -> None:
        name = user["name"]
        with self._store.transaction() as database:
            check_unchanged(user, by, database)
            database.execute("UPDATE users SET totp_key = NULL WHERE name = ?", (name,))
            database.execute("DELETE FROM recovery_codes WHERE user = ?", (name,))

    def use(self, user: sqlite3.Row, typed: str) -> bool:
        """Whether this is the app's code, or one of the recovery codes. Each counts once."""
        step = step_of(user["totp_key"], typed)
        if step is not None:
            with self._store.transaction() as database:
                # Not of one who was removed meanwhile.
                row = database.execute("SELECT 1 FROM users WHERE name = ?", (user["name"],))
                return bool(row.fetchone()) and self._use_step(database, user["name"], step)
        used = self._store.do(
            "DELETE FROM recovery_codes WHERE hash = ? AND user = ?",
            hashed(typed_code(typed)),
            user["name"],
        )
        return used == 1

    @staticmethod
    def _use_step(database: sqlite3.Connection, name: str, step: int) -> bool:
        """Whether it was not used before."""
        is_new = database.execute(
            "INSERT OR IGNORE INTO used_totp_steps (user, step) VALUES (?, ?)", (name, step)
        ).rowcount
        database.execute(
            "DELETE FROM used_totp_steps WHERE user = ? AND number NOT IN "
            "(SELECT number FROM used_totp_steps WHERE user = ? ORDER BY number DESC LIMIT ?)",
            (name, name, USED_CODES),
        )
        return is_new == 1
