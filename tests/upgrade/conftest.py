# SPDX-License-Identifier: MIT
"""A virtual Pi that an older commit has made, used by people, and provisioned again with this checkout."""

from __future__ import annotations

import contextlib
import ssl
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import requests

from tests.support import ROOT
from tests.support.ansible import Played, play
from tests.support.clients import PASSWORD, Client, add_user
from tests.support.device import Device
from tests.support.remote_screen import RemoteScreen, launch_browser
from tests.support.waiting import wait_until

OLD = ROOT / "build/upgrade/old"
DEVICE = Device("kvm-upgrade")
HOST_NAME = "rack-7"
# Settings that have another name now, by that name.
FORMER_SETTINGS = {"gateway_host_name": "tinypilot_host_name"}


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--upgrade-from", help="commit that makes the device")


@dataclass
class Before:
    """What people left on the device, and what it said of itself then. settings: by their names of today."""

    cookies: dict[str, str] = field(default_factory=dict)
    token: str = ""
    settings: dict[str, object] = field(default_factory=dict)
    authority: str = ""
    certificate: str = ""


@dataclass
class Upgrade:
    device: Device
    before: Before
    screen: RemoteScreen
    # The first and the second run of this checkout's site.yml.
    runs: list[Played]


def run_playbook(checkout: Path, name: str, **variables: object) -> Played:
    """Runs a playbook of that checkout, with its own configuration and group variables."""
    playbook = checkout / "playbooks" / name
    return play(DEVICE, playbook=playbook, checkout=checkout, variables=variables).assert_good()


def authority_of(device: Device) -> str:
    """What browsers have been told to trust."""
    answer = Client(device).ask("GET", "/ca.pem")
    assert answer.status_code == 200, answer.text
    return answer.text


def certificate_of(device: Device) -> str:
    return ssl.get_server_certificate((device.address, 443))


def is_for_the_new_host_name(device: Device) -> bool:
    """Whether nginx has the certificate for it. Meanwhile it may refuse connections."""
    shown = "openssl s_client -connect 127.0.0.1:443 </dev/null 2>/dev/null | openssl x509 -noout"
    return HOST_NAME in device.sh(f"{shown} -ext subjectAltName", check=False)


def is_served(device: Device) -> bool:
    with contextlib.suppress(requests.ConnectionError):
        return Client(device).ask("GET", "/login").status_code == 200
    return False


def people_use(device: Device) -> Before:
    """Users, sessions, a token, settings: by the API, as the pages do it."""
    before = Before()
    ada = Client(device)
    code = device.sh("tinypilot setup-code").strip()
    answer = ada.ask("POST", "/api/setup", {"code": code, "name": "ada", "password": PASSWORD})
    assert answer.status_code == 200, answer.text
    add_user(ada, "bob", "operator")
    bob = Client(device)
    assert bob.log_in("bob").status_code == 200
    before.cookies = {"ada": dict(ada.http.cookies), "bob": dict(bob.http.cookies)}
    answer = ada.change("POST", "/api/tokens", {"name": "backup", "role": "viewer"})
    before.token = answer.json()["token"]
    choices = ada.ask("GET", "/api/settings").json()["settings"]["ustreamer_edid"]["choices"]
    before.settings = {
        "ustreamer_h264_bitrate_kbps": 3000,
        "ustreamer_edid": list(choices.values())[-1],
        "gateway_host_name": HOST_NAME,
    }
    changes = {FORMER_SETTINGS.get(name, name): value for name, value in before.settings.items()}
    answer = ada.change("PATCH", "/api/settings", changes)
    assert answer.status_code == 200, answer.text
    wait_until(lambda: is_for_the_new_host_name(device), "the device has its new name")
    wait_until(lambda: is_served(device), "the web app answers again")
    before.authority, before.certificate = authority_of(device), certificate_of(device)
    return before


@pytest.fixture(scope="session")
def upgrade(pytestconfig: pytest.Config) -> Iterator[Upgrade]:
    commit = pytestconfig.getoption("--upgrade-from")
    if not commit:
        pytest.exit("--upgrade-from=COMMIT must name what makes the device", returncode=4)
    OLD.parent.mkdir(parents=True, exist_ok=True)
    subprocess.run(["git", "worktree", "remove", "--force", OLD], cwd=ROOT, capture_output=True)
    subprocess.run(["git", "worktree", "prune"], cwd=ROOT, check=True)
    subprocess.run(["git", "worktree", "add", "--detach", OLD, commit], cwd=ROOT, check=True)
    try:
        run_playbook(OLD, "virtual.yml", virtual_state="absent")
        run_playbook(OLD, "virtual.yml")
        run_playbook(OLD, "site.yml")
        before = people_use(DEVICE)
        with launch_browser() as browser:
            page = browser.new_page(ignore_https_errors=True)
            cookies = [
                {"name": name, "value": value, "url": DEVICE.url, "secure": True}
                for name, value in before.cookies["bob"].items()
            ]
            page.context.add_cookies(cookies)
            screen = RemoteScreen(page, DEVICE.url).open()
            screen.page.wait_for_selector("html[data-state=live]")
            runs = [run_playbook(ROOT, "site.yml") for _ in range(2)]
            DEVICE.wait_until_ready()
            yield Upgrade(DEVICE, before, screen, runs)
    finally:
        run_playbook(ROOT, "virtual.yml", virtual_state="absent")
        subprocess.run(["git", "worktree", "remove", "--force", OLD], cwd=ROOT, check=True)
