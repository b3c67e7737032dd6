# SPDX-License-Identifier: MIT
"""From a key press in Chromium to the report at the attached computer, and to the changed pixel."""

from __future__ import annotations

import itertools

from playwright.sync_api import Browser

from ..e2e.desk import Computer, read_desk
from ..e2e.device import Device
from ..e2e.remote_screen import new_screen
from .figures import milliseconds, percentile, table

PRESSES = 300
PAUSE_MS = 60
PERCENTS = (50, 95, 99)
NOTHING = bytes(8)

# Notes when a key was pressed, and when a frame first showed one more character. Seconds of the wall clock.
_WATCH = """() => {
  const video = document.getElementById('remote-screen');
  const wall = (moment) => (observer.clockOffset + moment) / 1000;
  const noted = globalThis.noted = { pressed: [], shown: [] };
  addEventListener('keydown', (event) => noted.pressed.push(wall(event.timeStamp)), true);
  const canvas = new OffscreenCanvas(640, 8);
  const context = canvas.getContext('2d', { willReadFrequently: true });
  let last = null;
  const look = (now, { expectedDisplayTime }) => {
    video.requestVideoFrameCallback(look);
    context.drawImage(video, 0, -48);
    const { data } = context.getImageData(0, 0, 640, 8);
    let typed = 0;
    for (let bit = 32; bit < 48; bit++) typed = typed * 2 + (data[(4 * 640 + bit * 8 + 4) * 4 + 1] > 128);
    for (let more = last ?? typed; more < typed; more++) noted.shown.push(wall(now));
    last = typed;
  };
  video.requestVideoFrameCallback(look);
}"""


def measure(browser: Browser, device: Device) -> str:
    computer = Computer(device)
    computer.restore()
    device.control(content="computer")
    screen = new_screen(browser, device, role="operator")
    screen.open().wait_until_live()
    screen.wait_until(lambda: read_desk(screen), "the desk is seen")
    screen.page.locator("#control-ask").click()
    screen.page.locator("html[data-control=mine]").wait_for(state="attached")
    screen.page.locator("#stage").focus()
    before = len(computer.reports())
    screen.page.evaluate(_WATCH)
    screen.page.wait_for_timeout(1000)
    for _ in range(PRESSES):
        screen.page.keyboard.press("KeyA")
        screen.page.wait_for_timeout(PAUSE_MS)
    screen.wait_until(lambda: read_desk(screen).typed >= PRESSES, "all is seen")
    noted = screen.page.evaluate("noted")
    screen.page.close()
    keyboard = [(at, report) for at, number, report in computer.reports()[before:] if number == 0]
    # The present state is repeated each second.
    arrived = [
        at
        for (_, last), (at, report) in itertools.pairwise([(0, NOTHING), *keyboard])
        if report[2] == 4 and last[2] != 4
    ]
    computer.restore()
    ways = {
        "to the report at the computer": (noted["pressed"], arrived),
        "to the frame that shows the character": (noted["pressed"], noted["shown"]),
    }
    rows = []
    for way, (starts, ends) in ways.items():
        assert len(starts) == len(ends) == PRESSES, (way, len(starts), len(ends))
        spans = [end - start for start, end in zip(starts, ends, strict=True)]
        rows.append([way, *(milliseconds(percentile(spans, percent)) for percent in PERCENTS)])
    header = ["from the key press in Chromium", *(f"p{percent} ms" for percent in PERCENTS)]
    return f"{PRESSES} presses, one each {PAUSE_MS} ms.\n\n" + table(header, rows)
