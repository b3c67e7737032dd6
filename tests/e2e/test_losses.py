# SPDX-License-Identifier: MIT
"""WebRTC over a line that loses packets."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from itertools import pairwise

import pytest

from tests.support.device import Device
from tests.support.remote_screen import Frame, RemoteScreen

LOSS_PERCENT = 1
# A key frame each six seconds, so that what a viewer waits for can be told apart.
FRAMES_PER_SECOND, GOP_FRAMES = 10, 60
# A loss begins so many frames before a key frame, and ends as many after it.
MARGIN_FRAMES = 5


@pytest.fixture
def rare_key_frames(device: Device) -> Iterator[Device]:
    folder = "/run/systemd/system/ustreamer.service.d"
    restart = "systemctl daemon-reload && systemctl restart ustreamer"
    device.control(mode=f"1280x720@{FRAMES_PER_SECOND}")
    device.sh(
        f"mkdir -p {folder} && printf '[Service]\\nEnvironment=ustreamer_h264_gop_frames={GOP_FRAMES}\\n' "
        f"> {folder}/gop.conf && {restart}"
    )
    device.wait_until_ready()
    yield device
    device.sh(f"rm {folder}/gop.conf && {restart}")


@pytest.fixture
def webrtc(new_screen: Callable[..., RemoteScreen]) -> RemoteScreen:
    """No other transport stands in for it."""
    screen = new_screen()
    screen.page.add_init_script("localStorage.setItem('picture-transport', 'webrtc')")
    return screen


def good_frames(screen: RemoteScreen, number: int) -> list[Frame]:
    return [frame for frame in screen.frames_since(number) if frame.is_good]


def wait_for_key_frame(screen: RemoteScreen) -> int:
    """The counter of the newest frame, which is one, or shortly after one."""
    before = screen.inbound_video()["keyFramesDecoded"]
    screen.wait_until(
        lambda: screen.inbound_video()["keyFramesDecoded"] > before, "a key frame is decoded"
    )
    return screen.newest.counter


def test_a_loss_that_takes_a_key_frame_costs_no_more_than_that(
    rare_key_frames: Device, webrtc: RemoteScreen
):
    """The browser asks for a key frame (PLI), and the plugin answers: nobody waits for the next one, and the page does
    nothing."""
    webrtc.open().wait_until_live()
    key = wait_for_key_frame(webrtc)
    webrtc.wait_until(
        lambda: webrtc.newest.counter >= key + GOP_FRAMES - MARGIN_FRAMES, "the next one is near"
    )
    with rare_key_frames.without_udp():
        webrtc.page.wait_for_timeout(2 * MARGIN_FRAMES * 1000 / FRAMES_PER_SECOND)
    last = webrtc.newest.number
    webrtc.wait_until(lambda: good_frames(webrtc, last), "there is a picture again")
    assert good_frames(webrtc, last)[0].counter < key + 2 * GOP_FRAMES - MARGIN_FRAMES
    assert len(webrtc.requests_to_plugin("watch")) == 1


def test_single_losses_are_made_good(device: Device, webrtc: RemoteScreen):
    webrtc.open().wait_until_live()
    before = webrtc.inbound_video()
    with losing(device, LOSS_PERCENT):
        frames = webrtc.collect(300)
    after = webrtc.inbound_video()
    assert after["nackCount"] > before.get("nackCount", 0)
    # Never a damaged one, and none that is missing for long.
    assert all(frame.is_good for frame in frames)
    counters = sorted({frame.counter for frame in frames})
    assert max(b - a for a, b in pairwise(counters)) <= 2 * GOP_FRAMES
    assert webrtc.state == "live"
    assert len(webrtc.requests_to_plugin("watch")) == 1


@contextlib.contextmanager
def losing(device: Device, percent: int) -> Iterator[None]:
    rule = f"OUTPUT -p udp -m statistic --mode random --probability {percent / 100} -j DROP"
    device.change_firewall(f"-I {rule}")
    try:
        yield
    finally:
        device.change_firewall(f"-D {rule}")
