# SPDX-License-Identifier: MIT
"""API tokens: how programs show who they are."""

import secrets
import sqlite3
import time

from tinypilot import audit
from tinypilot.auth.codes import hashed
from tinypilot.auth.sessions import Session, check_still_may
from tinypilot.auth.store import Store
from tinypilot.auth.users import check_name, check_role
from tinypilot.errors import ApiError

TOKENS_MAX = 100


class ApiTokens:
    def __init__(self, store: Store):
        self._store = store

    def session_for(self, token: str) -> Session | None:
        """Which program this is. It shows the token with each request, and has nothing that a page has."""
        row = self._store.one(
            "SELECT number, name, role, seen FROM tokens WHERE hash = ?", hashed(token)
        )
        if not row:
            return None
        self._store.note_seen("tokens", row, time.time())
        # No user has such a name, and no session this number.
        return Session(0, f"token {row['name']}", row["role"])

    def all(self) -> list[dict]:
        return self._store.all(
            "SELECT number, name, role, made_by, created, seen FROM tokens ORDER BY name"
        )

    def add(self, name: str, role: str, by: Session) -> str:
        """The token, which nobody is shown again. It ends with whom it was made by (see the triggers in store.py)."""
        check_name(name)
        check_role(role)
        token = f"kvm_{secrets.token_urlsafe(32)}"
        with self._store.transaction() as database:
            check_still_may("admin", by, database)
            (count,) = database.execute("SELECT count(*) FROM tokens").fetchone()
            if count >= TOKENS_MAX:
                raise ApiError(
                    409, "There are {most} tokens already. Remove one first.", most=TOKENS_MAX
                )
            try:
                database.execute(
                    "INSERT INTO tokens (name, role, hash, made_by, created) VALUES (?, ?, ?, ?, ?)",
                    (name, role, hashed(token), by.user, time.time()),
                )
            except sqlite3.IntegrityError:
                raise ApiError(409, "A token with this name already exists.") from None
        audit.note(
            "token_added", f"{by.user} made the token {name} as {role}", role=role, by=by.user
        )
        return token

    def remove(self, number: int, by: Session) -> None:
        with self._store.transaction() as database:
            check_still_may("admin", by, database)
            if not database.execute("DELETE FROM tokens WHERE number = ?", (number,)).rowcount:
                raise ApiError(404, "There is no such token.")
        audit.note("token_removed", f"{by.user} removed token {number}", by=by.user)
