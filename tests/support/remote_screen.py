# SPDX-License-Identifier: MIT
"""The product's page in a real browser, with an observer beside it (observer.js)."""

from __future__ import annotations

import contextlib
import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from playwright.sync_api import Browser, Error, Page, Playwright, Request, sync_playwright

from .device import Device
from .waiting import PATIENCE_SECONDS, wait_until

CHROMIUM = "/usr/bin/chromium"
CHROMIUM_FLAGS = [
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--autoplay-policy=no-user-gesture-required",
]
# What Firefox still asks its maker for with Playwright's preferences goes nowhere; the release wants both for that.
FIREFOX_PREFERENCES = {"services.settings.server": "data:,#remote-settings-dummy/v1"}
FIREFOX_ENVIRONMENT = {"MOZ_REMOTE_SETTINGS_DEVTOOLS": "1"}
FIREFOX_BIDI = Path(__file__).with_name("firefox_bidi.py")
OBSERVER = Path(__file__).with_name("observer.js")
# The stamp in the picture is the wall clock modulo this many microseconds.
STAMP_MODULUS = 1 << 40
# By the element that shows what came by it.
TRANSPORTS = {"remote-screen": "webrtc", "h264": "webcodecs", "jpegs": "mjpeg"}
# How often the page may be loaded anew, see open().
LOADS = 5
NETWORK_CHANGED = "net::ERR_NETWORK_CHANGED"

_INBOUND_VIDEO = """async () => {
  const peer = observer.peers.at(-1);
  const report = peer ? await peer.connection.getStats() : new Map();
  return [...report.values()].find((s) => s.type === 'inbound-rtp' && s.kind === 'video') ?? null;
}"""


def launch_chromium(playwright: Playwright) -> Browser:
    """Debian's, headless, with a user data folder of its own."""
    return playwright.chromium.launch(
        executable_path=CHROMIUM,
        # Playwright's own switch stands for a headless shell, another program.
        headless=False,
        args=CHROMIUM_FLAGS,
    )


def launch_firefox(playwright: Playwright) -> Browser:
    """Debian's, headless, with a profile of its own, by WebDriver BiDi.

    Playwright's usual "firefox" is a build of its own, which Debian does not have.
    """
    # For the program's interpreter, and what that imports.
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    return playwright.firefox.launch(
        channel="moz-firefox",
        executable_path=FIREFOX_BIDI,
        env={**os.environ, "PATH": path, **FIREFOX_ENVIRONMENT},
        firefox_user_prefs=FIREFOX_PREFERENCES,
    )


@contextlib.contextmanager
def launch_browser() -> Iterator[Browser]:
    """Chromium, for who needs nothing else of Playwright."""
    with sync_playwright() as playwright:
        browser = launch_chromium(playwright)
        yield browser
        browser.close()


def new_screen(
    browser: Browser, device: Device, role: str | None = "viewer", **options
) -> RemoteScreen:
    """A page in a browser context of its own, with options of Browser.new_context().

    role: of the session that this browser has; None: nobody has logged in there.
    """
    page = browser.new_page(ignore_https_errors=True, **options)
    if role:
        page.context.add_cookies([device.browser_cookie(role)])
    return RemoteScreen(page, device.url)


@dataclass(frozen=True)
class Frame:
    """A frame that the video element presented, or that the page drew on a canvas.

    transport: by which it came; number counts from 1; at and stamp are wall clock seconds: when it was presented and,
    as the picture says, captured. counter and stamp are None where the picture's checksum is wrong.
    """

    number: int
    at: float
    width: int
    height: int
    counter: int | None
    stamp: float | None
    transport: str

    @classmethod
    def from_observer(cls, noted: dict) -> Frame:
        at, stamp = noted["at"] / 1000, None
        if noted["stampUs"] is not None:
            # The nearest moment with this stamp: clocks are not exact enough to say "before".
            late = (at * 1e6 - noted["stampUs"] + STAMP_MODULUS / 2) % STAMP_MODULUS
            stamp = at - (late - STAMP_MODULUS / 2) / 1e6
        size = noted["width"], noted["height"]
        return cls(
            noted["number"], at, *size, noted["counter"], stamp, TRANSPORTS[noted["shownBy"]]
        )

    @property
    def is_good(self) -> bool:
        return self.counter is not None


class RemoteScreen:
    """One open page. What it says to the console, asks for and tells Janus is written down."""

    def __init__(self, page: Page, url: str):
        self.page = page
        self.url = url
        self.console: list[str] = []
        self.requests: list[str] = []
        self.navigations: list[str] = []
        # What went over the Janus WebSocket.
        self.sent: list[dict] = []
        self.received: list[dict] = []
        page.add_init_script(path=OBSERVER)
        page.on("console", lambda message: self.console.append(f"{message.type}: {message.text}"))
        page.on("pageerror", lambda error: self.console.append(f"error: {error}"))
        page.on("request", lambda request: self.requests.append(request.url))
        page.on("requestfailed", self._note_failure)
        page.on("framenavigated", lambda frame: self.navigations.append(frame.url))
        page.on("websocket", self._note_socket)

    def _note_failure(self, request: Request) -> None:
        if request.failure == NETWORK_CHANGED:
            self._network_changed = True

    def _note_socket(self, socket) -> None:
        self.requests.append(socket.url)
        if not socket.url.endswith("/janus/ws"):
            return
        socket.on("framesent", lambda text: self.sent.append(json.loads(text)))
        socket.on("framereceived", lambda text: self.received.append(json.loads(text)))

    def open(self, path: str = "") -> RemoteScreen:
        """Loads a page of the device."""
        return self.navigate(lambda: self.page.goto(self.url + path))

    def navigate(self, go: Callable[[], object]) -> RemoteScreen:
        """Does what loads a page, and again if the browser gave up because this machine's network changed.

        It does whenever a network of containers comes or goes here, and aborts what is being loaded.
        """
        for _ in range(LOADS):
            self._network_changed = False
            try:
                go()
            except Error as error:
                if not self._network_changed and NETWORK_CHANGED not in error.message:
                    raise
                self._network_changed = True
            if not self._network_changed:
                return self
        raise AssertionError(f"the page can't be loaded:\n{self.console}")

    def leave(self) -> None:
        """To another page, as a person would."""
        self.page.goto("about:blank")

    def wait_until(self, look: Callable, what: str, seconds: float = PATIENCE_SECONDS):
        """Like waiting.wait_until, and the browser's events are handled meanwhile."""

        def look_again_after_navigation():
            try:
                return look()
            except Error as error:
                if "Execution context was destroyed" in error.message:
                    return None
                raise

        return wait_until(
            look_again_after_navigation,
            what,
            seconds,
            lambda pause: self.page.wait_for_timeout(pause * 1000),
        )

    # --- What the page says ---

    @property
    def state(self) -> str:
        return self.page.evaluate("document.documentElement.dataset.state")

    def wait_for(self, selector: str) -> None:
        """Until there is such an element, seen or not."""
        self.page.locator(selector).wait_for(state="attached", timeout=PATIENCE_SECONDS * 1000)

    def wait_for_state(self, state: str) -> None:
        self.wait_for(f"html[data-state={state}]")

    def wait_for_control(self, control: str) -> None:
        """Who has keyboard and mouse: mine, theirs, free, watching, offline."""
        self.wait_for(f"html[data-control={control}]")

    def wait_until_laid_out(self) -> None:
        """Until the page has heard of its new size: its ResizeObservers are told before the next frame is drawn."""
        self.page.evaluate(
            "() => new Promise((drawn) => requestAnimationFrame(() => requestAnimationFrame(drawn)))"
        )

    @property
    def transport(self) -> str:
        """The video transport: webrtc, webcodecs or mjpeg."""
        return self.page.evaluate("document.documentElement.dataset.transport")

    def transport_note(self) -> str:
        """How it comes, and why not by WebRTC, as far as a person can see it."""
        note = self.page.locator("#transport-note")
        return note.inner_text() if note.is_visible() else ""

    def wait_for_transport(self, transport: str, reason: str, seconds: float = PATIENCE_SECONDS):
        """Until the picture comes by this one, moves, and the page says why."""
        counters = set()

        def moves_and_says_why() -> bool:
            frame = self.newest
            if frame and frame.transport == transport and frame.is_good:
                counters.add(frame.counter)
            says = self.transport == transport and reason in self.transport_note()
            return len(counters) > 1 and self.state == "live" and says

        what = f"the picture comes by {transport} and moves, and the page says {reason!r}"
        self.wait_until(moves_and_says_why, what, seconds)

    def notice(self) -> str:
        """The words over the picture, as far as a person can see them."""
        notice = self.page.locator(".notice")
        return notice.inner_text() if notice.is_visible() else ""

    # --- What it shows ---

    def frames_since(self, number: int) -> list[Frame]:
        """The frames presented after the one with this number."""
        noted = self.page.evaluate("(number) => observer.framesSince(number)", number)
        return [Frame.from_observer(frame) for frame in noted]

    @property
    def newest(self) -> Frame | None:
        noted = self.page.evaluate("observer.frames.at(-1)")
        return Frame.from_observer(noted) if noted else None

    def collect(self, count: int) -> list[Frame]:
        """The next `count` frames, or somewhat more."""
        start = self.newest.number if self.newest else 0
        self.wait_until(
            lambda: self.newest and self.newest.number >= start + count,
            f"{count} more frames are presented",
        )
        return self.frames_since(start)

    def wait_for_frame(self, captured_after: float, size: tuple[int, int] | None = None) -> Frame:
        """A frame with the right checksum whose picture was captured after this moment."""

        def look() -> Frame | None:
            frame = self.newest
            if not frame or not frame.is_good or frame.stamp <= captured_after:
                return None
            return frame if size in (None, (frame.width, frame.height)) else None

        what = (
            "a fresh frame is presented" if size is None else f"a fresh {size} frame is presented"
        )
        return self.wait_until(look, what)

    def wait_until_live(self, captured_after: float | None = None) -> Frame:
        """Live, with a picture captured after `captured_after` (default: from now on)."""
        frame = self.wait_for_frame(time.time() if captured_after is None else captured_after)
        self.wait_for_state("live")
        return frame

    # --- What is below it ---

    def inbound_video(self) -> dict:
        """getStats() of the newest peer connection's video; {} if there is none."""
        return self.page.evaluate(_INBOUND_VIDEO) or {}

    def frames_decoded(self) -> int:
        return self.inbound_video().get("framesDecoded", 0)

    @property
    def peer_connections(self) -> int:
        """How many the page has made since it was opened."""
        return self.page.evaluate("observer.peers.length")

    def connection_events(self) -> list[tuple[float, str]]:
        """What became of the newest peer connection: wall clock seconds, and the new state."""
        events = self.page.evaluate("observer.peers.at(-1)?.events ?? []")
        return [(event["at"] / 1000, event["name"]) for event in events]

    def requests_to_plugin(self, name: str) -> list[dict]:
        """The Janus messages with this request, in the order of sending."""
        return [message for message in self.sent if message.get("body", {}).get("request") == name]

    def janus_did(self, request: str) -> bool:
        """Whether the page asked Janus for this, as "claim", and Janus did it."""
        asked = {message["transaction"] for message in self.sent if message["janus"] == request}
        done = [message for message in self.received if message["janus"] == "success"]
        return any(message.get("transaction") in asked for message in done)

    def plugin_errors(self) -> list[int]:
        """Error codes that the plugin answered with."""
        data = [message.get("plugindata", {}).get("data", {}) for message in self.received]
        return [entry["error_code"] for entry in data if "error_code" in entry]

    @contextlib.contextmanager
    def by_itself(self) -> Iterator[None]:
        """Asserts that the page was neither reloaded nor navigated meanwhile."""
        identity, navigations = self.page.evaluate("observer.id"), len(self.navigations)
        yield
        assert self.page.evaluate("observer.id") == identity
        assert self.navigations[navigations:] == []
