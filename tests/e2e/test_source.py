# SPDX-License-Identifier: MIT
"""The attached computer changes its mind: resolution, cable, power."""

import time

import pytest

from tests.support.device import Device
from tests.support.remote_screen import RemoteScreen


def test_page_follows_the_resolution(live: RemoteScreen, device: Device):
    connections = live.peer_connections
    with live.by_itself():
        for mode, size in [("1920x1080@30", (1920, 1080)), ("640x480@30", (640, 480))]:
            device.control(mode=mode)
            live.wait_for_frame(captured_after=time.time(), size=size)
            live.wait_for_state("live")
        device.control()
        live.wait_for_frame(captured_after=time.time(), size=(1280, 720))
    assert live.peer_connections == connections


@pytest.mark.parametrize(
    "fault",
    [
        pytest.param({"signal": "lost"}, id="no-signal"),
        pytest.param({"device": "gone"}, id="no-device"),
    ],
)
def test_page_tells_of_a_lost_signal(live: RemoteScreen, device: Device, fault: dict[str, str]):
    with live.by_itself():
        device.control(**fault)
        live.wait_for_state("no-signal")
        assert "No signal" in live.notice()
        device.control()
        live.wait_until_live()


def test_page_opened_without_a_signal_says_so(screen: RemoteScreen, device: Device):
    device.control(signal="lost")
    screen.open().wait_for_state("no-signal")
    with screen.by_itself():
        device.control()
        screen.wait_until_live()
