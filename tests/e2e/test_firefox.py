# SPDX-License-Identifier: MIT
"""The product in Firefox: a way through all of it, since each test costs its time, not all that is seen in Chromium.

What can't be seen here:
- WebRTC: this Firefox has no H.264 there. The picture comes by the second transport.
- the lights of the locks: WebDriver has no Caps Lock.
- the browser's zoom, a phone's fingers, forced colours: Playwright has them for Chromium alone.
"""

from __future__ import annotations

import base64
import contextlib
import functools
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Playwright

from tests.support.accessibility import LOOKS, assert_accessible, show
from tests.support.clients import Client, log_in
from tests.support.device import Device
from tests.support.remote_screen import RemoteScreen, launch_firefox
from tests.support.simulated_computer import SimulatedComputer, text_crc, wait_for_desk

from .test_input import (
    FOX,
    GERMAN,
    SHOWN_BY_LAYOUT,
    assert_pasted,
    assert_pointer_follows,
    assert_pointer_goes,
    lock_pointer,
    press_each_button,
    test_the_wheel_turns_both_ways_and_sideways,
    type_keys,
)
from .test_settings import BITRATE, admin
from .test_source import assert_follows_modes
from .test_transport import refuse_twice
from .test_view_tools import (
    RECORDED_FRAMES,
    assert_screenshots_are_as_it_is_turned,
    button,
    frames_in,
    open_menu,
    shown_statistics,
)

__all__ = [
    "admin",
    "test_the_wheel_turns_both_ways_and_sideways",
]

# The device made its certificate itself.
pytestmark = pytest.mark.filterwarnings("ignore:Unverified HTTPS request")

# There is no H.264 in this Firefox' WebRTC, which has none but Cisco's, and that is downloaded; WebCodecs has FFmpeg's.
TRANSPORT = "webcodecs"
REASON = "This browser can not show H.264 over WebRTC."


@pytest.fixture(scope="module")
def browser(playwright: Playwright) -> Iterator[Browser]:
    """Instead of Chromium, for each fixture and test here."""
    browser = launch_firefox(playwright)
    yield browser
    browser.close()


# Playwright hears of no download there. What the page makes into a file is kept.
KEEP_FILES = """{
  globalThis.files = [];
  const { createObjectURL } = URL;
  URL.createObjectURL = (blob) => {
    const url = createObjectURL.call(URL, blob);
    const file = { url };
    files.push(file);
    blob.arrayBuffer().then((buffer) => {
      file.bytes = btoa([...new Uint8Array(buffer)].map((byte) => String.fromCharCode(byte)).join(''));
    });
    return url;
  };
  const { click } = HTMLAnchorElement.prototype;
  HTMLAnchorElement.prototype.click = function () {
    const file = files.find(({ url }) => url === this.href);
    if (file) file.name = this.download;
    else click.call(this);
  };
}"""


@contextlib.contextmanager
def keeping(folder: Path, screen: RemoteScreen) -> Iterator[dict]:
    file: dict = {}
    yield file
    made = screen.wait_until(
        lambda: screen.page.evaluate("files.find(({ name, bytes }) => name && bytes)"),
        "a file is made",
    )
    screen.page.evaluate("files.length = 0")
    path = folder / made["name"]
    path.write_bytes(base64.b64decode(made["bytes"]))
    file.update(name=made["name"], path=path)


def test_the_tools_of_the_picture_menu(screen: RemoteScreen, tmp_path: Path):
    downloading = functools.partial(keeping, tmp_path)
    screen.page.add_init_script(KEEP_FILES)
    screen.open().wait_for_transport(TRANSPORT, REASON)
    open_menu(screen)
    assert_screenshots_are_as_it_is_turned(screen, downloading)
    button(screen, "Statistics").click()
    screen.wait_until(
        lambda: shown_statistics(screen).get("Frames per second", "unknown") != "unknown",
        "the statistics are shown",
    )
    button(screen, "Record").click()
    screen.collect(RECORDED_FRAMES)
    with downloading(screen) as file:
        button(screen, "Record").click()
    assert len(frames_in(file["path"])) > RECORDED_FRAMES / 2
    assert errors(screen) == []


# What Firefox says where a page closes a WebSocket before it is open: of a transport that was tried while nothing came
# by the one before, as happens when the mode changes.
GIVEN_UP = re.compile(
    r"connection to the server at wss:\S+/api/\w+\.$|^error: The connection to wss:\S+/api/\w+ was "
)


def errors(screen: RemoteScreen) -> list[str]:
    lines = [line for line in screen.console if line.startswith("error:")]
    return [line for line in lines if not GIVEN_UP.search(line)]


def test_from_the_login_to_the_picture(new_screen: Callable[..., RemoteScreen], ada: Client):
    screen = new_screen(role=None).open()
    log_in(screen, "ada")
    screen.wait_for_transport(TRANSPORT, REASON)
    screen.wait_until_live()
    assert screen.peer_connections == 0
    assert errors(screen) == []
    assert screen.page.evaluate("observer.violations") == []


def test_the_picture_follows_the_resolution(screen: RemoteScreen, device: Device):
    screen.open().wait_for_transport(TRANSPORT, REASON)
    assert_follows_modes(screen, device, TRANSPORT)
    assert errors(screen) == []


@pytest.mark.parametrize("script", ["socket-videos.js", "h264-decoder.js"])
def test_code_that_did_not_arrive_is_loaded_again(screen: RemoteScreen, script: str):
    """Firefox remembers by its address what failed, also of what a module imports."""
    refused = refuse_twice(screen, script)
    screen.open().wait_for_transport(TRANSPORT, REASON)
    assert len(refused) == 2


def test_the_pointer_follows_and_text_arrives(owner: RemoteScreen, computer: SimulatedComputer):
    box = owner.page.locator("#stage").bounding_box()
    scale = min(box["width"] / 1280, box["height"] / 720)
    left = box["x"] + (box["width"] - 1280 * scale) / 2
    top = box["y"] + (box["height"] - 720 * scale) / 2
    places = [(3, 200), (1276, 716), (640, 360)]
    assert_pointer_follows(
        owner, {(x, y): (left + (x + 0.5) * scale, top + (y + 0.5) * scale) for x, y in places}
    )
    press_each_button(owner)
    computer.tell("layout de", "clear")
    wait_for_desk(owner, lambda desk: desk.typed == 0, "nothing is typed yet")
    type_keys(owner, f"{FOX}#@")
    shown = text_crc(SHOWN_BY_LAYOUT["de"])
    wait_for_desk(owner, lambda desk: desk.text_crc == shown, "all is typed")
    assert_pasted(owner, computer, GERMAN)
    owner.page.keyboard.press("Escape")
    lock_pointer(owner)
    # Each movement that WebDriver makes of a locked pointer begins in the middle of the window.
    assert_pointer_goes(owner, (50, -30), lambda: owner.page.mouse.move(640 + 50, 360 - 30))
    assert errors(owner) == []


def test_a_setting_is_applied_and_shown(
    new_screen: Callable[..., RemoteScreen], admin: Client, device: Device
):
    screen = new_screen(role="admin")
    page = screen.page
    screen.open("settings")
    bitrate = page.get_by_label("Bitrate (kbit/s)")
    apply = page.locator("#ustreamer").get_by_role("button", name="Apply", disabled=False)
    bitrate.fill("20001")
    apply.click()
    page.get_by_text("Bitrate (kbit/s) must be a whole number from 25 to 20000.").wait_for()
    bitrate.fill("2500")
    apply.click()
    page.get_by_text("Applied.").wait_for()
    assert admin.ask("GET", "/api/settings").json()["settings"][BITRATE]["value"] == 2500
    page.reload()
    page.locator("#power button:enabled").first.wait_for()
    assert bitrate.input_value() == "2500"
    assert errors(screen) == []


def test_axe_finds_nothing(new_screen: Callable[..., RemoteScreen], device: Device):
    screen = new_screen(role=None)
    screen.open("login")
    screen.page.locator("[type=submit]:enabled").wait_for()
    show(screen, next(look for look in LOOKS if look.scheme == "dark"))
    assert screen.page.evaluate("matchMedia('(prefers-color-scheme: dark)').matches")
    assert_accessible(screen, "login in Firefox")
    screen.page.context.add_cookies([device.browser_cookie("admin")])
    screen.open().wait_until_live()
    assert_accessible(screen, "live in Firefox")
    screen.open("settings")
    screen.page.locator("#power button:enabled").first.wait_for()
    assert_accessible(screen, "settings in Firefox")
