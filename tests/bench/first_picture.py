# SPDX-License-Identifier: MIT
"""From the page's answer to its first picture, and what of it is waited for."""

from __future__ import annotations

import random
import time

from playwright.sync_api import Browser

from tests.support.device import Device
from tests.support.remote_screen import RemoteScreen, new_screen
from tests.support.waiting import LONG_POLL_SECONDS, wait_until

from .figures import milliseconds, percentile, table

TRIES, TRIES_AFTER_REST = 20, 5
# --slowdown: how long uStreamer sleeps between two frames that nobody wants.
USTREAMER_PAUSE_SECONDS = 0.5
# The plugin reads the sink on for 30 s, uStreamer forgets a reader after 10 s; and some for a busy machine.
REST_AFTER_SECONDS = 60
# From ... to ...: events of the peer connection, and the first frame.
STEPS = {
    "ICE": ("signaling stable", "ice connected"),
    "DTLS": ("ice connected", "connection connected"),
    "key frame, decoding, presentation": ("connection connected", "first frame"),
    "all: answer to first picture": ("signaling stable", "first frame"),
}


def moments(screen: RemoteScreen) -> dict[str, float]:
    """When each event of the newest peer connection came first, wall clock seconds."""
    events = screen.connection_events()
    first = {name: at for at, name in reversed(events)}
    return {**first, "first frame": screen.frames_since(0)[0].at}


def after_login(browser: Browser, device: Device) -> float:
    """Seconds from where the login leads to the picture, in a browser that has nothing of the page yet."""
    screen = new_screen(browser, device)
    screen.open().wait_until_live()
    began = screen.page.evaluate("observer.clockOffset") / 1000
    seconds = screen.frames_since(0)[0].at - began
    screen.page.context.close()
    return seconds


def unwatched(device: Device) -> None:
    """Waits until uStreamer looks at the source only now and then, and for any part of its pause."""
    wait_until(
        lambda: not device.is_encoding,
        "uStreamer at rest",
        REST_AFTER_SECONDS,
        poll_seconds=LONG_POLL_SECONDS,
    )
    time.sleep(random.uniform(0, USTREAMER_PAUSE_SECONDS))


def measure(browser: Browser, device: Device) -> str:
    screen = new_screen(browser, device)
    screen.open().wait_until_live()
    durations: dict[str, list[float]] = {step: [] for step in STEPS}
    for _ in range(TRIES):
        screen.open().wait_until_live()
        at = moments(screen)
        for step, (begin, end) in STEPS.items():
            durations[step].append(at[end] - at[begin])
    screen.page.close()
    durations["login to first picture"] = [after_login(browser, device) for _ in range(TRIES)]
    rest = durations["login to first picture, nobody has watched"] = []
    for _ in range(TRIES_AFTER_REST):
        unwatched(device)
        rest.append(after_login(browser, device))
    rows = [
        [step, *(milliseconds(percentile(samples, percent)) for percent in (50, 95, 100))]
        for step, samples in durations.items()
    ]
    return (
        f"{TRIES} times in Chromium: the page is loaded anew while somebody has just watched. The last two lines "
        "are all that follows the login, in a browser that has nothing of the page yet; the very last, "
        f"{TRIES_AFTER_REST} times, after uStreamer had gone to rest.\n\n"
        + table(["step", "p50 ms", "p95 ms", "longest ms"], rows)
    )
