# SPDX-License-Identifier: MIT
"""What the Picture menu makes of the picture: files, statistics, a window of its own."""

import contextlib
import time
from collections.abc import Iterator

import av
import pytest
from playwright.sync_api import expect

from tests.support.device import Device
from tests.support.remote_screen import RemoteScreen

from .test_transport import choose_transport

# The observer sees a frame a moment before it is on the screen.
AGREEMENT_MS = 40.0
RECORDED_FRAMES = 20
TRANSPORTS = {
    "webrtc": "WebRTC only",
    "webcodecs": "H.264 over a WebSocket only",
    "mjpeg": "MJPEG only",
}


def choose(screen: RemoteScreen, transport: str) -> None:
    choose_transport(screen, TRANSPORTS[transport])
    if transport != "webrtc":
        screen.wait_for_transport(transport, "You chose this")


def open_menu(screen: RemoteScreen) -> None:
    screen.page.locator("summary[title=Picture]").click()


def button(screen: RemoteScreen, name: str):
    return screen.page.get_by_role("button", name=name, exact=True)


def frames_in(path) -> list[av.VideoFrame]:
    with av.open(str(path)) as file:
        return list(file.decode(video=0))


@contextlib.contextmanager
def downloading(screen: RemoteScreen) -> Iterator[dict]:
    """What is done meanwhile makes a file: its `name` and its `path`."""
    file: dict = {}
    with screen.page.expect_download() as download:
        yield file
    file.update(name=download.value.suggested_filename, path=download.value.path())


def assert_screenshots_are_as_it_is_turned(screen: RemoteScreen, downloading=downloading) -> None:
    """The code in the picture's corner is where that corner is after so many quarters to the right."""
    for size, (across, down) in [
        ((1280, 720), (slice(0, 640), slice(0, 48))),
        ((720, 1280), (slice(720 - 48, 720), slice(0, 640))),
        ((1280, 720), (slice(1280 - 640, 1280), slice(720 - 48, 720))),
        ((720, 1280), (slice(0, 48), slice(1280 - 640, 1280))),
    ]:
        with downloading(screen) as file:
            button(screen, "Screenshot").click()
        assert file["name"].endswith(".png")
        [frame] = frames_in(file["path"])
        assert (frame.width, frame.height) == size
        [plane] = frame.reformat(format="gray").planes
        rows = [bytes(plane)[y * plane.line_size :][across] for y in range(down.start, down.stop)]
        # Cells that are black or white, and nothing else.
        code = b"".join(rows)
        assert sum(pixel < 60 or pixel > 195 for pixel in code) > 0.9 * len(code)
        button(screen, "Rotate").click()


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_a_screenshot_is_a_png_of_the_picture_as_it_is_turned(live: RemoteScreen, transport: str):
    choose(live, transport)
    open_menu(live)
    assert_screenshots_are_as_it_is_turned(live)


def test_a_recording_is_a_file_that_plays_by_each_transport(live: RemoteScreen):
    for transport in TRANSPORTS:
        choose(live, transport)
        open_menu(live)
        button(live, "Record").click()
        expect(button(live, "Record")).to_have_attribute("aria-pressed", "true")
        live.collect(RECORDED_FRAMES)
        with downloading(live) as file:
            button(live, "Record").click()
        open_menu(live)
        assert file["name"].rpartition(".")[2] in ("mp4", "webm")
        frames = frames_in(file["path"])
        assert len(frames) > RECORDED_FRAMES / 2
        assert (frames[-1].width, frames[-1].height) == (1280, 720)


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_a_recording_goes_on_where_the_mode_changes(
    live: RemoteScreen, device: Device, transport: str
):
    choose(live, transport)
    open_menu(live)
    button(live, "Record").click()
    live.collect(RECORDED_FRAMES)
    device.control(mode="1024x768@30")
    live.wait_for_frame(captured_after=time.time(), size=(1024, 768))
    live.collect(RECORDED_FRAMES)
    with downloading(live) as file:
        button(live, "Record").click()
    assert len(frames_in(file["path"])) > RECORDED_FRAMES


def shown_statistics(screen: RemoteScreen) -> dict[str, str]:
    # At one moment: they are written anew each second.
    names, values = screen.page.evaluate(
        """() => ['dt', 'dd'].map((kind) =>
          [...document.querySelectorAll(`#stats-list ${kind}`)].map(({ innerText }) => innerText))"""
    )
    return dict(zip(names, values, strict=True))


@pytest.mark.parametrize(
    ("transport", "path"), [("webcodecs", "H.264 over a WebSocket"), ("mjpeg", "MJPEG")]
)
def test_there_are_statistics_over_a_websocket_too(live: RemoteScreen, transport: str, path: str):
    choose(live, transport)
    open_menu(live)
    button(live, "Statistics").click()
    known = ("Frames per second", "Bitrate", "From capture to screen, without the network")

    def are_known() -> bool:
        figures = [shown_statistics(live).get(name, "unknown") for name in known]
        # The first second of a transport may have had no frame yet.
        return "unknown" not in figures and float(figures[0]) > 1

    live.wait_until(are_known, "what can be known is shown, and frames are counted")
    figures = shown_statistics(live)
    assert (figures["Transport"], figures["Size"]) == (path, "1280 \u00d7 720")


def test_the_statistics_can_be_read_and_copied(live: RemoteScreen, device: Device):
    live.page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    # On a busy machine frames may be missing just when a figure is read, and MJPEG would take their place.
    choose_transport(live, "WebRTC only")
    open_menu(live)
    button(live, "Statistics").click()

    def shown() -> dict[str, str]:
        return shown_statistics(live)

    def known() -> bool:
        return bool(shown()) and "unknown" not in shown().values()

    expected = {"Transport", "Size", "Frames per second", "Bitrate", "Packets lost", "Jitter"}
    expected |= {"From capture to screen", "Round trip"}
    if device.has_upstreams_plugin:
        # It does not tell its clock.
        live.wait_until(lambda: shown().get("Bitrate", "unknown") != "unknown", "rates are known")
        assert shown()["From capture to screen"] == "unknown"
    else:
        live.wait_until(known, "all figures are known")
    figures = shown()
    assert expected == figures.keys()
    assert figures["Transport"] == "WebRTC, UDP"
    assert float(figures["Frames per second"]) > 1
    if not device.has_upstreams_plugin:
        live.wait_until(
            lambda: agrees(live, shown()), "the plugin's stamp agrees with the picture's"
        )
    button(live, "Copy").click()
    live.page.get_by_text("Copied.").wait_for()
    assert "Transport: WebRTC, UDP" in live.page.evaluate("navigator.clipboard.readText()")
    choose_transport(live, "MJPEG only")
    live.wait_until(lambda: shown().get("Transport") == "MJPEG", "the path is told")


def agrees(screen: RemoteScreen, figures: dict[str, str]) -> bool:
    """The emulated computer draws the wall clock into its picture: the same latency, seen in another way."""
    if figures["From capture to screen"] == "unknown":
        return False
    by_stamp_ms = float(figures["From capture to screen"].removesuffix(" ms"))
    ages_ms = [(frame.at - frame.stamp) * 1000 for frame in screen.collect(10) if frame.is_good]
    return min(ages_ms) - AGREEMENT_MS < by_stamp_ms < max(ages_ms) + AGREEMENT_MS


def test_the_picture_floats_in_a_window_of_its_own_and_comes_back(live: RemoteScreen):
    open_menu(live)
    float_button = button(live, "Picture in picture")
    float_button.click()

    def floating() -> str | None:
        return live.page.evaluate("document.pictureInPictureElement?.id")

    live.wait_until(lambda: floating() == "remote-screen", "the picture floats")
    live.collect(10)
    live.page.evaluate("document.exitPictureInPicture()")
    live.wait_until(lambda: floating() is None, "the picture is back")
    live.collect(10)
    # Otherwise browsers put a button of their own over it.
    expect(live.page.locator("#remote-screen")).to_have_js_property("disablePictureInPicture", True)
    open_menu(live)
    choose_transport(live, "MJPEG only")
    open_menu(live)
    expect(float_button).to_be_disabled()  # only a video can float
