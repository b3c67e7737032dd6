# SPDX-License-Identifier: MIT
"""The picture arrives, whole and moving, in a browser and in other viewers."""

import asyncio
from itertools import pairwise

import av

from tests.support.device import Device
from tests.support.remote_screen import RemoteScreen
from tests.support.viewers import Frame as ViewerFrame
from tests.support.viewers import (
    Viewer,
    read_code,
    run,
    undamaged_frames,
    watch,
    with_one_fmtp_each,
)
from tests.support.waiting import wait_until

VIEWERS = 8
FRAMES = 45
LOSS_MS = 4000
GOP_SECONDS = 1


def assert_moving(counters: list[int]) -> None:
    """The picture goes on. What a viewer lost is shown to it again, so not each step is forward."""
    assert counters[-1] > counters[0]
    assert len(set(counters)) > len(counters) / 2


def test_browser_decodes_a_moving_picture(live: RemoteScreen):
    decoded = live.frames_decoded()
    frames = live.collect(FRAMES)
    # The plugin passes on nothing that lacks what it refers to: a browser never shows a damaged picture.
    assert all(frame.is_good for frame in frames)
    assert_moving([frame.counter for frame in frames])
    assert {(frame.width, frame.height) for frame in frames} == {(1280, 720)}
    assert live.frames_decoded() - decoded >= FRAMES - 1
    assert live.state == "live"
    assert live.notice() == ""


def test_a_loss_with_a_key_frame_in_it_damages_nothing(screen: RemoteScreen, device: Device):
    """What comes next refers to pictures that never came: nothing is shown until a whole one is there."""
    # The other transports would take its place meanwhile.
    screen.page.add_init_script("localStorage.setItem('picture-transport', 'webrtc')")
    live = screen.open()
    live.wait_until_live()
    number = live.newest.number
    with device.without_udp():
        # Nothing that could be waited for tells the page that a key frame was lost.
        live.page.wait_for_timeout(LOSS_MS)
    live.wait_until_live()
    live.collect(FRAMES)
    shown = live.frames_since(number)
    assert all(frame.is_good for frame in shown)
    assert_moving([frame.counter for frame in shown])
    shown_at = [frame.at for frame in shown]
    assert max(later - one for one, later in pairwise(shown_at)) > GOP_SECONDS


def test_page_tells_size_and_rate_of_the_picture(live: RemoteScreen):
    facts = live.page.locator("#picture-facts")
    live.wait_until(lambda: "fps" in facts.inner_text(), "the frame rate is shown")
    assert facts.inner_text().startswith("1280 \u00d7 720 \u00b7 ")


def test_aiortc_decodes_the_offer(device: Device):
    async def look() -> tuple[str, list[ViewerFrame]]:
        async with Viewer(device.socket_url, device.cookie()) as viewer:
            await viewer.watch()
            return viewer.offer, await undamaged_frames(viewer, FRAMES)

    offer, frames = run(look())
    assert_moving([frame.code[0] for frame in frames])
    if not device.has_upstreams_plugin:
        # Unmodified it keeps the last of several for a payload type and then fails.
        assert with_one_fmtp_each(offer).split() == offer.split()


def test_eight_viewers_at_once(device: Device):
    # Little motion: what is tried here is the gateway, not eight decoders on one machine.
    device.control(content="desktop")

    cookie = device.cookie()

    async def watch_together():
        viewers = [watch(device.socket_url, cookie, FRAMES) for _ in range(VIEWERS)]
        return await asyncio.gather(*viewers)

    for frames in run(watch_together()):
        assert_moving([frame.code[0] for frame in frames])


def test_snapshots_show_the_moving_picture(device: Device):
    first = wait_until(lambda: counter(device.snapshot()), "a snapshot shows the picture")
    wait_until(lambda: counter(device.snapshot()) > first, "a later snapshot shows a later picture")
    # uStreamer would fall back to the processor by itself.
    assert device.state()["encoder"]["type"] == "M2M-IMAGE"


def counter(jpeg: bytes) -> int:
    """The frame's number; 0 if it is not the whole picture."""
    if not jpeg:
        return 0
    [picture] = av.CodecContext.create("mjpeg", "r").decode(av.Packet(jpeg))
    luma = picture.planes[0]
    code = read_code(bytes(luma), luma.line_size)
    return code[0] if code else 0


def test_stop_ends_the_frames_and_watch_brings_them_again(device: Device):
    cookie = device.cookie()

    async def stop_and_watch_again():
        async with Viewer(device.socket_url, cookie) as viewer:
            await viewer.watch()
            await undamaged_frames(viewer, FRAMES)
            assert status_of(await viewer.request("stop")) == "stopped"
            # uStreamer's own plugin says so and sends on; it ends with the session, as test_leaving.py shows.
            if not device.has_upstreams_plugin:
                await until_silent(viewer)
            await viewer.watch()
            return await undamaged_frames(viewer, FRAMES)

    frames = run(stop_and_watch_again())
    assert_moving([frame.code[0] for frame in frames])


def status_of(event: dict) -> str | None:
    return event["plugindata"]["data"].get("result", {}).get("status")


async def until_silent(viewer: Viewer, seconds: float = 1.0) -> None:
    """Returns when no frame came for this long: some thirty would have."""
    frames = 0
    while True:
        try:
            await asyncio.wait_for(viewer.frames.get(), seconds)
        except TimeoutError:
            return
        frames += 1
        assert frames < 20, "frames go on after `stop`"
