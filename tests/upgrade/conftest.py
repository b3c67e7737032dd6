# SPDX-License-Identifier: MIT
"""A virtual Pi that an older commit has made, used by people, and provisioned again with this checkout."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.support.clients import PASSWORD, Client, add_user
from tests.support.device import Device
from tests.support.remote_screen import RemoteScreen, launch_browser
from tests.support.waiting import wait_until

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "build/upgrade"
NAME = "kvm-upgrade"
INVENTORY = f"kvm:\n  children:\n    virtual:\n      hosts:\n        {NAME}:\n"
# Read on the device before and after, so that nothing depends on where a version keeps it.
CERTIFICATE_AUTHORITY = "openssl s_client -connect 127.0.0.1:443 -showcerts </dev/null 2>/dev/null"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--upgrade-from", help="commit that makes the device")


@dataclass
class Before:
    """What people left on the device, and what it said of itself then."""

    cookies: dict[str, str] = field(default_factory=dict)
    token: str = ""
    settings: dict[str, object] = field(default_factory=dict)
    authority: str = ""


@dataclass
class Upgrade:
    device: Device
    before: Before
    screen: RemoteScreen
    # Output of the first and the second run of this checkout's site.yml.
    outputs: list[str]


def run_playbook(checkout: Path, playbook: str, *arguments: str) -> str:
    """Runs a playbook of that checkout, with its own configuration and group variables."""
    inventory = FOLDER / f"inventory-of-{checkout.name}"
    inventory.mkdir(exist_ok=True)
    (inventory / "hosts.yml").write_text(INVENTORY)
    link = inventory / "group_vars"
    link.unlink(missing_ok=True)
    link.symlink_to(checkout / "inventory/group_vars")
    done = subprocess.run(
        [ROOT / ".venv/bin/ansible-playbook", "-i", inventory, playbook, *arguments],
        cwd=checkout,
        env={**os.environ, "ANSIBLE_CONFIG": str(checkout / "ansible.cfg")},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, f"{checkout.name}: {playbook}\n{done.stdout}{done.stderr}"
    return done.stdout


def authority_of(device: Device) -> str:
    """The last certificate of the chain that the device shows."""
    chain = device.sh(CERTIFICATE_AUTHORITY).split("-----BEGIN CERTIFICATE-----")
    return chain[-1].split("-----END")[0]


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
    }
    answer = ada.change("PATCH", "/api/settings", before.settings)
    assert answer.status_code == 200, answer.text
    before.authority = authority_of(device)
    return before


@pytest.fixture(scope="session")
def upgrade(pytestconfig: pytest.Config) -> Iterator[Upgrade]:
    commit = pytestconfig.getoption("--upgrade-from")
    if not commit:
        pytest.exit("--upgrade-from=COMMIT must name what makes the device", returncode=4)
    FOLDER.mkdir(parents=True, exist_ok=True)
    old = FOLDER / "old"
    subprocess.run(["git", "worktree", "remove", "--force", old], cwd=ROOT, capture_output=True)
    subprocess.run(["git", "worktree", "prune"], cwd=ROOT, check=True)
    subprocess.run(["git", "worktree", "add", "--detach", old, commit], cwd=ROOT, check=True)
    device = Device(NAME)
    try:
        run_playbook(old, "playbooks/virtual.yml", "-e", "virtual_state=absent")
        run_playbook(old, "playbooks/virtual.yml")
        run_playbook(old, "playbooks/site.yml")
        before = people_use(device)
        with launch_browser() as browser:
            page = browser.new_page(ignore_https_errors=True)
            cookies = [
                {"name": name, "value": value, "url": device.url, "secure": True}
                for name, value in before.cookies["bob"].items()
            ]
            page.context.add_cookies(cookies)
            screen = RemoteScreen(page, device.url).open()
            screen.page.wait_for_selector("html[data-state=live]")
            outputs = [run_playbook(ROOT, "playbooks/site.yml") for _ in range(2)]
            wait_until(lambda: device.is_active("ustreamer", "janus"), "the services run")
            yield Upgrade(device, before, screen, outputs)
    finally:
        run_playbook(ROOT, "playbooks/virtual.yml", "-e", "virtual_state=absent")
        subprocess.run(["git", "worktree", "remove", "--force", old], cwd=ROOT, check=True)
