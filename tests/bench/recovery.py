# SPDX-License-Identifier: MIT
"""How long an open page is without a fresh picture when something on the device dies."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Sequence

from playwright.sync_api import Browser

from tests.support.device import Device
from tests.support.remote_screen import Frame, RemoteScreen, new_screen

from .figures import median, milliseconds, table

TRIES = {"kill": 5, "reboot": 3}
# What a new connection is shown first is from the past: a picture this old is none.
FRESH_SECONDS = 1.0
# What is looked at before and after.
BEFORE_SECONDS, AFTER_SECONDS = 1.0, 3.0


def longest_gap(frames: Sequence[Frame]) -> float:
    """Seconds between two presented frames with nothing fresh between them, at the most."""
    fresh = [
        frame.at for frame in frames if frame.is_good and frame.at - frame.stamp < FRESH_SECONDS
    ]
    return max(later - earlier for earlier, later in itertools.pairwise(fresh))


def gap_during(screen: RemoteScreen, device: Device, happen: Callable[[], None]) -> float:
    device.wait_until_ready()
    screen.wait_until_live()
    start = screen.newest.number
    screen.page.wait_for_timeout(BEFORE_SECONDS * 1000)
    happen()
    device.wait_until_ready()
    screen.wait_for_frame(captured_after=time.time())
    screen.page.wait_for_timeout(AFTER_SECONDS * 1000)
    return longest_gap(screen.frames_since(start))


def measure(browser: Browser, device: Device) -> str:
    screen = new_screen(browser, device)
    screen.open()
    rows = [["nothing", *_figures(screen, device, lambda: None, TRIES["kill"])]]
    for service in device.services:
        happen = _killer(device, service)
        rows.append([f"SIGKILL {service}", *_figures(screen, device, happen, TRIES["kill"])])
    rows.append(["reboot", *_figures(screen, device, device.restart, TRIES["reboot"])])
    screen.page.close()
    return (
        "Longest time between two fresh, undamaged frames that an open page presented; nobody "
        "touches it. "
        "SIGKILL goes to all processes of the service.\n\n"
        + table(["what happens", "tries", "median ms", "longest ms"], rows)
    )


def _killer(device: Device, service: str) -> Callable[[], None]:
    return lambda: device.kill(service)


def _figures(
    screen: RemoteScreen, device: Device, happen: Callable[[], None], tries: int
) -> list[object]:
    gaps = [gap_during(screen, device, happen) for _ in range(tries)]
    return [tries, milliseconds(median(gaps)), milliseconds(max(gaps))]
