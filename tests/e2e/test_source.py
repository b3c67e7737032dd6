# SPDX-License-Identifier: MIT
"""The attached computer changes its mind: resolution, cable, power."""

import time

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


# What the computer, or its cable, does, and what the page says of it.
FAULTS = [
    (
        {"signal": "lost"},
        "No signal",
        "the cable is out at one end, or the computer is switched off",
    ),
    ({"signal": "asleep"}, "No signal", "The computer is connected and on, and sends no picture"),
    ({"signal": "unlocked"}, "No stable signal", "this device can't lock to it"),
    ({"device": "gone"}, "No signal", "This device does not find its video input"),
    (
        {"mode": "3840x2160@30"},
        "Mode not supported",
        "The computer sends 3840 x 2160 at 30 Hz, and this device takes at most 1920 x 1080 at 50 Hz. "
        "Choose a smaller resolution on the computer, or apply an EDID that offers only what fits.",
    ),
    # The driver takes it, and two lanes do not.
    ({"mode": "1920x1080@60"}, "Mode not supported", "Choose a lower refresh rate"),
    ({"mode": "720x576i@50"}, "Mode not supported", "this device takes no interlaced pictures"),
]


def test_page_says_why_there_is_no_picture_and_shows_the_next_that_fits(
    live: RemoteScreen, device: Device
):
    with live.by_itself():
        for fault, title, words in FAULTS:
            device.control(**fault)
            live.page.locator("#notice-detail", has_text=words).wait_for(state="visible")
            live.wait_for_state("no-signal")
            assert title in live.notice()
            # An odd size, as firmware has it.
            device.control(mode="1366x768@30")
            live.wait_for_frame(captured_after=time.time(), size=(1366, 768))
            live.wait_for_state("live")


def test_page_opened_without_a_signal_says_so(screen: RemoteScreen, device: Device):
    device.control(signal="lost")
    screen.open().wait_for_state("no-signal")
    with screen.by_itself():
        device.control()
        screen.wait_until_live()
