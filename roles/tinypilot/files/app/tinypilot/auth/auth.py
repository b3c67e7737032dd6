# SPDX-License-Identifier: MIT
"""Who may come in: users, the set-up code, sessions. Everything that is decided is decided here.

Used by the web app, by the relay (which asks who somebody is, and whether that still holds) and by the
command line. It knows nothing of HTTP but the status that a refusal has.
"""

import contextlib
import hashlib
import hmac
import re
import secrets
import sqlite3
import time
from dataclasses import dataclass
from pathlib import Path

from tinypilot import audit
from tinypilot.auth import passwords, rate_limit, second_factor
from tinypilot.auth.store import Store
from tinypilot.config import Config
from tinypilot.errors import ApiError

# Each may what those before it may: watch; control the computer; manage users and sessions.
ROLES = ("viewer", "operator", "admin")
NAME = re.compile(r"[a-z0-9][a-z0-9._@-]{0,31}")
LONGEST_INPUT = 256
# The web app sets it, the relay reads it.
SESSION_COOKIE = "__Host-tinypilot"
# Without 0, 1, I, O: to be read off a screen and typed.
CODE_ALPHABET = "23456789ABCDEFGHJKLMNPQRSTUVWXYZ"
SETUP_CODE_SECONDS = 24 * 3600
RECOVERY_CODES = 10
REMEMBERED_BROWSER_SECONDS = 180 * 24 * 3600
SEEN_EACH_SECONDS = 60


@dataclass(frozen=True)
class Session:
    """Somebody who came in. `user` is None for a short-lived session of the play."""

    number: int
    user: str | None
    role: str

    def may(self, role: str) -> bool:
        return ROLES.index(self.role) >= ROLES.index(role)


@dataclass(frozen=True)
class ClientInfo:
    """Where somebody who wants to come in stands: address, what the browser calls itself, and what it was
    given after an earlier login (see Auth.log_in)."""

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


class Auth:
    def __init__(self, path: Path, idle_seconds: float, absolute_seconds: float):
        self.store = Store(path)
        self._idle = idle_seconds
        self._absolute = absolute_seconds

    @classmethod
    def from_config(cls, config: Config) -> "Auth":
        return cls(config.auth_file, 60 * config.idle_minutes, 60 * config.absolute_minutes)

    # --- Coming in ---

    def has_users(self) -> bool:
        return self._one("SELECT 1 FROM users LIMIT 1") is not None

    def log_in(self, name: str, password: str, code: str, client: ClientInfo) -> SessionTokens:
        """Raises ApiError. A browser that was let in before has attempts of its own, so that nobody can lock
        the owner out by guessing."""
        name = name.strip().lower()
        user = self._user(name) if NAME.fullmatch(name) else None
        attempts = self._attempts(name, user, client)
        self._take(attempts, client, user)
        hashed = user["password"] if user else passwords.dummy_hash()
        if not self._matches(password, hashed, attempts) or not user:
            self._note_refused("wrong name or password", client, user)
            raise ApiError(401, "The name or the password is wrong.")
        if user["totp_key"]:
            if not code:
                rate_limit.refund(self.store, attempts)
                raise ApiError(401, "Enter the code from your authenticator app.", code_needed=True)
            if not self._use_code(user, code):
                self._note_refused("wrong code", client, user)
                raise ApiError(401, "The code is wrong or was already used.", code_needed=True)
        rate_limit.refund(self.store, attempts)
        tokens = self._create_session(name, client)
        audit.note("login", f"{name} logged in", user=name, network=client.network)
        return tokens

    def new_setup_code(self) -> str:
        """A code for whoever provisions the device or is root on it. It replaces the one before."""
        code = "-".join(_random_code(4) for _ in range(4))
        with self.store.transaction() as database:
            database.execute(
                "INSERT OR REPLACE INTO setup_code VALUES (1, ?, ?)",
                (_hash(code), time.time() + SETUP_CODE_SECONDS),
            )
        audit.note("setup_code", "a set-up code was made")
        return code

    def set_up(self, code: str, name: str, password: str, client: ClientInfo) -> SessionTokens:
        """The code makes an admin of whoever has it: the first one, or one who forgot the password."""
        name = name.strip().lower()
        self._check_new(name, password)
        attempts = {
            client.network: rate_limit.NETWORK_ATTEMPTS,
            "setup": rate_limit.ACCOUNT_ATTEMPTS,
        }
        self._take(attempts, client, None)
        given = _hash(code.strip().upper())
        row = self._one("SELECT hash FROM setup_code WHERE expires > ?", time.time())
        if not row or not hmac.compare_digest(row["hash"], given):
            self._note_refused("wrong set-up code", client, None)
            raise ApiError(
                401,
                "The set-up code is wrong or has expired. `sudo tinypilot setup-code` on the device prints a new one.",
            )
        rate_limit.refund(self.store, attempts)
        hashed = passwords.hash_password(password)
        with self.store.transaction() as database:
            # Of two who use it at once one comes too late.
            if not database.execute("DELETE FROM setup_code WHERE hash = ?", (given,)).rowcount:
                raise ApiError(401, "The set-up code has just been used.")
            database.execute("DELETE FROM users WHERE name = ?", (name,))
            database.execute(
                "INSERT INTO users (name, role, password) VALUES (?, 'admin', ?)", (name, hashed)
            )
        audit.note("setup", f"{name} was set up", user=name, network=client.network)
        return self._create_session(name, client)

    def new_provisioning_session(self, role: str, seconds: float) -> str:
        """For the play's own viewer."""
        token = secrets.token_urlsafe(32)
        now = time.time()
        with self.store.transaction() as database:
            database.execute("DELETE FROM sessions WHERE expires <= ?", (now,))
            self._insert_session(
                database, token, None, role, now, now + seconds, "device", "provisioning"
            )
        audit.note("session", f"a session as {role} was made on the device", role=role)
        return token

    def _create_session(self, name: str, client: ClientInfo) -> SessionTokens:
        tokens = SessionTokens(secrets.token_urlsafe(32), secrets.token_urlsafe(32))
        now = time.time()
        with self.store.transaction() as database:
            database.execute(
                "DELETE FROM sessions WHERE expires <= ? OR seen <= ?", (now, now - self._idle)
            )
            database.execute(
                "DELETE FROM remembered_browsers WHERE expires <= ? OR hash = ?",
                (now, _hash(client.browser)),
            )
            self._insert_session(
                database,
                tokens.session,
                name,
                None,
                now,
                now + self._absolute,
                client.network,
                client.agent,
            )
            database.execute(
                "INSERT INTO remembered_browsers VALUES (?, ?, ?)",
                (_hash(tokens.browser), name, now + REMEMBERED_BROWSER_SECONDS),
            )
        return tokens

    @staticmethod
    def _insert_session(database, token, user, role, now, expires, network, agent):
        database.execute(
            "INSERT INTO sessions (hash, user, role, created, seen, expires, network, agent) "
            "VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (_hash(token), user, role, now, now, expires, network, agent[:LONGEST_INPUT]),
        )

    def _attempts(self, name: str, user, client: ClientInfo) -> dict[str, int]:
        known = user and self._one(
            "SELECT 1 FROM remembered_browsers WHERE hash = ? AND user = ? AND expires > ?",
            _hash(client.browser),
            name,
            time.time(),
        )
        if known:
            return {f"browser {_hash(client.browser).hex()}": rate_limit.NETWORK_ATTEMPTS}
        # Hashed: what is typed as a name may be a password.
        account = f"account {_hash(name).hex()}"
        return {client.network: rate_limit.NETWORK_ATTEMPTS, account: rate_limit.ACCOUNT_ATTEMPTS}

    def _take(self, attempts: dict[str, int], client: ClientInfo, user) -> None:
        try:
            rate_limit.consume(self.store, attempts)
        except rate_limit.TooManyAttempts as error:
            self._note_refused("too many tries", client, user)
            minutes = -(-error.retry_after // 60)
            raise ApiError(
                429,
                "Too many failed attempts. Try again in {minutes} min.",
                minutes=minutes,
                retry_after=error.retry_after,
            ) from error

    @staticmethod
    def _note_refused(reason: str, client: ClientInfo, user) -> None:
        name = user["name"] if user else "unknown"
        audit.note(
            "login_refused",
            f"login of {name} refused: {reason}",
            refused=True,
            user=name,
            network=client.network,
            reason=reason,
        )

    def _use_code(self, user, typed: str) -> bool:
        """The app's code, or one of the recovery codes; each once."""
        typed = typed.replace(" ", "").upper()
        step = second_factor.step_of(user["totp_key"], typed)
        with self.store.transaction() as database:
            if step is not None:
                used = database.execute(
                    "UPDATE users SET totp_step = ? WHERE name = ? AND totp_step < ?",
                    (step, user["name"], step),
                )
            else:
                used = database.execute(
                    "DELETE FROM recovery_codes WHERE hash = ? AND user = ?",
                    (_hash(typed.replace("-", "")), user["name"]),
                )
            return used.rowcount == 1

    # --- Being in ---

    def session_for(self, token: str) -> Session | None:
        """Whose session this is, if it still holds. Asking is a sign of life."""
        now = time.time()
        row = token and self._one(
            "SELECT number, user, coalesce(users.role, sessions.role) AS role, seen "
            "FROM sessions LEFT JOIN users ON users.name = sessions.user "
            "WHERE hash = ? AND expires > ? AND seen > ?",
            _hash(token),
            now,
            now - self._idle,
        )
        if not row:
            return None
        if now - row["seen"] > SEEN_EACH_SECONDS:
            self._note_seen("sessions", row["number"], now)
        return Session(row["number"], row["user"], row["role"])

    @staticmethod
    def csrf_token(token: str) -> str:
        """What a page of this session sends with each change, and a foreign page can't know."""
        return hmac.digest(token.encode(), b"csrf", "sha256").hex()

    def sessions(self) -> list[dict]:
        now = time.time()
        rows = self.store.database.execute(
            "SELECT number, user, coalesce(users.role, sessions.role) AS role, created, seen, network, agent "
            "FROM sessions LEFT JOIN users ON users.name = sessions.user "
            "WHERE expires > ? AND seen > ? ORDER BY created DESC",
            (now, now - self._idle),
        )
        return [dict(row) for row in rows]

    def log_out(self, session: Session) -> None:
        self._do("DELETE FROM sessions WHERE number = ?", session.number)
        audit.note("logout", f"{session.user} logged out", user=session.user)

    def revoke(self, number: int, by: Session) -> None:
        if not self._do("DELETE FROM sessions WHERE number = ?", number):
            raise ApiError(404, "There is no such session. It may have ended already.")
        audit.note("session_revoked", f"{by.user} ended session {number}", by=by.user)

    # --- Programs ---

    def api_token_session(self, token: str) -> Session | None:
        """Which program this is. It is in by each request anew, and has nothing that a page has."""
        row = self._one("SELECT number, name, role, seen FROM tokens WHERE hash = ?", _hash(token))
        if not row:
            return None
        now = time.time()
        if now - (row["seen"] or 0) > SEEN_EACH_SECONDS:
            self._note_seen("tokens", row["number"], now)
        # No user has such a name, and no session this number.
        return Session(0, f"token {row['name']}", row["role"])

    def tokens(self) -> list[dict]:
        rows = self.store.database.execute(
            "SELECT number, name, role, made_by, created, seen FROM tokens ORDER BY name"
        )
        return [dict(row) for row in rows]

    def add_token(self, name: str, role: str, by: Session) -> str:
        """The token, which nobody is shown again."""
        if not NAME.fullmatch(name):
            raise ApiError(
                400,
                "A name has 1 to 32 characters: a-z, 0-9 and . _ @ -, and begins with a letter or a digit.",
            )
        self._check_role(role)
        token = f"kvm_{secrets.token_urlsafe(32)}"
        try:
            self._do(
                "INSERT INTO tokens (name, role, hash, made_by, created) VALUES (?, ?, ?, ?, ?)",
                name,
                role,
                _hash(token),
                by.user,
                time.time(),
            )
        except sqlite3.IntegrityError:
            raise ApiError(409, "A token with this name already exists.") from None
        audit.note(
            "token_added", f"{by.user} made the token {name} as {role}", role=role, by=by.user
        )
        return token

    def remove_token(self, number: int, by: Session) -> None:
        if not self._do("DELETE FROM tokens WHERE number = ?", number):
            raise ApiError(404, "There is no such token.")
        audit.note("token_removed", f"{by.user} removed token {number}", by=by.user)

    # --- Users ---

    def users(self) -> list[dict]:
        rows = self.store.database.execute(
            "SELECT name, role, is_provisioned, totp_key IS NOT NULL AS has_totp FROM users ORDER BY name"
        )
        return [
            {
                **row,
                "is_provisioned": bool(row["is_provisioned"]),
                "has_totp": bool(row["has_totp"]),
            }
            for row in map(dict, rows)
        ]

    def add_user(self, name: str, role: str, password: str, by: Session) -> None:
        name = name.strip().lower()
        self._check_new(name, password)
        self._check_role(role)
        hashed = passwords.hash_password(password)
        with self.store.transaction() as database:
            if database.execute("SELECT 1 FROM users WHERE name = ?", (name,)).fetchone():
                raise ApiError(409, "The user {name} already exists.", name=name)
            database.execute(
                "INSERT INTO users (name, role, password) VALUES (?, ?, ?)", (name, role, hashed)
            )
        audit.note(
            "user_added", f"{by.user} added {name} as {role}", user=name, role=role, by=by.user
        )

    def change_role(self, name: str, role: str, by: Session) -> None:
        """Ends the user's sessions: whoever has other rights comes in anew."""
        self._check_role(role)
        self._check_own(self._known(name))
        with self.store.transaction() as database:
            database.execute("UPDATE users SET role = ? WHERE name = ?", (role, name))
            self._check_admin_is_left(database)
            database.execute("DELETE FROM sessions WHERE user = ?", (name,))
        audit.note(
            "user_changed", f"{by.user} made {name} {role}", user=name, role=role, by=by.user
        )

    def remove_user(self, name: str, by: Session) -> None:
        self._check_own(self._known(name))
        with self.store.transaction() as database:
            database.execute("DELETE FROM users WHERE name = ?", (name,))
            self._check_admin_is_left(database)
        audit.note("user_removed", f"{by.user} removed {name}", user=name, by=by.user)

    def change_password(
        self, session: Session, old: str, new: str, client: ClientInfo
    ) -> SessionTokens:
        """Ends all sessions of the user; the one who changed it gets another."""
        user = self._verify_password(session, old, client)
        self._check_own(user)
        self._check_new(user["name"], new)
        hashed = passwords.hash_password(new)
        with self.store.transaction() as database:
            database.execute("UPDATE users SET password = ? WHERE name = ?", (hashed, user["name"]))
            for table in ("sessions", "remembered_browsers"):
                database.execute(f"DELETE FROM {table} WHERE user = ?", (user["name"],))
        name = user["name"]
        audit.note(
            "password_changed", f"{name} changed the password", user=name, network=client.network
        )
        return self._create_session(name, client)

    def set_provisioned_users(self, users: list[dict]) -> bool:
        """Makes the users that the play gives ({name, role, password: a hash}) the only ones that come from
        it. Returns whether anything changed. Sessions of those who changed end."""
        for user in users:
            if not NAME.fullmatch(user["name"]) or not passwords.is_hash(user["password"]):
                raise ApiError(
                    400,
                    "A provisioned user has an invalid name, or a password that is not a scrypt hash.",
                )
            self._check_role(user["role"])
        wanted = {user["name"]: (user["role"], user["password"]) for user in users}
        with self.store.transaction() as database:
            rows = database.execute(
                "SELECT name, role, password, is_provisioned FROM users"
            ).fetchall()
            there = {
                row["name"]: (row["role"], row["password"]) for row in rows if row["is_provisioned"]
            }
            if there == wanted:
                return False
            for name in {*there, *wanted}:
                if there.get(name) == wanted.get(name):
                    continue
                database.execute("DELETE FROM users WHERE name = ?", (name,))
                if name in wanted:
                    database.execute(
                        "INSERT INTO users (name, role, password, is_provisioned) VALUES (?, ?, ?, 1)",
                        (name, *wanted[name]),
                    )
        audit.note("provisioned_users", "provisioning set its users")
        return True

    # --- Two-factor ---

    def turn_on_totp(
        self, session: Session, key: bytes, code: str, password: str, client: ClientInfo
    ) -> list[str]:
        """Once the app has shown that it knows the key. Returns the recovery codes, which are shown once."""
        user = self._verify_password(session, password, client)
        step = second_factor.step_of(key, code.replace(" ", ""))
        if step is None:
            raise ApiError(
                400,
                "The code is wrong. Check that the app has this key, and that both clocks are right.",
            )
        codes = [f"{_random_code(5)}-{_random_code(5)}" for _ in range(RECOVERY_CODES)]
        with self.store.transaction() as database:
            database.execute(
                "UPDATE users SET totp_key = ?, totp_step = ? WHERE name = ?",
                (key, step, user["name"]),
            )
            database.execute("DELETE FROM recovery_codes WHERE user = ?", (user["name"],))
            database.executemany(
                "INSERT INTO recovery_codes VALUES (?, ?)",
                [(_hash(each.replace("-", "")), user["name"]) for each in codes],
            )
        audit.note("totp_on", f"{user['name']} turned codes on", user=user["name"])
        return codes

    def turn_off_totp(self, session: Session, password: str, client: ClientInfo) -> None:
        user = self._verify_password(session, password, client)
        with self.store.transaction() as database:
            database.execute("UPDATE users SET totp_key = NULL WHERE name = ?", (user["name"],))
            database.execute("DELETE FROM recovery_codes WHERE user = ?", (user["name"],))
        audit.note("totp_off", f"{user['name']} turned codes off", user=user["name"])

    # --- Helpers ---

    def _verify_password(self, session: Session, password: str, client: ClientInfo):
        """The user of the session, who knows the password: an unlocked screen is not enough."""
        user = self._user(session.user) if session.user else None
        if not user:
            raise ApiError(403, "This session belongs to no user.")
        attempts = {f"session {session.number}": rate_limit.NETWORK_ATTEMPTS}
        self._take(attempts, client, user)
        if not self._matches(password, user["password"], attempts):
            self._note_refused("wrong password", client, user)
            raise ApiError(403, "The current password is wrong.")
        rate_limit.refund(self.store, attempts)
        return user

    def _matches(self, password: str, hashed: str, attempts: dict) -> bool:
        try:
            return passwords.matches(password, hashed)
        except passwords.Busy:
            # Nothing was compared.
            rate_limit.refund(self.store, attempts)
            raise

    @staticmethod
    def _check_new(name: str, password: str) -> None:
        if not NAME.fullmatch(name):
            raise ApiError(
                400,
                "A name has 1 to 32 characters: a-z, 0-9 and . _ @ -, and begins with a letter or a digit.",
            )
        passwords.check(password, name)

    @staticmethod
    def _check_role(role: str) -> None:
        if role not in ROLES:
            raise ApiError(400, "The role must be one of {roles}.", roles=", ".join(ROLES))

    @staticmethod
    def _check_own(user) -> None:
        if user["is_provisioned"]:
            raise ApiError(
                409,
                "{name} is a provisioned user. Change tinypilot_users in the inventory and provision the device again.",
                name=user["name"],
            )

    @staticmethod
    def _check_admin_is_left(database) -> None:
        if not database.execute("SELECT 1 FROM users WHERE role = 'admin'").fetchone():
            raise ApiError(409, "This is the last admin. Create another admin first.")

    def _known(self, name: str):
        user = self._user(name)
        if not user:
            raise ApiError(404, "There is no such user.")
        return user

    def _user(self, name: str):
        return self._one("SELECT * FROM users WHERE name = ?", name)

    def _note_seen(self, table: str, number: int, now: float) -> None:
        # On a full disk nobody is locked out for a note.
        with contextlib.suppress(sqlite3.OperationalError):
            self._do(f"UPDATE {table} SET seen = ? WHERE number = ?", now, number)

    def _one(self, query: str, *values):
        return self.store.database.execute(query, values).fetchone()

    def _do(self, statement: str, *values) -> int:
        return self.store.database.execute(statement, values).rowcount


def _hash(secret: str) -> bytes:
    """Of a secret with so much chance in it that nobody can guess it: no salt, no slowness."""
    return hashlib.sha256(secret.encode()).digest()


def _random_code(length: int) -> str:
    return "".join(secrets.choice(CODE_ALPHABET) for _ in range(length))
