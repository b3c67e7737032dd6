# SPDX-License-Identifier: MIT
"""Users: those that an admin adds, and those that the provisioning sets."""

import re
import sqlite3

from tinypilot import audit
from tinypilot.auth import passwords
from tinypilot.auth.sessions import ROLES, Session, check_still_may
from tinypilot.auth.store import Store
from tinypilot.errors import ApiError

NAME = re.compile(r"[a-z0-9][a-z0-9._@-]{0,31}")
USERS_MAX = 100


def check_name(name: str) -> None:
    if not NAME.fullmatch(name):
        raise ApiError(
            400,
            "A name has 1 to 32 characters: a-z, 0-9 and . _ @ -, and begins with a letter or a digit.",
        )


def check_role(role: str) -> None:
    if role not in ROLES:
        raise ApiError(400, "The role must be one of {roles}.", roles=", ".join(ROLES))


def check_new(name: str, password: str) -> None:
    check_name(name)
    passwords.check(password, name)


class Users:
    def __init__(self, store: Store):
        self._store = store

    def exist(self) -> bool:
        return self._store.one("SELECT 1 FROM users LIMIT 1") is not None

    def all(self) -> list[dict]:
        rows = self._store.all(
            "SELECT name, role, is_provisioned, totp_key IS NOT NULL AS has_totp FROM users ORDER BY name"
        )
        flags = ("is_provisioned", "has_totp")
        return [{**row, **{flag: bool(row[flag]) for flag in flags}} for row in rows]

    def find(self, name: str) -> sqlite3.Row | None:
        """The user's row of the database."""
        return self._store.one("SELECT * FROM users WHERE name = ?", name)

    def add(self, name: str, role: str, password: str, by: Session) -> None:
        name = name.strip().lower()
        check_new(name, password)
        check_role(role)
        password_hash = passwords.hash_password(password)
        with self._store.transaction() as database:
            check_still_may("admin", by, database)
            (count,) = database.execute("SELECT count(*) FROM users").fetchone()
            if count >= USERS_MAX:
                raise ApiError(
                    409, "There are {most} users already. Remove one first.", most=USERS_MAX
                )
            if database.execute("SELECT 1 FROM users WHERE name = ?", (name,)).fetchone():
                raise ApiError(409, "The user {name} already exists.", name=name)
            database.execute(
                "INSERT INTO users (name, role, password) VALUES (?, ?, ?)",
                (name, role, password_hash),
            )
        audit.note(
            "user_added", f"{by.user} added {name} as {role}", user=name, role=role, by=by.user
        )

    def change_role(self, name: str, role: str, by: Session) -> None:
        """Ends the user's sessions and tokens: a changed role takes effect at the next login."""
        check_role(role)
        with self._store.transaction() as database:
            check_still_may("admin", by, database)
            self._check_may_be_changed(name)
            database.execute("UPDATE users SET role = ? WHERE name = ?", (role, name))
            self._check_admin_is_left(database)
        audit.note(
            "user_changed", f"{by.user} made {name} {role}", user=name, role=role, by=by.user
        )

    def remove(self, name: str, by: Session) -> None:
        with self._store.transaction() as database:
            check_still_may("admin", by, database)
            self._check_may_be_changed(name)
            database.execute("DELETE FROM users WHERE name = ?", (name,))
            self._check_admin_is_left(database)
        audit.note("user_removed", f"{by.user} removed {name}", user=name, by=by.user)

    def change_password(self, user: sqlite3.Row, password: str, by: Session) -> str:
        """Ends all sessions and tokens of the user, and forgets the user's browsers. Returns the hash."""
        check_not_provisioned(user)
        name = user["name"]
        check_new(name, password)
        password_hash = passwords.hash_password(password)
        with self._store.transaction() as database:
            check_unchanged(user, by, database)
            database.execute("UPDATE users SET password = ? WHERE name = ?", (password_hash, name))
            database.execute("DELETE FROM remembered_browsers WHERE user = ?", (name,))
        return password_hash

    def set_provisioned(self, users: list[dict]) -> bool:
        """Makes these users ({name, role, password: a hash}) the only ones of the provisioning. Returns whether
        anything changed. Sessions of those who changed end."""
        # To YAML a name of digits is a number.
        users = [{**user, "name": str(user["name"])} for user in users]
        for user in users:
            if not NAME.fullmatch(user["name"]) or not passwords.is_hash(user["password"]):
                raise ApiError(
                    400,
                    "A provisioned user has an invalid name, or a password that is not a scrypt hash.",
                )
            check_role(user["role"])
        desired = {user["name"]: (user["role"], user["password"]) for user in users}
        with self._store.transaction() as database:
            rows = database.execute(
                "SELECT name, role, password FROM users WHERE is_provisioned"
            ).fetchall()
            present = {row["name"]: (row["role"], row["password"]) for row in rows}
            if present == desired:
                return False
            for name in {*present, *desired}:
                if present.get(name) == desired.get(name):
                    continue
                database.execute("DELETE FROM users WHERE name = ?", (name,))
                if name in desired:
                    database.execute(
                        "INSERT INTO users (name, role, password, is_provisioned) VALUES (?, ?, ?, 1)",
                        (name, *desired[name]),
                    )
        audit.note("provisioned_users", "provisioning set its users")
        return True

    def _check_may_be_changed(self, name: str) -> None:
        user = self.find(name)
        if not user:
            raise ApiError(404, "There is no such user.")
        check_not_provisioned(user)

    @staticmethod
    def _check_admin_is_left(database: sqlite3.Connection) -> None:
        if not database.execute("SELECT 1 FROM users WHERE role = 'admin'").fetchone():
            raise ApiError(409, "This is the last admin. Create another admin first.")


def check_not_provisioned(user: sqlite3.Row) -> None:
    if user["is_provisioned"]:
        raise ApiError(
            409,
            "{name} is a provisioned user. Change tinypilot_users in the inventory and provision the device again.",
            name=user["name"],
        )


def check_unchanged(user: sqlite3.Row, by: Session, database: sqlite3.Connection) -> None:
    """To be asked within the transaction that acts: raises ApiError if the user's password or second factor are others
    than those that were compared, or the session has ended meanwhile."""
    check_still_may("viewer", by, database)
    row = database.execute(
        "SELECT password, totp_key FROM users WHERE name = ?", (user["name"],)
    ).fetchone()
    if not row or tuple(row) != (user["password"], user["totp_key"]):
        raise ApiError(403, "The current password is wrong.")
