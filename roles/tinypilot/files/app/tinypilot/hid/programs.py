# SPDX-License-Identifier: MIT
"""What a program does with keyboard and mouse, by the API: a text, a chord, a move. Each is done whole, when the
attached computer has taken it, and leaves nothing down; or it is refused in a sentence."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections import Counter
from collections.abc import Callable

from tinypilot.errors import ApiError
from tinypilot.hid import layouts
from tinypilot.hid.device import UsbState
from tinypilot.hid.outputs import PACES, HidOutputs
from tinypilot.hid.ownership import Person
from tinypilot.hid.playout import PRESS_MS
from tinypilot.hid.reports import POINTER_MAX

# A program has the controls for so long after its last action: if it has taken them, and if an action took them alone.
# Then a series of actions is one hand-over, and whoever asks gets them at once.
KEEP_SECONDS = 30
LINGER_SECONDS = 2
# Of one program: actions at once, and a second.
PROGRAM_ACTIONS = (200, 50)
PROGRAM_TEXT_MAX = 5000  # characters of one action
HOLD_MS_MAX = 5000  # of a chord
CLICKS_MAX = 3
# Of one action: less than nginx waits for the web app.
ACTION_SECONDS = 50
# A computer that is there takes a report each few milliseconds.
TAKE_SECONDS = 2.0
# As USB counts them.
BUTTONS = {"left": 0, "right": 1, "middle": 2, "back": 3, "forward": 4}
_CLICK_SECONDS = PRESS_MS / 1000


class Program:
    """To the server what a page's Connection is. There is one at most: it has the controls."""

    # What it holds down, it holds down for an action, which has a bound.
    is_ending = False

    def __init__(self, person: Person, token: str):
        self.person = person
        self.token = token
        self.secret = secrets.token_urlsafe(24)
        self.keeps = False
        # Of the same session: the page that had the controls, and gets them back.
        self.lender: Person | None = None
        self.action: asyncio.Task | None = None
        self.lease: asyncio.TimerHandle | None = None
        self.stopped_by: ApiError | None = None

    @property
    def heard_at(self) -> float:
        return time.monotonic()

    def tell(self, message: dict, size: int | None = None) -> None:
        """It asks when it wants to know."""

    def abort(self) -> None:
        self.end()

    def end(self) -> None:
        """Its token holds no longer."""
        self.stop(ApiError(401, "Log in first."))

    def stop(self, reason: ApiError) -> None:
        if self.lease:
            self.lease.cancel()
        if self.action and not self.stopped_by:
            self.stopped_by = reason
            self.action.cancel()

    async def hang_up(self) -> None:
        self.stop(ApiError(503, "The device restarts keyboard and mouse. Try again in a moment."))


async def perform(outputs: HidOutputs, action: dict, use: Callable[[], object]) -> dict:
    """action: as the web app has checked it. use: says that the controls are being used."""
    if outputs.usb_state in (UsbState.DISCONNECTED, UsbState.MISSING):
        raise _no_computer()
    match action:
        case {"type": "text"}:
            return await _type(outputs, action, use)
        case {"type": "chord", "keys": keys, "hold_ms": hold_ms}:
            await _press(outputs, keys, hold_ms / 1000)
        case {"type": "move", "x": x, "y": y}:
            outputs.absolute_mouse.move(round(x * POINTER_MAX), round(y * POINTER_MAX))
        case {"type": "step", "x": x, "y": y}:
            outputs.relative_mouse.move(x, y)
        case {"type": "click", "button": button, "clicks": clicks, "relative": relative}:
            await _click(outputs, BUTTONS[button], clicks, relative)
        case {"type": "scroll", "wheel": wheel, "pan": pan, "relative": relative}:
            mouse = outputs.relative_mouse if relative else outputs.absolute_mouse
            mouse.scroll(wheel, pan)
        case {"type": "release"}:
            outputs.release_all()
    await _taken(outputs)
    return {}


async def _type(outputs: HidOutputs, action: dict, use: Callable[[], object]) -> dict:
    layout = layouts.load_all()[action["layout"]]
    text = layouts.normalized(action["text"])
    if missing := await layout.find_untypable(text):
        raise ApiError(
            400,
            "The layout {layout} has no keys for: {characters}",
            layout=layout.name,
            characters=" ".join(missing),
        )
    strokes = sum(count * len(layout.strokes(each)) for each, count in Counter(text).items())
    seconds = strokes * sum(PACES[action["pace"]])
    if seconds > ACTION_SECONDS:
        raise ApiError(
            400,
            "This text takes {seconds} s to type, and {most} s are the most. Send it in parts.",
            seconds=round(seconds),
            most=ACTION_SECONDS,
        )
    done = 0

    def on_progress(count: int) -> None:
        nonlocal done
        done = count
        use()

    try:
        async with asyncio.timeout(ACTION_SECONDS):
            if not await outputs.type(text, layout, action["pace"], on_progress):
                raise _interrupted(done, len(text))
    except TimeoutError:
        outputs.leave(0)
        raise _interrupted(done, len(text)) from None
    return {"typed": done}


def _interrupted(done: int, total: int) -> ApiError:
    return ApiError(
        409,
        "The attached computer took {done} of {total} characters, and no more.",
        done=done,
        total=total,
    )


async def _press(outputs: HidOutputs, keys: list[str], hold_seconds: float) -> None:
    for key in keys:
        outputs.keyboard.change(key, True)
        await _taken(outputs)
    await asyncio.sleep(hold_seconds)
    for key in reversed(keys):
        outputs.keyboard.change(key, False)
        await _taken(outputs)


async def _click(outputs: HidOutputs, button: int, clicks: int, relative: bool) -> None:
    mouse = outputs.relative_mouse if relative else outputs.absolute_mouse
    for _ in range(clicks):
        for down in (True, False):
            mouse.press(button, down)
            await _taken(outputs)
            await asyncio.sleep(_CLICK_SECONDS)


async def _taken(outputs: HidOutputs) -> None:
    """Until the computer has fetched all. What it does not fetch is dropped: it would come when nobody expects it."""
    outputs.send()
    try:
        async with asyncio.timeout(TAKE_SECONDS):
            await outputs.drained()
    except TimeoutError:
        outputs.leave(0)
        raise _no_answer() from None


def _no_computer() -> ApiError:
    return ApiError(
        409, "The attached computer takes no input: it is off, asleep or not connected by USB."
    )


def _no_answer() -> ApiError:
    return ApiError(
        409,
        "The attached computer is connected by USB, and takes no input: it may be asleep, or starting.",
    )


# What is said of a computer that takes nothing now, and may do so in a moment: it starts.
NO_INPUT = (_no_computer().sentence, _no_answer().sentence)
