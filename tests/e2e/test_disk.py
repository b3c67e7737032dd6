# SPDX-License-Identifier: MIT
"""A disk that is full, or has become read-only, or has damaged the users: nobody is locked out, the picture goes on,
and the page says what is wrong."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.clients import Client, add_user, log_in
from tests.support.device import Device
from tests.support.remote_screen import RemoteScreen
from tests.support.small_disk import SmallDisk, small_disk
from tests.support.waiting import wait_until

TRIES = 3
BITRATE = "ustreamer_h264_bitrate_kbps"
STAND_IN = "/run/tinypilot-auth/auth.sqlite3"


@pytest.fixture
def disk(device: Device, ada: Client) -> Iterator[SmallDisk]:
    with small_disk(device) as found:
        yield found
    device.restore()


@pytest.fixture
def watched(disk: SmallDisk, new_screen) -> RemoteScreen:
    """A page that was open before."""
    screen = new_screen().open()
    screen.wait_until_live()
    return screen


def get_in(device: Device, name: str = "ada") -> Client:
    """What a person does who is asked to try again."""
    client = Client(device)
    answers = []
    for _ in range(TRIES):
        answers.append(client.log_in(name))
        if answers[-1].status_code == 200:
            return client
        assert answers[-1].status_code == 503 and "try again" in answers[-1].json()["error"]
    raise AssertionError([answer.text for answer in answers])


def assert_settings_are_refused(admin: Client) -> None:
    before = admin.ask("GET", "/api/settings").json()["settings"][BITRATE]["value"]
    answer = admin.change("PATCH", "/api/settings", {BITRATE: before + 100})
    assert answer.status_code == 409 and "full, defective or read-only" in answer.json()["error"]
    assert admin.ask("GET", "/api/settings").json()["settings"][BITRATE]["value"] == before


def test_a_full_disk_locks_nobody_out(disk: SmallDisk, ada: Client, device: Device, watched):
    disk.fill()
    assert_settings_are_refused(ada)
    clients = []
    for _ in range(12):
        # More than the reserve has room for.
        clients.append(get_in(device))
        disk.fill()
    for client in (ada, clients[0], clients[-1]):
        assert client.ask("GET", "/api/users").status_code == 200
    assert "disk is" in clients[-1].ask("GET", "/settings").text
    watched.wait_until_live()
    # The services start on it, too.
    for service in ("tinypilot", "tinypilot-relay", "tinypilot-hid"):
        device.kill(service)
    get_in(device)
    disk.make_room()
    device.sh("systemctl restart tinypilot")
    newcomer = get_in(device)
    assert clients[-1].ask("GET", "/api/users").status_code == 200
    assert "kept in memory" not in newcomer.ask("GET", "/settings").text
    assert not device.sh(f"ls {STAND_IN} 2>/dev/null", check=False)
    answer = newcomer.change("PATCH", "/api/settings", {BITRATE: 4900})
    assert answer.status_code == 200
    watched.wait_until_live()


def test_a_disk_that_goes_bad_locks_nobody_out(
    disk: SmallDisk, ada: Client, device: Device, watched, new_screen
):
    add_user(ada, "bob", "operator")
    disk.go_bad()
    assert_settings_are_refused(ada)
    get_in(device)
    page = new_screen(role=None).open()
    log_in(page, "bob")
    page.wait_until_live()
    page.page.locator("#control-ask").click()
    page.wait_for_control("mine")
    watched.wait_until_live()
    assert "kept in memory" in get_in(device).ask("GET", "/").text
    # As after a power cut, but for what is in memory: each service starts on the read-only disk.
    for service in ("tinypilot", "tinypilot-relay", "tinypilot-hid"):
        device.kill(service)
    late = get_in(device)
    assert ada.ask("GET", "/api/users").status_code == 200
    assert late.ask("GET", "/api/users").status_code == 200
    page.wait_for_control("mine")
    watched.wait_until_live()


def test_a_device_that_starts_on_a_read_only_disk_lets_people_in(
    disk: SmallDisk, ada: Client, device: Device
):
    units = "tinypilot tinypilot-relay tinypilot-hid"
    device.sh(f"systemctl stop {units}")
    disk.go_bad()
    device.sh(f"rm -f /run/tinypilot-auth/*; systemctl start {units}")
    assert get_in(device).ask("GET", "/api/users").status_code == 200
    assert ada.ask("GET", "/api/users").status_code == 200


def test_a_damaged_database_is_replaced_and_an_admin_reads_so(
    disk: SmallDisk, ada: Client, device: Device, watched
):
    copy = "/var/lib/tinypilot/auth.copy"
    device.sh(f"rm -f {copy}; systemctl restart tinypilot")
    wait_until(lambda: device.sh(f"ls {copy}", check=False), "there is a copy")
    device.sh(
        "head -c 65536 /dev/urandom | dd of=/var/lib/tinypilot/auth.sqlite3 conv=notrunc 2>&1"
    )
    watched.wait_until_live()
    # Sessions do not come back with it: all log in anew.
    assert "a copy took its place" in get_in(device).ask("GET", "/settings").text
    assert "a copy took its place" in get_in(device).ask("GET", "/").text
