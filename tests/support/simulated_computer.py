# SPDX-License-Identifier: MIT
"""The attached computer of a virtual Pi: commands to it, and its desk as read from the decoded picture."""

from __future__ import annotations

import shlex
import struct
from collections.abc import Callable
from dataclasses import dataclass

from .device import Device
from .remote_screen import RemoteScreen
from .viewers import crc16
from .waiting import NeverHappened

FOLDER = "/run/simulated-computer"
COLUMNS, ROWS, CELL, TOP = 80, 8, 8, 48  # see desk_view.h
MARK = 0x5A

# A function of the page: the bytes in the cells of the frame that is shown.
READ_CELLS = """([barsX, barsY] = [0, 0]) => {
  const elements = { webrtc: 'remote-screen', webcodecs: 'h264', mjpeg: 'jpegs' };
  const shown = elements[document.documentElement.dataset.transport];
  const [columns, rows, cell, top] = [80, 8, 8, 48];
  const canvas = new OffscreenCanvas(columns * cell, rows * cell);
  const context = canvas.getContext('2d', { willReadFrequently: true });
  context.drawImage(document.getElementById(shown), -barsX, -barsY - top);
  const { data } = context.getImageData(0, 0, canvas.width, canvas.height);
  const bytes = new Array(columns * rows / 8).fill(0);
  for (let bit = 0; bit < columns * rows; bit++) {
    const x = (bit % columns) * cell + cell / 2;
    const y = Math.floor(bit / columns) * cell + cell / 2;
    if (data[(y * canvas.width + x) * 4 + 1] > 128) bytes[bit >> 3] |= 128 >> (bit & 7);
  }
  return bytes;
}"""


@dataclass(frozen=True)
class Edge:
    """A level of its front panel that changed: the GPIO chip's line, whether it is high now, and when, in seconds."""

    line: int
    is_high: bool
    at: float


def edges(device: Device) -> list[Edge]:
    """All since the simulated computer was started."""
    lines = device.sh(f"cat {FOLDER}/edges").splitlines()
    fields = [line.split() for line in lines]
    return [Edge(int(line), level == "1", int(at) / 1e6) for at, line, level in fields]


@dataclass(frozen=True)
class Desk:
    """tail: the last 26 characters; text_crc: of all that is kept, see text_crc()."""

    starts: int
    reports: int
    typed: int
    text_crc: int
    pointer: tuple[int, int]
    buttons: int
    modifiers: int
    leds: int
    keys: bytes
    wheel: int
    pan: int
    tail: str

    @classmethod
    def decode(cls, data: bytes) -> Desk | None:
        """None while the picture is not that of the desk, or is damaged."""
        if data[0] != MARK or crc16(data[:78]) != int.from_bytes(data[78:]):
            return None
        starts, reports, typed, text, x, y = struct.unpack_from(">BHHHHH", data, 1)
        buttons, modifiers, leds = data[12:15]
        wheel, pan = struct.unpack_from(">hh", data, 21)
        tail = data[25:77].decode("utf-16-be").lstrip("\0")
        return cls(
            starts,
            reports,
            typed,
            text,
            (x, y),
            buttons,
            modifiers,
            leds,
            data[15:21],
            wheel,
            pan,
            tail,
        )


def text_crc(text: str) -> int:
    return crc16(text.encode("utf-16-be"))


class SimulatedComputer:
    def __init__(self, device: Device):
        self._device = device

    def tell(self, *commands: str) -> None:
        """Lines of the simulated computer's control file."""
        self._device.sh(f"printf '%s\\n' {shlex.join(commands)} > {FOLDER}/control")

    def reports(self) -> list[tuple[float, int, bytes]]:
        """All that came: seconds, N of /dev/hidgN, bytes."""
        lines = self._device.sh(f"cat {FOLDER}/reports").splitlines()
        fields = [line.split() for line in lines]
        return [(int(us) / 1e6, int(n), bytes.fromhex("".join(data))) for us, n, *data in fields]

    def restore(self) -> None:
        """Its default state."""
        self.tell(
            "power on",
            "usb connected",
            "mode 1280x720",
            "letterbox off",
            "layout us",
            "repeat on",
            "leds",
            "clear",
        )


def wait_for_desk(
    screen: RemoteScreen,
    look: Callable[[Desk], bool],
    what: str,
    bars: tuple[int, int] = (0, 0),
) -> Desk:
    """Until the decoded picture shows a desk like this. What it showed instead is said. bars: pixels at the left and at
    the top of the picture before the desk begins."""
    shown: Desk | None = None

    def seen() -> Desk | None:
        nonlocal shown
        shown = Desk.decode(bytes(screen.page.evaluate(READ_CELLS, list(bars))))
        return shown if shown and look(shown) else None

    try:
        return screen.wait_until(seen, f"the picture shows that {what}")
    except NeverHappened as never:
        raise NeverHappened(f"{never}\nThe desk at the end: {shown}") from None


def read_desk(screen: RemoteScreen) -> Desk:
    """As the next frame has it that is whole."""
    return wait_for_desk(screen, lambda desk: True, "there is a desk")
