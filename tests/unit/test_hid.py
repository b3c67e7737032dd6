# SPDX-License-Identifier: MIT
"""Keyboard and mouse: what goes into the USB gadget, who may put it there, and what a page may say."""

import asyncio
import contextlib
import errno
import json
import os
import socket
import struct
import time

import pytest
from aiohttp import WSCloseCode, WSMsgType, WSServerHandshakeError
from aiohttp.test_utils import TestClient, TestServer
from tinypilot.auth.sessions import COOKIE_PREFIX, Session, cookie_in
from tinypilot.hid import device as device_module
from tinypilot.hid import layouts, messages, server
from tinypilot.hid import reports as reports_module
from tinypilot.hid.device import HidDevice, UsbState
from tinypilot.hid.ownership import Ownership
from tinypilot.hid.reports import AbsoluteMouse, Keyboard, RelativeMouse
from tinypilot.hid.server import Server
from tinypilot.version import page_version

PATIENCE_SECONDS = 10
NOTHING = bytes(8)
MODIFIERS = [
    f"{key}{side}" for side in ("Left", "Right") for key in ("Control", "Shift", "Alt", "Meta")
]


def taken(line) -> list[bytes]:
    """What a computer that asks now gets."""
    reports = []
    while report := line.next_report():
        reports.append(report)
        line.pop()
    return reports


def keys(*usages: int, modifiers: int = 0) -> bytes:
    return bytes([modifiers, 0, *usages]).ljust(8, b"\0")


# --- Reports ---


def test_keys_are_physical_and_modifiers_are_told_apart():
    keyboard = Keyboard()
    for code in ("ShiftRight", "AltRight", "KeyA"):
        keyboard.change(code, True)
    keyboard.change("ShiftRight", False)
    assert taken(keyboard) == [
        keys(modifiers=0x20),
        keys(modifiers=0x60),
        keys(0x04, modifiers=0x60),
        keys(0x04, modifiers=0x40),
    ]


def test_a_key_that_is_down_already_changes_nothing():
    keyboard = Keyboard()
    keyboard.change("KeyA", True)
    keyboard.change("KeyA", True)
    keyboard.change("KeyB", False)
    assert taken(keyboard) == [keys(0x04)]


def test_the_seventh_key_waits_and_modifiers_always_fit():
    keyboard = Keyboard()
    for code in ("KeyA", "KeyB", "KeyC", "KeyD", "KeyE", "KeyF", "KeyG", "ControlLeft"):
        keyboard.change(code, True)
    assert keyboard.state() == keys(4, 5, 6, 7, 8, 9, modifiers=1)
    keyboard.change("KeyG", False)
    keyboard.change("KeyA", False)
    assert keyboard.state() == keys(5, 6, 7, 8, 9, modifiers=1)


def test_letting_go_lets_go_of_everything_once():
    keyboard = Keyboard()
    keyboard.release_all()
    assert taken(keyboard) == []
    keyboard.change("KeyA", True)
    keyboard.change("MetaLeft", True)
    keyboard.release_all()
    assert taken(keyboard)[-1] == NOTHING
    assert not keyboard.anything_down


def test_a_line_that_is_too_long_ends_with_the_present_state():
    keyboard = Keyboard()
    for _ in range(1000):
        keyboard.change("KeyA", True)
        keyboard.change("KeyA", False)
    keyboard.change("KeyB", True)
    reports = taken(keyboard)
    assert len(reports) < 600
    assert reports[-1] == keys(0x05)


def place(x: int, y: int, buttons: int = 0, wheel: int = 0, pan: int = 0) -> bytes:
    return bytes([buttons, x & 255, x >> 8, y & 255, y >> 8, wheel & 255, pan & 255])


def test_of_the_positions_that_wait_the_newest_counts():
    absolute_mouse = AbsoluteMouse()
    for x in range(1000):
        absolute_mouse.move(x, 2 * x)
    assert taken(absolute_mouse) == [place(999, 1998)]


def test_nothing_crosses_a_press_or_a_release():
    absolute_mouse = AbsoluteMouse()
    absolute_mouse.move(1, 1)
    absolute_mouse.move(2, 2)
    absolute_mouse.press(0, True)
    absolute_mouse.move(3, 3)
    absolute_mouse.move(4, 4)
    absolute_mouse.press(0, False)
    absolute_mouse.move(5, 5)
    assert taken(absolute_mouse) == [
        place(2, 2),
        place(2, 2, buttons=1),
        place(4, 4, buttons=1),
        place(4, 4),
        place(5, 5),
    ]


def test_turns_add_up_where_they_were_made():
    absolute_mouse = AbsoluteMouse()
    absolute_mouse.move(10, 10)
    for _ in range(100):
        absolute_mouse.scroll(2, 0)
    absolute_mouse.scroll(0, -3)
    absolute_mouse.move(20, 20)
    assert taken(absolute_mouse) == [
        place(10, 10, wheel=127, pan=-3),
        place(10, 10, wheel=73),
        place(20, 20),
    ]


def test_relative_steps_add_up_and_long_ways_take_several_reports():
    mouse = RelativeMouse()
    for _ in range(100):
        mouse.move(3, -1)
    mouse.press(1, True)
    mouse.scroll(-1, 1)
    assert taken(mouse) == [
        bytes([0, 127, 256 - 100, 0, 0]),
        bytes([0, 127, 0, 0, 0]),
        bytes([0, 46, 0, 0, 0]),
        bytes([2, 0, 0, 0, 0]),
        bytes([2, 0, 0, 255, 1]),
    ]


# --- The gadget ---


class Cable:
    """The attached computer's ends of the three devices, which it can pull.

    `answer` is what write() says whatever poll() says, as Linux' f_hid does: ESHUTDOWN without a host, though
    poll() goes on saying that what was written before is not fetched; EAGAIN while the bus sleeps, though poll()
    says that there is room. `tries` counts the writes that it answered.
    """

    BLOCKS_SECONDS = 1  # a file that was not opened as one that never waits

    def __init__(self, monkeypatch):
        self.plugged = True
        self.there = True
        self.answer: int | None = None
        self.tries = 0
        self._ends: dict[str, socket.socket] = {}
        self._files: set[int] = set()
        self._unfetched: list[socket.socket] = []
        self._open = os.open
        self._write = os.write
        monkeypatch.setattr(device_module.os, "open", self._opened)
        monkeypatch.setattr(device_module.os, "write", self._written)
        monkeypatch.setattr(device_module, "AGAIN_SECONDS", 0.01)
        monkeypatch.setattr(device_module, "PROBE_SECONDS", 0.02)
        monkeypatch.setattr(device_module, "SILENCE_SECONDS", 0.05)
        monkeypatch.setattr(device_module, "RETRY_SECONDS", 0.01)

    def _opened(self, path, *rest):
        if not str(path).startswith("/dev/hidg"):
            return self._open(path, *rest)
        if not self.there:
            raise FileNotFoundError(path)
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1)
        if rest[0] & os.O_NONBLOCK:
            ours.setblocking(False)
        else:
            ours.setsockopt(
                socket.SOL_SOCKET, socket.SO_SNDTIMEO, struct.pack("ll", self.BLOCKS_SECONDS, 0)
            )
        if self.plugged:
            theirs.setblocking(False)
            self._ends[path] = theirs
        else:
            theirs.close()
        self._files.add(ours.fileno())
        return ours.detach()

    def _written(self, file, report):
        if self.answer is None or file not in self._files:
            return self._write(file, report)
        self.tries += 1
        raise OSError(self.answer, os.strerror(self.answer))

    def pull(self):
        self.plugged = False
        for end in self._ends.values():
            end.close()
        self._ends.clear()

    def switch_off(self):
        """Not pulled: nobody fetches what was written, and poll() says nothing of it."""
        self.answer = errno.ESHUTDOWN
        self._unfetched += self._ends.values()
        self._ends.clear()

    def has(self, path: str) -> bool:
        return path in self._ends

    def send_leds(self, leds: int):
        self._ends["/dev/hidg0"].send(bytes([leds]))

    def fetch(self, path="/dev/hidg0") -> bytes | None:
        with contextlib.suppress(BlockingIOError, KeyError):
            return self._ends[path].recv(64)
        return None

    async def next(self, path="/dev/hidg0") -> bytes:
        """The next report that is not the keyboard's sign of life before any key."""
        return await until(lambda: self.fetch(path), f"a report comes to {path}")

    async def next_unlike(self, report: bytes, path="/dev/hidg0") -> bytes:
        return await until(
            lambda: (seen := self.fetch(path)) is not None and seen != report and seen,
            "another report comes",
        )


async def until(look, what: str):
    async def wait():
        while not (seen := look()):
            await asyncio.sleep(0.001)
        return seen

    try:
        return await asyncio.wait_for(wait(), PATIENCE_SECONDS)
    except TimeoutError:
        raise AssertionError(f"it never happened that {what}") from None


async def beat(pauses: list[float]):
    """Others who are served by the same loop: how long each had to wait."""
    while True:
        began = time.monotonic()
        await asyncio.sleep(0)
        pauses.append(time.monotonic() - began)


@pytest.fixture
def cable(monkeypatch):
    return Cable(monkeypatch)


def run(scenario):
    asyncio.run(asyncio.wait_for(scenario, 3 * PATIENCE_SECONDS))


def keyboard_device(**options):
    keyboard = Keyboard()
    return keyboard, HidDevice("/dev/hidg0", keyboard, probe=keyboard.state, **options)


def test_a_report_is_written_at_once(cable):
    async def scenario():
        keyboard, device = keyboard_device()
        device.open()
        assert cable.fetch() == NOTHING  # the first sign of life
        keyboard.change("KeyA", True)
        device.flush()
        assert cable.fetch() == keys(0x04)
        assert device.usb_state is UsbState.CONNECTED
        device.close()

    run(scenario())


def test_a_computer_that_does_not_fetch_holds_up_nobody_and_gets_all_in_order(cable):
    async def scenario():
        states, pauses = [], []
        keyboard, device = keyboard_device(on_usb_state=states.append)
        device.open()
        beating = asyncio.create_task(beat(pauses))
        await asyncio.sleep(0)
        for code in ("KeyA", "KeyB", "KeyC", "KeyD", "KeyE", "KeyF"):
            keyboard.change(code, True)
            device.flush()
        await until(lambda: states[-1] is UsbState.SILENT, "the silence is noticed")
        beating.cancel()
        assert max(pauses) < Cable.BLOCKS_SECONDS / 2
        pressed = [NOTHING, *(keys(*range(4, last)) for last in range(5, 11))]
        assert [await cable.next() for _ in pressed] == pressed
        await until(lambda: states[-1] is UsbState.CONNECTED, "it is noticed that it goes on")
        device.close()

    run(scenario())


def test_a_computer_that_comes_back_gets_nothing_old(cable):
    async def scenario():
        states = []
        keyboard, device = keyboard_device(on_usb_state=states.append)
        device.open()
        keyboard.change("KeyA", True)
        device.flush()
        cable.pull()
        await until(lambda: states[-1] is UsbState.DISCONNECTED, "it is noticed")
        keyboard.change("KeyB", True)
        device.flush()
        await device.drained()
        cable.plugged = True
        assert await cable.next() == NOTHING
        assert states[-1] is UsbState.CONNECTED
        cable.pull()
        cable.there = False
        await until(lambda: states[-1] is UsbState.MISSING, "it is noticed that the gadget is gone")
        device.close()

    run(scenario())


def press(line, number: int, down: bool):
    if isinstance(line, Keyboard):
        line.change(("KeyA", "KeyB")[number], down)
    else:
        line.press(number, down)


@pytest.mark.parametrize("is_another_at_once", [False, True])
@pytest.mark.parametrize(
    ("path", "kind", "pressed"),
    [
        ("/dev/hidg0", Keyboard, keys(0x05)),
        ("/dev/hidg1", AbsoluteMouse, place(16383, 16383, buttons=2)),
        ("/dev/hidg2", RelativeMouse, bytes([2, 0, 0, 0, 0])),
    ],
)
def test_what_waits_when_a_computer_goes_is_not_for_the_next(
    cable, path, kind, pressed, is_another_at_once
):
    async def scenario():
        line = kind()
        is_keyboard = kind is Keyboard
        device = HidDevice(path, line, probe=line.state if is_keyboard else None)
        device.open()
        for down in [True, False] * 10:
            press(line, 0, down)
            device.flush()
        if is_another_at_once:
            cable.pull()
            cable.plugged = True
        else:
            cable.switch_off()
        await until(lambda: not line.next_report(), "what waited is dropped")
        cable.answer = None
        await until(lambda: cable.has(path), "the next computer is there")
        if is_keyboard:
            await until(lambda: device.usb_state is UsbState.CONNECTED, "it is noticed")
        press(line, 1, True)
        device.flush()
        assert await cable.next_unlike(bytes(len(pressed)), path) == pressed
        device.close()

    run(scenario())


def test_a_computer_that_goes_while_it_asks_for_nothing_is_noticed(cable):
    async def scenario():
        states = []
        _, device = keyboard_device(on_usb_state=states.append)
        device.open()
        await until(lambda: states[-1] is UsbState.SILENT, "the silence is noticed")
        cable.switch_off()
        await until(lambda: states[-1] is UsbState.DISCONNECTED, "it is noticed that it went")
        device.close()

    run(scenario())


def test_a_computer_that_sleeps_is_asked_now_and_then_and_said_to_be_silent(cable, monkeypatch):
    monkeypatch.setattr(device_module, "RETRY_SECONDS", 3600)

    async def scenario():
        states = []
        _, device = keyboard_device(on_usb_state=states.append)
        cable.answer = errno.EAGAIN
        device.open()
        await until(lambda: states == [UsbState.SILENT], "the silence is noticed")
        assert cable.tries == 2  # the second because poll() said that there is room
        device.close()

    run(scenario())


def test_a_computer_that_wakes_gets_what_waited(cable):
    async def scenario():
        states = []
        keyboard, device = keyboard_device(on_usb_state=states.append)
        cable.answer = errno.EAGAIN
        device.open()
        keyboard.change("KeyA", True)
        device.flush()
        await until(lambda: states == [UsbState.SILENT], "the silence is noticed")
        cable.answer = None
        assert await cable.next() == keys(0x04)
        assert states == [UsbState.SILENT, UsbState.CONNECTED]
        device.close()

    run(scenario())


def test_a_mouse_whose_file_died_is_opened_anew_with_the_next_move(cable):
    async def scenario():
        absolute_mouse = AbsoluteMouse()
        device = HidDevice("/dev/hidg1", absolute_mouse)
        device.open()
        cable.pull()
        cable.plugged = True
        absolute_mouse.move(7, 8)
        device.flush()
        assert cable.fetch("/dev/hidg1") == place(7, 8)
        device.close()

    run(scenario())


def test_leds_are_heard(cable):
    async def scenario():
        heard = []
        _, device = keyboard_device(on_leds=heard.append)
        device.open()
        cable.send_leds(3)
        await until(lambda: heard == [3], "the LEDs are heard")
        cable.pull()
        await until(lambda: heard[-1] == 0, "the LEDs go with the computer")
        device.close()

    run(scenario())


# --- Who has the controls ---


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_one_has_the_controls_and_others_ask():
    control = Ownership(60, Clock())
    ann, bob, eve = (control.join(name, True) for name in ("ann", "bob", "eve"))
    control.ask(ann)
    assert control.owner is ann and control.use(ann) and not control.use(bob)
    control.ask(bob)
    control.ask(eve)
    assert control.owner is ann
    control.answer(bob, eve.number, True)  # not his to give
    assert control.owner is ann
    control.answer(ann, eve.number, True)
    assert control.owner is eve and eve.asked_at is None and bob.asked_at is not None
    control.answer(eve, bob.number, False)
    assert control.owner is eve and bob.asked_at is None


def test_an_idle_owner_is_taken_over():
    clock = Clock()
    control = Ownership(60, clock)
    ann, bob = control.join("ann", True), control.join("bob", True)
    control.ask(ann)
    clock.now = 59
    control.use(ann)
    clock.now = 118
    control.ask(bob)
    assert control.owner is ann
    clock.now = 120
    control.ask(bob)
    assert control.owner is bob


def test_whoever_asked_first_gets_them_when_the_owner_leaves():
    clock = Clock()
    control = Ownership(60, clock)
    ann, bob, eve = (control.join(name, True) for name in ("ann", "bob", "eve"))
    control.ask(ann)
    clock.now = 1
    control.ask(eve)
    clock.now = 2
    control.ask(bob)
    control.leave(ann)
    assert control.owner is eve
    control.give_up(eve)
    assert control.owner is bob
    control.give_up(bob)
    assert control.owner is None


def test_who_may_only_watch_never_gets_them():
    control = Ownership(60, Clock())
    viewer = control.join("viewer", False)
    control.ask(viewer)
    assert control.owner is None and not control.use(viewer)


# --- Messages ---


@pytest.mark.parametrize(
    "message",
    [
        {"type": "alive"},
        {"type": "key", "code": "KeyA", "down": True},
        {"type": "key", "code": "AudioVolumeUp", "down": True},
        {"type": "key", "code": "KeyA", "down": True, "at": 12345},
        {"type": "held", "at": 0},
        {"type": "characters", "layout": "de", "text": "@", "held": ["MetaLeft"], "at": 1},
        {"type": "combination", "codes": ["ControlLeft", "AltLeft", "Delete"]},
        {"type": "combination", "codes": [*MODIFIERS, "KeyA"]},
        {"type": "move", "x": 0, "y": 32767},
        {"type": "step", "x": -4, "y": 4},
        {"type": "button", "button": 4, "down": False, "relative": True},
        {"type": "wheel", "wheel": 1, "pan": -1, "relative": False},
        {"type": "paste", "layout": "de", "text": "Grüße", "pace": "slow"},
        {"type": "answer", "person": 3, "yes": True},
    ],
)
def test_good_messages_pass(message):
    assert messages.parse(json.dumps(message)) == message


@pytest.mark.parametrize(
    "data",
    [
        "",
        "[]",
        "null",
        "{",
        "[" * 100_000,
        '{"type": []}',
        '{"type": "dance"}',
        '{"type": "key", "code": "KeyA"}',
        '{"type": "key", "code": "KeyA", "down": 1}',
        '{"type": "key", "code": "", "down": true}',
        '{"type": "key", "code": "Key A", "down": true}',
        json.dumps({"type": "key", "code": "A" * 33, "down": True}),
        '{"type": "key", "code": ["KeyA"], "down": true}',
        '{"type": "key", "code": "KeyA", "down": true, "more": 1}',
        '{"type": "key", "code": "KeyA", "down": true, "at": -1}',
        '{"type": "key", "code": "KeyA", "down": true, "at": null}',
        '{"type": "held"}',
        '{"type": "held", "at": 1.5}',
        '{"type": "characters", "layout": "de", "text": "", "held": [], "at": 1}',
        '{"type": "characters", "layout": "de", "text": "a", "held": ["KeyA"], "at": 1}',
        '{"type": "characters", "layout": "de", "text": "a", "held": "MetaLeft", "at": 1}',
        json.dumps({"type": "characters", "layout": "de", "text": "a" * 51, "held": [], "at": 1}),
        '{"type": "combination", "codes": []}',
        '{"type": "combination", "codes": "KeyA"}',
        json.dumps({"type": "combination", "codes": ["KeyA"] * 15}),
        '{"type": "move", "x": 32768, "y": 0}',
        '{"type": "move", "x": true, "y": 0}',
        '{"type": "move", "x": 1.5, "y": 0}',
        '{"type": "move", "x": NaN, "y": 0}',
        '{"type": "button", "button": 5, "down": true, "relative": false}',
        '{"type": "paste", "layout": "../../etc/passwd", "text": "a"}',
        '{"type": "paste", "layout": "de", "text": ""}',
        json.dumps({"type": "paste", "layout": "de", "text": "a" * 20001}),
        '{"type": "answer", "person": 0, "yes": true}',
    ],
)
def test_bad_messages_are_refused_in_a_sentence(data):
    with pytest.raises(messages.ProtocolError, match=r"\.$"):
        messages.parse(data)


# --- The server ---


class Gate:
    """Everybody is let in by name; `gone` are those whose session ended."""

    def __init__(self):
        self.gone: set[str] = set()

    async def session_in(self, cookies):
        token = cookie_in(cookies, COOKIE_PREFIX)
        role = "viewer" if token.startswith("viewer") else "operator"
        return token, Session(0, token, role) if token else None

    async def expired(self, tokens):
        return tokens & self.gone


class Page:
    def __init__(self, websocket):
        self.websocket = websocket
        self.heard: list[dict] = []

    async def say(self, kind: str, **fields):
        await self.websocket.send_json({"type": kind, **fields})

    async def hear(self, kind: str, **fields) -> dict:
        """The next message of this kind in which these fields have these values."""

        async def listen():
            while True:
                packet = await self.websocket.receive()
                assert packet.type is WSMsgType.TEXT, packet
                message = json.loads(packet.data)
                self.heard.append(message)
                if message["type"] == kind and fields.items() <= message.items():
                    return message

        return await asyncio.wait_for(listen(), PATIENCE_SECONDS)

    async def ends(self) -> int:
        while True:
            packet = await asyncio.wait_for(self.websocket.receive(), PATIENCE_SECONDS)
            if packet.type is not WSMsgType.TEXT:
                assert packet.type is WSMsgType.CLOSE
                return packet.data


def test_a_page_that_takes_no_news_is_gone(monkeypatch):
    monkeypatch.setattr(server, "SEND_SECONDS", 0.05)

    class DeafSocket:
        closed_with = None

        async def send_json(self, message):
            await asyncio.Event().wait()

        async def close(self, code):
            self.closed_with = code

    async def scenario():
        deaf = DeafSocket()
        connection = server.Connection(deaf, Ownership(60).join("ann", True), "token")
        connection.tell({"type": "leds", "leds": 0})
        await asyncio.wait_for(connection.speak(), PATIENCE_SECONDS)
        assert deaf.closed_with == WSCloseCode.POLICY_VIOLATION

    run(scenario())


@contextlib.asynccontextmanager
async def serving(gate=None, idle_seconds=60):
    paths = [f"/dev/hidg{number}" for number in range(3)]
    application = Server(gate or Gate(), paths, idle_seconds).application()
    async with TestServer(application) as test_server:
        clients = []

        async def page(name: str) -> Page:
            client = TestClient(test_server, cookies={COOKIE_PREFIX: name} if name else {})
            clients.append(client)
            return Page(await client.ws_connect("/api/hid"))

        yield page
        for client in clients:
            # Not client.close(), which would close the server.
            await client.session.close()


def test_who_is_not_logged_in_is_not_let_in(cable):
    async def scenario():
        async with serving() as page:
            with pytest.raises(Exception, match="401"):
                await page("")

    run(scenario())


def test_so_many_pages_are_served_and_no_more(cable, monkeypatch):
    monkeypatch.setattr(server, "PEOPLE_MAX", 2)

    async def scenario():
        async with serving() as page:
            ann, _ = await page("ann"), await page("bob")
            with pytest.raises(Exception, match="503"):
                await page("eve")
            await ann.websocket.close()
            eve = None
            while eve is None:
                with contextlib.suppress(WSServerHandshakeError):
                    eve = await page("eve")
            await eve.hear("welcome")

    run(scenario())


async def in_control(page, name="ann") -> Page:
    ann = await page(name)
    number = (await ann.hear("welcome"))["person"]
    await ann.say("ask")
    await ann.hear("state", owner=number)
    return ann


def test_keys_and_clicks_reach_the_computer(cable):
    async def scenario():
        async with serving() as page:
            ann = await in_control(page)
            await ann.say("key", code="KeyA", down=True)
            assert await cable.next_unlike(NOTHING) == keys(0x04)
            await ann.say("move", x=100, y=200)
            assert await cable.next("/dev/hidg1") == place(100, 200)
            await ann.say("button", button=2, down=True, relative=False)
            assert await cable.next("/dev/hidg1") == place(100, 200, buttons=4)
            await ann.say("step", x=5, y=-5)
            assert await cable.next_unlike(bytes(5), "/dev/hidg2") == bytes([0, 5, 251, 0, 0])

    run(scenario())


def test_keys_that_the_keyboard_lacks_do_nothing(cable):
    async def scenario():
        async with serving() as page:
            ann = await in_control(page)
            await ann.say("key", code="AudioVolumeUp", down=True)
            await ann.say("combination", codes=["ControlLeft", "AudioVolumeUp"])
            await ann.say("key", code="KeyA", down=True)
            assert await cable.next_unlike(NOTHING) == keys(0x04)

    run(scenario())


def test_a_page_is_told_which_keys_there_are(cable):
    async def scenario():
        async with serving() as page:
            codes = (await (await page("ann")).hear("welcome"))["codes"]
            assert {*MODIFIERS, "KeyA", "Numpad0"} <= set(codes)
            assert "AudioVolumeUp" not in codes

    run(scenario())


def test_a_page_is_told_which_page_the_device_has(cable):
    """As the web app writes it into the page itself: one that differs is of an earlier version."""

    async def scenario():
        async with serving() as page:
            assert (await (await page("ann")).hear("welcome"))["version"] == page_version()

    run(scenario())


def test_what_a_killed_service_has_left_down_is_let_go(cable):
    async def scenario():
        async with serving():
            assert await cable.next() == NOTHING
            assert await cable.next("/dev/hidg2") == bytes(5)

    run(scenario())


def test_who_has_not_the_controls_changes_nothing(cable):
    async def scenario():
        async with serving() as page:
            ann = await in_control(page)
            bob = await page("bob")
            await bob.say("key", code="KeyB", down=True)
            await bob.say("paste", layout="de", text="no")
            await bob.say("check", layout="en-us", text="aä")
            assert (await bob.hear("checked"))["untypable"] == ["ä"]  # all before it was read
            await ann.say("key", code="KeyA", down=True)
            assert await cable.next_unlike(NOTHING) == keys(0x04)

    run(scenario())


@pytest.mark.parametrize("end", ["close", "vanish", "hang", "give-up", "session", "lies"])
def test_no_key_stays_down(cable, monkeypatch, end):
    monkeypatch.setattr(server, "SILENCE_SECONDS", 0.1)
    monkeypatch.setattr(server, "LOOK_SECONDS", 0.02)

    async def scenario():
        gate = Gate()
        async with serving(gate) as page:
            ann = await in_control(page)
            await ann.say("key", code="KeyA", down=True)
            await ann.say("button", button=0, down=True, relative=False)
            held = await cable.next_unlike(NOTHING)
            assert held == keys(0x04)
            match end:
                case "close":
                    await ann.websocket.close()
                case "vanish":
                    ann.websocket._response.connection.transport.abort()
                case "give-up":
                    await ann.say("give-up")
                case "session":
                    gate.gone.add("ann")
                case "lies":
                    await ann.websocket.send_str("{}")
            assert await cable.next_unlike(held) == NOTHING
            await until(
                lambda: (cable.fetch("/dev/hidg1") or b"\1")[0] == 0, "the button is let go"
            )
            if end in ("session", "lies"):
                assert await ann.ends() == 1008

    run(scenario())


def test_a_page_that_says_it_lives_may_hold_a_key(cable, monkeypatch):
    monkeypatch.setattr(server, "SILENCE_SECONDS", 0.3)
    monkeypatch.setattr(server, "LOOK_SECONDS", 0.02)

    async def scenario():
        async with serving() as page:
            ann = await in_control(page)
            await ann.say("key", code="KeyA", down=True)
            await cable.next_unlike(NOTHING)
            for _ in range(20):
                await ann.say("alive")
                await asyncio.sleep(0.05)
                assert cable.fetch() in (None, keys(0x04))

    run(scenario())


def test_the_controls_go_from_one_to_the_other_with_nothing_held(cable):
    async def scenario():
        async with serving() as page:
            ann = await in_control(page)
            bob = await page("bob")
            number = (await bob.hear("welcome"))["person"]
            await ann.say("key", code="KeyA", down=True)
            held = await cable.next_unlike(NOTHING)
            await bob.say("ask")
            state = await ann.hear("state")
            while not any(each["asks"] for each in state["people"]):
                state = await ann.hear("state")
            await ann.say("answer", person=number, yes=True)
            await bob.hear("state", owner=number)
            assert await cable.next_unlike(held) == NOTHING
            await ann.say("key", code="KeyA", down=True)
            await ann.say("check", layout="de", text="x")
            await ann.hear("checked")
            await bob.say("key", code="KeyB", down=True)
            assert await cable.next_unlike(NOTHING) == keys(0x05)

    run(scenario())


@pytest.fixture
def runtime_folder(tmp_path, monkeypatch):
    """What outlives the service, while the device runs."""
    monkeypatch.setenv("RUNTIME_DIRECTORY", str(tmp_path))
    return tmp_path


async def cut_off(page: Page) -> None:
    """Without a word, as when the network is gone or nginx was killed."""
    page.websocket._response.connection.transport.abort()
    await asyncio.sleep(0)


async def with_secret(page, name="ann") -> tuple[Page, str]:
    ann = await page(name)
    welcome = await ann.hear("welcome")
    await ann.say("ask")
    await ann.hear("state", owner=welcome["person"])
    return ann, welcome["secret"]


async def back(page, secret, name="ann") -> tuple[Page, int]:
    again = await page(name)
    number = (await again.hear("welcome"))["person"]
    await again.say("resume", token=secret)
    return again, number


def test_who_was_cut_off_has_the_controls_again_and_nobody_else_meanwhile(cable):
    async def scenario():
        async with serving() as page:
            ann, secret = await with_secret(page)
            bob = await page("bob")
            await cut_off(ann)
            await bob.hear("state", owner=None)
            await bob.say("ask")
            again, number = await back(page, secret)
            state = await again.hear("state", owner=number)
            assert [each["asks"] for each in state["people"] if each["name"] == "bob"] == [True]
            await again.say("key", code="KeyB", down=True)
            assert await cable.next_unlike(NOTHING) == keys(0x05)

    run(scenario())


def test_who_does_not_come_back_in_time_has_lost_the_controls(cable, monkeypatch):
    monkeypatch.setattr(server, "HOLD_SECONDS", 0.05)

    async def scenario():
        async with serving() as page:
            ann, secret = await with_secret(page)
            bob = await page("bob")
            bobs = (await bob.hear("welcome"))["person"]
            await cut_off(ann)
            await bob.hear("state", owner=None)
            await bob.say("ask")
            await bob.hear("state", owner=bobs)
            again, _ = await back(page, secret)
            assert (await again.hear("state"))["owner"] == bobs
            await again.say("check", layout="de", text="x")
            await again.hear("checked")
            assert (await (await page("eve")).hear("state"))["owner"] == bobs

    run(scenario())


def test_an_owner_is_back_before_the_lost_connection_is_noticed(cable):
    async def scenario():
        async with serving() as page:
            ann, secret = await with_secret(page)
            again, number = await back(page, secret)
            await again.hear("state", owner=number)
            assert (await ann.hear("ended")) == {"type": "ended"}

    run(scenario())


def test_the_next_start_of_the_service_knows_who_had_the_controls(cable, runtime_folder):
    async def scenario():
        async with serving() as page:
            _, secret = await with_secret(page)
            kept = (runtime_folder / "last-owner").read_text()
        # As if the service had been killed.
        (runtime_folder / "last-owner").write_text(kept)
        async with serving() as page:
            bob = await page("bob")
            bobs = (await bob.hear("welcome"))["person"]
            await bob.say("ask")
            await bob.say("check", layout="de", text="x")
            await bob.hear("checked")
            again, number = await back(page, secret)
            await again.hear("state", owner=number)
            assert number != bobs

    run(scenario())


@pytest.mark.parametrize("who", ["another session with the secret", "the session with a guess"])
def test_nobody_else_gets_back_what_was_not_theirs(cable, who):
    async def scenario():
        async with serving() as page:
            ann, secret = await with_secret(page)
            await cut_off(ann)
            guess = secret if who.startswith("another") else "x" * len(secret)
            name = "bob" if who.startswith("another") else "ann"
            eve, _ = await back(page, guess, name)
            assert (await eve.hear("state"))["owner"] is None
            await eve.say("check", layout="de", text="x")
            await eve.hear("checked")
            watcher = await page("bob")
            assert (await watcher.hear("state"))["owner"] is None

    run(scenario())


def test_a_connection_that_the_page_has_given_up_on_may_end_late(cable):
    async def scenario():
        async with serving() as page:
            ann, secret = await with_secret(page)
            bob = await page("bob")
            # A frame as of WebSocket.close() without a code.
            ann.websocket._response.connection.transport.write(b"\x88\x80\0\0\0\0")
            await bob.hear("state", owner=None)
            again, number = await back(page, secret)
            await again.hear("state", owner=number)

    run(scenario())


@pytest.mark.parametrize("how", ["gives them up", "closes the page"])
def test_who_lets_the_controls_go_does_not_get_them_back(cable, how):
    async def scenario():
        async with serving() as page:
            ann, secret = await with_secret(page)
            bob = await page("bob")
            bobs = (await bob.hear("welcome"))["person"]
            if how == "gives them up":
                await ann.say("give-up")
            else:
                await ann.websocket.close()
            await bob.hear("state", owner=None)
            again, _ = await back(page, secret)
            assert (await again.hear("state"))["owner"] is None
            await bob.say("ask")
            await bob.hear("state", owner=bobs)

    run(scenario())


def test_a_ping_is_answered(cable):
    async def scenario():
        async with serving() as page:
            ann = await page("ann")
            await ann.say("ping")
            await ann.hear("pong")

    run(scenario())


@pytest.mark.parametrize(
    ("how", "event", "sentence"),
    [
        ("given", "controls_given", "ann gave the controls to bob"),
        ("idle", "controls_taken", "bob took the controls over from ann, who was idle"),
        (
            "given up",
            "controls_given_up",
            "ann gave the controls up, and bob, who had asked, got them",
        ),
        ("left", "controls_left", "ann left with the controls, and bob, who had asked, got them"),
    ],
)
def test_the_audit_log_tells_who_got_the_controls_from_whom(cable, audited, how, event, sentence):
    async def scenario():
        async with serving(idle_seconds=0 if how == "idle" else 60) as page:
            ann = await in_control(page)
            bob = await page("bob")
            number = (await bob.hear("welcome"))["person"]
            await ann.say("key", code="KeyA", down=True)
            await bob.say("ask")
            if how != "idle":
                while not any(each["asks"] for each in (await bob.hear("state"))["people"]):
                    pass
            match how:
                case "given":
                    await ann.say("answer", person=number, yes=True)
                case "given up":
                    await ann.say("give-up")
                case "left":
                    await ann.websocket.close()
            await bob.hear("state", owner=number)
            assert audited == [
                ("controls_taken", {"sentence": "ann took the controls", "had": "", "has": "ann"}),
                (event, {"sentence": sentence, "had": "ann", "has": "bob"}),
            ]

    run(scenario())


def test_the_audit_log_tells_who_has_the_controls_no_longer(cable, audited):
    async def scenario():
        async with serving() as page:
            ann = await in_control(page)
            await ann.say("give-up")
            await ann.hear("state", owner=None)
            assert audited[-1] == (
                "controls_given_up",
                {"sentence": "ann gave the controls up", "had": "ann", "has": ""},
            )

    run(scenario())


def test_a_viewer_sees_who_has_the_controls(cable):
    async def scenario():
        async with serving() as page:
            await in_control(page)
            viewer = await page("viewer")
            state = await viewer.hear("state")
            people = {each["number"]: each for each in state["people"]}
            assert people[state["owner"]]["name"] == "ann"
            assert state["usb"] == "connected"
            await viewer.say("ask")
            await viewer.say("check", layout="de", text="x")
            await viewer.hear("checked")
            assert not any(m["people"][-1]["asks"] for m in viewer.heard if m["type"] == "state")

    run(scenario())


def test_the_page_hears_when_the_usb_side_goes_and_comes(cable):
    async def scenario():
        async with serving() as page:
            ann = await in_control(page)
            cable.pull()
            await ann.hear("state", usb="disconnected")
            cable.plugged = True
            await ann.hear("state", usb="connected")

    run(scenario())


async def fetch_for_ever(cable, typed):
    last = NOTHING
    while True:
        report = cable.fetch()
        if report and report != last:
            typed.append(report)
            last = report
        await asyncio.sleep(0.001)


def test_paste_types_reports_progress_and_ends(cable):
    async def scenario():
        async with serving() as page:
            ann = await in_control(page)
            typed = []
            fetching = asyncio.create_task(fetch_for_ever(cable, typed))
            await ann.say("paste", layout="de", text="aÉ\r\n")
            assert (await ann.hear("paste", state="done"))["total"] == 3
            await until(lambda: typed[-2:] == [keys(0x28), NOTHING], "the last key is let go")
            fetching.cancel()
            assert [report for report in typed if report != NOTHING] == [
                keys(0x04),
                keys(0x2E),
                keys(0x08, modifiers=2),
                keys(0x28),
            ]

    run(scenario())


def test_what_cannot_be_typed_is_said_before_anything_is_typed(cable):
    async def scenario():
        async with serving() as page:
            ann = await in_control(page)
            await ann.say("paste", layout="en-us", text="a€b")
            assert (await ann.hear("paste", state="refused"))["untypable"] == ["€"]
            await ann.say("key", code="KeyZ", down=True)
            assert await cable.next_unlike(NOTHING) == keys(0x1D)

    run(scenario())


@pytest.mark.parametrize("end", ["cancel", "pull"])
def test_paste_ends_when_it_is_told_to_or_the_computer_goes(cable, end):
    async def scenario():
        async with serving() as page:
            ann = await in_control(page)
            fetching = asyncio.create_task(fetch_for_ever(cable, []))
            await ann.say("paste", layout="en-us", text="x" * 20000)
            await ann.hear("paste", state="typing")
            await ann.say("key", code="KeyZ", down=True)  # does not get into the text
            if end == "cancel":
                await ann.say("cancel")
                result = await ann.hear("paste", state="cancelled")
            else:
                cable.pull()
                result = await ann.hear("paste", state="disconnected")
            assert 0 < result["done"] < 20000
            fetching.cancel()

    run(scenario())


def test_caps_lock_is_off_while_text_is_typed(cable):
    async def scenario():
        async with serving() as page:
            ann = await in_control(page)
            cable.send_leds(2)
            await ann.hear("state", leds=2)
            typed = []
            fetching = asyncio.create_task(fetch_for_ever(cable, typed))
            await ann.say("paste", layout="en-us", text="a")
            await ann.hear("paste", state="done")
            await until(lambda: typed.count(keys(0x39)) == 2, "Caps Lock is restored")
            fetching.cancel()
            assert [report for report in typed if report != NOTHING] == [
                keys(0x39),
                keys(0x04),
                keys(0x39),
            ]

    run(scenario())


def test_characters_are_typed_in_the_layout_with_what_is_held(cable):
    async def scenario():
        async with serving() as page:
            ann = await in_control(page)
            typed = []
            fetching = asyncio.create_task(fetch_for_ever(cable, typed))
            await ann.say("characters", layout="de", text="z\u20ac\u4e00", held=[], at=1)
            assert (await ann.hear("untypable"))["characters"] == ["\u4e00"]
            await ann.say("characters", layout="fr", text="a", held=["ControlLeft"], at=2)
            expected = [keys(0x1C), keys(0x08, modifiers=0x40), keys(0x14, modifiers=1)]
            await until(
                lambda: [report for report in typed if report != NOTHING] == expected,
                "y's place, E with AltGr, and Ctrl with Q's place",
            )
            await until(lambda: typed[-1] == NOTHING, "all is let go")
            cable.send_leds(2)
            await ann.hear("state", leds=2)
            typed.clear()
            await ann.say("characters", layout="de", text="aB1\u00e9", held=[], at=3)
            expected = [keys(4, modifiers=2), keys(5), keys(0x1E), keys(0x2E), keys(8, modifiers=2)]
            await until(
                lambda: [report for report in typed if report != NOTHING] == expected,
                "Caps Lock is made up for",
            )
            fetching.cancel()

    run(scenario())


def test_a_key_of_which_nothing_more_is_heard_is_let_go_and_comes_back(cable):
    async def scenario():
        async with serving() as page:
            ann = await in_control(page)
            await ann.say("key", code="KeyA", down=True, at=1000)
            held = await cable.next_unlike(NOTHING)
            assert held == keys(0x04)
            assert await cable.next_unlike(held) == NOTHING
            await ann.say("held", at=1400)
            await ann.say("check", layout="de", text="x")
            await ann.hear("checked")
            assert cable.fetch() in (None, NOTHING)
            await ann.say("held", at=1500)
            assert await cable.next_unlike(NOTHING) == keys(0x04)
            await ann.say("key", code="KeyA", down=False, at=1510)
            assert await cable.next_unlike(held) == NOTHING

    run(scenario())


def test_a_combination_of_buttons_is_held_for_a_moment(cable):
    async def scenario():
        async with serving() as page:
            ann = await in_control(page)
            typed = []
            fetching = asyncio.create_task(fetch_for_ever(cable, typed))
            await ann.say("combination", codes=["ControlLeft", "Delete"])
            await until(lambda: typed[-1:] == [NOTHING] and len(typed) > 2, "it is let go")
            fetching.cancel()
            assert typed[-4:] == [
                keys(modifiers=1),
                keys(0x4C, modifiers=1),
                keys(modifiers=1),
                NOTHING,
            ]

    run(scenario())


# --- Bounds ---

FLOODS = {
    "wheel": [{"type": "wheel", "wheel": -4096, "pan": 4096, "relative": True}],
    "wheel of the other mouse": [{"type": "wheel", "wheel": 4096, "pan": 0, "relative": False}],
    "clicks": [
        {"type": "button", "button": 0, "down": down, "relative": True} for down in (True, False)
    ],
    "clicks and ways": [
        {"type": "button", "button": 1, "down": True, "relative": True},
        {"type": "step", "x": 4096, "y": -4096},
        {"type": "button", "button": 1, "down": False, "relative": True},
        {"type": "wheel", "wheel": 4096, "pan": 0, "relative": True},
    ],
    "places and clicks": [
        {"type": "button", "button": 2, "down": True, "relative": False},
        {"type": "move", "x": 1, "y": 1},
        {"type": "button", "button": 2, "down": False, "relative": False},
    ],
    "keys": [{"type": "key", "code": "KeyA", "down": down} for down in (True, False)],
    "combinations": [{"type": "combination", "codes": ["ControlLeft", "AltLeft", "Delete"]}],
    "characters": [
        {"type": "characters", "layout": "de", "text": "É" * 50, "held": [], "at": 0},
    ],
    "paste": [{"type": "paste", "layout": "de", "text": "É" * 20_000, "pace": "fast"}],
}
MOST_LEFT = 36  # reports: a tenth of a second at most


async def fetch_all(cable, path):
    """What the computer gets that asks until nothing new comes: reports but for signs of life."""
    reports, last_news = [], time.monotonic()
    last = None
    while time.monotonic() - last_news < 0.2:
        report = cable.fetch(path)
        if report is None:
            await asyncio.sleep(0.001)
        elif report != last or any(report[-2:]) or path != "/dev/hidg0":
            reports.append(report)
            last, last_news = report, time.monotonic()
    return reports


@pytest.mark.parametrize("end", ["session", "give-up", "close"])
@pytest.mark.parametrize("flood", FLOODS)
def test_of_what_one_left_waiting_the_next_sees_hardly_anything(cable, monkeypatch, flood, end):
    monkeypatch.setattr(server, "LOOK_SECONDS", 0.02)

    async def scenario():
        gate = Gate()
        async with serving(gate) as page:
            ann = await in_control(page)
            bob = await page("bob")
            number = (await bob.hear("welcome"))["person"]
            for _ in range({"paste": 1, "characters": 30}.get(flood, 300)):
                for message in FLOODS[flood]:
                    await ann.websocket.send_json(message)
            match end:
                case "session":
                    gate.gone.add("ann")
                case "give-up":
                    await ann.say("give-up")
                case "close":
                    await ann.websocket.close()
            await bob.hear("state", owner=None)
            await bob.say("ask")
            await bob.hear("state", owner=number)
            for path in ("/dev/hidg0", "/dev/hidg1", "/dev/hidg2"):
                reports = await fetch_all(cable, path)
                # What the file itself has taken already is the computer's.
                assert len(reports) <= MOST_LEFT + 20
                if reports:
                    assert reports[-1][0] == 0

    run(scenario())


def most_waiting(mouse, act) -> int:
    most = 0
    for number in range(5000):
        act(mouse, number)
        most = max(most, mouse.waiting)
    return most


@pytest.mark.parametrize(
    "act",
    [
        lambda mouse, number: mouse.scroll(4096, -4096),
        lambda mouse, number: mouse.press(0, number % 2 == 0),
        lambda mouse, number: mouse.move(4096, 4096),
        lambda mouse, number: (mouse.press(0, number % 2 == 0), mouse.move(4096, 4096)),
        lambda mouse, number: (mouse.press(0, number % 2 == 0), mouse.scroll(4096, 0)),
    ],
)
@pytest.mark.parametrize("kind", [AbsoluteMouse, RelativeMouse])
def test_what_waits_has_a_bound_whatever_it_is(kind, act):
    mouse = kind()
    assert most_waiting(mouse, act) <= reports_module.WAITING_MAX + reports_module.MOVE_REPORTS_MAX
    mouse.release_all()
    assert taken(mouse)[-1][0] == 0


def test_a_wheel_that_no_hand_turns_so_far_is_played_at_once():
    mouse = RelativeMouse()
    mouse.scroll(4096, 0)
    mouse.scroll(4096, 0)
    assert len(taken(mouse)) == reports_module.TURN_REPORTS_MAX
    mouse.scroll(100, 0)
    mouse.scroll(-30, 0)
    assert taken(mouse) == [bytes([0, 0, 0, 70, 0])]


def test_a_session_with_any_number_of_sockets_keeps_nobody_out(cable):
    async def scenario():
        async with serving() as page:
            greedy = [await page("viewer-1") for _ in range(server.SESSION_SOCKETS_MAX)]
            with pytest.raises(WSServerHandshakeError, match="503"):
                await page("viewer-1")
            for number in range(2, 2 + server.PEOPLE_MAX // server.SESSION_SOCKETS_MAX):
                for _ in range(server.SESSION_SOCKETS_MAX):
                    with contextlib.suppress(WSServerHandshakeError):
                        greedy.append(await page(f"viewer-{number}"))
            ann = await in_control(page)
            await ann.say("key", code="KeyA", down=True)
            assert await cable.next_unlike(NOTHING) == keys(0x04)

    run(scenario())


def test_so_many_people_may_watch(cable):
    async def scenario():
        async with serving() as page:
            for number in range(server.PEOPLE_MAX):
                await (await page(f"viewer-{number}")).hear("welcome")

    run(scenario())


def test_who_does_not_read_the_answers_is_cut_off(cable, monkeypatch):
    monkeypatch.setattr(server, "NEWS_MAX", 20_000)

    async def scenario():
        async with serving() as page:
            bob = await page("bob")
            text = "".join(map(chr, range(0x4E00, 0x4E00 + 5000)))
            with contextlib.suppress(ConnectionError):
                for _ in range(2000):
                    await bob.say("check", layout="en-us", text=text)
            connection = bob.websocket._response.connection
            await until(lambda: not (connection and connection.transport), "the connection is gone")
            # Nobody else notices.
            ann = await in_control(page)
            await ann.say("check", layout="en-us", text="ä")
            assert (await ann.hear("checked"))["untypable"] == ["ä"]

    run(scenario())


def test_news_that_nobody_takes_have_a_bound():
    async def scenario():
        aborted = []
        person = Ownership(60).join("ann", True)
        connection = server.Connection(None, person, "token", lambda: aborted.append(True))
        for number in range(10_000):
            connection.tell({"type": "state", "leds": number})
        assert not aborted  # of states the newest counts
        for _ in range(server.NEWS_MAX // 1000):
            connection.tell({"type": "checked", "untypable": ["x" * 1000]})
        assert aborted

    run(scenario())


def test_a_text_that_is_checked_holds_up_nobody(cable):
    """Whatever runs in the event loop meanwhile has its turn."""

    async def scenario():
        turns = 0

        async def count():
            nonlocal turns
            while True:
                turns += 1
                await asyncio.sleep(0)

        async with serving() as page:
            ann = await in_control(page)
            # Of which half can be typed, so that all are looked at.
            text = "".join(map(chr, range(0x20, 0x7F))) * 100 + "".join(
                map(chr, range(0x4E00, 0x4E00 + layouts.UNTYPABLE_MAX - 1))
            )
            counting = asyncio.create_task(count())
            await ann.say("check", layout="en-us", text=text)
            missing = (await ann.hear("checked"))["untypable"]
            counting.cancel()
            assert len(missing) == layouts.UNTYPABLE_MAX - 1
            assert turns > len(set(text)) / layouts.CHARACTERS_A_TURN

    run(scenario())


def test_an_answer_names_so_many_characters_and_no_more(cable):
    async def scenario():
        async with serving() as page:
            ann = await in_control(page)
            text = "".join(map(chr, range(0x4E00, 0x4E00 + messages.TEXT_MAX)))
            await ann.say("check", layout="en-us", text=text)
            missing = (await ann.hear("checked"))["untypable"]
            assert missing == list(text[: layouts.UNTYPABLE_MAX])
            await ann.say("paste", layout="en-us", text=text)
            assert (await ann.hear("paste", state="refused"))["untypable"] == missing

    run(scenario())


def test_marks_that_no_text_has_are_not_sorted():
    """That takes a time that grows with the square of their number."""
    marks = "\u0327\u0301" * (layouts.MARKS_MAX // 2)
    assert layouts.normalized(f"e{marks}") != f"e{marks}"
    assert layouts.normalized(f"e{marks}\u0327") == f"e{marks}\u0327"
    assert layouts.normalized("e\u0301") == "\u00e9"


def test_who_may_only_watch_makes_no_work(cable, monkeypatch):
    async def fail(*_):
        raise AssertionError("it was looked up")

    monkeypatch.setattr(layouts.Layout, "find_untypable", fail)

    async def scenario():
        async with serving() as page:
            viewer = await page("viewer")
            await viewer.say("check", layout="en-us", text="ä")
            assert (await viewer.hear("checked"))["untypable"] == []
            await viewer.say("check", layout="en-us", text="ä" * messages.WATCHER_MESSAGE_MAX)
            assert await viewer.ends() == WSCloseCode.MESSAGE_TOO_BIG

    run(scenario())


@pytest.mark.parametrize(
    ("name", "count"),
    [("viewer", sum(server.WATCHER_FRAMES) * 10), ("bob", sum(server.CONTROLLER_FRAMES) * 2)],
)
def test_who_says_more_than_anybody_does_is_cut_off(cable, name, count):
    async def scenario():
        async with serving() as page:
            talker = await page(name)
            with contextlib.suppress(ConnectionError):
                for _ in range(count):
                    await talker.say("alive")
            assert await talker.ends() == WSCloseCode.POLICY_VIOLATION

    run(scenario())


def test_who_takes_and_gives_up_the_controls_all_the_time_is_cut_off(cable, audited):
    async def scenario():
        async with serving() as page:
            ann = await page("ann")
            with contextlib.suppress(ConnectionError):
                for _ in range(200):
                    await ann.say("ask")
                    await ann.say("give-up")
            assert await ann.ends() == WSCloseCode.POLICY_VIOLATION
            assert len(audited) <= server.HAND_OVERS[0] + 5

    run(scenario())


@pytest.mark.parametrize(
    "data",
    [
        "[" * 60_000,
        '{"type":' * 10_000,
        "9" * 60_000,
        '{"type": "ask", "type": "give-up"}',
        '{"type": "move", "x": 1e999, "y": 0}',
        '{"type": "move", "x": NaN, "y": 0}',
        '{"type": "move", "x": true, "y": 0}',
        '{"type": "key", "code": "\\ud800", "down": true}',
        '{"type": ["key"], "code": "KeyA", "down": true}',
        '{"type": "characters", "layout": "de", "text": "a", "at": 0, "held": ['
        + ",".join(['"ShiftLeft"'] * 10_000)
        + "]}",
        '{"type": "answer", "person": ' + "1" * 4_000 + ', "yes": true}',
        "\u0000",
    ],
)
@pytest.mark.parametrize("name", ["bob", "viewer"])
def test_nonsense_ends_in_a_word(cable, caplog, capfd, name, data):
    async def scenario():
        async with serving() as page:
            talker = await page(name)
            await talker.websocket.send_str(data)
            assert await talker.ends() in (1008, 1009)

    run(scenario())
    assert not caplog.records
    assert "Traceback" not in "".join(capfd.readouterr())
