# SPDX-License-Identifier: MIT
"""Programs at keyboard and mouse: what reaches the computer, whose the controls are, and that nothing stays down."""

import asyncio
import contextlib

import pytest
from aiohttp.test_utils import TestClient, TestServer
from tinypilot.auth.sessions import Session
from tinypilot.hid import programs
from tinypilot.hid.keycodes import USAGES
from tinypilot.hid.server import Server

from .test_hid import NOTHING, Cable, Gate, Page, in_control, keys, place, run, until

CLICK = {"type": "click", "button": "left", "clicks": 1, "relative": False}
CHORD = {"type": "chord", "keys": ["ControlLeft", "KeyA"], "hold_ms": 0}
HELD = {"type": "chord", "keys": ["ShiftLeft", "KeyA"], "hold_ms": 5000}


class TokenGate(Gate):
    """And programs, by the same names."""

    async def session_of(self, token):
        if not token or token in self.gone:
            return None
        return Session(0, f"token {token}", "viewer" if token.startswith("viewer") else "operator")


class Computer(Cable):
    """Fetches all at once, and remembers it."""

    def __init__(self, monkeypatch):
        super().__init__(monkeypatch)
        self.fetches = True
        self.got = {"/dev/hidg0": [], "/dev/hidg1": [], "/dev/hidg2": []}

    def fetch_all(self):
        for path, reports in self.got.items():
            # Empty: the service has closed it.
            while self.fetches and (report := self.fetch(path)):
                if path != "/dev/hidg0" or reports[-1:] != [report]:
                    reports.append(report)

    async def keep_fetching(self):
        while True:
            self.fetch_all()
            await asyncio.sleep(0.001)

    @property
    def typed(self):
        return [report for report in self.got["/dev/hidg0"] if report != NOTHING]

    @property
    def is_anything_down(self):
        return self.got["/dev/hidg0"][-1:] not in ([], [NOTHING])


@pytest.fixture
def computer(monkeypatch):
    return Computer(monkeypatch)


class Device:
    def __init__(self, client, page, gate, server):
        self._client = client
        self.page = page
        self.gate = gate
        self.server = server

    async def act(self, kind, token="nightly", **fields):
        """The status, and what was answered."""
        action = kind if isinstance(kind, dict) else {"type": kind, **fields}
        answer = await self._client.post("/act", json={"token": token, "action": action})
        return answer.status, await answer.json()

    async def owner(self, token="nightly"):
        return (await self.act("state", token))[1]["owner"]


@contextlib.asynccontextmanager
async def serving(computer, idle_seconds=60):
    gate = TokenGate()
    server = Server(gate, [f"/dev/hidg{number}" for number in range(3)], idle_seconds)
    async with TestServer(server.application()) as test_server, TestClient(test_server) as client:
        pages = []

        async def page(name):
            one = TestClient(test_server, cookies={"__Host-tinypilot": name})
            pages.append(one)
            return Page(await one.ws_connect("/api/hid"))

        fetching = asyncio.create_task(computer.keep_fetching())
        try:
            yield Device(client, page, gate, server)
        finally:
            fetching.cancel()
            for each in pages:
                await each.session.close()


def text(characters, layout="de", pace="fast"):
    return {"type": "text", "text": characters, "layout": layout, "pace": pace}


def test_a_text_is_typed_in_its_layout(computer):
    async def scenario():
        async with serving(computer) as device:
            assert await device.act(text("z€")) == (200, {"typed": 2})
            await until(lambda: not computer.is_anything_down, "all is up")
            assert computer.typed == [keys(USAGES["KeyY"]), keys(USAGES["KeyE"], modifiers=0x40)]

    run(scenario())


def test_a_text_that_can_not_be_typed_whole_is_not_begun(computer):
    async def scenario():
        async with serving(computer) as device:
            status, told = await device.act(text("a\N{SNOWMAN}b"))
            assert (status, told["values"]["characters"]) == (400, "\N{SNOWMAN}")
            status, told = await device.act(text("a" * 400, pace="slow"))
            assert (status, told["values"]) == (400, {"seconds": 64, "most": 50})
            assert computer.typed == []

    run(scenario())


def test_a_chord_is_pressed_in_its_order_and_let_go_in_the_other(computer):
    async def scenario():
        async with serving(computer) as device:
            assert await device.act(CHORD) == (200, {})
            pressed = [keys(modifiers=1), keys(0x04, modifiers=1), keys(modifiers=1), NOTHING]
            await until(lambda: computer.got["/dev/hidg0"][-4:] == pressed, "all of it arrives")

    run(scenario())


def test_the_mouse_moves_clicks_and_scrolls(computer):
    async def scenario():
        async with serving(computer) as device:
            await device.act("move", x=0.5, y=1)
            await device.act({**CLICK, "button": "right", "clicks": 2})
            await device.act("scroll", wheel=-2, pan=1, relative=False)
            await device.act("step", x=5, y=-5)
            await device.act({**CLICK, "relative": True})
            await until(
                lambda: computer.got["/dev/hidg2"][-2:] == [bytes([1, 0, 0, 0, 0]), bytes(5)],
                "all arrives",
            )
        x, y = 16384, 32767
        pressed, up = place(x, y, buttons=2), place(x, y)
        assert computer.got["/dev/hidg1"] == [
            *(up, pressed, up, pressed, up),
            place(x, y, wheel=-2, pan=1),
        ]
        assert computer.got["/dev/hidg2"][-3:] == [
            bytes([0, 5, 251, 0, 0]),
            bytes([1, 0, 0, 0, 0]),
            bytes(5),
        ]

    run(scenario())


# --- Whose the controls are ---


def test_an_action_takes_the_controls_and_gives_them_up_after_a_while(
    computer, monkeypatch, audited
):
    monkeypatch.setattr(programs, "LINGER_SECONDS", 0.1)

    async def scenario():
        async with serving(computer) as device:
            await device.act(CHORD)
            await device.act(CHORD)
            await until_owner(device, None)
            assert [event for event, _ in audited] == ["controls_taken", "controls_given_up"]
            assert audited[0][1]["has"] == "token nightly"

    run(scenario())


async def until_owner(device, owner):
    while await device.owner() != owner:
        await asyncio.sleep(0.005)


def test_a_program_is_refused_while_somebody_has_the_controls(computer):
    async def scenario():
        async with serving(computer) as device:
            await in_control(device.page)
            for action in (CHORD, {"type": "take", "force": True}):
                status, told = await device.act(action)
                assert (status, told["sentence"]) == (409, "{name} has the controls.")
                assert told["values"] == {"name": "ann"}
            assert computer.typed == []

    run(scenario())


def test_with_force_it_takes_over_from_one_who_is_idle_as_a_person_does(computer):
    async def scenario():
        async with serving(computer, idle_seconds=0) as device:
            ann = await in_control(device.page)
            assert (await device.act("take", force=False))[0] == 409
            assert await device.owner() == "ann"
            assert (await device.act("take", force=True))[0] == 200
            state = await ann.hear("state")
            assert state["owner"] is not None
            assert await device.owner() == "token nightly"

    run(scenario())


def test_it_keeps_what_it_has_taken_until_it_gives_it_up(computer):
    async def scenario():
        async with serving(computer) as device:
            await device.act("take", force=False)
            ann = await device.page("ann")
            number = (await ann.hear("welcome"))["person"]
            await ann.say("ask")
            await ann.hear("state", idle=False)
            await device.act(CHORD)
            assert await device.owner() == "token nightly"
            # Another program's word counts for nothing.
            assert (await device.act("give_up", token="other"))[0] == 200
            assert (await device.act(CHORD, token="other"))[0] == 409
            await device.act("give_up")
            await ann.hear("state", owner=number)

    run(scenario())


def test_what_it_has_taken_it_loses_when_it_is_not_heard_of_again(computer, monkeypatch):
    monkeypatch.setattr(programs, "KEEP_SECONDS", 0.05)

    async def scenario():
        async with serving(computer) as device:
            await device.act("take", force=False)
            assert await device.owner() == "token nightly"
            await until_owner(device, None)

    run(scenario())


def test_who_asks_gets_them_at_once_from_an_action_that_has_ended(computer):
    async def scenario():
        async with serving(computer) as device:
            await device.act(CHORD)
            ann = await device.page("ann")
            number = (await ann.hear("welcome"))["person"]
            await ann.say("ask")
            await ann.hear("state", owner=number)
            assert (await device.act(CHORD))[0] == 409

    run(scenario())


def test_the_page_of_the_same_session_lends_the_controls(computer, monkeypatch):
    """As when it starts a sequence."""
    monkeypatch.setattr(programs, "LINGER_SECONDS", 0.05)

    async def scenario():
        async with serving(computer) as device:
            ann = await in_control(device.page)
            number = next(each["owner"] for each in reversed(ann.heard) if each["type"] == "state")
            assert await device.act(CHORD, token="ann") == (200, {})
            await ann.hear("state", owner=number)

    run(scenario())


def test_one_action_of_a_session_at_a_time(computer):
    async def scenario():
        async with serving(computer) as device:
            first = asyncio.create_task(device.act(HELD))
            await until(lambda: computer.typed, "the key is down")
            status, told = await device.act(CHORD)
            assert (status, told["sentence"].startswith("Another action")) == (409, True)
            first.cancel()

    run(scenario())


def test_a_viewer_has_no_controls(computer):
    async def scenario():
        async with serving(computer) as device:
            for action in (CHORD, {"type": "take", "force": True}, {"type": "give_up"}):
                assert (await device.act(action, token="viewer"))[0] == 403
            assert (await device.act("state", token="viewer"))[0] == 200
            assert (await device.act("state", token=""))[0] == 401

    run(scenario())


def test_a_program_does_so_much_at_once_and_no_more(computer, monkeypatch):
    monkeypatch.setattr(programs, "PROGRAM_ACTIONS", (3, 0))

    async def scenario():
        async with serving(computer) as device:
            statuses = [(await device.act("release"))[0] for _ in range(4)]
            assert statuses == [200, 200, 200, 429]
            assert (await device.act("release", token="other"))[0] != 429

    run(scenario())


# --- Nothing stays down ---


def test_a_key_comes_up_when_the_token_ends(computer):
    async def scenario():
        async with serving(computer) as device:
            acting = asyncio.create_task(device.act(HELD))
            await until(lambda: computer.typed, "the key is down")
            device.gate.gone.add("nightly")
            assert (await acting)[0] == 401
            await until(lambda: not computer.is_anything_down, "all is up")

    run(scenario())


def test_a_key_comes_up_when_the_connection_breaks(computer):
    async def scenario():
        async with serving(computer) as device:
            acting = asyncio.create_task(device.act(HELD))
            await until(lambda: computer.typed, "the key is down")
            acting.cancel()
            await until(lambda: not computer.is_anything_down, "all is up")
            # And nothing more is typed.
            assert (await device.act(text("b")))[0] == 200

    run(scenario())


def test_a_key_comes_up_when_the_controls_are_given_up_meanwhile(computer):
    async def scenario():
        async with serving(computer) as device:
            acting = asyncio.create_task(device.act(HELD))
            await until(lambda: computer.typed, "the key is down")
            assert (await device.act("give_up"))[0] == 200
            status, told = await acting
            assert (status, told["sentence"][:12]) == (409, "The controls")
            await until(lambda: not computer.is_anything_down, "all is up")

    run(scenario())


def test_a_key_comes_up_when_the_service_ends(computer):
    async def scenario():
        async with serving(computer) as device:
            acting = asyncio.create_task(device.act(HELD))
            await until(lambda: computer.typed, "the key is down")
        computer.fetch_all()
        assert not computer.is_anything_down
        acting.cancel()

    run(scenario())


def test_a_computer_that_fetches_nothing_gets_nothing_later(computer, monkeypatch):
    monkeypatch.setattr(programs, "TAKE_SECONDS", 0.1)

    async def scenario():
        async with serving(computer) as device:
            await device.act(CHORD)
            computer.fetches = False
            seen = len(computer.typed)
            for _ in range(4):
                # The line to the computer takes some.
                status, told = await device.act({**CHORD, "keys": ["KeyB"]})
            assert (status, "takes no input" in told["sentence"]) == (409, True)
            computer.fetches = True
            await until(lambda: not computer.is_anything_down, "all is up")
            assert len(computer.typed) - seen < 4

    run(scenario())


def test_a_computer_that_is_off_is_said_to_be(computer):
    async def scenario():
        async with serving(computer) as device:
            computer.pull()
            while (await device.act("state"))[1]["usb"] != "disconnected":
                await asyncio.sleep(0.005)
            status, told = await device.act(CHORD)
            assert (status, "it is off" in told["sentence"]) == (409, True)

    run(scenario())
