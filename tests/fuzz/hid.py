# SPDX-License-Identifier: MIT
"""Keyboard and mouse: what pages say, alone and in a row."""

from __future__ import annotations

import asyncio
import contextlib
import json
from types import SimpleNamespace
from unittest import mock

from aiohttp import WSMsgType
from hypothesis import strategies as st
from tinypilot import audit
from tinypilot.auth.watcher import SessionWatcher
from tinypilot.hid import layouts, messages, reports
from tinypilot.hid.keycodes import USAGES
from tinypilot.hid.outputs import PACES, HidOutputs
from tinypilot.hid.playout import WAITING_MAX
from tinypilot.hid.server import Connection, Server

from tests.fuzz.inputs import bytes_of, json_texts, lines_of
from tests.fuzz.target import Target, is_same, text_of

MOMENTS = st.integers(0, 5000) | st.sampled_from([0, 2**31, 2**53, 2**53 + 1, -1, 1.5])
TEXTS = st.text(st.characters(codec="utf-8"), min_size=1, max_size=60) | st.sampled_from(
    ["äöü€@\n", "\ud800", "a" + "\u0301" * 40, "\r\n\t", "x" * 20_000, "ß" * 20_001]
)
LAYOUTS = st.sampled_from([*layouts.load_all(), "xx", ""])
CODES = st.sampled_from([*USAGES, "LaunchMail", "\N{KELVIN SIGN}", "a" * 33])
STEPS = st.integers(-300, 300) | st.sampled_from([-4096, 4096, 4097, 1.0, True])
PLACES = st.integers(0, reports.POINTER_MAX) | st.sampled_from([-1, 32768, 0.5])
MODIFIERS = st.lists(st.sampled_from([*messages.MODIFIERS, "KeyA"]), max_size=9)
FLAGS = st.booleans()

SHAPES = {
    "alive": {},
    "held": {"at": MOMENTS},
    "key": {"code": CODES, "down": FLAGS, "at": MOMENTS},
    "characters": {"layout": LAYOUTS, "text": TEXTS, "held": MODIFIERS, "at": MOMENTS},
    "combination": {"codes": st.lists(CODES, max_size=15)},
    "release": {},
    "move": {"x": PLACES, "y": PLACES},
    "step": {"x": STEPS, "y": STEPS},
    "button": {"button": st.integers(-1, 5), "down": FLAGS, "relative": FLAGS},
    "wheel": {"wheel": STEPS, "pan": STEPS, "relative": FLAGS},
    "check": {"layout": LAYOUTS, "text": TEXTS},
    "paste": {"layout": LAYOUTS, "text": TEXTS, "pace": st.sampled_from([*PACES, "warp"])},
    "cancel": {},
    "ask": {},
    "resume": {"token": st.sampled_from(["a" * 16, "a" * 15, "SECRET", "ä" * 20])},
    "ping": {},
    "give-up": {},
    "answer": {"person": st.integers(0, 4), "yes": FLAGS},
}
assert SHAPES.keys() == messages.FIELDS.keys()
MESSAGES = st.one_of(
    st.fixed_dictionaries({"type": st.just(kind), **fields}) for kind, fields in SHAPES.items()
)


def check_message(data: bytes) -> None:
    text = text_of(data)
    try:
        message = messages.parse(text)
    except messages.ProtocolError as refusal:
        assert len(str(refusal)) < 400
        return
    assert is_same(messages.parse(json.dumps(message)), message)
    for name in ("text", "codes", "held", "code", "token"):
        assert len(message.get(name, "")) <= messages.TEXT_MAX
    assert all(abs(each) <= 2**53 for each in message.values() if type(each) is int)


class _Socket:
    """Has one thing to say, and takes what it is told."""

    def __init__(self, packet: str):
        self._packets = [SimpleNamespace(type=WSMsgType.TEXT, data=packet)]
        self.is_closed = False

    async def __aiter__(self):
        for packet in self._packets:
            yield packet

    async def close(self, **_: object) -> None:
        self.is_closed = True


class _Computer(HidOutputs):
    """Asks for nothing, so that everything waits."""

    def send(self) -> None:
        lines = (self.keyboard, self.absolute_mouse, self.relative_mouse)
        assert self.keyboard.waiting <= reports.WAITING_MAX
        for line in lines[1:]:
            assert 0 <= line.waiting < reports.WAITING_MAX + reports.MOVE_REPORTS_MAX

    async def type(self, text: str, *_: object) -> bool:
        assert len(text) <= messages.TEXT_MAX
        await asyncio.sleep(0)
        return True


def check_conversation(data: bytes) -> None:
    """Lines such as `ann {"type": "ask"}`: of two who may control, and one, eve, who may only watch."""
    with mock.patch.object(audit, "note"):
        asyncio.run(_converse(text_of(data).splitlines()))


async def _converse(lines: list[str]) -> None:
    server = Server(mock.Mock(spec=SessionWatcher), (), 60)
    server._outputs = computer = _Computer(["/nowhere"] * 3, server._tell_all)
    people: dict[str, Connection] = {}
    for name in ("ann", "bob", "eve"):
        person = server._ownership.join(name, name != "eve")
        people[name] = Connection(_Socket(""), person, name)
        server._connections[person.number] = people[name]
    for line in lines:
        name, _, said = line.partition(" ")
        connection = people.get(name)
        if connection is None:
            continue
        secret = people["ann"].secret if "ann" in people else ""
        connection.socket = _Socket(said.replace("SECRET", secret))
        await server._listen(connection)
        if connection.socket.is_closed:
            # As when its socket ends.
            server._remove(connection)
            del people[name]
        owner = server._ownership.owner
        assert owner is None or owner.may_control
        # What one message becomes is played only afterwards.
        assert len(server._playout._waiting) <= WAITING_MAX + 8 * messages.CHARACTERS_MAX
        await asyncio.sleep(0)
    server._stop_paste()
    server._playout.finish()
    computer.leave(0)
    assert not computer.anything_down
    for line, size in (
        (computer.keyboard, 8),
        (computer.absolute_mouse, 7),
        (computer.relative_mouse, 5),
    ):
        while report := line.next_report():
            assert len(report) == size
            line.pop()
    assert computer.keyboard.state() == bytes(8)
    for task in asyncio.all_tasks() - {asyncio.current_task()}:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


TARGETS = [
    Target(
        "hid-message",
        "A message is refused in a sentence, or is the same when it is written and read again, within its bounds.",
        check_message,
        bytes_of(json_texts(MESSAGES)),
    ),
    Target(
        "hid-conversation",
        "Whatever people say in whatever order: nothing raises, what waits has a bound, and in the end all is let go.",
        check_conversation,
        lines_of(
            st.tuples(
                st.sampled_from([b"ann ", b"ann ", b"bob ", b"eve "]),
                bytes_of(json_texts(MESSAGES)),
            ).map(b"".join)
        ),
    ),
]
