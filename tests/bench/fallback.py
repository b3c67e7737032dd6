# SPDX-License-Identifier: MIT
"""How long a page is without its picture when UDP goes, and how soon WebRTC has it again."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor

from playwright.sync_api import Browser, sync_playwright

from tests.support.device import Device
from tests.support.remote_screen import RemoteScreen, launch_firefox, new_screen

from .figures import median, milliseconds, table
from .first_picture import after_login

ROUNDS = 5


def until(screen: RemoteScreen, transport: str) -> float:
    """Seconds from now to the first fresh picture by this transport."""
    began, number = time.time(), screen.newest.number if screen.newest else 0

    def first():
        frames = screen.frames_since(number)
        fresh = (f for f in frames if f.transport == transport and f.is_good and f.stamp > began)
        return next(fresh, None)

    return screen.wait_until(first, f"a fresh picture by {transport}").at - began


def in_firefox(device: Device) -> list[float]:
    """Seconds from where the login leads to the picture. Debian's has no H.264 in WebRTC."""
    with sync_playwright() as playwright:
        browser = launch_firefox(playwright)
        seconds = [after_login(browser, device) for _ in range(ROUNDS)]
        browser.close()
    return seconds


def measure(browser: Browser, device: Device) -> str:
    waits: dict[str, list[float]] = {"UDP goes": [], "UDP is back": [], "opened without UDP": []}
    for _ in range(ROUNDS):
        screen = new_screen(browser, device).open()
        screen.wait_until_live()
        with device.without_udp():
            waits["UDP goes"].append(until(screen, "webcodecs"))
        waits["UDP is back"].append(until(screen, "webrtc"))
        screen.page.context.close()
        with device.without_udp():
            screen = new_screen(browser, device).open()
            waits["opened without UDP"].append(until(screen, "webcodecs"))
            screen.page.context.close()
    # A thread may have one Playwright.
    with ThreadPoolExecutor(1) as thread:
        waits["Firefox, after the login"] = thread.submit(in_firefox, device).result()
    rows = [
        [what, *(milliseconds(figure(seconds)) for figure in (median, max))]
        for what, seconds in waits.items()
    ]
    return (
        f"{ROUNDS} rounds each, to the first fresh picture by the other transport, as Chromium presents it.\n\n"
        + table(["what happens", "median ms", "longest ms"], rows)
    )
