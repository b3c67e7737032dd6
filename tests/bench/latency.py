# SPDX-License-Identifier: MIT
"""From the capture of a frame to its presentation in Chromium, read out of the picture."""

from __future__ import annotations

import time

from playwright.sync_api import Browser

from tests.support.device import Device
from tests.support.remote_screen import Frame, RemoteScreen, new_screen

from .figures import median, milliseconds, percentile, table

MODES = {"640x480@30": (640, 480), "1280x720@30": (1280, 720), "1920x1080@30": (1920, 1080)}
RUNS = 5
RUN_SECONDS = 10
# The beginning has the cached pictures in it, and the page's own start.
SETTLE_SECONDS = 2
PERCENTS = (50, 95, 99)


def watch(screen: RemoteScreen, seconds: float) -> list[Frame]:
    """The frames presented within `seconds`, after the picture has settled."""
    screen.page.wait_for_timeout(SETTLE_SECONDS * 1000)
    start = screen.newest.number
    screen.page.wait_for_timeout(seconds * 1000)
    return screen.frames_since(start)


def measure(browser: Browser, device: Device) -> str:
    rows = []
    for mode, size in MODES.items():
        device.control(mode=mode)
        runs: list[list[float]] = []
        captured = presented = damaged = 0
        for _ in range(RUNS):
            # A new page each time: what differs from one connection to the next shows.
            screen = new_screen(browser, device)
            screen.open().wait_for_frame(captured_after=time.time(), size=size)
            frames = watch(screen, RUN_SECONDS)
            screen.page.close()
            good = [frame for frame in frames if frame.is_good]
            runs.append([frame.at - frame.stamp for frame in good])
            captured += good[-1].counter - good[0].counter + 1
            presented += len(frames)
            damaged += len(frames) - len(good)
        figures = [[percentile(run, percent) for run in runs] for percent in PERCENTS]
        rows.append(
            [
                f"{size[0]} \u00d7 {size[1]}",
                *(milliseconds(median(of_runs)) for of_runs in figures),
                " ".join(milliseconds(value) for value in figures[0]),
                f"{100 * presented / captured:.1f} %",
                f"{100 * damaged / presented:.1f} %",
            ]
        )
    percents = [f"p{percent} ms" for percent in PERCENTS]
    header = ["at 30 frames/s", *percents, "p50 of each run", "presented", "damaged"]
    return (
        f"Capture to presented frame in Chromium; medians of {RUNS} runs of {RUN_SECONDS} s, "
        "each with a page of its own. \u201cPresented\u201d are the captured frames that the "
        "observer in the page saw. "
        "\u201cDamaged\u201d are those of them with a wrong checksum.\n\n" + table(header, rows)
    )
