# SPDX-License-Identifier: MIT
"""One WebSocket a person: keys and mouse of the one who has the controls, and the news for all. Programs ask for what
they do one by one (programs.py), by the web app."""

from __future__ import annotations

import asyncio
import functools
import json
import operator
import os
import secrets
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import replace

from aiohttp import WSCloseCode, WSMsgType, web

from tinypilot import audit
from tinypilot.auth.sessions import Session
from tinypilot.auth.watcher import SessionWatcher
from tinypilot.errors import ApiError
from tinypilot.hid import layouts, messages, programs
from tinypilot.hid.keycodes import USAGES, modifier_of
from tinypilot.hid.last_owner import LastOwner, proof_of
from tinypilot.hid.outputs import CAPS_LOCK_LED, HidOutputs
from tinypilot.hid.ownership import Ownership, Person
from tinypilot.hid.playout import Playout, keys_of, strokes_of
from tinypilot.hid.programs import Program
from tinypilot.hid.reports import LEFT_MAX
from tinypilot.limits import Budget, Shares, person_of
from tinypilot.monitoring import observations
from tinypilot.version import page_version
from tinypilot.websockets import GuardedWebSocket

PING_SECONDS = 5
# Pages say each half second that they live while something is down.
SILENCE_SECONDS = 2.0
LOOK_SECONDS = 0.25
PROGRESS_SECONDS = 0.2
# One person has one page, or a few, and each comes anew before its last socket is given up.
PEOPLE_MAX = 64
SESSION_SOCKETS_MAX = 16
USER_SOCKETS_MAX = 32
# Messages at once, and a second: a hand at a mouse says 240 things a second, and after a stall what it said meanwhile.
# Who may only watch has nothing to say.
CONTROLLER_FRAMES = (4000, 1000)
WATCHER_FRAMES = (60, 10)
# Times that one takes, gives up or answers for the controls: each is told to all, and noted.
HAND_OVERS = (20, 1)
# What a page has not taken yet.
NEWS_MAX = 256 * 1024  # bytes
# Of one page's messages, before others have their turn.
TURN_SECONDS = 0.001
# A page that takes no news for so long is gone.
SEND_SECONDS = 5
# Who was cut off, or had the controls when the service was started anew, comes back within this time.
HOLD_SECONDS = 15
# A page that goes, or is told to, says so; one that has given up on a connection closes it without a reason.
GOOD_BYES = (WSCloseCode.OK, WSCloseCode.GOING_AWAY, WSCloseCode.POLICY_VIOLATION)
# A page that is there says good-bye at once.
HANG_UP_SECONDS = 1
# Of people and tokens; there are 200 at most.
BUDGETS_MAX = 256


class Connection:
    """abort: ends the connection, whatever its other end takes or not."""

    def __init__(
        self,
        socket: web.WebSocketResponse,
        person: Person,
        token: str,
        abort: Callable[[], None] = lambda: None,
    ):
        self.socket = socket
        self.person = person
        self.token = token
        # With it the page gets the controls back, if it has them now.
        self.secret = secrets.token_urlsafe(24)
        self.heard_at = time.monotonic()
        self.is_ending = False
        self.hand_overs = Budget(*HAND_OVERS)
        self._abort = abort
        # With the size of each. Of two states only the newer one counts.
        self._news: deque[tuple[dict, int]] = deque()
        self._has_news = asyncio.Event()

    def tell(self, message: dict, size: int | None = None) -> None:
        """Never waits: whoever does not listen must not hold up the others, and is cut off when too much waits."""
        if message["type"] == "state":
            self._news = deque(each for each in self._news if each[0]["type"] != "state")
        self._news.append((message, size or len(json.dumps(message))))
        if sum(waiting for _, waiting in self._news) > NEWS_MAX:
            self._news.clear()
            self._abort()
        self._has_news.set()

    def end(self) -> None:
        """The page is told why, and its socket closed."""
        self.is_ending = True
        self.tell({"type": "ended"})

    async def hang_up(self) -> None:
        await self.socket.close(code=WSCloseCode.GOING_AWAY)

    async def speak(self) -> None:
        """Ends when the page has gone, or has been told that it must."""
        try:
            while True:
                while self._news:
                    message, _ = self._news.popleft()
                    async with asyncio.timeout(SEND_SECONDS):
                        await self.socket.send_json(message)
                    if message["type"] == "ended":
                        await self.socket.close(code=WSCloseCode.POLICY_VIOLATION)
                        return
                self._has_news.clear()
                await self._has_news.wait()
        except (ConnectionError, TimeoutError):
            # One that takes nothing takes no goodbye either.
            self._abort()
            await self.socket.close(code=WSCloseCode.POLICY_VIOLATION)


class Server:
    # Set when the application starts, because it needs the running event loop.
    _outputs: HidOutputs

    def __init__(self, watcher: SessionWatcher, paths: Sequence[str], idle_seconds: float):
        self._version = page_version()
        self._watcher = watcher
        self._paths = paths
        self._ownership = Ownership(idle_seconds)
        self._connections: dict[int, Connection | Program] = {}
        self._program: Program | None = None
        # By person: what programs may do, and how often their actions take the controls.
        self._budgets: dict[str, tuple[Budget, Budget]] = {}
        self._sockets = Shares(PEOPLE_MAX, SESSION_SOCKETS_MAX, USER_SOCKETS_MAX)
        self._playout = Playout(self._change_key)
        self._next_play: asyncio.Handle | None = None
        self._paste: asyncio.Task | None = None
        self._checking = asyncio.Lock()
        self._told: dict | None = None
        self._last_owner = LastOwner(os.environ.get("RUNTIME_DIRECTORY"))
        if self._last_owner:
            self._ownership.hold(HOLD_SECONDS)
        self._is_stopping = False

    def application(self) -> web.Application:
        application = web.Application()
        application.router.add_get("/api/hid", self.serve)
        application.router.add_get("/usb", self.tell_usb_state)
        application.router.add_post("/act", self.act)
        application.cleanup_ctx.append(self._run)
        application.on_shutdown.append(self._hang_up)
        return application

    async def keep_telling(self, _: web.Application) -> AsyncIterator[None]:
        """For an application's cleanup_ctx: whoever tells of the device (doctor/measure.py) may not ask here."""
        task = asyncio.create_task(
            observations.keep_publishing("hid", lambda: {"usb": str(self._outputs.usb_state)})
        )
        yield
        task.cancel()

    async def tell_usb_state(self, _: web.Request) -> web.Response:
        """For root's doctor. nginx passes nothing on but /api/hid."""
        return web.json_response({"usb": str(self._outputs.usb_state)})

    async def _run(self, _: web.Application) -> AsyncIterator[None]:
        self._outputs = HidOutputs(self._paths, self._tell_all)
        self._outputs.open()
        watches = [asyncio.create_task(watch()) for watch in (self._watch_down, self._watch_people)]
        yield
        for watch in watches:
            watch.cancel()
        if self._next_play:
            self._next_play.cancel()
        self._stop_paste()
        self._outputs.close()

    async def _hang_up(self, _: web.Application) -> None:
        """The service restarts, and the pages come back to the next one."""
        self._is_stopping = True
        closing = [asyncio.create_task(each.hang_up()) for each in self._connections.values()]
        if closing:
            await asyncio.wait(closing, timeout=HANG_UP_SECONDS)

    # --- One person ---

    async def serve(self, request: web.Request) -> web.StreamResponse:
        token, session = await self._watcher.session_in(request.headers.get("Cookie", ""))
        if session is None:
            return web.Response(status=401)

        def abort() -> None:
            if request.transport:
                request.transport.abort()

        place = self._sockets.take(session, abort)
        if place is None:
            return web.Response(status=503)
        try:
            return await self._talk(request, token, session, abort)
        finally:
            self._sockets.leave(place)

    async def _talk(
        self, request: web.Request, token: str, session: Session, abort: Callable[[], None]
    ) -> web.StreamResponse:
        may_control = session.may("operator")
        socket = GuardedWebSocket(
            message_bytes=messages.MESSAGE_MAX if may_control else messages.WATCHER_MESSAGE_MAX,
            frames=Budget(*(CONTROLLER_FRAMES if may_control else WATCHER_FRAMES)),
            heartbeat=PING_SECONDS,
        )
        await socket.prepare(request)
        person = self._ownership.join(session.user, may_control)
        connection = Connection(socket, person, token, abort)
        self._connections[person.number] = connection
        names = [{"id": key, "name": each.name} for key, each in layouts.load_all().items()]
        connection.tell(
            {
                "type": "welcome",
                "person": person.number,
                "secret": connection.secret,
                "layouts": names,
                "codes": list(USAGES),
                "altGrCharacters": layouts.altgr_characters(),
                "version": self._version,
            }
        )
        # The others hear of it with the next look: who comes and goes all the time is not told of each time.
        connection.tell(self._state())
        speaking = asyncio.create_task(connection.speak())
        try:
            await self._listen(connection)
        finally:
            self._remove(connection, is_cut_off=socket.close_code not in GOOD_BYES)
            if connection.is_ending:
                await asyncio.wait({speaking}, timeout=SEND_SECONDS)
            speaking.cancel()
        return socket

    async def _listen(self, connection: Connection) -> None:
        turn_ends = time.monotonic() + TURN_SECONDS
        async for packet in connection.socket:
            if packet.type is not WSMsgType.TEXT:
                return
            connection.heard_at = time.monotonic()
            try:
                message = messages.parse(packet.data)
            except messages.ProtocolError as error:
                reason = str(error).encode()[:120]
                await connection.socket.close(code=WSCloseCode.POLICY_VIOLATION, message=reason)
                return
            if connection.person.number not in self._connections:
                return
            if message["type"] == "check":
                await self._check(connection, message["layout"], message["text"])
            elif not self._do(connection, message):
                await connection.socket.close(code=WSCloseCode.POLICY_VIOLATION)
                return
            # What has arrived is read without ever waiting.
            if time.monotonic() > turn_ends:
                await asyncio.sleep(0)
                turn_ends = time.monotonic() + TURN_SECONDS

    async def _check(self, connection: Connection, layout: str, text: str) -> None:
        """Who may type nothing has nothing to check. One text at a time, whoever asks."""
        missing: list[str] = []
        if connection.person.may_control:
            async with self._checking:
                missing = await layouts.load_all()[layout].find_untypable(layouts.normalized(text))
        connection.tell({"type": "checked", "untypable": missing})

    def _remove(
        self,
        connection: Connection | Program,
        *,
        is_revoked: bool = False,
        is_cut_off: bool = False,
    ) -> None:
        """The controls are held for who was cut off, but not for one who may no longer have them."""
        if self._connections.pop(connection.person.number, None):
            is_held = (is_cut_off or self._is_stopping) and not is_revoked
            before = self._ownership.owner
            self._change_control(
                "cut_off" if is_held else "left",
                lambda: self._ownership.leave(connection.person, HOLD_SECONDS if is_held else 0),
                is_revoked=is_revoked,
            )
            if self._ownership.owner is not before:
                self._tell_all()

    def _resume(self, connection: Connection, secret: str) -> None:
        """The owner is back on another connection, perhaps before it was noticed that the first is lost."""
        owner = self._ownership.owner
        if owner is connection.person:
            return
        if self._last_owner.is_proven_by(proof_of(secret, connection.token)):
            self._change_control("back", lambda: self._ownership.come_back(connection.person))
            if owner and (lost := self._connections.get(owner.number)):
                self._remove(lost)
                lost.end()
            self._tell_all()

    # --- What a person says ---

    def _do(self, connection: Connection, message: dict) -> bool:
        """False: nobody does so much."""
        person = connection.person
        if (
            message["type"] in ("ask", "give-up", "answer", "resume")
            and not connection.hand_overs.take()
        ):
            return False
        match message:
            case {"type": "ping"}:
                connection.tell({"type": "pong"})
            case {"type": "resume", "token": secret}:
                self._resume(connection, secret)
            case {"type": "ask"}:
                self._change_control("taken", lambda: self._ownership.ask(person))
                self._tell_all()
            case {"type": "give-up"}:
                self._change_control("given_up", lambda: self._ownership.give_up(person))
                self._tell_all()
            case {"type": "answer", "person": number, "yes": yes}:
                self._change_control("given", lambda: self._ownership.answer(person, number, yes))
                self._tell_all()
            case {"type": "alive"}:
                pass
            case {"type": "held", "at": at}:
                if self._ownership.owner is person:
                    self._playout.note(at)
                    self._play_soon()
            case _ if self._ownership.use(person):
                self._line_up(connection, message)
        return True

    # --- In its time (playout.py) ---

    def _line_up(self, connection: Connection, message: dict) -> None:
        if "at" in message:
            self._playout.note(message["at"])
        parts = [message]
        match message:
            case {"type": "key", "code": code} if code not in USAGES:
                return
            case {"type": "combination", "codes": codes}:
                if not USAGES.keys() >= set(codes):
                    return
                parts = keys_of(codes, self._playout.next_at)
            case {"type": "characters", "layout": name, "text": text, "held": held}:
                parts = self._strokes(connection, layouts.load_all()[name], text, held)
        for part in parts:
            self._playout.put(part, functools.partial(self._dispatch, connection, part))
        self._play_soon()

    def _strokes(
        self, connection: Connection, layout: layouts.Layout, text: str, held: list[str]
    ) -> list[dict]:
        text = layouts.normalized(text)
        if missing := layout.untypable(text):
            connection.tell({"type": "untypable", "characters": missing})
        caps_lock = bool(self._outputs.leds & CAPS_LOCK_LED)
        modifiers = functools.reduce(operator.or_, [modifier_of(USAGES[code]) for code in held], 0)
        strokes = [
            replace(stroke, modifiers=stroke.modifiers | modifiers)
            for character in text
            for stroke in layout.strokes_at(character, caps_lock)
        ]
        return strokes_of(strokes, self._playout.next_at)

    def _play_soon(self) -> None:
        """When all that has arrived together is read."""
        if self._next_play:
            self._next_play.cancel()
        self._next_play = asyncio.get_running_loop().call_soon(self._play)

    def _play(self) -> None:
        due = self._playout.run()
        if due is not None:
            # The loop's clock is time.monotonic().
            self._next_play = asyncio.get_running_loop().call_at(due, self._play)

    def _change_key(self, code: str, down: bool) -> None:
        if not self._paste:
            self._outputs.keyboard.change(code, down)
            self._outputs.send()

    def _dispatch(self, connection: Connection, message: dict) -> None:
        outputs = self._outputs
        match message:
            case {"type": "release"}:
                outputs.release_all()
                return
            case {"type": "cancel"}:
                self._stop_paste()
                return
            case {"type": "move", "x": x, "y": y}:
                outputs.absolute_mouse.move(x, y)
            case {"type": "step", "x": x, "y": y}:
                outputs.relative_mouse.move(x, y)
            case {"type": "button", "button": button, "down": down, "relative": relative}:
                mouse = outputs.relative_mouse if relative else outputs.absolute_mouse
                mouse.press(button, down)
            case {"type": "wheel", "wheel": wheel, "pan": pan, "relative": relative}:
                mouse = outputs.relative_mouse if relative else outputs.absolute_mouse
                mouse.scroll(wheel, pan)
            case {"type": _} if self._paste:
                return  # keys would get into the text
            case {"type": "key", "code": code, "down": down}:
                outputs.keyboard.change(code, down)
            case {"type": "stroke", "usage": usage, "modifiers": modifiers}:
                outputs.keyboard.hold(usage, modifiers)
            case {"type": "stroke-end"}:
                outputs.keyboard.release_all()
            case {"type": "paste", "layout": name, "text": text, "pace": pace}:
                layout = layouts.load_all()[name]
                typing = self._type(connection, layout, layouts.normalized(text), pace)
                self._paste = asyncio.create_task(typing)
                return
        outputs.send()

    # --- Programs ---

    async def act(self, request: web.Request) -> web.Response:
        """An action that the web app asks for, {"token": whose, "action": as programs.py knows it}; answered when it is
        done. If the web app is gone, and so whoever asked it, it is ended."""
        asked = await request.json()
        acting = asyncio.create_task(self._act(asked["token"], asked["action"]))
        try:
            while not acting.done():
                await asyncio.wait({acting}, timeout=LOOK_SECONDS)
                if request.transport is None or request.transport.is_closing():
                    acting.cancel()
            return web.json_response(acting.result())
        except ApiError as refusal:
            told = {
                "sentence": refusal.sentence,
                "values": refusal.values,
                "retry_after": refusal.retry_after,
            }
            return web.json_response(told, status=refusal.status)
        finally:
            acting.cancel()

    async def _act(self, token: str, action: dict) -> dict:
        session = await self._watcher.session_of(token)
        if session is None:
            raise ApiError(401, "Log in first.")
        if action["type"] == "state":
            return self._state_for(token)
        if not session.may("operator"):
            raise ApiError(
                403,
                "This needs the role {needed}. Your role is {role}.",
                needed="operator",
                role=session.role,
            )
        if action["type"] == "give_up":
            if self._program and self._program.token == token:
                self._give_back(self._program, "given_up")
            return {}
        actions, hand_overs = self._budgets_of(session)
        if not actions.take():
            raise _too_often()
        program = self._taken_by(token, session, hand_overs, has_force=action.get("force", False))
        if action["type"] == "take":
            program.keeps = True
            self._renew(program)
            return {}
        return await self._perform(program, action)

    def _state_for(self, token: str) -> dict:
        owner = self._ownership.owner
        return {
            "owner": _called(owner) or None,
            "is_own": bool(self._program and self._program.token == token),
            "is_idle": bool(owner) and self._ownership.is_idle,
            "usb": str(self._outputs.usb_state),
        }

    def _budgets_of(self, session: Session) -> tuple[Budget, Budget]:
        person = person_of(session)
        if person not in self._budgets and len(self._budgets) >= BUDGETS_MAX:
            self._budgets.pop(next(iter(self._budgets)))
        return self._budgets.setdefault(
            person, (Budget(*programs.PROGRAM_ACTIONS), Budget(*HAND_OVERS))
        )

    def _taken_by(
        self, token: str, session: Session, hand_overs: Budget, *, has_force: bool
    ) -> Program:
        """The program with the controls. Raises ApiError if somebody else has them."""
        program, owner = self._program, self._ownership.owner
        if program and program.token == token:
            if program.action:
                raise ApiError(409, "Another action of this session is underway. Wait for its end.")
            return program
        if self._ownership.is_held:
            raise ApiError(
                409,
                "Who has the controls was cut off, and may be back in a moment. Try again then.",
            )
        # The page of the same session lends them.
        lender = owner if owner and self._connections[owner.number].token == token else None
        if owner and not lender and not owner.yields:
            if not self._ownership.is_idle:
                raise ApiError(409, "{name} has the controls.", name=_called(owner))
            if not has_force:
                raise ApiError(
                    409,
                    "{name} has the controls, and has not used them for a while. With force they are taken over.",
                    name=_called(owner),
                )
        if not hand_overs.take():
            raise _too_often()
        person = self._ownership.join(session.user, may_control=True)
        program = Program(person, token)
        program.lender = lender
        self._connections[person.number] = program
        take = self._ownership.come_back if lender else self._ownership.ask
        self._change_control("taken", lambda: take(person))
        self._program = program
        self._tell_all()
        return program

    async def _perform(self, program: Program, action: dict) -> dict:
        def use() -> None:
            self._ownership.use(program.person)

        program.action = asyncio.current_task()
        program.person.yields = False
        if program.lease:
            program.lease.cancel()
        use()
        try:
            return await programs.perform(self._outputs, action, use)
        except asyncio.CancelledError:
            if program.stopped_by:
                raise program.stopped_by from None
            raise
        finally:
            program.action = None
            if self._program is program:
                self._outputs.release_all()
                self._renew(program)

    def _renew(self, program: Program) -> None:
        """It has the controls for a while more."""
        self._ownership.use(program.person)
        program.person.yields = not program.keeps
        seconds = programs.KEEP_SECONDS if program.keeps else programs.LINGER_SECONDS
        if program.lease:
            program.lease.cancel()
        program.lease = asyncio.get_running_loop().call_later(
            seconds, self._give_back, program, "given_up"
        )

    def _give_back(self, program: Program, how: str) -> None:
        lender = program.lender
        if lender and lender.number in self._connections:
            self._change_control("given", lambda: self._ownership.come_back(lender))
        else:
            self._change_control(how, lambda: self._ownership.give_up(program.person))
        self._tell_all()

    def _dismiss(self, program: Program, is_revoked: bool) -> None:
        """It has the controls no longer. One whose token has ended is told so (_watch_people)."""
        self._program = None
        self._connections.pop(program.person.number, None)
        self._ownership.leave(program.person)
        if not is_revoked:
            program.stop(ApiError(409, "The controls were taken or given up before this was done."))

    # --- Paste ---

    async def _type(
        self, connection: Connection, layout: layouts.Layout, text: str, pace: str
    ) -> None:
        told_at = 0.0
        done = 0

        def tell(state: str, done: int) -> None:
            connection.tell({"type": "paste", "state": state, "done": done, "total": len(text)})

        def on_progress(count: int) -> None:
            nonlocal told_at, done
            done = count
            self._ownership.use(connection.person)
            if time.monotonic() - told_at >= PROGRESS_SECONDS:
                told_at = time.monotonic()
                tell("typing", count)

        state = "cancelled"
        try:
            async with self._checking:
                missing = await layout.find_untypable(text)
            if missing:
                connection.tell({"type": "paste", "state": "refused", "untypable": missing})
                state = "refused"
                return
            arrived = await self._outputs.type(text, layout, pace, on_progress)
            state = "done" if arrived else "disconnected"
        finally:
            if self._paste is asyncio.current_task():
                self._paste = None
            if state != "refused":
                tell(state, done)

    def _stop_paste(self) -> None:
        if self._paste:
            self._paste.cancel()
            self._paste = None

    # --- All people ---

    def _change_control(
        self, how: str, change: Callable[[], None], *, is_revoked: bool = False
    ) -> None:
        before = self._ownership.owner
        change()
        after = self._ownership.owner
        if after is not before:
            if self._program and self._program.person is before:
                self._dismiss(self._program, is_revoked)
            self._let_go(is_revoked)
            _note_hand_over(how, before, after)
            # Who was cut off may come back until somebody else has the controls.
            if how != "cut_off":
                connection = self._connections.get(after.number) if after else None
                self._last_owner.remember(
                    proof_of(connection.secret, connection.token) if connection else ""
                )

    def _let_go(self, is_revoked: bool) -> None:
        """Nothing stays down, and nothing more is typed, when somebody else takes over or nobody does: but for the end
        of what was typed before, and not even that of one who may no longer."""
        if not is_revoked:
            self._playout.finish()
        self._playout.clear()
        self._stop_paste()
        self._outputs.leave(0 if is_revoked else LEFT_MAX)

    def _state(self) -> dict:
        owner = self._ownership.owner
        return {
            "type": "state",
            "usb": str(self._outputs.usb_state),
            "leds": self._outputs.leds,
            "owner": owner.number if owner else None,
            "idle": bool(owner) and self._ownership.is_idle,
            "people": [
                {
                    "number": each.number,
                    "name": each.name,
                    "mayControl": each.may_control,
                    "asks": each.asked_at is not None,
                }
                for each in self._ownership.people.values()
            ],
        }

    def _tell_all(self) -> None:
        news = self._state()
        if news != self._told:
            self._told = news
            size = len(json.dumps(news))
            for connection in self._connections.values():
                connection.tell(news, size)

    async def _watch_down(self) -> None:
        """A page that hangs, or whose network is gone, holds nothing down."""
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            owner = self._ownership.owner
            if not owner or not self._outputs.anything_down:
                continue
            if time.monotonic() - self._connections[owner.number].heard_at > SILENCE_SECONDS:
                self._playout.let_go()
                self._outputs.release_all()

    async def _watch_people(self) -> None:
        """Ends what belongs to sessions that no longer hold, and says who has become idle."""
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            tokens = {each.token for each in self._connections.values()}
            gone = await self._watcher.expired(tokens)
            for connection in list(self._connections.values()):
                if connection.token in gone:
                    self._remove(connection, is_revoked=True)
                    connection.end()
            self._change_control("left", self._ownership.end_hold)
            self._tell_all()


def _too_often() -> ApiError:
    return ApiError(
        429,
        "Too much at once. Take the controls once for many actions, and let a moment pass.",
        retry_after=1,
    )


def _note_hand_over(how: str, before: Person | None, after: Person | None) -> None:
    """For the audit log. how: taken (also from somebody idle), given, given_up, left (also by the session's end)."""
    had, has = _called(before), _called(after)
    to_next = f", and {has}, who had asked, got them" if has else ""
    sentence = {
        "taken": f"{has} took the controls{had and f' over from {had}, who was idle'}",
        "given": f"{had} gave the controls to {has}",
        "given_up": f"{had} gave the controls up{to_next}",
        "cut_off": f"{had}, who has the controls, was cut off",
        "back": f"{has}, who was cut off, is back and has the controls",
        "left": f"{had or 'Somebody, who was cut off,'} left with the controls{to_next}",
    }[how]
    audit.note(f"controls_{how}", sentence, had=had, has=has)


def _called(person: Person | None) -> str:
    """Empty for nobody."""
    return person.name or "provisioning" if person else ""
