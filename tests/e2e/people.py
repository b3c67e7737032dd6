# SPDX-License-Identifier: MIT
"""Who uses the device: programs and people at its door."""

from __future__ import annotations

import requests

from .device import Device
from .remote_screen import RemoteScreen

PASSWORD = "correct horse battery"
_REMOVE_USERS = """
import sqlite3
database = sqlite3.connect("/var/lib/tinypilot/door.sqlite", timeout=20)
database.execute("PRAGMA foreign_keys = ON")
with database:
    database.execute("DELETE FROM users")
    database.execute("DELETE FROM sessions")
    database.execute("DELETE FROM throttle")
"""


def remove_everybody(device: Device) -> None:
    device.python(_REMOVE_USERS)


class Client:
    """A program that speaks to the door as a page does."""

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
    screen.page.wait_for_url("**/login")
    screen.page.locator("#name").fill(name)
    screen.page.locator("#password").fill(PASSWORD)
    screen.page.locator("#login [type=submit]").click()
