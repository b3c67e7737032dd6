# SPDX-License-Identifier: MIT
"""Sessions of people, and the browsers that are remembered after a login."""

import hmac
import re
import secrets
import sqlite3
import time
from dataclasses import dataclass

from tinypilot import audit
from tinypilot.auth import rate_limit
from tinypilot.auth.codes import hashed
from tinypilot.auth.store import Store
from tinypilot.errors import ApiError

# Each may what those before it may: watch; control the computer; manage users and sessions.
ROLES = ("viewer", "operator", "admin")
LONGEST_INPUT = 256
# Cookies know no ports: two devices behind one address share them. So each device has names of its own, which begin
# with this (Auth.session_cookie). Earlier versions gave out this name itself, and what they gave out is still read.
COOKIE_PREFIX = "__Host-tinypilot"
REMEMBERED_BROWSER_SECONDS = 180 * 24 * 3600
# Of one user. The oldest end.
SESSIONS_MAX = 100
REMEMBERED_BROWSERS_MAX = 100
# What token_urlsafe() makes.
TOKEN = re.compile(r"[A-Za-z0-9_-]+")


def cookie_in(header: str, *names: str) -> str:
    """The token in the cookie of the first of these names that there is; empty if there is none.

    Read by hand: `header` also has cookies of other programs at this host, and http.cookies gives up at the first value
    that is not as it should be, such as {"a": 1}.
    """
    pairs = (pair.partition("=") for pair in header.split(";"))
    # As browsers do it, the first of two of one name counts: it has the longer path, or is the older one.
    values = {name.strip(): value.strip() for name, _, value in reversed(list(pairs))}
    value = next((values[name] for name in names if name in values), "")
    return value if TOKEN.fullmatch(value) else ""


@dataclass(frozen=True)
class Session:
    """Somebody who is logged in. `user` is None for a short-lived session of the provisioning."""

    number: int
    user: str | None
    role: str

    def may(self, role: str) -> bool:
        return ROLES.index(self.role) >= ROLES.index(role)


@dataclass(frozen=True)
class ClientInfo:
    """Whoever wants to log in: address, what the browser calls itself, and what it was given after an earlier login
    (see Auth.log_in)."""

    address: str
    agent: str = ""
    browser: str = ""

    @property
    def network(self) -> str:
        return rate_limit.network_of(self.address)


@dataclass(frozen=True)
class SessionTokens:
    """What a browser keeps after a login: the session's token, and a sign that it was here before."""

    session: str
    browser: str


def check_still_may(role: str, by: Session, database: sqlite3.Connection) -> None:
    """To be asked within the transaction that acts: raises ApiError if the session or token has ended since the request
    came, or may less."""
    if by.number:
        row = database.execute(
            "SELECT coalesce(users.role, sessions.role) AS role "
            "FROM sessions LEFT JOIN users ON users.name = sessions.user WHERE number = ?",
            (by.number,),
        ).fetchone()
    else:
        row = database.execute(
            "SELECT role FROM tokens WHERE 'token ' || name = ?", (by.user,)
        ).fetchone()
    if not row:
        raise ApiError(401, "Log in first.")
    if not Session(by.number, by.user, row["role"]).may(role):
        raise ApiError(
            403,
            "This needs the role {needed}. Your role is {role}.",
            needed=role,
            role=row["role"],
        )


class Sessions:
    def __init__(self, store: Store, idle_seconds: float, absolute_seconds: float):
        self._store = store
        self._idle = idle_seconds
        self._absolute = absolute_seconds

    def create(
        self, name: str, proven: tuple[str, bytes | None], client: ClientInfo
    ) -> SessionTokens:
        """For a user whose password and second factor (`proven`, as the database has them) were seen to be right: if
        they still are these. What the browser was remembered by before is replaced."""
        tokens = SessionTokens(secrets.token_urlsafe(32), secrets.token_urlsafe(32))
        now = self._store.now()
        with self._store.transaction() as database:
            # Comparing a password takes a second, in which it may have been changed, and the user removed.
            row = database.execute(
                "SELECT password, totp_key FROM users WHERE name = ?", (name,)
            ).fetchone()
            if not row or tuple(row) != proven:
                raise ApiError(401, "The name or the password is wrong.")
            database.execute(
                "DELETE FROM sessions WHERE expires <= ? OR seen <= ?", (now, now - self._idle)
            )
            database.execute(
                "DELETE FROM remembered_browsers WHERE expires <= ? OR hash = ?",
                (now, hashed(client.browser)),
            )
            expires = now + self._absolute
            row = (tokens.session, name, None, now, expires, client.network, client.agent)
            self._insert(database, *row)
            database.execute(
                "INSERT INTO remembered_browsers VALUES (?, ?, ?)",
                (hashed(tokens.browser), name, now + REMEMBERED_BROWSER_SECONDS),
            )
            for table, order, most in (
                ("sessions", "number", SESSIONS_MAX),
                ("remembered_browsers", "expires", REMEMBERED_BROWSERS_MAX),
            ):
                database.execute(
                    f"DELETE FROM {table} WHERE user = ? AND rowid NOT IN (SELECT rowid FROM {table} "
                    f"WHERE user = ? ORDER BY {order} DESC LIMIT ?)",
                    (name, name, most),
                )
        return tokens

    def create_for_provisioning(self, role: str, seconds: float) -> str:
        """For the viewer that proves the picture."""
        token = secrets.token_urlsafe(32)
        now = self._store.now()
        with self._store.transaction() as database:
            database.execute("DELETE FROM sessions WHERE expires <= ?", (now,))
            self._insert(database, token, None, role, now, now + seconds, "device", "provisioning")
        audit.note("session", f"a session as {role} was made on the device", role=role)
        return token

    @staticmethod
    def _insert(
        database: sqlite3.Connection,
        token: str,
        user: str | None,
        role: str | None,
        now: float,
        expires: float,
        network: str,
        agent: str,
    ) -> None:
        database.execute(
            "INSERT INTO sessions (hash, user, role, created, seen, expires, network, agent) "
            "VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (hashed(token), user, role, now, now, expires, network, agent[:LONGEST_INPUT]),
        )

    def find(self, token: str) -> Session | None:
        """Whose session this is, if it still holds. Asking counts as use."""
        now = self._store.now()
        row = token and self._store.one(
            "SELECT number, user, coalesce(users.role, sessions.role) AS role, seen "
            "FROM sessions LEFT JOIN users ON users.name = sessions.user "
            "WHERE hash = ? AND expires > ? AND seen > ?",
            hashed(token),
            now,
            now - self._idle,
        )
        if not row:
            return None
        self._store.note_seen("sessions", row, now)
        return Session(row["number"], row["user"], row["role"])

    @staticmethod
    def csrf_token(token: str) -> str:
        """What a page of this session sends with each change, and a foreign page can't know."""
        return hmac.digest(token.encode(), b"csrf", "sha256").hex()

    def remembers(self, browser: str, name: str) -> bool:
        """Whether this user logged in with this browser before."""
        row = self._store.one(
            "SELECT 1 FROM remembered_browsers WHERE hash = ? AND user = ? AND expires > ?",
            hashed(browser),
            name,
            self._store.now(),
        )
        return row is not None

    def all(self) -> list[dict]:
        """With times by the device's clock as it is now."""
        now = self._store.now()
        late = time.time() - now
        return self._store.all(
            "SELECT number, user, coalesce(users.role, sessions.role) AS role, created + ? AS created, "
            "seen + ? AS seen, network, agent FROM sessions LEFT JOIN users ON users.name = sessions.user "
            "WHERE expires > ? AND sessions.seen > ? ORDER BY created DESC",
            late,
            late,
            now,
            now - self._idle,
        )

    def log_out(self, session: Session) -> None:
        self._store.do("DELETE FROM sessions WHERE number = ?", session.number)
        audit.note("logout", f"{session.user} logged out", user=session.user)

    def revoke(self, number: int, by: Session) -> None:
        with self._store.transaction() as database:
            check_still_may("admin", by, database)
            done = database.execute("DELETE FROM sessions WHERE number = ?", (number,))
            if not done.rowcount:
                raise ApiError(404, "There is no such session. It may have ended already.")
        audit.note("session_revoked", f"{by.user} ended session {number}", by=by.user)
