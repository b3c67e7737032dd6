# SPDX-License-Identifier: MIT
"""Video transport: WebRTC where it can, MJPEG where it can't, and back by itself."""

import time
from collections.abc import Callable

import pytest

from tests.support.device import Device
from tests.support.remote_screen import STAMP_MODULUS, RemoteScreen

# What the product promises.
FALLS_BACK_WITHIN_SECONDS = 5.0
RETURNS_WITHIN_SECONDS = 15.0


# Far more than a frame needs from capture to page, and less than a picture that stands still has after a while.
OLD_SECONDS = 5.0


def jpeg_age(stamp_us: int) -> float:
    """Seconds since this stamp, which is the wall clock's last bits."""
    return (time.time() * 1e6 - stamp_us) % STAMP_MODULUS / 1e6


def choose_transport(screen: RemoteScreen, label: str) -> None:
    """In the Picture menu."""
    menu = screen.page.locator("summary[title=Picture]")
    menu.click()
    screen.page.get_by_label(label).check()
    menu.click()


def wait_for_jpegs(screen: RemoteScreen, reason: str) -> None:
    """Until the picture comes as MJPEG, moves, and the page says why: as soon as was promised."""
    counters = set()

    def moves_and_says_why() -> bool:
        if code := screen.jpeg_code():
            counters.add(code[0])
        return len(counters) > 1 and screen.state == "live" and reason in screen.transport_note()

    what = f"MJPEG moves, and the page says {reason!r}"
    screen.wait_until(moves_and_says_why, what, FALLS_BACK_WITHIN_SECONDS)


def test_without_udp_mjpeg_and_with_it_webrtc_again(live: RemoteScreen, device: Device):
    with live.by_itself():
        with device.without_udp():
            wait_for_jpegs(live, "The picture comes as MJPEG")
            live.wait_until(lambda: "no UDP packet" in live.transport_note(), "the reason is found")
            # WebRTC is tried on in the background, and the picture goes on.
            connections = live.peer_connections
            live.wait_until(lambda: live.peer_connections > connections, "WebRTC is tried again")
            assert live.state == "live"
        opened = time.time()
        live.wait_until(
            lambda: (
                live.transport == "webrtc" and live.newest.is_good and live.newest.stamp > opened
            ),
            "fresh frames come by WebRTC",
            RETURNS_WITHIN_SECONDS,
        )
    assert live.transport_note() == ""
    assert not live.page.locator("#jpegs").is_visible()
    assert live.page.evaluate("observer.violations") == []


def test_without_h264_mjpeg_and_with_it_webrtc_again(
    new_screen: Callable[..., RemoteScreen], device: Device
):
    with device.without_h264():
        screen = new_screen().open()
        # Plugins of new uStreamers offer what they do not have.
        reason = "no picture arrives" if device.has_upstreams_plugin else "has no H.264 picture"
        wait_for_jpegs(screen, reason)
    opened = time.time()
    screen.wait_until(
        lambda: (
            screen.transport == "webrtc" and screen.newest.is_good and screen.newest.stamp > opened
        ),
        "fresh frames come by WebRTC",
        RETURNS_WITHIN_SECONDS,
    )


def test_an_old_picture_is_never_called_live(live: RemoteScreen, device: Device):
    """From an encoder that hangs: old uStreamers wait for it and repeat their last JPEG, new ones make JPEGs on; the
    plugin hands the frames that it remembers to each new session."""

    lies = []

    def wait_and_doubt(look: Callable, what: str) -> None:
        """Meanwhile each picture that is called live is asked for its age, by the stamp in it."""

        def doubt():
            if live.state == "live":
                code = live.jpeg_code()
                if code and jpeg_age(code[1]) > OLD_SECONDS:
                    lies.append(f"JPEG is {jpeg_age(code[1]):.1f} s old")
                # A torn frame, such as of a fresh decoder, has no stamp that could be read.
                elif live.transport == "webrtc" and live.newest.is_good:
                    age_seconds = time.time() - live.newest.stamp
                    if age_seconds > OLD_SECONDS:
                        lies.append(f"frame is {age_seconds:.1f} s old")
            return look()

        live.wait_until(doubt, what)

    with live.by_itself():
        device.control(encoder="hanging")
        wait_and_doubt(lambda: live.transport == "mjpeg", "MJPEG is tried")
        connections, number = live.peer_connections, live.newest.number
        wait_and_doubt(lambda: live.peer_connections > connections, "WebRTC is tried again")
        if not device.has_upstreams_plugin:
            wait_and_doubt(lambda: live.newest.number > number, "remembered frames are decoded")
        assert not lies
        device.control()
        live.wait_until_live()


def test_a_page_opened_without_udp_shows_mjpeg(screen: RemoteScreen, device: Device):
    with device.without_udp():
        screen.open()
        wait_for_jpegs(screen, "no UDP packet")


def test_a_browser_without_webrtc_shows_mjpeg(screen: RemoteScreen):
    screen.page.add_init_script(
        "delete globalThis.RTCPeerConnection; delete globalThis.webkitRTCPeerConnection"
    )
    screen.open()
    wait_for_jpegs(screen, "this browser has no WebRTC")


def test_the_path_can_be_pinned_and_the_browser_remembers_it(live: RemoteScreen, device: Device):
    choose_transport(live, "MJPEG only")
    wait_for_jpegs(live, "as you chose")
    # WebRTC is not tried then: the session is gone.
    assert live.requests_to_plugin("stop")
    live.open()
    wait_for_jpegs(live, "as you chose")
    assert live.peer_connections == 0
    choose_transport(live, "WebRTC only")
    live.wait_until_live()
    with device.without_udp():
        live.wait_for_state("waiting")
        assert live.transport == "webrtc"
        choose_transport(live, "Automatic (WebRTC first)")
        wait_for_jpegs(live, "The picture comes as MJPEG")


@pytest.mark.parametrize("service", ["ustreamer", "tinypilot-relay", "nginx"])
def test_mjpeg_returns_after_sigkill(
    new_screen: Callable[..., RemoteScreen], device: Device, service: str
):
    screen = new_screen()
    screen.page.add_init_script("localStorage.setItem('picture-transport', 'mjpeg')")
    screen.open()
    wait_for_jpegs(screen, "as you chose")
    with screen.by_itself():
        device.kill(service)
        killed = screen.jpeg_code()
        screen.wait_until(
            lambda: (code := screen.jpeg_code()) and code[1] > killed[1] + 1_000_000,
            "later JPEGs are shown",
        )
        screen.wait_for_state("live")
