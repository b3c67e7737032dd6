# SPDX-License-Identifier: MIT
"""A device of an older version is taken over whole: what people have made stays, and nothing old is left behind."""

from __future__ import annotations

import pytest

from tests.support.clients import Client

from .conftest import HOST_NAME, Upgrade, authority_of, certificate_of

# Names of the layout before roles, services and files got those of today.
OLD_NAMES = (
    "door.sqlite*",
    "tinypilot-input*",
    "tinypilot-usb*",
    "certificate.sh",
    "ca.pem.names",
    "users-of-play*",
    "*tinypilot-certificate*",
    "*tinypilot-acme*",
    "*tinypilot-host-name*",
)
OLD_BUILD_STATES = ("wanted", "proven")

# The device made its certificate itself.
pytestmark = pytest.mark.filterwarnings("ignore:Unverified HTTPS request")


def client_of(upgrade: Upgrade, name: str) -> Client:
    """With the cookies that this person's browser has since before the upgrade."""
    client = Client(upgrade.device)
    client.http.cookies.update(upgrade.before.cookies[name])
    return client


def test_the_next_run_changes_nothing(upgrade):
    assert upgrade.runs[1].changed == 0, upgrade.runs[1].printed


@pytest.mark.parametrize(("name", "role"), [("ada", "admin"), ("bob", "operator")])
def test_sessions_are_kept(upgrade, name, role):
    answer = client_of(upgrade, name).ask("GET", "/api/session")
    assert answer.status_code == 200
    assert (answer.json()["user"], answer.json()["role"]) == (name, role)


def test_users_log_in_with_their_passwords(upgrade):
    assert Client(upgrade.device).log_in("bob").status_code == 200
    assert Client(upgrade.device).log_in("bob", "another password").status_code == 401


def test_api_tokens_are_kept(upgrade):
    answer = Client(upgrade.device).ask(
        "GET", "/api/session", Authorization=f"Bearer {upgrade.before.token}"
    )
    assert answer.status_code == 200
    assert answer.json()["role"] == "viewer"


def test_settings_are_kept_and_in_force(upgrade):
    settings = client_of(upgrade, "ada").ask("GET", "/api/settings").json()["settings"]
    assert {name: settings[name]["value"] for name in upgrade.before.settings} == (
        upgrade.before.settings
    )
    command = upgrade.device.sh("cat /proc/$(pidof ustreamer)/cmdline").replace("\0", " ")
    assert "--h264-bitrate=3000" in command
    assert upgrade.device.sh("uname -n").strip() == HOST_NAME


def test_browsers_need_not_trust_another_authority(upgrade):
    assert authority_of(upgrade.device) == upgrade.before.authority
    assert certificate_of(upgrade.device) == upgrade.before.certificate


def test_a_page_that_was_open_has_its_picture_back(upgrade):
    upgrade.screen.page.wait_for_selector("html[data-state=live]")


def test_nothing_of_the_old_layout_is_left(upgrade):
    names = " -o ".join(f"-name '{name}'" for name in OLD_NAMES)
    assert upgrade.device.sh(f"find / -xdev \\( {names} \\) -not -path '/proc/*'") == ""
    assert upgrade.device.sh(f"find /run \\( {names} \\)") == ""
    assert upgrade.device.sh("ls /etc/tinypilot").split() == ["web.json"]
    states = " -o ".join(f"-name {name}" for name in OLD_BUILD_STATES)
    assert upgrade.device.sh(f"find /opt/*.builds -maxdepth 1 \\( {states} \\)") == ""


def test_the_gadgets_files_belong_to_the_new_group_alone(upgrade):
    assert upgrade.device.sh("getent group kvm-hid")
    assert upgrade.device.sh("getent group tinypilot-usb || echo none").strip() == "none"


def test_no_unit_has_failed(upgrade):
    assert upgrade.device.sh("systemctl --failed --no-legend --plain") == ""
