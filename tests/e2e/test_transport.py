# SPDX-License-Identifier: MIT
"""Video transport: WebRTC where it can, H.264 over a WebSocket or MJPEG where it can't, and back by itself."""

import time
from collections.abc import Callable

import pytest
from playwright.sync_api import Route

from tests.support.device import Device
from tests.support.remote_screen import RemoteScreen

# Far more than a frame needs from capture to page, and less than a picture that stands still has after a while.
OLD_SECONDS = 5.0


SLOW_FRAMES = 40


def choose_transport(screen: RemoteScreen, label: str) -> None:
    """In the Picture menu."""
    menu = screen.page.locator("summary[title=Picture]")
    menu.click()
    screen.page.get_by_label(label).check()
    menu.click()


def wait_for_webrtc(screen: RemoteScreen) -> None:
    opened = time.time()
    screen.wait_until(
        lambda: (
            screen.transport == (frame := screen.newest).transport == "webrtc"
            and frame.is_good
            and frame.stamp > opened
        ),
        "fresh frames come by WebRTC",
    )


def test_without_udp_the_second_transport_and_with_it_webrtc_again(
    live: RemoteScreen, device: Device
):
    with live.by_itself():
        with device.without_udp():
            live.wait_for_transport("webcodecs", "over a WebSocket")
            live.wait_until(lambda: "No UDP packet" in live.transport_note(), "the reason is found")
            # WebRTC is tried on in the background, and the picture goes on.
            connections = live.peer_connections
            live.wait_until(lambda: live.peer_connections > connections, "WebRTC is tried again")
            assert live.state == "live"
        wait_for_webrtc(live)
    assert live.transport_note() == ""
    assert not live.page.locator("#h264").is_visible()
    assert live.page.evaluate("observer.violations") == []


def test_without_h264_mjpeg_and_with_it_webrtc_again(
    new_screen: Callable[..., RemoteScreen], device: Device
):
    with device.without_h264():
        screen = new_screen().open()
        # Plugins of new uStreamers offer what they do not have.
        reason = "no picture arrives" if device.has_upstreams_plugin else "has no H.264 picture"
        screen.wait_for_transport("mjpeg", reason)
    wait_for_webrtc(screen)


@pytest.mark.usefixtures("encoder_chip")
def test_an_old_picture_is_never_called_live(live: RemoteScreen, device: Device):
    """From an encoder that hangs: old uStreamers wait for it and repeat their last JPEG, new ones make JPEGs on; the
    plugin hands the frames that it remembers to each new session."""

    lies = []

    def wait_and_doubt(look: Callable, what: str) -> None:
        """Meanwhile each picture that is called live is asked for its age, by the stamp in it."""

        def doubt():
            frame = live.newest
            # A torn frame, such as of a fresh decoder, has no stamp that could be read.
            if live.state == "live" and frame.is_good and frame.transport == live.transport:
                age_seconds = time.time() - frame.stamp
                if age_seconds > OLD_SECONDS:
                    lies.append(f"what came by {frame.transport} is {age_seconds:.1f} s old")
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


def test_a_page_opened_without_udp_shows_h264(screen: RemoteScreen, device: Device):
    with device.without_udp():
        screen.open().wait_for_transport("webcodecs", "No UDP packet")


def test_without_udp_and_webcodecs_mjpeg(screen: RemoteScreen, device: Device):
    screen.page.add_init_script("delete globalThis.VideoDecoder")
    with device.without_udp():
        screen.open().wait_for_transport("mjpeg", "No UDP packet")


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        pytest.param(
            "delete globalThis.RTCPeerConnection; delete globalThis.webkitRTCPeerConnection",
            "This browser has no WebRTC",
            id="no WebRTC",
        ),
        pytest.param(
            "RTCRtpReceiver.getCapabilities = () => ({codecs: [{mimeType: 'video/VP8'}]})",
            "can not show H.264 over WebRTC",
            id="no H.264 in WebRTC",
        ),
    ],
)
def test_a_browser_that_can_not_otherwise_shows_h264_at_once(
    screen: RemoteScreen, script: str, reason: str
):
    screen.page.add_init_script(script)
    screen.open().wait_for_transport("webcodecs", reason)
    assert screen.peer_connections == 0


def test_a_decoder_that_can_not_is_left_for_mjpeg(screen: RemoteScreen, device: Device):
    """It said that it could, and fails with what the device sends."""
    screen.page.route(
        "**/h264-worker.js",
        lambda route: route.fulfill(
            content_type="text/javascript", body="postMessage({unsupported: true})"
        ),
    )
    with device.without_udp():
        screen.open().wait_for_transport("mjpeg", "No UDP packet")


def test_a_slow_line_shows_fewer_pictures_and_no_old_ones(
    new_screen: Callable[..., RemoteScreen], device: Device
):
    """Of a stream that is twice what the line takes: a queue would be longer with each second."""
    screen = new_screen()
    screen.page.add_init_script("localStorage.setItem('picture-transport', 'webcodecs')")
    screen.open().wait_for_transport("webcodecs", "You chose this")
    number = screen.newest.number
    with device.slow_line(kbit_per_second=2500):
        screen.wait_until(
            lambda: screen.newest.number >= number + SLOW_FRAMES,
            f"{SLOW_FRAMES} frames came over a slow line",
        )
        frames = [frame for frame in screen.frames_since(number) if frame.is_good]
    assert screen.console == []
    left_out = frames[-1].counter - frames[0].counter + 1 - len(frames)
    assert left_out > 0
    # The first ones find the buffers of the way, which were empty.
    late = [frame.at - frame.stamp for frame in frames[len(frames) // 2 :]]
    assert max(late) < OLD_SECONDS


def test_the_transport_can_be_pinned_and_the_browser_remembers_it(
    live: RemoteScreen, device: Device
):
    for label, transport in [
        ("MJPEG only", "mjpeg"),
        ("H.264 over a WebSocket only", "webcodecs"),
    ]:
        choose_transport(live, label)
        live.wait_for_transport(transport, "You chose this")
        # WebRTC is not tried then: the session is gone.
        assert live.requests_to_plugin("stop")
        live.open()
        live.wait_for_transport(transport, "You chose this")
        assert live.peer_connections == 0
    choose_transport(live, "WebRTC only")
    wait_for_webrtc(live)
    with device.without_udp():
        live.wait_for_state("waiting")
        assert live.transport == "webrtc"
        choose_transport(live, "Automatic (WebRTC first)")
        live.wait_for_transport("webcodecs", "over a WebSocket")


@pytest.mark.parametrize("transport", ["webcodecs", "mjpeg"])
@pytest.mark.parametrize("service", ["ustreamer", "tinypilot-relay", "nginx"])
def test_the_picture_returns_after_sigkill(
    new_screen: Callable[..., RemoteScreen], device: Device, service: str, transport: str
):
    screen = new_screen()
    screen.page.add_init_script(f"localStorage.setItem('picture-transport', '{transport}')")
    screen.open().wait_for_transport(transport, "You chose this")
    with screen.by_itself():
        device.kill(service)
        screen.wait_until_live()
        assert screen.transport == transport


def refuse_twice(screen: RemoteScreen, script: str) -> list[str]:
    """What was refused."""
    refused: list[str] = []

    def refuse(route: Route) -> None:
        if len(refused) == 2:
            route.continue_()
        else:
            refused.append(route.request.url)
            route.abort()

    screen.page.route(f"**/{script}", refuse)
    return refused


@pytest.mark.parametrize("script", ["socket-videos.js", "h264-decoder.js", "h264-worker.js"])
def test_a_transport_whose_code_did_not_arrive_is_loaded_again(
    screen: RemoteScreen, device: Device, script: str
):
    """The network changed meanwhile."""
    refused = refuse_twice(screen, script)
    with device.without_udp():
        screen.open().wait_for_transport("webcodecs", "No UDP packet")
    assert len(refused) == 2
