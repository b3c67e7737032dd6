# SPDX-License-Identifier: MIT
"""What is to be written to the USB gadget: reports, in the order and at the pace of the devices.

Each device has a queue of reports. A device takes from it when the attached computer asks, so whatever can
be joined while it waits is joined: of the absolute mouse's positions only the newest counts. Nothing is ever moved
across a press or a release.
"""

from __future__ import annotations

import struct
from collections import deque
from dataclasses import dataclass, field, replace

from tinypilot.hid.keycodes import USAGES, modifier_of

KEYS_AT_ONCE = 6  # a boot keyboard has no more
POINTER_MAX = 32767
BUTTONS = 5
_STEP_MAX = 127


def _clamped(value: int) -> int:
    return max(-_STEP_MAX, min(_STEP_MAX, value))


class Keyboard:
    """Boot protocol: modifiers, a zero, six keys."""

    # A computer that does not ask for so long has lost the thread: it gets the present state alone.
    _QUEUE_MAX = 512

    def __init__(self) -> None:
        self._down: list[int] = []
        self._typed: bytes | None = None  # the report of a stroke of text that is held
        self._queue: deque[bytes] = deque()

    @property
    def anything_down(self) -> bool:
        """By a person, that is."""
        return bool(self._down)

    @property
    def waiting(self) -> int:
        return len(self._queue)

    def change(self, code: str, down: bool) -> None:
        usage = USAGES[code]
        if down == (usage in self._down):
            return
        if not down:
            self._down.remove(usage)
        elif modifier_of(usage) or len(self._keys()) < KEYS_AT_ONCE:
            self._down.append(usage)
        else:
            return
        self._put(self.state())

    def hold(self, usage: int, modifiers: int) -> None:
        """A key with modifiers, for text: whatever is held is let go before."""
        self.release_all()
        self._typed = struct.pack("BBB5x", modifiers, 0, usage)
        self._put(self._typed)

    def tap(self, usage: int, modifiers: int) -> None:
        self.hold(usage, modifiers)
        self.release_all()

    def release_all(self) -> None:
        if self._down or self._typed:
            self._down.clear()
            self._typed = None
            self._put(self.state())

    def state(self) -> bytes:
        """The report of what is down now. Written again it changes nothing."""
        if self._typed:
            return self._typed
        modifiers = sum(modifier_of(usage) for usage in self._down)
        return bytes([modifiers, 0, *self._keys()]).ljust(8, b"\0")

    def _keys(self) -> list[int]:
        return [usage for usage in self._down if not modifier_of(usage)]

    def _put(self, report: bytes) -> None:
        if len(self._queue) >= self._QUEUE_MAX:
            self._queue.clear()
            report = self.state()
        self._queue.append(report)

    def next_report(self) -> bytes | None:
        return self._queue[0] if self._queue else None

    def pop(self) -> None:
        self._queue.popleft()

    def clear(self) -> None:
        """The computer is gone, and with it what was pressed."""
        self._down.clear()
        self._typed = None
        self._queue.clear()


@dataclass(frozen=True)
class _Step:
    """What the mouse does before the computer asks again. Only mere moves and turns join."""

    buttons: int
    x: int = 0
    y: int = 0
    wheel: int = 0
    pan: int = 0
    is_click: bool = field(default=False, kw_only=True)

    @property
    def scrolls(self) -> bool:
        return bool(self.wheel or self.pan)


class _Mouse:
    def __init__(self) -> None:
        self.buttons = 0
        self._queue: deque[_Step] = deque()

    @property
    def anything_down(self) -> bool:
        return self.buttons != 0

    def press(self, button: int, down: bool) -> None:
        buttons = self.buttons | 1 << button if down else self.buttons & ~(1 << button)
        if buttons == self.buttons:
            return
        self.buttons = buttons
        self._click()

    def release_all(self) -> None:
        if self.buttons:
            self.buttons = 0
            self._click()

    def clear(self) -> None:
        self.buttons = 0
        self._queue.clear()

    def _click(self) -> None:
        raise NotImplementedError

    def _last_mere(self) -> _Step | None:
        """The last step, if another may be joined to it."""
        return self._queue[-1] if self._queue and not self._queue[-1].is_click else None


class AbsoluteMouse(_Mouse):
    """Absolute: buttons, x, y (0 to 32767 each), wheel, pan."""

    def __init__(self) -> None:
        super().__init__()
        self._x = self._y = POINTER_MAX // 2

    def move(self, x: int, y: int) -> None:
        self._x, self._y = x, y
        last = self._last_mere()
        if last and not last.scrolls:
            self._queue.pop()
        self._queue.append(_Step(self.buttons, x, y))

    def scroll(self, wheel: int, pan: int) -> None:
        last = self._last_mere()
        if last:
            self._queue.pop()
            wheel, pan = last.wheel + wheel, last.pan + pan
        self._queue.append(_Step(self.buttons, self._x, self._y, wheel, pan))

    def _click(self) -> None:
        self._queue.append(_Step(self.buttons, self._x, self._y, is_click=True))

    def next_report(self) -> bytes | None:
        if not self._queue:
            return None
        step = self._queue[0]
        return struct.pack(
            "<BHHbb", step.buttons, step.x, step.y, _clamped(step.wheel), _clamped(step.pan)
        )

    def pop(self) -> None:
        step = self._queue.popleft()
        rest = replace(
            step, wheel=step.wheel - _clamped(step.wheel), pan=step.pan - _clamped(step.pan)
        )
        if rest.scrolls:
            self._queue.appendleft(rest)


class RelativeMouse(_Mouse):
    """Buttons, dx, dy, wheel, pan."""

    def move(self, x: int, y: int) -> None:
        self._join(_Step(self.buttons, x, y))

    def repeat_buttons(self) -> None:
        """Moves nothing; the absolute mouse can't say its buttons without a place."""
        self._click()

    def scroll(self, wheel: int, pan: int) -> None:
        self._join(_Step(self.buttons, wheel=wheel, pan=pan))

    def _join(self, step: _Step) -> None:
        if last := self._last_mere():
            self._queue.pop()
            step = replace(
                step,
                x=last.x + step.x,
                y=last.y + step.y,
                wheel=last.wheel + step.wheel,
                pan=last.pan + step.pan,
            )
        self._queue.append(step)

    def _click(self) -> None:
        self._queue.append(_Step(self.buttons, is_click=True))

    def next_report(self) -> bytes | None:
        if not self._queue:
            return None
        step = self._queue[0]
        moves = (step.x, step.y, step.wheel, step.pan)
        return struct.pack("Bbbbb", step.buttons, *map(_clamped, moves))

    def pop(self) -> None:
        step = self._queue.popleft()
        moves = (step.x, step.y, step.wheel, step.pan)
        rest = [value - _clamped(value) for value in moves]
        if any(rest):
            self._queue.appendleft(_Step(step.buttons, *rest))
