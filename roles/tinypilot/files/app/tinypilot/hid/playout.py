# SPDX-License-Identifier: MIT
"""When what a person does goes to the computer, over a line that stalls: what arrives at once did not happen at once,
and what does not arrive may have happened.

Each key says when it was pressed and let go (`at`, milliseconds of the page's clock), and while one is down the page
says every now and then that it still is. Moments of the page are compared with each other alone, never with this clock.

- A burst keeps its order and its pauses, each up to GAP_SECONDS. No pause becomes longer than it was, so nothing is
  later than the line has made it, and what waits does not grow.
- A key that repeats itself is held no longer than the page has said that it was, and HOLD_SECONDS more: then it is let
  go, before a computer begins to repeat it. It is pressed anew once the page says that it is held still, if it was held
  for so long that it would have been repeated.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from tinypilot.hid.keycodes import FIRST_MODIFIER, USAGES
from tinypilot.hid.layouts import Stroke

# Firmware looks each 30 ms at the newest report alone.
GAP_MS = 40
GAP_SECONDS = GAP_MS / 1000
# As long as a finger presses, where none did: no look of slow firmware misses it.
PRESS_MS = 80
# Text consoles repeat after 250 ms, desktops after 500.
HOLD_SECONDS = 0.24
REPEAT_SECONDS = 0.5
WAITING_MAX = 256
# Held they type nothing more, and pressed again they would switch back, or do it twice.
_ONCE = {
    *("CapsLock", "NumLock", "ScrollLock", "PrintScreen", "Pause", "Power"),
    *("Convert", "NonConvert", "KanaMode"),
    *(code for code in USAGES if code.startswith("Lang")),
}


def repeats_itself(code: str) -> bool:
    """Whether a computer types the key again and again while it is held."""
    return code not in _ONCE and not _is_modifier(code)


def _is_modifier(code: str) -> bool:
    return USAGES[code] >= FIRST_MODIFIER


@dataclass
class _Press:
    """`at`: by the page's clock; `played`: by this one's."""

    at: int
    played: float
    let_go_at: int | None = (
        None  # what the page had last said when it was let go though nobody said so
    )


class Playout:
    """`change(code, down)` changes a key at the computer."""

    def __init__(
        self, change: Callable[[str, bool], None], clock: Callable[[], float] = time.monotonic
    ):
        self._change = change
        self._clock = clock
        self.clear()

    def clear(self) -> None:
        """Somebody else comes, with another clock."""
        self._waiting: deque[tuple[dict, Callable[[], None]]] = deque()
        self._down: dict[str, _Press] = {}  # as the page has it
        self.heard_at = 0
        self._last_at, self._last_played = 0, 0.0  # of the keys

    def note(self, at: int) -> None:
        """The page said something at this moment: what it has not let go is still held."""
        self.heard_at = max(self.heard_at, at)

    def put(self, message: dict, play: Callable[[], None]) -> None:
        """A message whose turn comes when run() says so."""
        if message["type"] == "move" and self._waiting and self._waiting[-1][0]["type"] == "move":
            self._waiting.pop()
        self._waiting.append((message, play))

    @property
    def next_at(self) -> int:
        """The moment, by the page's clock, of what this device adds: after all that waits."""
        last_at = max([self._last_at, *(each["at"] for each, _ in self._waiting if "at" in each)])
        return max(self.heard_at, last_at + GAP_MS)

    def run(self) -> float | None:
        """Plays what is due. Returns when it has to be called again; None: not before the next message."""
        now = self._clock()
        while self._waiting and (
            len(self._waiting) > WAITING_MAX or self._due(self._waiting[0][0]) <= now
        ):
            self._play_next()
        self._let_go_overdue(now)
        self._press_again(now)
        moments = [self._overdue(press) for press in self._repeating().values()]
        if self._waiting:
            moments.append(self._due(self._waiting[0][0]))
        return min(moments, default=None)

    def finish(self) -> None:
        """Plays all that waits, for nobody is left who could wait for it."""
        while self._waiting:
            self._play_next()

    def let_go(self) -> None:
        """The page has fallen silent, and nothing is down. If it comes back, so do the modifiers of what it says."""
        for press in self._down.values():
            press.let_go_at = self.heard_at

    def _play_next(self) -> None:
        message, play = self._waiting.popleft()
        if message["type"] in ("release", "paste"):
            self._down.clear()
        if message["type"] in ("key", "button") and message["down"]:
            self._press_modifiers()
        play()
        if "at" not in message:
            return
        # The pause counts from when the report was written: on a busy device that is later than its turn.
        played = self._clock()
        self._last_at, self._last_played = message["at"], played
        if message["type"] == "key":
            if message["down"]:
                self._down[message["code"]] = _Press(message["at"], played)
            else:
                self._down.pop(message["code"], None)

    def _due(self, message: dict) -> float:
        if "at" not in message:
            return 0.0
        pause = max(0, message["at"] - self._last_at) / 1000
        due = self._last_played + min(pause, GAP_SECONDS)
        press = self._down.get(message.get("code", ""))
        if press and not message["down"] and len(self._waiting) == 1:
            # Nobody waits for it: it is held as long as it was.
            held = max(0, message["at"] - press.at) / 1000
            due = max(due, press.played + min(held, HOLD_SECONDS))
        return due

    def _repeating(self) -> dict[str, _Press]:
        """What is down at the computer and repeats itself there."""
        return {
            code: press
            for code, press in self._down.items()
            if press.let_go_at is None and repeats_itself(code)
        }

    def _overdue(self, press: _Press) -> float:
        held = max(0, self.heard_at - press.at) / 1000
        return press.played + held + HOLD_SECONDS

    def _let_go_overdue(self, now: float) -> None:
        for code, press in self._repeating().items():
            if self._overdue(press) <= now:
                press.let_go_at = self.heard_at
                self._change(code, False)

    def _press_again(self, now: float) -> None:
        if self._waiting:
            return  # its release may be among it
        for code, press in self._down.items():
            if press.let_go_at is None or not repeats_itself(code):
                continue
            is_new = self.heard_at > press.let_go_at
            if is_new and self.heard_at - press.at >= REPEAT_SECONDS * 1000:
                self._down[code] = _Press(self.heard_at, now)
                self._change(code, True)

    def _press_modifiers(self) -> None:
        for code, press in self._down.items():
            if press.let_go_at is not None and _is_modifier(code):
                press.let_go_at = None
                self._change(code, True)


def keys_of(codes: list[str], at: int) -> list[dict]:
    """A combination as keys: pressed one after the other, held for a moment, let go in the other order."""
    press = [{"type": "key", "code": code, "down": True, "at": at} for code in codes]
    release = [{**each, "down": False, "at": at + PRESS_MS} for each in reversed(press)]
    return press + release


def strokes_of(strokes: Iterable[Stroke], at: int) -> list[dict]:
    """Text as reports: whatever is held is let go before."""
    found = []
    for number, stroke in enumerate(strokes):
        down_at = at + 2 * number * GAP_MS
        fields = {"usage": stroke.usage, "modifiers": stroke.modifiers}
        found.append({"type": "stroke", **fields, "at": down_at})
        found.append({"type": "stroke-end", "at": down_at + GAP_MS})
    return found
