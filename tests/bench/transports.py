# SPDX-License-Identifier: MIT
"""The three transports of the picture side by side: how late, how many bytes, and what they cost."""

from __future__ import annotations

import contextlib
import os
import time
from pathlib import Path

from playwright.sync_api import Browser

from tests.support.device import Device
from tests.support.remote_screen import new_screen

from . import load
from .figures import milliseconds, percentile, table

TRANSPORTS = {"webrtc": "WebRTC", "webcodecs": "H.264 over a WebSocket", "mjpeg": "MJPEG"}
LIGHT_VIEWERS = {
    "webrtc": ("light_viewers", "janus/ws"),
    "webcodecs": ("light_socket_viewers", "api/h264"),
    "mjpeg": ("light_socket_viewers", "api/jpegs"),
}
SLOW_KBIT_PER_SECOND = 5000
LINES = [("clean", 1), ("clean", 4), ("clean", 8), ("5 Mbit/s", 1)]
SETTLE_SECONDS = 3
SECONDS = 12
CARRIERS = ("janus", "tinypilot-relay", "nginx")


def browser_cpu_seconds() -> float:
    """Of all processes of Chromium on this machine: there is one browser."""
    ticks = 0
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            name, _, fields = (process / "stat").read_text().rpartition(")")
            if "chromium" in name:
                ticks += sum(int(value) for value in fields.split()[11:13])
    return ticks / os.sysconf("SC_CLK_TCK")


def bytes_sent(device: Device) -> int:
    return sum(map(int, device.sh("cat /sys/class/net/eth*/statistics/tx_bytes").split()))


def measure_one(browser: Browser, device: Device, transport: str, line: str, viewers: int) -> list:
    with contextlib.ExitStack() as stack:
        if line != "clean":
            stack.enter_context(device.slow_line(SLOW_KBIT_PER_SECOND))
        module, path = LIGHT_VIEWERS[transport]
        stack.enter_context(load.viewers(device, viewers - 1, module, path))
        screen = new_screen(browser, device)
        stack.callback(screen.page.context.close)
        screen.page.add_init_script(f"localStorage.setItem('picture-transport', '{transport}')")
        screen.open().wait_for_frame(captured_after=time.time())
        screen.page.wait_for_timeout(SETTLE_SECONDS * 1000)
        number, sent, began = screen.newest.number, bytes_sent(device), time.monotonic()
        cpu, page = load.cpu_seconds(device), browser_cpu_seconds()
        screen.page.wait_for_timeout(SECONDS * 1000)
        seconds = time.monotonic() - began
        used = {name: value - cpu[name] for name, value in load.cpu_seconds(device).items()}
        page = browser_cpu_seconds() - page
        sent = bytes_sent(device) - sent
        frames = [frame for frame in screen.frames_since(number) if frame.is_good]
    late = [frame.at - frame.stamp for frame in frames]
    return [
        TRANSPORTS[transport],
        line,
        viewers,
        *(milliseconds(percentile(late, percent)) for percent in (50, 95)),
        milliseconds(max(late)),
        f"{len(frames) / seconds:.1f}",
        f"{sent / seconds / viewers / 1000:.0f}",
        *(f"{100 * used[name] / seconds:.0f} %" for name in CARRIERS),
        f"{100 * page / seconds:.0f} %",
    ]


def measure(browser: Browser, device: Device) -> str:
    rows = [
        measure_one(browser, device, transport, line, viewers)
        for line, viewers in LINES
        for transport in TRANSPORTS
    ]
    header = [
        "transport",
        "line",
        "viewers",
        "p50 ms",
        "p95 ms",
        "latest ms",
        "frames/s",
        "kB/s each",
        *CARRIERS,
        "browser",
    ]
    return (
        f"Over {SECONDS} s at 1280 \u00d7 720, 30 frames per second. Times are from the capture of a frame "
        "to its presentation in Chromium, read out of the picture. One viewer is that page, the others take "
        "the stream off the network and show nothing. The four last columns are shares of one core; the browser "
        "decodes in software, and is watched by an observer that reads each frame.\n\n"
        + table(header, rows)
    )
