# SPDX-License-Identifier: MIT
"""Text at a computer that sees less than what comes: it looks each 30 ms, at the newest report."""

import asyncio
import json
import random

import pytest
from tinypilot.hid import layouts, messages, outputs
from tinypilot.hid.device import UsbState
from tinypilot.hid.keycodes import SHIFT, USAGES
from tinypilot.hid.layouts import Stroke

from tests.unit.test_layouts import Desktop

LOOKS_EACH_SECONDS = 0.03
TEXT = "C:\\Program Files\\Windows NT\\Accessories\nWords With Capitals\n"
NOTHING = bytes(8)


class SlowComputer:
    """Its time is what the text waits for, and nothing else; its first look is `phase` after the first key."""

    def __init__(self, monkeypatch, phase: float):
        self.now = 0.0
        self.strokes: list[Stroke] = []
        self._newest = self._seen = NOTHING
        self._next_look = phase
        monkeypatch.setattr(outputs.asyncio, "sleep", self._wait)
        self.hid = outputs.HidOutputs(("/dev/null",) * 3, lambda: None)
        device = self.hid._keyboard_device
        device.usb_state = UsbState.CONNECTED
        monkeypatch.setattr(device, "flush", self.fetch)

    def fetch(self) -> None:
        keyboard = self.hid.keyboard
        while report := keyboard.next_report():
            self._newest = report
            keyboard.pop()

    async def _wait(self, seconds: float) -> None:
        self.now += seconds
        while self._next_look < self.now:
            self._next_look += LOOKS_EACH_SECONDS
            # The sign of life may come at any time.
            self._newest = self.hid.keyboard.state()
            if self._newest != self._seen and self._newest != NOTHING:
                self.strokes.append(Stroke(self._newest[2], self._newest[0]))
            self._seen = self._newest

    def type(self, text: str, pace: str) -> None:
        layout = layouts.load_all()["en-us"]
        asyncio.run(self.hid.type(text, layout, pace, lambda count: None))


def strokes_of(text: str) -> list[Stroke]:
    layout = layouts.load_all()["en-us"]
    return [stroke for character in text for stroke in layout.strokes(character)]


@pytest.fixture(params=[0.0001, 0.007, 0.0151, 0.0299])
def computer(request, monkeypatch):
    async def make():
        return SlowComputer(monkeypatch, request.param)

    return asyncio.run(make())


def test_a_slow_text_arrives_whole(computer):
    computer.type(TEXT, "slow")
    assert computer.strokes == strokes_of(TEXT)


def test_a_fast_one_does_not(computer):
    """Or the test before could not fail."""
    computer.type(TEXT, "fast")
    assert len(computer.strokes) < len(strokes_of(TEXT)) / 2


def test_caps_lock_is_off_meanwhile_and_on_again(computer):
    computer.hid.leds = outputs.CAPS_LOCK_LED
    computer.type("A", "slow")
    caps_lock = Stroke(USAGES["CapsLock"])
    assert computer.strokes == [caps_lock, Stroke(USAGES["KeyA"], SHIFT), caps_lock]


def test_a_text_that_is_stopped_holds_no_key(computer, monkeypatch):
    async def stop(seconds: float) -> None:
        assert computer.hid.keyboard.state() != NOTHING
        raise asyncio.CancelledError

    monkeypatch.setattr(outputs.asyncio, "sleep", stop)
    with pytest.raises(asyncio.CancelledError):
        computer.type("A", "slow")
    computer.fetch()
    assert computer._newest == computer.hid.keyboard.state() == NOTHING
    assert not computer.hid.keyboard.anything_down


def test_a_page_of_before_says_no_pace_and_types_fast():
    message = {"type": "paste", "layout": "de", "text": "a"}
    assert messages.parse(json.dumps(message))["pace"] == "fast"
    for pace in outputs.PACES:
        assert messages.parse(json.dumps({**message, "pace": pace}))["pace"] == pace


@pytest.mark.parametrize("pace", ["", "Slow", None, 3, [], {}])
def test_a_pace_that_there_is_not_is_refused(pace):
    with pytest.raises(messages.ProtocolError, match=r"pace of paste"):
        messages.parse(json.dumps({"type": "paste", "layout": "de", "text": "a", "pace": pace}))


# --- All layouts ---

CAPS_LOCK_KEY = 58  # the kernel's number


@pytest.mark.parametrize("name", layouts.load_all())
def test_all_that_a_layout_types_arrives_slowly_with_caps_lock_on(name, monkeypatch):
    """Each character before and after each kind of stroke: plain, with modifiers, after a dead key; and twice."""
    layout = layouts.load_all()[name]
    characters = [chr(code) for code in range(0x20, 0x2100) if layout.strokes(chr(code))]
    chance = random.Random(name)
    text = "".join(chance.sample(characters, len(characters)))
    text += "".join(2 * each for each in chance.sample(characters, len(characters)))

    async def make():
        return SlowComputer(monkeypatch, 0.0151)

    computer = asyncio.run(make())
    computer.hid.leds = outputs.CAPS_LOCK_LED
    asyncio.run(computer.hid.type(text, layout, "slow", lambda count: None))

    desktop = Desktop(name)
    caps_lock = Stroke(USAGES["CapsLock"])
    for down in (True, False):
        desktop.press(CAPS_LOCK_KEY, down)
    assert computer.strokes[0] == computer.strokes[-1] == caps_lock
    for down in (True, False):
        desktop.press(CAPS_LOCK_KEY, down)
    assert desktop.type(computer.strokes[1:-1]) == text


@pytest.mark.parametrize("pace", outputs.PACES)
def test_the_text_that_is_typed_does_not_depend_on_the_pace_where_each_report_is_taken(
    pace, monkeypatch
):
    async def make():
        return SlowComputer(monkeypatch, 0.0)

    computer = asyncio.run(make())
    taken: list[bytes] = []

    def fetch() -> None:
        while report := computer.hid.keyboard.next_report():
            taken.append(report)
            computer.hid.keyboard.pop()

    monkeypatch.setattr(computer.hid._keyboard_device, "flush", fetch)
    computer.type(TEXT, pace)
    assert [Stroke(each[2], each[0]) for each in taken if each != NOTHING] == strokes_of(TEXT)
