# SPDX-License-Identifier: MIT
"""The encoder without a chip, on a device that has none: what becomes of the picture when it fails."""

import time

import pytest

from tests.support.device import Device
from tests.support.remote_screen import RemoteScreen
from tests.support.waiting import wait_until

ENCODER = "ustreamer-encoder"

pytestmark = pytest.mark.usefixtures("software_encoder")


def test_it_is_killed_and_the_picture_goes_on(live: RemoteScreen, device: Device):
    connections, process = live.peer_connections, device.main_pid(ENCODER)
    with live.by_itself():
        device.kill(ENCODER)
        wait_until(lambda: device.main_pid(ENCODER) not in (0, process), "it is started again")
        live.wait_until_live(captured_after=time.time())
    assert live.peer_connections == connections


def test_it_hangs_and_is_healed_and_counted(live: RemoteScreen, device: Device):
    healings, process = device.healings(ENCODER), device.main_pid(ENCODER)
    with live.by_itself():
        device.hang(ENCODER)
        wait_until(lambda: device.healings(ENCODER) > healings, "the healing is counted")
        wait_until(lambda: device.main_pid(ENCODER) not in (0, process), "it is started again")
        live.wait_until_live(captured_after=time.time())


def test_it_ends_with_ustreamer_and_begins_with_it(live: RemoteScreen, device: Device):
    device.sh("systemctl stop ustreamer")
    assert not device.is_active(ENCODER)
    with live.by_itself():
        device.sh("systemctl start ustreamer")
        live.wait_until_live(captured_after=time.time())


def test_its_sandbox_is_as_tight_as_its_neighbours(device: Device):
    """0.5 of 10 at the most, as molecule/default has it for those that run on every device."""
    device.sh(f"systemd-analyze security --threshold=5 {ENCODER}.service")
    assert device.sh(f"ps -o user:32= -p {device.main_pid(ENCODER)}").strip() == ENCODER
