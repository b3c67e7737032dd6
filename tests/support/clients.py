# SPDX-License-Identifier: MIT
"""Who uses the device: programs and people."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import requests

from .device import Device
from .remote_screen import RemoteScreen

PASSWORD = "correct horse battery"
_REMOVE_USERS = """
import sqlite3, sys
database = sqlite3.connect("/var/lib/tinypilot/auth.sqlite3", timeout=20)
database.execute("PRAGMA foreign_keys = ON")
with database:
    if sys.argv[1] == "before":
        database.execute("DROP TABLE IF EXISTS provisioned_users")
        database.execute("CREATE TABLE provisioned_users AS SELECT * FROM users WHERE is_provisioned")
    for table in ("users", "sessions", "rate_limits"):
        database.execute(f"DELETE FROM {table}")
    if sys.argv[1] == "after":
        database.execute("INSERT INTO users SELECT * FROM provisioned_users")
        database.execute("DROP TABLE provisioned_users")
"""


@contextlib.contextmanager
def without_users(device: Device) -> Iterator[None]:
    """Nobody knows the device meanwhile; those of the provisioning are back afterwards, and nobody else."""
    device.python(_REMOVE_USERS, "before")
    yield
    device.python(_REMOVE_USERS, "after")


class Client:
    """A program that sends what a page does."""

    def __init__(self, device: Device, cookie: str = ""):
        self.device = device
        self.http = requests.Session()
        self.http.trust_env = False  # its certificate bundle would win over verify
        self.http.headers["Origin"] = device.url.rstrip("/")
        if cookie:
            self.http.headers["Cookie"] = cookie

    def ask(self, method: str, path: str, json: object = None, **headers: str) -> requests.Response:
        url = self.device.url + path.removeprefix("/")
        return self.http.request(
            method, url, json=json, headers=headers, verify=False, allow_redirects=False, timeout=20
        )

    def change(self, method: str, path: str, json: object = None) -> requests.Response:
        csrf = self.ask("GET", "/api/session").json()["csrf"]
        return self.ask(method, path, json, **{"X-CSRF-Token": csrf})

    def log_in(self, name: str, password: str = PASSWORD) -> requests.Response:
        return self.ask("POST", "/api/login", {"name": name, "password": password, "code": ""})


def add_user(admin: Client, name: str, role: str) -> None:
    user = {"name": name, "role": role, "password": PASSWORD}
    assert admin.change("POST", "/api/users", user).status_code == 200


def log_in(screen: RemoteScreen, name: str) -> None:
    """By the page, as a person does, in whatever language."""
    screen.page.wait_for_url("**/login*")
    # Its scripts are there.
    screen.wait_for("#login [type=submit]:enabled")
    screen.page.locator("#name").fill(name)
    screen.page.locator("#password").fill(PASSWORD)
    screen.page.locator("#login [type=submit]").click()
