# SPDX-License-Identifier: MIT
"""Who may use this device: login, set-up, and changes that need the password. It knows nothing of HTTP but the status
that a refusal has.

Used by the web app, by relay and HID service (which ask whose session a token is, and whether it still holds) and by
the command line.
"""

import hmac
import sqlite3
import time
from functools import cached_property
from pathlib import Path

from tinypilot import audit
from tinypilot.auth import passwords, rate_limit, second_factor
from tinypilot.auth.codes import hashed, random_code, typed_code
from tinypilot.auth.second_factor import SecondFactor
from tinypilot.auth.sessions import (
    COOKIE_PREFIX,
    ClientInfo,
    Session,
    Sessions,
    SessionTokens,
    cookie_in,
)
from tinypilot.auth.store import Store
from tinypilot.auth.tokens import ApiTokens
from tinypilot.auth.users import NAME, Users, check_new
from tinypilot.config import Config
from tinypilot.errors import ApiError

SETUP_CODE_SECONDS = 24 * 3600


class Auth:
    def __init__(
        self, path: Path, idle_seconds: float, absolute_seconds: float, stands_in: bool = False
    ):
        self.store = Store(path, stands_in=stands_in)
        self.users = Users(self.store)
        self.sessions = Sessions(self.store, idle_seconds, absolute_seconds)
        self.tokens = ApiTokens(self.store)
        self._second_factor = SecondFactor(self.store)

    @classmethod
    def from_config(cls, config: Config, stands_in: bool = False) -> "Auth":
        idle, absolute = 60 * config.idle_minutes, 60 * config.absolute_minutes
        return cls(config.auth_file, idle, absolute, stands_in)

    @cached_property
    def session_cookie(self) -> str:
        """This device's name of it. The web app sets the cookie, relay and HID service read it."""
        row = self.store.one("SELECT id FROM device")
        assert row, "make_database() has put one in"
        return f"{COOKIE_PREFIX}-{row['id']}"

    def token_in(self, cookies: str) -> str:
        """The session's token, in the Cookie header of a request."""
        return cookie_in(cookies, self.session_cookie, COOKIE_PREFIX)

    def session_for(self, token: str) -> Session | None:
        """Whose session this is, if it still holds."""
        return self.sessions.find(token)

    def holder_of(self, token: str) -> Session | None:
        """Whose session or API token this is, if it still holds."""
        return self.session_for(token) or self.tokens.session_for(token)

    def log_in(self, name: str, password: str, code: str, client: ClientInfo) -> SessionTokens:
        """Raises ApiError. A browser that was logged in before has attempts of its own, so that nobody can lock the
        owner out by guessing."""
        name = name.strip().lower()
        user = self.users.find(name) if NAME.fullmatch(name) else None
        attempts = self._login_attempts(name, user, client)
        self._consume(attempts, client, user)
        password_hash = user["password"] if user else passwords.dummy_hash()
        if not self._matches(password, password_hash, attempts) or not user:
            self._note_refused("wrong name or password", client, user)
            raise ApiError(401, "The name or the password is wrong.")
        if user["totp_key"]:
            if not code:
                rate_limit.refund(self.store, attempts)
                raise ApiError(401, "Enter the code from your authenticator app.", code_needed=True)
            if not self._second_factor.use(user, code):
                self._note_refused("wrong code", client, user)
                raise ApiError(
                    401,
                    "The code is wrong or was already used. The device's clock says {time} UTC.",
                    code_needed=True,
                    time=time.strftime("%Y-%m-%d %H:%M", time.gmtime(time.time())),
                )
        rate_limit.refund(self.store, attempts)
        tokens = self.sessions.create(name, (user["password"], user["totp_key"]), client)
        audit.note("login", f"{name} logged in", user=name, network=client.network)
        return tokens

    def new_setup_code(self) -> str:
        """A code for whoever provisions the device or is root on it. It replaces the one before."""
        code = random_code(4, 4)
        expires = self.store.now() + SETUP_CODE_SECONDS
        self.store.do(
            "INSERT OR REPLACE INTO setup_code VALUES (1, ?, ?)", hashed(typed_code(code)), expires
        )
        audit.note("setup_code", "a set-up code was made")
        return code

    def set_up(self, code: str, name: str, password: str, client: ClientInfo) -> SessionTokens:
        """The code makes an admin of whoever has it: the first one, or one who forgot the password."""
        name = name.strip().lower()
        check_new(name, password)
        given = hashed(typed_code(code))
        now = self.store.now()
        # Not longer than it was given: a Pi may be started with a clock that is late.
        row = self.store.one(
            "SELECT hash FROM setup_code WHERE expires BETWEEN ? AND ?",
            now,
            now + SETUP_CODE_SECONDS,
        )
        if not row or not hmac.compare_digest(row["hash"], given):
            # Nobody guesses 80 bits, and strangers who try must not keep out who has the code. They are only told to
            # stop.
            self._consume({client.network: rate_limit.NETWORK_ATTEMPTS}, client, None)
            self._note_refused("wrong set-up code", client, None)
            raise ApiError(
                401,
                "The set-up code is wrong or has expired. `sudo tinypilot setup-code` on the device prints a new one.",
            )
        password_hash = passwords.hash_password(password)
        with self.store.transaction() as database:
            # Of two who use it at once one comes too late.
            if not database.execute("DELETE FROM setup_code WHERE hash = ?", (given,)).rowcount:
                raise ApiError(401, "The set-up code has just been used.")
            database.execute("DELETE FROM users WHERE name = ?", (name,))
            database.execute(
                "INSERT INTO users (name, role, password) VALUES (?, 'admin', ?)",
                (name, password_hash),
            )
        audit.note("setup", f"{name} was set up", user=name, network=client.network)
        return self.sessions.create(name, (password_hash, None), client)

    def change_password(
        self, session: Session, old: str, new: str, client: ClientInfo
    ) -> SessionTokens:
        """Ends all sessions and tokens of the user; the one who changed it gets another session."""
        user = self._verify_password(session, old, client)
        password_hash = self.users.change_password(user, new, session)
        name = user["name"]
        audit.note(
            "password_changed", f"{name} changed the password", user=name, network=client.network
        )
        return self.sessions.create(name, (password_hash, user["totp_key"]), client)

    def turn_on_totp(
        self, session: Session, key: bytes, code: str, password: str, client: ClientInfo
    ) -> list[str]:
        """Once the app has shown that it knows the key. Returns the recovery codes, which are shown once."""
        user = self._verify_password(session, password, client)
        name = user["name"]
        step = second_factor.step_of(key, code)
        if step is None:
            raise ApiError(
                400,
                "The code is wrong. Check that the app has this key, and that both clocks are right.",
            )
        codes = self._second_factor.turn_on(user, session, key, step)
        audit.note("totp_on", f"{name} turned two-factor authentication on", user=name)
        return codes

    def turn_off_totp(self, session: Session, password: str, client: ClientInfo) -> None:
        user = self._verify_password(session, password, client)
        name = user["name"]
        self._second_factor.turn_off(user, session)
        audit.note("totp_off", f"{name} turned two-factor authentication off", user=name)

    def _verify_password(self, session: Session, password: str, client: ClientInfo) -> sqlite3.Row:
        """The user of the session, who knows the password: an unlocked screen is not enough."""
        user = self.users.find(session.user) if session.user else None
        if not user:
            raise ApiError(403, "This session belongs to no user.")
        attempts = {f"session {session.number}": rate_limit.NETWORK_ATTEMPTS}
        self._consume(attempts, client, user)
        if not self._matches(password, user["password"], attempts):
            self._note_refused("wrong password", client, user)
            raise ApiError(403, "The current password is wrong.")
        rate_limit.refund(self.store, attempts)
        return user

    def _login_attempts(
        self, name: str, user: sqlite3.Row | None, client: ClientInfo
    ) -> dict[str, int]:
        if user and self.sessions.remembers(client.browser, name):
            return {f"browser {hashed(client.browser).hex()}": rate_limit.NETWORK_ATTEMPTS}
        # Hashed: what is typed as a name may be a password.
        account = f"account {hashed(name).hex()}"
        return {client.network: rate_limit.NETWORK_ATTEMPTS, account: rate_limit.ACCOUNT_ATTEMPTS}

    def _consume(
        self, attempts: dict[str, int], client: ClientInfo, user: sqlite3.Row | None
    ) -> None:
        try:
            rate_limit.consume(self.store, attempts)
        except rate_limit.TooManyAttempts as error:
            self._note_refused("too many attempts", client, user)
            minutes = -(-error.retry_after // 60)
            raise ApiError(
                429,
                "Too many failed attempts. Try again in {minutes} min.",
                minutes=minutes,
                retry_after=error.retry_after,
            ) from error

    def _matches(self, password: str, password_hash: str, attempts: dict[str, int]) -> bool:
        try:
            return passwords.matches(password, password_hash)
        except passwords.Busy:
            # Nothing was compared.
            rate_limit.refund(self.store, attempts)
            raise

    @staticmethod
    def _note_refused(reason: str, client: ClientInfo, user: sqlite3.Row | None) -> None:
        name = user["name"] if user else "unknown"
        audit.note(
            "login_refused",
            f"login of {name} refused: {reason}",
            refused=True,
            user=name,
            network=client.network,
            reason=reason,
        )
