# SPDX-License-Identifier: MIT
"""Who leaves is sent nothing any more, and in the end nobody encodes for nobody."""

import time

import pytest

from tests.support.device import Device
from tests.support.remote_screen import RemoteScreen
from tests.support.viewers import Viewer, run
from tests.support.waiting import LONG_POLL_SECONDS, wait_until

# A watched 720p picture in motion takes more than ten times as much.
SILENCE_BYTES_PER_SECOND = 30_000


def is_silent(device: Device) -> bool:
    """Whether the device sends next to nothing for a second."""
    before = device.sent_bytes()
    time.sleep(1)
    return device.sent_bytes() - before < SILENCE_BYTES_PER_SECOND


def has_viewers(device: Device) -> bool:
    return device.is_encoding


@pytest.mark.parametrize("way", ["leave", "close"])
def test_leaving_ends_the_watch(live: RemoteScreen, device: Device, way: str):
    wait_until(lambda: not is_silent(device), "the device sends the picture")
    if way == "leave":
        live.leave()
    else:
        live.page.close()
    wait_until(lambda: is_silent(device), "the device sends nothing any more")


def test_page_set_aside_tells_the_device_and_returns(live: RemoteScreen):
    """What the page says on its way out; a page in the back/forward cache gets to hear the answer."""
    tell = "(type) => dispatchEvent(new PageTransitionEvent(type, { persisted: true }))"
    live.page.evaluate(tell, "pagehide")
    live.wait_until(lambda: live.requests_to_plugin("stop"), "the page stops the picture")
    live.wait_until(lambda: live.janus_did("destroy"), "the page ends its session")
    live.page.evaluate(tell, "pageshow")
    live.wait_until_live()


def test_coming_back_brings_the_picture_again(live: RemoteScreen):
    live.leave()
    live.page.go_back()
    live.wait_until_live()


def test_nobody_encodes_when_nobody_watches(live: RemoteScreen, device: Device):
    """The plugin reads on for half a minute, for those who come back; then uStreamer notices."""
    assert has_viewers(device)
    live.leave()
    wait_until(
        lambda: not has_viewers(device),
        "uStreamer has no reader any more",
        seconds=90,
        poll_seconds=LONG_POLL_SECONDS,
    )


VIEWERS = 12


async def come_and_go(url: str, cookie: str) -> None:
    for _ in range(VIEWERS):
        async with Viewer(url, cookie) as viewer:
            await viewer.watch()


def test_nothing_of_a_viewer_stays_in_janus(device: Device):
    """Each handle has an event loop of its own, and so an open file: for years, a device has some of them."""

    def open_loops() -> int:
        return int(device.sh(f"ls -l /proc/{device.main_pid('janus')}/fd | grep --count eventfd"))

    before = open_loops()
    run(come_and_go(device.socket_url, device.cookie()))
    # Pages that left before this test may end meanwhile, or one may have come.
    wait_until(lambda: open_loops() < before + VIEWERS // 2, "Janus forgets who left")
