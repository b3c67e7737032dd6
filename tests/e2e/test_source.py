# SPDX-License-Identifier: MIT
"""The attached computer changes its mind: resolution, cable, power."""

import time
from collections.abc import Callable

import pytest

from tests.support.device import Device
from tests.support.remote_screen import RemoteScreen
from tests.support.simulated_computer import SimulatedComputer, wait_for_desk


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


# Up and down, and what firmware and old displays have.
MODES = [
    *("1920x1080@30", "640x480@60", "1366x768@60", "720x400@70"),
    *("1920x1200@30", "1440x900@60", "640x350@70", "1280x720@30"),
]


def assert_follows_modes(screen: RemoteScreen, device: Device, transport: str) -> None:
    """At once, and after a while in which nothing is sent, as graphics cards do it."""
    with screen.by_itself():
        for number, mode in enumerate(MODES):
            if number % 2:
                device.control(signal="asleep")
                screen.wait_for_state("no-signal")
            device.control(mode=mode)
            width, height = map(int, mode.partition("@")[0].split("x"))
            frame = screen.wait_for_frame(captured_after=time.time(), size=(width, height))
            assert frame.transport == transport
            screen.wait_for_state("live")


@pytest.mark.parametrize("transport", ["webcodecs", "mjpeg"])
def test_what_comes_over_a_websocket_follows_the_resolution(
    new_screen: Callable[..., RemoteScreen], device: Device, transport: str
):
    screen = new_screen()
    screen.page.add_init_script(f"localStorage.setItem('picture-transport', '{transport}')")
    screen.open().wait_for_transport(transport, "You chose this")
    assert_follows_modes(screen, device, transport)
    assert screen.console == []


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
    (
        {"mode": "320x240@60"},
        "Mode not supported",
        "The computer sends 320 x 240 at 60 Hz, and this device takes no less than 640 x 350. "
        "Choose a larger resolution on the computer",
    ),
    ({"mode": "640x480@10"}, "Mode not supported", "Choose a higher refresh rate"),
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


def test_a_key_wakes_a_computer_that_sleeps(owner: RemoteScreen, computer: SimulatedComputer):
    """By the one who has the controls, who reads what to do where the picture was."""
    with owner.by_itself():
        computer.tell("sleep")
        owner.wait_for_state("no-signal")
        owner.page.locator("#notice-detail", has_text="Press a key to wake it").wait_for()
        owner.page.keyboard.press("Shift")
        owner.wait_for_state("live")
        wait_for_desk(owner, lambda desk: desk.typed == 0, "nothing was typed")
        # Who clicks where the words are has the keyboard there.
        computer.tell("sleep")
        owner.wait_for_state("no-signal")
        owner.page.locator("#control-ask").focus()
        owner.page.locator("#notice-detail").click()
        owner.wait_for("html[data-captured=true]")
        owner.wait_for_state("live")


def test_page_opened_without_a_signal_says_so(screen: RemoteScreen, device: Device):
    device.control(signal="lost")
    screen.open().wait_for_state("no-signal")
    with screen.by_itself():
        device.control()
        screen.wait_until_live()
