# SPDX-License-Identifier: MIT
"""From a key press in Chromium to the report at the attached computer, and to the changed pixel."""

from __future__ import annotations

import itertools

from playwright.sync_api import Browser

from tests.support.device import Device
from tests.support.remote_screen import RemoteScreen, new_screen
from tests.support.simulated_computer import (
    READ_CELLS,
    Desk,
    SimulatedComputer,
    read_desk,
    wait_for_desk,
)

from .figures import milliseconds, percentile, table

PRESSES = 300
PAUSE_MS = 60
PERCENTS = (50, 95, 99)
NOTHING = bytes(8)
KEY_A = 4

# Notes when a key was pressed. Seconds of the wall clock.
_NOTE_KEYS = """() => {
  const wall = (moment) => (observer.clockOffset + moment) / 1000;
  globalThis.noted = { pressed: [], frames: [] };
  addEventListener('keydown', (event) => noted.pressed.push(wall(event.timeStamp)), true);
}"""
# Notes what each frame shows.
_NOTE_FRAMES = f"""() => {{
  const readCells = {READ_CELLS};
  const video = document.getElementById('remote-screen');
  const look = (now) => {{
    video.requestVideoFrameCallback(look);
    noted.frames.push([(observer.clockOffset + now) / 1000, readCells()]);
  }};
  video.requestVideoFrameCallback(look);
}}"""


def first_shown(frames: list[tuple[float, list[int]]]) -> list[float]:
    """When each character was seen first; a damaged frame shows nothing."""
    desks = [(at, desk) for at, cells in frames if (desk := Desk.decode(bytes(cells)))]
    shown = []
    for (_, before), (at, desk) in itertools.pairwise(desks):
        shown += [at] * (desk.typed - before.typed)
    return shown


def first_reported(reports: list[tuple[float, int, bytes]]) -> list[float]:
    """When the key was pressed at the computer. The present state is repeated each second."""
    keyboard = [(at, report) for at, number, report in reports if number == 0]
    return [
        at
        for (_, last), (at, report) in itertools.pairwise([(0, NOTHING), *keyboard])
        if report[2] == KEY_A and last[2] != KEY_A
    ]


def press(screen: RemoteScreen) -> dict[str, list]:
    """What the page noted meanwhile."""
    screen.page.evaluate("Object.assign(noted, { pressed: [], frames: [] })")
    typed = read_desk(screen).typed
    for _ in range(PRESSES):
        screen.page.keyboard.press("KeyA")
        screen.page.wait_for_timeout(PAUSE_MS)
    wait_for_desk(screen, lambda desk: desk.typed >= typed + PRESSES, "all is typed")
    return screen.page.evaluate("noted")


def measure(browser: Browser, device: Device) -> str:
    computer = SimulatedComputer(device)
    computer.restore()
    device.control(content="computer")
    screen = new_screen(browser, device, role="operator")
    screen.open().wait_until_live()
    read_desk(screen)
    screen.page.locator("#control-ask").click()
    screen.page.locator("html[data-control=mine]").wait_for(state="attached")
    screen.page.locator("#stage").focus()
    screen.page.evaluate(_NOTE_KEYS)
    # Reading frames back keeps the page from its keys, so it comes second.
    screen.page.evaluate("observer.readsFrames = false")
    before = len(computer.reports())
    to_report = press(screen)["pressed"], first_reported(computer.reports()[before:])
    screen.page.evaluate(_NOTE_FRAMES)
    noted = press(screen)
    to_frame = noted["pressed"], first_shown(noted["frames"])
    screen.page.close()
    computer.restore()
    rows = []
    for way, (starts, ends) in (
        ("to the report at the computer", to_report),
        ("to the frame that shows the character", to_frame),
    ):
        assert len(starts) == len(ends) == PRESSES, (way, len(starts), len(ends))
        spans = [end - start for start, end in zip(starts, ends, strict=True)]
        rows.append([way, *(milliseconds(percentile(spans, percent)) for percent in PERCENTS)])
    header = ["from the key press in Chromium", *(f"p{percent} ms" for percent in PERCENTS)]
    return f"{PRESSES} presses, one each {PAUSE_MS} ms, for each row.\n\n" + table(header, rows)
