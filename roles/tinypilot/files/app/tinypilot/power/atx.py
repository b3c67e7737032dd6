# SPDX-License-Identifier: MIT
"""The buttons and lights at the attached computer's front (ATX), on GPIO lines.

python3 -m tinypilot.power.atx
    Runs the service, on the socket that systemd has opened. It takes one question from each connection, a JSON object
    in a line: {} or {"press": one of PRESSES}, which is answered when the button is let go.
python3 -m tinypilot.power.atx let-go
    Lets go of all buttons: the unit calls it after each end of the service. A Raspberry Pi's kernel leaves lines that
    nobody has any more as they are, so a button that was down when the service was killed would stay down.
"""

import asyncio
import contextlib
import json
import os
import signal
import socket
import sys
from collections.abc import Callable
from typing import Protocol

from tinypilot import healing
from tinypilot.config import Atx, Config
from tinypilot.power import gpio

SYSTEMD_SOCKET = 3
CONSUMER = "tinypilot-atx"
POWER_BUTTON, RESET_BUTTON = "power_button", "reset_button"
BUTTONS = (POWER_BUTTON, RESET_BUTTON)
LIGHTS = {"power": "power_led", "disk": "disk_led"}
# The button, and for how many seconds it is pressed. Boards switch off after four.
PRESSES = {
    "power": (POWER_BUTTON, 0.2),
    "reset": (RESET_BUTTON, 0.2),
    "force_off": (POWER_BUTTON, 5.0),
}
# A press that lasts for so much longer is ended by the kernel, with this program: it hangs.
GRACE_SECONDS = 0.5
LONGEST_QUESTION_BYTES = 1024
PATIENCE_SECONDS = 5


class PanelLines(Protocol):
    """As gpio.Lines."""

    def set(self, line: int, is_active: bool) -> None: ...
    def get(self, line: int) -> bool: ...
    def release(self) -> None: ...


def request_lines(atx: Atx) -> PanelLines:
    """Raises OSError: there is no such chip, or somebody else has a line."""
    return gpio.Lines(
        atx.chip,
        CONSUMER,
        [line for name, line in atx.lines.items() if name in BUTTONS],
        [line for name, line in atx.lines.items() if name not in BUTTONS],
        [atx.lines[name] for name in atx.active_low],
    )


class Panel:
    def __init__(self, atx: Atx, request: Callable[[Atx], PanelLines] = request_lines):
        self._atx = atx
        self._request = request
        self._lines: PanelLines | None = None
        self._pressing: str | None = None

    def take_lines(self) -> PanelLines:
        """Those that it has; else it tries to get them."""
        if self._lines is None:
            self._lines = self._request(self._atx)
        return self._lines

    def release(self) -> None:
        if self._lines:
            self._lines.release()
        self._lines = None

    async def answer(self, question: dict) -> dict:
        try:
            lines = self.take_lines()
            if "press" in question:
                return await self._press(lines, question["press"])
            return {"pressing": self._pressing, **self._lights(lines)}
        except OSError as error:
            # A chip that went and came back has other lines.
            if not self._pressing:
                self.release()
            return {"error": "gpio", "reason": f"{self._atx.chip}: {os.strerror(error.errno or 0)}"}

    def _lights(self, lines: PanelLines) -> dict[str, bool | None]:
        """None: its line is not connected."""
        connected = self._atx.lines
        return {
            light: lines.get(connected[name]) if name in connected else None
            for light, name in LIGHTS.items()
        }

    async def _press(self, lines: PanelLines, press: str) -> dict:
        button, seconds = PRESSES[press]
        if self._pressing:
            return {"error": "busy"}
        self._pressing = press
        line = self._atx.lines[button]
        signal.setitimer(signal.ITIMER_REAL, seconds + GRACE_SECONDS)
        try:
            lines.set(line, True)
            await asyncio.sleep(seconds)
        finally:
            # Also when the service is stopped. If this fails, the alarm ends it: the next one begins with all let go.
            self._pressing = None
            lines.set(line, False)
            signal.setitimer(signal.ITIMER_REAL, 0)
        return {}


async def _talk(panel: Panel, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    # Who does not ask, or does not listen, is gone; what was pressed is pressed to its end all the same.
    with (
        contextlib.closing(writer),
        contextlib.suppress(OSError, ValueError, KeyError, TypeError),
    ):
        async with asyncio.timeout(PATIENCE_SECONDS):
            question = json.loads(await reader.readline())
        answer = await panel.answer(question)
        writer.write(json.dumps(answer).encode() + b"\n")
        await writer.drain()


async def serve(listener: socket.socket, panel: Panel) -> None:
    """Until SIGTERM."""
    stopped = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopped.set)
    try:
        panel.take_lines()
    except OSError as error:
        print(
            f"The GPIO lines can't be had: {error}. The next question tries again.", file=sys.stderr
        )
    talks: set[asyncio.Task] = set()

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task
        talks.add(task)
        task.add_done_callback(talks.discard)
        # When the service is stopped.
        with contextlib.suppress(asyncio.CancelledError):
            await _talk(panel, reader, writer)

    # Python 3.13's start_unix_server() would remove the socket at the end, which is systemd's.
    server = await asyncio.start_server(talk, sock=listener, limit=LONGEST_QUESTION_BYTES)
    life = asyncio.create_task(healing.SignOfLife().keep_giving())
    await stopped.wait()
    life.cancel()
    server.close()
    for task in [*talks]:
        task.cancel()
    await asyncio.gather(*talks, return_exceptions=True)
    panel.release()


def main() -> None:
    atx = Config.from_environment().atx
    if not atx:
        sys.exit("The configuration names no GPIO lines (tinypilot_atx_chip).")
    if sys.argv[1:] == ["let-go"]:
        request_lines(atx).release()
        return
    asyncio.run(serve(socket.socket(fileno=SYSTEMD_SOCKET), Panel(atx)))


if __name__ == "__main__":
    main()
