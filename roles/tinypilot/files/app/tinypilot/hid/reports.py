# SPDX-License-Identifier: MIT
"""What is to be written to the USB gadget: reports, in the order and at the pace of the devices.

Each device has a queue of reports. A device takes from it when the attached computer asks, so whatever can
be joined while it waits is joined: of the absolute mouse's positions only the newest counts. Nothing is ever moved
across a press or a release.

What waits has a bound in reports, and so in time: a computer that polls asks each millisecond or each eight. One that
does not ask for so long has lost the thread, and gets the present state alone.
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
# Of each device.
WAITING_MAX = 512
# Of one movement or turn that waits, in reports of _STEP_MAX: across a large screen, and more than a hand turns.
MOVE_REPORTS_MAX = 33
TURN_REPORTS_MAX = 2
# What is left to play of one who has no longer the controls: the end of what was typed, some tens of milliseconds.
LEFT_MAX = 32


def _clamped(value: int, reports: int = 1) -> int:
    return max(-reports * _STEP_MAX, min(reports * _STEP_MAX, value))


class Keyboard:
    """Boot protocol: modifiers, a zero, six keys."""

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
        if len(self._queue) >= WAITING_MAX:
            self._queue.clear()
            report = self.state()
        self._queue.append(report)

    def cut(self, most: int) -> None:
        """Whatever waits behind so many reports is dropped, and all is let go."""
        is_shorter = len(self._queue) > most
        while len(self._queue) > most:
            self._queue.pop()
        if is_shorter or self._down or self._typed:
            self._down.clear()
            self._typed = None
            self._put(self.state())

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

    @property
    def bounded(self) -> _Step:
        """What is left of it if a hand can't have done so much."""
        return replace(
            self,
            wheel=_clamped(self.wheel, TURN_REPORTS_MAX),
            pan=_clamped(self.pan, TURN_REPORTS_MAX),
        )

    def reports(self, is_relative: bool) -> int:
        """How many it takes."""
        ways = [self.wheel, self.pan, *((self.x, self.y) if is_relative else ())]
        return max(1, *(-(-abs(way) // _STEP_MAX) for way in ways))


class _Mouse:
    _is_relative: bool

    def __init__(self) -> None:
        self.buttons = 0
        self._queue: deque[_Step] = deque()
        self.waiting = 0  # reports

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
        self._forget()

    def cut(self, most: int) -> None:
        """Whatever waits behind so many reports is dropped, and all is let go."""
        is_shorter = False
        while self.waiting > most:
            self._drop_last()
            is_shorter = True
        if is_shorter or self.buttons:
            self.buttons = 0
            self._click()

    def _click(self) -> None:
        self._put(self._click_step())

    def _click_step(self) -> _Step:
        """The present state, which nothing is joined to."""
        raise NotImplementedError

    def _put(self, step: _Step) -> None:
        if self.waiting >= WAITING_MAX:
            self._forget()
            step = self._click_step()
        step = step.bounded
        self._queue.append(step)
        self.waiting += step.reports(self._is_relative)

    def _drop_last(self) -> None:
        self.waiting -= self._queue.pop().reports(self._is_relative)

    def _forget(self) -> None:
        self._queue.clear()
        self.waiting = 0

    def _last_mere(self) -> _Step | None:
        """The last step, if another may be joined to it."""
        return self._queue[-1] if self._queue and not self._queue[-1].is_click else None


class AbsoluteMouse(_Mouse):
    """Absolute: buttons, x, y (0 to 32767 each), wheel, pan."""

    _is_relative = False

    def __init__(self) -> None:
        super().__init__()
        self._x = self._y = POINTER_MAX // 2

    def move(self, x: int, y: int) -> None:
        self._x, self._y = x, y
        last = self._last_mere()
        if last and not last.scrolls:
            self._drop_last()
        self._put(_Step(self.buttons, x, y))

    def scroll(self, wheel: int, pan: int) -> None:
        last = self._last_mere()
        if last:
            self._drop_last()
            wheel, pan = last.wheel + wheel, last.pan + pan
        self._put(_Step(self.buttons, self._x, self._y, wheel, pan))

    def _click_step(self) -> _Step:
        return _Step(self.buttons, self._x, self._y, is_click=True)

    def next_report(self) -> bytes | None:
        if not self._queue:
            return None
        step = self._queue[0]
        return struct.pack(
            "<BHHbb", step.buttons, step.x, step.y, _clamped(step.wheel), _clamped(step.pan)
        )

    def pop(self) -> None:
        step = self._queue.popleft()
        self.waiting -= 1
        rest = replace(
            step, wheel=step.wheel - _clamped(step.wheel), pan=step.pan - _clamped(step.pan)
        )
        if rest.scrolls:
            self._queue.appendleft(rest)


class RelativeMouse(_Mouse):
    """Buttons, dx, dy, wheel, pan."""

    _is_relative = True

    def move(self, x: int, y: int) -> None:
        self._join(_Step(self.buttons, x, y))

    def repeat_buttons(self) -> None:
        """Moves nothing; the absolute mouse can't say its buttons without a place."""
        self._click()

    def scroll(self, wheel: int, pan: int) -> None:
        self._join(_Step(self.buttons, wheel=wheel, pan=pan))

    def _join(self, step: _Step) -> None:
        if last := self._last_mere():
            self._drop_last()
            step = replace(
                step,
                x=last.x + step.x,
                y=last.y + step.y,
                wheel=last.wheel + step.wheel,
                pan=last.pan + step.pan,
            )
        self._put(
            replace(
                step, x=_clamped(step.x, MOVE_REPORTS_MAX), y=_clamped(step.y, MOVE_REPORTS_MAX)
            )
        )

    def _click_step(self) -> _Step:
        return _Step(self.buttons, is_click=True)

    def next_report(self) -> bytes | None:
        if not self._queue:
            return None
        step = self._queue[0]
        moves = (step.x, step.y, step.wheel, step.pan)
        return struct.pack("Bbbbb", step.buttons, *map(_clamped, moves))

    def pop(self) -> None:
        step = self._queue.popleft()
        self.waiting -= 1
        moves = (step.x, step.y, step.wheel, step.pan)
        rest = [value - _clamped(value) for value in moves]
        if any(rest):
            self._queue.appendleft(_Step(step.buttons, *rest))
