# SPDX-License-Identifier: MIT
"""Frames decoded per second over a minute."""

from __future__ import annotations

from playwright.sync_api import Browser

from tests.support.device import Device
from tests.support.remote_screen import new_screen
from tests.support.viewers import look, run

from .figures import table

SECONDS = 60
SETTLE_SECONDS = 2


def chromium_rate(browser: Browser, device: Device) -> float:
    screen = new_screen(browser, device)
    screen.open().wait_until_live()
    screen.page.wait_for_timeout(SETTLE_SECONDS * 1000)
    first = screen.inbound_video()
    screen.page.wait_for_timeout(SECONDS * 1000)
    last = screen.inbound_video()
    screen.page.close()
    frames = last["framesDecoded"] - first["framesDecoded"]
    return frames * 1000 / (last["timestamp"] - first["timestamp"])


def measure(browser: Browser, device: Device) -> str:
    rows = [
        ["Chromium", f"{chromium_rate(browser, device):.2f}"],
        ["aiortc", f"{run(look(device.socket_url, device.cookie(), None, SECONDS)).fps:.2f}"],
    ]
    return f"1280 \u00d7 720 at 30 frames per second, over {SECONDS} s.\n\n" + table(
        ["viewer", "decoded per second"], rows
    )
