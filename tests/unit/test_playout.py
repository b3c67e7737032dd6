# SPDX-License-Identifier: MIT
"""Keys over a line that stalls, at a computer that repeats what is held. The clock is simulated: nothing waits."""

from __future__ import annotations

import functools
import random
from dataclasses import dataclass, field

import pytest
from tinypilot.hid import playout
from tinypilot.hid.keycodes import USAGES
from tinypilot.hid.playout import Playout, keys_of, repeats_itself
from tinypilot.hid.reports import Keyboard

HELD_AFTER, HELD_EACH = 0.12, 0.06  # static/hid/input-socket.js
REPEAT_EACH = 1 / 30
LOOKS_EACH = 0.03  # of firmware


@dataclass
class Computer:
    """Notes each report, and says afterwards what systems would have made of them."""

    reports: list[tuple[float, bytes]] = field(default_factory=list)

    def typed(self, repeats_after: float = 0.5, until: float = 1e9) -> list[tuple[str, int]]:
        """Codes with the modifiers that were down."""
        names = {usage: code for code, usage in USAGES.items()}
        found, down, repeating, due = [], set(), None, 0.0
        for now, report in [*self.reports, (until, bytes(8))]:
            while repeating and due < now:
                found.append(repeating)
                due += REPEAT_EACH
            now_down = {usage for usage in report[2:] if usage}
            for usage in now_down - down:
                repeating, due = (names[usage], report[0]), now + repeats_after
                found.append(repeating)
            if repeating and USAGES[repeating[0]] not in now_down:
                repeating = None
            down = now_down
        return found

    def seen_by_firmware(self, phase: float) -> list[str]:
        """At a look each 30 ms, of the newest report alone."""
        names = {usage: code for code, usage in USAGES.items()}
        found, down, looks = [], set(), phase
        for (_, report), (until, _) in zip(
            self.reports, [*self.reports[1:], (self.reports[-1][0] + 1, b"")], strict=True
        ):
            if looks < until:
                now_down = {usage for usage in report[2:] if usage}
                found += [names[usage] for usage in now_down - down]
                down = now_down
            while looks < until:
                looks += LOOKS_EACH
        return found


class World:
    """A page whose person types, a line, the service, a computer. `arrives(moment)`: when what is said then does."""

    def __init__(self, arrives=lambda moment: moment + 0.02, writes=lambda: 0.0):
        self.now = 0.0
        self.page: list[tuple[float, dict]] = []
        self.computer = Computer()
        self.lateness: list[float] = []
        self._arrives = arrives
        self._writes = writes  # how long the device takes until a report is written
        self._keyboard = Keyboard()
        self.playout = Playout(self._change, lambda: self.now)

    def type(self, code: str, at: float, held: float) -> None:
        for down, moment in ((True, at), (False, at + held)):
            self.page.append((moment, {"type": "key", "code": code, "down": down}))

    def say(self, at: float, kind: str, **fields) -> None:
        self.page.append((at, {"type": kind, **fields}))

    def run(self) -> Computer:
        said = sorted(self.page + self._beats(), key=lambda each: each[0])
        arrivals, latest = [], 0.0
        for at, message in said:
            latest = max(latest, self._arrives(at))  # nothing overtakes
            if message["type"] in ("key", "held"):
                message = {**message, "at": round(at * 1000) + 10**9}
            arrivals.append((latest, at, message))
        due: float | None = None
        while arrivals or due is not None:
            moments = [arrivals[0][0]] if arrivals else []
            self.now = max(self.now, min(moments if due is None else [*moments, due]))
            while arrivals and arrivals[0][0] <= self.now:
                _, at, message = arrivals.pop(0)
                if message["type"] == "held":
                    self.playout.note(message["at"])
                else:
                    self.playout.note(message.get("at", 0))
                    self.playout.put(message, functools.partial(self._play, at, message))
            due = self.playout.run()
        return self.computer

    def _beats(self) -> list[tuple[float, dict]]:
        """As input-socket.js says them."""
        beats, down, since = [], set(), 0.0
        keys = sorted((m for m in self.page if m[1]["type"] == "key"), key=lambda each: each[0])
        keys = [each for each in keys if USAGES[each[1]["code"]] < 0xE0]
        for (at, message), (until, _) in zip(keys, [*keys[1:], (1e9, {})], strict=True):
            since = since if down else at
            (down.add if message["down"] else down.discard)(message["code"])
            if down:
                assert until < 1e9, "a key is never let go"
                count = int((until - since) / HELD_EACH)
                moments = [since + HELD_AFTER + i * HELD_EACH for i in range(count)]
                beats += [(moment, {"type": "held"}) for moment in moments if at < moment < until]
        return beats

    def _play(self, at: float, message: dict) -> None:
        self.lateness.append(self.now - at)
        if message["type"] == "key":
            self._change(message["code"], message["down"])

    def _change(self, code: str, down: bool) -> None:
        self._keyboard.change(code, down)
        self.now += self._writes()
        while report := self._keyboard.next_report():
            self.computer.reports.append((self.now, report))
            self._keyboard.pop()


def stalling(seed: int, stall_max: float = 1.2, flow_max: float = 1.5):
    """A line that stalls at random, for up to stall_max."""
    chance = random.Random(seed)
    stalls, at = [], 0.0
    while at < 200:
        at += chance.uniform(0.05, flow_max)
        stalls.append((at, at := at + chance.uniform(0.05, stall_max)))

    def arrives(moment: float) -> float:
        return next((end for start, end in stalls if start <= moment < end), moment) + 0.02

    return arrives


LETTERS = [code for code in USAGES if code.startswith("Key")]


def typist(world: World, seed: int, count: int = 1000) -> list[tuple[str, int]]:
    """Ten keys a second, some with Shift, some that overlap the next, now and then the same twice."""
    chance = random.Random(seed)
    codes = [chance.choice(LETTERS)]
    while len(codes) < count:
        codes.append(codes[-1] if chance.random() < 0.2 else chance.choice(LETTERS))
    expected, at = [], 0.5
    for code, following in zip(codes, [*codes[1:], ""], strict=True):
        shift = chance.random() < 0.15
        held = chance.uniform(0.03, 0.085 if shift or code == following else 0.12)
        if shift:
            world.say(at + 0.03, "key", code="ShiftLeft", down=True)
            world.say(at + 0.03 + held + 0.004, "key", code="ShiftLeft", down=False)
            at += 0.034
        world.type(code, at, held)
        expected.append((code, 2 if shift else 0))
        at += 0.1
    return expected


# --- A burst is what was typed ---


@pytest.mark.parametrize("seed", range(12))
def test_a_thousand_keys_over_a_line_that_stalls_are_a_thousand_keys(seed):
    arrives = stalling(seed)
    world = World(arrives)
    chance = random.Random(seed)
    codes = [chance.choice(LETTERS) for _ in range(1000)]
    for number, code in enumerate(codes):
        world.type(code, 0.5 + number / 10, chance.uniform(0.03, 0.095))
    computer = world.run()
    for repeats_after in (0.5, 0.25):
        assert [code for code, _ in computer.typed(repeats_after)] == codes
    # No queue grows: nothing is later than the longest stall made it.
    assert max(world.lateness) <= 1.2 + 0.02 + 1e-3


@pytest.mark.parametrize("phase", [0.0, 0.011, 0.022])
def test_firmware_sees_what_it_would_see_of_a_keyboard_of_its_own(phase):
    world = World(stalling(7))
    chance = random.Random(7)
    codes = [chance.choice(LETTERS) for _ in range(300)]
    for number, code in enumerate(codes):
        world.type(code, 0.5 + number / 10, chance.uniform(0.04, 0.06))
    assert world.run().seen_by_firmware(phase) == codes


@pytest.mark.parametrize("seed", range(12))
def test_a_device_that_comes_late_to_a_report_shortens_no_pause(seed):
    chance = random.Random(seed)
    world = World(lambda moment: 20.0, lambda: chance.choice([0, 0, 0.025, 0.05]))
    codes = [chance.choice(LETTERS) for _ in range(100)]
    for number, code in enumerate(codes):
        world.type(code, 0.5 + number / 10, 0.06)
    assert world.run().seen_by_firmware(chance.uniform(0, LOOKS_EACH)) == codes


@pytest.mark.parametrize("seed", range(8))
def test_shift_stays_with_its_letter(seed):
    world = World(stalling(seed))
    expected = typist(world, seed)
    assert world.run().typed() == expected


def test_without_an_end_of_holding_they_would_be_more(monkeypatch):
    """Or the tests before could not fail."""
    monkeypatch.setattr(playout, "HOLD_SECONDS", 3600)
    world = World(stalling(1))
    expected = typist(world, 1)
    assert len(world.run().typed()) > len(expected)


def durations(computer: Computer) -> list[float]:
    (first, *rest) = computer.reports
    return [
        round(after[0] - before[0], 3) for before, after in zip([first, *rest], rest, strict=False)
    ]


def test_a_press_that_arrives_with_its_release_is_as_long_as_it_was():
    world = World(lambda moment: max(moment, 1.0))
    world.type("KeyA", 0.1, 0.08)
    computer = world.run()
    assert durations(computer) == [0.08]
    assert computer.reports[0][0] == 1.0


def test_a_burst_keeps_its_pauses_up_to_what_firmware_needs():
    world = World(lambda moment: max(moment, 3.0))
    for number in range(3):
        world.type("KeyL", 0.1 + number, 0.02)
    assert durations(world.run()) == [0.02, 0.04, 0.02, 0.04, 0.02]


def test_what_a_good_line_brings_is_played_at_once():
    world = World()
    expected = typist(world, 3, 300)
    computer = world.run()
    assert computer.typed() == expected
    assert max(world.lateness) <= 0.0211  # what is said is rounded


def test_what_never_ends_to_arrive_has_a_bound():
    """A page that says a thousand keys at once, an hour apart."""
    world = World(lambda moment: 0.0)
    for number in range(1000):
        world.say(number, "key", code=LETTERS[number // 2 % 26], down=number % 2 == 0)
    world._beats = list
    computer = world.run()
    assert len(computer.reports) == 1000
    assert world.now <= playout.WAITING_MAX * playout.GAP_SECONDS + playout.HOLD_SECONDS


# --- A key that is held ---


def test_a_key_that_is_held_repeats_for_as_long_as_it_is():
    world = World()
    world.type("ArrowDown", 1.0, 3.0)
    computer = world.run()
    assert durations(computer) == [3.0]
    assert len(computer.typed()) == 1 + 76


@pytest.mark.parametrize("seed", range(5))
def test_a_line_that_is_late_now_more_and_now_less_lets_a_held_key_be_held(seed):
    chance = random.Random(seed)
    world = World(lambda moment: moment + 0.3 + chance.uniform(0, 0.1))
    world.type("KeyW", 1.0, 5.0)
    computer = world.run()
    assert len(computer.reports) == 2
    assert durations(computer)[0] == pytest.approx(5.0, abs=0.1)


def test_one_whose_release_is_overdue_is_let_go_before_it_repeats():
    world = World(lambda moment: moment if moment < 1.01 else max(moment, 2.2))
    world.type("KeyL", 1.0, 0.08)
    computer = world.run()
    assert durations(computer) == [playout.HOLD_SECONDS]
    assert len(computer.typed(0.25)) == 1


@pytest.mark.parametrize("held", [0.13, 0.2, 0.25])
@pytest.mark.parametrize("stalls_at", [1.01, 1.125, 1.19])
def test_a_long_press_is_one_whenever_the_line_stalls(stalls_at, held):
    world = World(lambda moment: moment if moment < stalls_at else max(moment, 2.3))
    world.type("KeyL", 1.0, held)
    assert len(world.run().typed()) == 1


def test_a_key_that_is_held_over_a_stall_goes_on_after_it():
    world = World(lambda moment: max(moment, 3.0) if 2.0 < moment < 3.0 else moment)
    world.type("ArrowDown", 1.0, 4.0)
    computer = world.run()
    assert len(computer.reports) == 4
    # Held at 1, let go when nobody has spoken since 2, held from 3 to 5.
    assert computer.reports[1][0] == pytest.approx(2.0 + playout.HOLD_SECONDS, abs=HELD_EACH)
    assert computer.reports[2][0] == 3.0
    assert computer.reports[3][0] == 5.0
    assert len(computer.typed()) < len(computer.typed(until=6)) + 1 <= 1 + 3.5 / REPEAT_EACH


def test_one_that_was_let_go_during_the_stall_is_not_pressed_again():
    world = World(lambda moment: max(moment, 3.0) if 1.05 < moment < 3.0 else moment)
    world.type("KeyL", 1.0, 1.5)
    computer = world.run()
    assert len(computer.typed()) == 1


def test_one_that_is_held_less_than_a_repeat_takes_is_not_pressed_again():
    world = World(lambda moment: max(moment, 1.4) if 1.05 < moment < 1.4 else moment)
    world.type("KeyL", 1.0, 0.45)
    assert len(world.run().typed()) == 1


def test_modifiers_and_locks_stay_down_over_a_stall():
    world = World(lambda moment: max(moment, 2.2) if 1.01 < moment < 2.2 else moment)
    world.type("ShiftLeft", 1.0, 1.1)
    world.type("CapsLock", 1.005, 1.0)
    world.type("KeyA", 1.5, 0.05)
    computer = world.run()
    assert [code for code, _ in computer.typed(3600)].count("CapsLock") == 1
    assert ("KeyA", 2) in computer.typed()


def test_modifiers_come_back_after_a_silence_with_the_next_key():
    world = World()
    world.say(1.0, "key", code="ShiftLeft", down=True)
    world.say(1.0, "key", code="KeyW", down=True)
    put = world.playout.put

    def silent(message, play):
        if message.get("code") == "KeyA" and message["down"]:
            # What the service does of a page of which it has heard nothing for two seconds.
            world.playout.let_go()
            for code in ("KeyW", "ShiftLeft"):
                world._change(code, False)
        put(message, play)

    world.playout.put = silent
    world.type("KeyA", 4.0, 0.05)
    world.say(4.1, "key", code="KeyW", down=False)
    world.say(4.1, "key", code="ShiftLeft", down=False)
    computer = world.run()
    assert ("KeyA", 2) in computer.typed()
    assert computer.reports[-1][1] == bytes(8)


def test_what_repeats_itself():
    assert all(map(repeats_itself, [*LETTERS, "ArrowDown", "Backspace", "Enter", "F13", "IntlRo"]))
    once = ["ShiftLeft", "MetaRight", "CapsLock", "NumLock", "Power", "Lang1", "KanaMode"]
    assert not any(map(repeats_itself, once))


# --- Other things have their turn ---


def test_what_was_clicked_after_a_burst_of_keys_is_clicked_after_it():
    world = World(lambda moment: max(moment, 1.0))
    order = []
    play = world._play
    world._play = lambda at, message: (order.append(message["type"]), play(at, message))
    world.type("KeyA", 0.1, 0.08)
    world.say(0.3, "button", button=0, down=True, relative=False)
    world.say(0.4, "move", x=1, y=1)
    world.say(0.45, "move", x=2, y=2)
    world.run()
    assert order == ["key", "key", "button", "move"]


def test_a_page_of_before_says_no_moment_and_holds_what_it_holds():
    world = World()
    for down in (True, False):
        message = {"type": "key", "code": "KeyA", "down": down}
        world.playout.put(message, functools.partial(world._play, 0.0, message))
        assert world.playout.run() is None
        world.now += 1.0
    assert durations(world.computer) == [1.0]


def test_a_combination_is_seen_by_firmware():
    world = World()
    for stroke in keys_of(["ControlLeft", "AltLeft", "Delete"], 0):
        world.playout.put(stroke, functools.partial(world._play, 0.0, stroke))
    while (due := world.playout.run()) is not None:
        world.now = due
    pressed = [report for _, report in world.computer.reports]
    assert pressed[2] == bytes([5, 0, 0x4C]).ljust(8, b"\0") and pressed[-1] == bytes(8)
    for phase in (0.0, 0.01, 0.02, 0.029):
        assert world.computer.seen_by_firmware(phase) == ["Delete"]


def test_what_waits_is_played_when_nobody_is_left_to_wait():
    world = World()
    for stroke in keys_of(["KeyA"], 0):
        world.playout.put(stroke, functools.partial(world._play, 0.0, stroke))
    world.playout.finish()
    assert len(world.computer.reports) == 2
