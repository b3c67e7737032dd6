# SPDX-License-Identifier: MIT
"""What the Picture menu makes of the picture: files, statistics, a window of its own."""

import av
from playwright.sync_api import expect

from tests.support.device import Device
from tests.support.remote_screen import RemoteScreen

from .test_transport import choose_transport

# The observer sees a frame a moment before it is on the screen.
AGREEMENT_MS = 40.0
RECORDED_FRAMES = 20


def open_menu(screen: RemoteScreen) -> None:
    screen.page.locator("summary[title=Picture]").click()


def button(screen: RemoteScreen, name: str):
    return screen.page.get_by_role("button", name=name, exact=True)


def frames_in(path) -> list[av.VideoFrame]:
    with av.open(str(path)) as file:
        return list(file.decode(video=0))


def test_a_screenshot_is_a_png_of_the_picture_as_it_is_turned(live: RemoteScreen):
    open_menu(live)
    for turns, size in [(0, (1280, 720)), (1, (720, 1280))]:
        for _ in range(turns):
            button(live, "Rotate").click()
        with live.page.expect_download() as download:
            button(live, "Screenshot").click()
        assert download.value.suggested_filename.endswith(".png")
        [frame] = frames_in(download.value.path())
        assert (frame.width, frame.height) == size


def test_a_recording_is_a_file_that_plays_by_each_transport(live: RemoteScreen):
    for transport, label in [
        ("webrtc", "WebRTC only"),
        ("webcodecs", "H.264 over a WebSocket only"),
        ("mjpeg", "MJPEG only"),
    ]:
        choose_transport(live, label)
        if transport != "webrtc":
            live.wait_for_transport(transport, "You chose this")
        open_menu(live)
        button(live, "Record").click()
        expect(button(live, "Record")).to_have_attribute("aria-pressed", "true")
        live.collect(RECORDED_FRAMES)
        with live.page.expect_download() as download:
            button(live, "Record").click()
        open_menu(live)
        assert download.value.suggested_filename.rpartition(".")[2] in ("mp4", "webm")
        frames = frames_in(download.value.path())
        assert len(frames) > RECORDED_FRAMES / 2
        assert (frames[-1].width, frames[-1].height) == (1280, 720)


def test_the_statistics_can_be_read_and_copied(live: RemoteScreen, device: Device):
    live.page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    # On a busy machine frames may be missing just when a figure is read, and MJPEG would take their place.
    choose_transport(live, "WebRTC only")
    open_menu(live)
    button(live, "Statistics").click()

    def shown() -> dict[str, str]:
        names = live.page.locator("#stats-list dt").all_inner_texts()
        return dict(zip(names, live.page.locator("#stats-list dd").all_inner_texts(), strict=True))

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
