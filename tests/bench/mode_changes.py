# SPDX-License-Identifier: MIT
"""From a change of the computer's mode to a fresh picture of the new size, by each transport."""

from __future__ import annotations

import time

from playwright.sync_api import Browser

from tests.support.device import Device
from tests.support.remote_screen import Frame, RemoteScreen, new_screen

from .figures import median, milliseconds, table
from .transports import TRANSPORTS

# Up and down, and what firmware and old displays have. Each is the next one's beginning.
MODES = [
    *("1920x1080@30", "640x480@60", "1366x768@60", "1920x1200@30", "1440x900@60"),
    *("800x600@60", "1024x768@60", "1920x1080@50", "720x480@60", "1280x720@30"),
]
# As graphics cards do it: nothing is sent for a while, then the new mode.
DARK_SECONDS = 0.7
SETTLE_SECONDS = 2


def size_of(mode: str) -> tuple[int, int]:
    width, _, height = mode.partition("@")[0].partition("x")
    return int(width), int(height)


def first_of(screen: RemoteScreen, number: int, began: float, size: tuple[int, int]) -> Frame:
    """The first whole frame of this size, among those after that number, whose picture is from after `began`."""

    def look() -> Frame | None:
        return next(
            (
                frame
                for frame in screen.frames_since(number)
                if (frame.width, frame.height) == size and frame.is_good and frame.stamp > began
            ),
            None,
        )

    return screen.wait_until(look, f"a fresh picture of {size} is presented")


def change(screen: RemoteScreen, device: Device, mode: str, is_dark: bool) -> float:
    """Seconds from the last picture of the mode before to the first of this one, with no words over it."""
    screen.page.wait_for_timeout(SETTLE_SECONDS * 1000)
    number = screen.newest.number
    if is_dark:
        device.control(signal="asleep")
        screen.page.wait_for_timeout(DARK_SECONDS * 1000)
    began = time.time()
    device.control(mode=mode)
    frame = first_of(screen, number, began, size_of(mode))
    screen.wait_for_state("live")
    live_since = screen.page.evaluate("observer.states.at(-1).at") / 1000
    seen = max(frame.at, live_since)
    if is_dark:
        return seen - began
    before = [
        each.stamp
        for each in screen.frames_since(number - 1)
        if each.number < frame.number and each.stamp
    ]
    return seen - max(before)


def measure(browser: Browser, device: Device) -> str:
    rows = []
    for transport, name in TRANSPORTS.items():
        for is_dark in (False, True):
            screen = new_screen(browser, device)
            screen.page.add_init_script(f"localStorage.setItem('picture-transport', '{transport}')")
            device.control(mode=MODES[-1])
            screen.open().wait_for_frame(captured_after=time.time(), size=size_of(MODES[-1]))
            waits = {mode: change(screen, device, mode, is_dark) for mode in MODES}
            screen.page.context.close()
            slowest = max(waits, key=waits.__getitem__)
            rows.append(
                [
                    name,
                    "dark in between" if is_dark else "at once",
                    *(milliseconds(figure(waits.values())) for figure in (median, max)),
                    slowest.replace("x", " \u00d7 ").replace("@", ", ") + " Hz",
                ]
            )
    return (
        f"{len(MODES)} changes each, up and down, in an open page: from the last picture of the one mode to the "
        "first fresh one of the next, as Chromium presents them, when no words lie over it any more. "
        "\u201cDark in between\u201d: the computer sends "
        f"nothing for {DARK_SECONDS} s, as a graphics card does, and time counts from the new mode on.\n\n"
        + table(["transport", "change", "median ms", "longest ms", "which"], rows)
    )
