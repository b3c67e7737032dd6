# SPDX-License-Identifier: MIT
"""For how long the attached computer's buttons are down, by the edges at their lines."""

from __future__ import annotations

from playwright.sync_api import Browser

from tests.support.clients import Client
from tests.support.device import Device
from tests.support.simulated_computer import SimulatedComputer, edges

from .figures import milliseconds, percentile, table

# What it is asked for, how often, and what it is to take, in seconds.
PRESSES = (("power", 40, 0.2), ("reset", 40, 0.2), ("force_off", 10, 5.0))


def press(device: Device, client: Client, name: str) -> float:
    """For how many seconds the button was down."""
    before = len(edges(device))
    answer = client.change("POST", "/api/atx", {"press": name})
    assert answer.ok, answer.text
    down, up = edges(device)[before:]
    assert (down.line, down.is_high, up.is_high) == (up.line, True, False)
    return up.at - down.at


def measure(browser: Browser, device: Device) -> str:
    computer = SimulatedComputer(device)
    computer.restore()
    client = Client(device, device.cookie("operator"))
    rows = []
    for name, tries, meant in PRESSES:
        spans = [press(device, client, name) for _ in range(tries)]
        off = max(abs(span - meant) for span in spans)
        shown = (percentile(spans, percent) for percent in (50, 100))
        rows.append(
            [name, tries, milliseconds(meant), *map(milliseconds, shown), f"{off * 1000:.2f}"]
        )
    computer.restore()
    header = ["press", "tries", "meant ms", "p50 ms", "longest ms", "furthest off, ms"]
    return "From the edge down to the edge up, at the chip's line.\n\n" + table(header, rows)
