# SPDX-License-Identifier: MIT
"""The only way to Janus, and to the picture over a WebSocket: for as long as a viewer's session holds.

Janus knows no users and nginx can't end what it has once let through, so somebody in between must. The relay
writes each request anew (signalling.py), signs it with a token that Janus checks, and when a session ends it destroys
what that session has in Janus: the picture stops with the signalling, not half a minute later. A Janus session is
forgotten when Janus says that it has none of it any more, and not before. Media itself never comes by here.

nginx asks the web app first, so what arrives here has a session; it is looked up again because it is kept.
"""

import asyncio
import base64
import contextlib
import hmac
import re
import socket
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from pathlib import Path

from aiohttp import (
    ClientError,
    ClientSession,
    ClientTimeout,
    ClientWebSocketResponse,
    UnixConnector,
    WSMsgType,
    web,
)

from tinypilot import audit, healing
from tinypilot.auth.auth import Auth
from tinypilot.auth.sessions import Session
from tinypilot.auth.watcher import SessionWatcher
from tinypilot.config import Config, ConfigError
from tinypilot.limits import Budget, Place, Shares, person_of
from tinypilot.monitoring import observations
from tinypilot.video.h264_stream import H264Source, H264Viewer
from tinypilot.video.memsink import Memsink
from tinypilot.video.mjpeg import MjpegViewer
from tinypilot.video.numbers import FrameNumbers
from tinypilot.video.signalling import END, PLUGIN, Request, Told, hear, understand
from tinypilot.websockets import GuardedWebSocket

PROTOCOL = "janus-protocol"
# Each request gets a new one, so it need not live longer than a request.
TOKEN_SECONDS = 30
POLL_SECONDS = 0.2
# A page that lost its WebSocket may claim its Janus session, whose picture goes on, within this time.
LINGER_SECONDS = 30
MESSAGE_BYTES = 64 * 1024
# A page has one, and another while it makes itself anew.
JANUS_SESSIONS = 8
# Of one Janus session. Each takes one of Janus' media ports when it watches.
HANDLES = 2
# Of all. Each port is for one handle; and each page has a WebSocket, and another while it makes itself anew.
MEDIA_PORTS = 64
SIGNALLING_SOCKETS = 128
# Requests that Janus has not answered, of one WebSocket.
UNANSWERED = 32
# Messages at once, and a second: a page says a dozen while it connects, and then one every few seconds.
SIGNALLING_FRAMES = (200, 20)
# It says that it has shown a frame, up to 60 times a second, and after a stall those that were underway.
SHOWN_FRAMES = (500, 150)
PING_SECONDS = 15
ANSWER_SECONDS = 1
# uStreamer sends blank frames while there is no signal, so one that is silent for so long hangs.
SILENCE = ClientTimeout(total=None, sock_connect=2, sock_read=10)
# All that a page says is that it has shown a frame, or needs a key frame.
SHOWN_BYTES = 16
H264_VIEWERS = 64
JPEG_VIEWERS = 64
# Janus' errors.
NO_SUCH_SESSION, NO_SUCH_HANDLE, UNKNOWN_ERROR = 458, 459, 490
SYSTEMD_SOCKET = 3


@contextlib.contextmanager
def _place(places: Shares, session: Session, request: web.Request) -> Iterator[bool]:
    """Whether there is one for this session meanwhile."""

    def end() -> None:
        if request.transport:
            request.transport.abort()

    place = places.take(session, end)
    try:
        yield place is not None
    finally:
        if place:
            places.leave(place)


def read_secret(file: Path) -> bytes:
    """Of the piece of Janus' configuration that both may read."""
    found = re.search(r'token_auth_secret = "(\w+)"', file.read_text())
    if not found:
        raise ConfigError(f"{file} holds no token_auth_secret")
    return found[1].encode()


def sign(secret: bytes, plugin: str, now: float) -> str:
    """A token as Janus' documentation describes it: expiry, realm and plugin, with an HMAC-SHA1."""
    words = f"{int(now) + TOKEN_SECONDS},janus,{plugin}"
    return f"{words}:{base64.b64encode(hmac.digest(secret, words.encode(), 'sha1')).decode()}"


def picture_socket() -> GuardedWebSocket:
    return GuardedWebSocket(
        heartbeat=PING_SECONDS,
        message_bytes=SHOWN_BYTES - 1,
        frames=Budget(*SHOWN_FRAMES),
        timeout=ANSWER_SECONDS,
    )


class Viewer:
    """One WebSocket from outside, its counterpart to Janus, and the Janus sessions spoken of on it, with their
    handles."""

    def __init__(
        self,
        token: str,
        session: Session,
        client: web.WebSocketResponse,
        janus: ClientWebSocketResponse,
    ):
        self.token = token
        self.session = session
        self.client = client
        self.janus = janus
        self.sockets = (janus, client)
        self.janus_sessions: dict[int, set[int]] = {}
        # By transaction.
        self.unanswered: dict[str, Request] = {}
        self.ports: Place | None = None
        # How many of the sessions that the relay destroys are still to be answered for.
        self.ends_awaited = 0
        self.all_ended = asyncio.Event()
        self.is_over = False

    def asked(self, kind: str) -> list[Request]:
        return [each for each in self.unanswered.values() if each.kind == kind]

    @property
    def most_sessions(self) -> int:
        """With those that Janus may have made already."""
        return len(self.janus_sessions) + len(self.asked("create"))

    def most_handles(self, session: int | None) -> int:
        attaching = sum(each.session == session for each in self.asked("attach"))
        return len(self.janus_sessions.get(session or 0, ())) + attaching

    @property
    def all_handles(self) -> int:
        return sum(map(len, self.janus_sessions.values())) + len(self.asked("attach"))


class Relay:
    def __init__(
        self,
        watcher: SessionWatcher,
        janus_socket: str,
        secret: bytes,
        ustreamer_socket: str,
        h264: H264Source,
    ):
        self._watcher = watcher
        self._janus_socket = janus_socket
        self._secret = secret
        self._ustreamer_socket = ustreamer_socket
        self._h264 = h264
        self._jpeg_numbers = FrameNumbers()
        # Who watches, and how that is ended.
        self._viewers: dict[
            Viewer | MjpegViewer | H264Viewer, Callable[[], Coroutine[None, None, None]]
        ] = {}
        self._owners: dict[int, Viewer] = {}
        self._sockets = Shares(SIGNALLING_SOCKETS, SIGNALLING_SOCKETS, SIGNALLING_SOCKETS)
        self._ports = Shares(MEDIA_PORTS, MEDIA_PORTS, MEDIA_PORTS)
        self._h264_places = Shares(H264_VIEWERS, H264_VIEWERS, H264_VIEWERS)
        self._jpeg_places = Shares(JPEG_VIEWERS, JPEG_VIEWERS, JPEG_VIEWERS)
        self._ends: set[asyncio.Task[None]] = set()
        self._is_stopping = False

    def application(self) -> web.Application:
        application = web.Application()
        application.router.add_get("/janus/ws", self.relay)
        application.router.add_get("/api/h264", self.show_h264)
        application.router.add_get("/api/jpegs", self.show_jpegs)
        application.router.add_get("/api/gateway", self.answer_whether_janus_does)
        application.cleanup_ctx.append(self._watch_sessions)
        application.on_shutdown.append(self._hang_up)
        return application

    def observed(self) -> dict:
        """For those who tell of it (monitoring/), by transport as the page names it."""
        return {
            name: {
                "viewers": sum(isinstance(each, kind) for each in self._viewers),
                **numbers.told(),
            }
            for name, kind, numbers in (
                ("webcodecs", H264Viewer, self._h264.numbers),
                ("mjpeg", MjpegViewer, self._jpeg_numbers),
            )
        }

    async def keep_telling(self, _: web.Application) -> AsyncIterator[None]:
        """For an application's cleanup_ctx."""
        task = asyncio.create_task(observations.keep_publishing("relay", self.observed))
        yield
        task.cancel()

    async def answer_whether_janus_does(self, request: web.Request) -> web.Response:
        try:
            _, writer = await asyncio.open_unix_connection(self._janus_socket)
        except OSError:
            return web.Response(status=502)
        writer.close()
        return web.Response(status=204)

    async def relay(self, request: web.Request) -> web.StreamResponse:
        token, session = await self._watcher.session_in(request.headers.get("Cookie", ""))
        if session is None:
            return web.Response(status=401)
        with _place(self._sockets, session, request) as has_place:
            if not has_place:
                return web.Response(status=503)
            return await self._speak(request, token, session)

    async def _speak(
        self, request: web.Request, token: str, session: Session
    ) -> web.StreamResponse:
        async with self._to_janus() as http:
            try:
                janus = await self._connect(http, request.headers.get("Origin"))
            except (ClientError, OSError):
                return web.Response(status=502)
            client = GuardedWebSocket(
                protocols=[PROTOCOL],
                heartbeat=PING_SECONDS,
                message_bytes=MESSAGE_BYTES,
                frames=Budget(*SIGNALLING_FRAMES),
            )
            await client.prepare(request)
            viewer = Viewer(token, session, client, janus)
            self._viewers[viewer] = lambda: self._end(viewer)
            viewer.ports = self._ports.take(session, lambda: self._end_soon(viewer), weight=0)
            answers = asyncio.create_task(self._hand_back(viewer))
            try:
                await self._hand_on(viewer)
                if viewer.janus_sessions and client.closed:
                    await asyncio.wait({answers}, timeout=LINGER_SECONDS)
            finally:
                if not self._is_stopping:
                    await self._end(viewer)
                if viewer.ports:
                    self._ports.leave(viewer.ports)
                self._viewers.pop(viewer, None)
                answers.cancel()
        return client

    def _to_janus(self) -> ClientSession:
        return ClientSession(connector=UnixConnector(self._janus_socket))

    @staticmethod
    async def _connect(http: ClientSession, origin: str | None) -> ClientWebSocketResponse:
        return await http.ws_connect("http://janus/", protocols=[PROTOCOL], origin=origin)

    async def show_jpegs(self, request: web.Request) -> web.StreamResponse:
        token, session = await self._watcher.session_in(request.headers.get("Cookie", ""))
        if session is None:
            return web.Response(status=401)
        with _place(self._jpeg_places, session, request) as has_place:
            if not has_place:
                return web.Response(status=503)
            return await self._send_jpegs(request, token)

    async def _send_jpegs(self, request: web.Request, token: str) -> web.StreamResponse:
        connector = UnixConnector(self._ustreamer_socket)
        async with ClientSession(connector=connector, timeout=SILENCE) as http:
            try:
                stream = await http.get("http://ustreamer/stream?extra_headers=1")
            except (ClientError, OSError):
                return web.Response(status=502)
            client = picture_socket()
            await client.prepare(request)
            viewer = MjpegViewer(token, client, self._jpeg_numbers)
            self._viewers[viewer] = viewer.end
            try:
                await viewer.show(stream.content)
            finally:
                self._viewers.pop(viewer, None)
                stream.close()
        return client

    async def show_h264(self, request: web.Request) -> web.StreamResponse:
        token, session = await self._watcher.session_in(request.headers.get("Cookie", ""))
        if session is None:
            return web.Response(status=401)
        with _place(self._h264_places, session, request) as has_place:
            if not has_place:
                return web.Response(status=503)
            client = picture_socket()
            await client.prepare(request)
            viewer = H264Viewer(token, client, self._h264.ask_for_key, self._h264.numbers)
            self._viewers[viewer] = viewer.end
            try:
                with self._h264.watched_by(viewer):
                    await viewer.show()
            finally:
                self._viewers.pop(viewer, None)
        return client

    async def _hand_on(self, viewer: Viewer) -> None:
        """From the viewer to Janus, until either is gone or the viewer says what no page says."""
        async for message in viewer.client:
            request = understand(message.data) if message.type is WSMsgType.TEXT else None
            if viewer.is_over or request is None:
                return
            if request.transaction in viewer.unanswered or len(viewer.unanswered) >= UNANSWERED:
                return
            if refusal := self._refusal_of(viewer, request):
                await self._refuse(viewer, request, *refusal)
                continue
            viewer.unanswered[request.transaction] = request
            if viewer.most_sessions > JANUS_SESSIONS or viewer.janus.closed:
                return
            if request.kind == "attach":
                if viewer.most_handles(request.session) > HANDLES:
                    return
                if not await self._has_port(viewer):
                    del viewer.unanswered[request.transaction]
                    await self._refuse(viewer, request, UNKNOWN_ERROR, "All media ports are taken.")
                    continue
            if not viewer.is_over:
                await self._tell(viewer, request)

    async def _has_port(self, viewer: Viewer) -> bool:
        """For all handles that it has or asks for; somebody else may have to give one up first."""
        for each in self._viewers:
            if isinstance(each, Viewer) and each.ports and each is not viewer:
                each.ports.weight = each.all_handles
        if not viewer.ports or not self._ports.grow(viewer.ports, viewer.all_handles):
            return False
        if self._ends:
            await asyncio.wait(self._ends.copy(), timeout=2 * ANSWER_SECONDS)
        return True

    def _refusal_of(self, viewer: Viewer, request: Request) -> tuple[int, str] | None:
        """Whoever speaks of a Janus session last has it, because a page claims it on a new WebSocket; but nobody has
        another person's."""
        if request.session is None:
            return None
        owner = self._owners.get(request.session, viewer)
        if person_of(owner.session) != person_of(viewer.session):
            return NO_SUCH_SESSION, f"No such session {request.session}"
        self._own(viewer, request.session)
        return None

    def _own(self, viewer: Viewer, number: int) -> None:
        owner = self._owners.get(number, viewer)
        handles = owner.janus_sessions.pop(number, set())
        self._owners[number] = viewer
        viewer.janus_sessions[number] = handles

    def _forget(self, viewer: Viewer, number: int) -> None:
        """Janus has it no more."""
        if self._owners.get(number) is viewer:
            del self._owners[number]
        viewer.janus_sessions.pop(number, None)

    async def _refuse(self, viewer: Viewer, request: Request, code: int, reason: str) -> None:
        """As Janus does."""
        answer = {"janus": "error", "transaction": request.transaction}
        with contextlib.suppress(ConnectionError):
            await viewer.client.send_json(
                {**answer, "session_id": request.session, "error": {"code": code, "reason": reason}}
            )

    async def _tell(self, viewer: Viewer, request: Request) -> None:
        with contextlib.suppress(ConnectionError):
            await viewer.janus.send_str(self._signed(request))

    def _signed(self, request: Request) -> str:
        return request.written(sign(self._secret, PLUGIN, time.time()))

    async def _hand_back(self, viewer: Viewer) -> None:
        """From Janus to the viewer, also when nobody listens any more: pings must be answered."""
        async for message in viewer.janus:
            told = hear(message.data) if message.type is WSMsgType.TEXT else None
            if told is None:
                break
            self._note(viewer, told)
            if not viewer.client.closed:
                with contextlib.suppress(ConnectionError):
                    await viewer.client.send_str(message.data)
        await viewer.client.close()

    def _note(self, viewer: Viewer, told: Told) -> None:
        """What Janus has of a viewer now."""
        if told.transaction == END:
            viewer.ends_awaited -= 1
            if viewer.ends_awaited == 0:
                viewer.all_ended.set()
            return
        if told.kind == "timeout" and told.session is not None:
            self._forget(viewer, told.session)
        if told.kind == "detached" and told.session is not None and told.sender is not None:
            viewer.janus_sessions.get(told.session, set()).discard(told.sender)
        request = viewer.unanswered.pop(told.transaction, None) if told.is_answer else None
        if request is None:
            return
        is_done = told.kind == "success"
        if request.session is None:
            if request.kind == "create" and is_done and told.made is not None:
                self._own(viewer, told.made)
            return
        if (request.kind == "destroy" and is_done) or told.error == NO_SUCH_SESSION:
            self._forget(viewer, request.session)
        handles = viewer.janus_sessions.get(request.session, set())
        if request.kind == "attach" and is_done and told.made is not None:
            handles.add(told.made)
        if (request.kind == "detach" and is_done) or told.error == NO_SUCH_HANDLE:
            handles.discard(request.handle or 0)

    async def _end(self, viewer: Viewer) -> None:
        """Nothing flows any more: neither words nor pictures."""
        viewer.is_over = True
        numbers = set(viewer.janus_sessions)
        for number in numbers:
            self._forget(viewer, number)
            viewer.ends_awaited += 1
            await self._tell(viewer, Request("destroy", END, number))
        if numbers:
            try:
                async with asyncio.timeout(ANSWER_SECONDS):
                    if viewer.janus.closed:
                        raise TimeoutError
                    await viewer.all_ended.wait()
            except TimeoutError:
                await self._end_elsewhere(numbers)
        await viewer.janus.close()
        await viewer.client.close()

    async def _end_elsewhere(self, numbers: set[int]) -> None:
        """The viewer's way to Janus is gone, or hangs: its pictures must not go on for that."""
        with contextlib.suppress(ClientError, OSError, TimeoutError):
            async with (
                asyncio.timeout(ANSWER_SECONDS),
                self._to_janus() as http,
                await self._connect(http, None) as janus,
            ):
                for number in numbers:
                    await janus.send_str(self._signed(Request("destroy", END, number)))
                    await janus.receive()

    def _end_soon(self, viewer: Viewer) -> None:
        """Somebody else is to have its ports."""
        self._ends.add(end := asyncio.create_task(self._end(viewer)))
        end.add_done_callback(self._ends.discard)

    async def _hang_up(self, _: web.Application) -> None:
        """The relay restarts. The sessions in Janus go on: their pages claim them through the next relay."""
        self._is_stopping = True
        sockets = [socket for each in self._viewers for socket in each.sockets]
        closing = [asyncio.create_task(socket.close()) for socket in sockets]
        if closing:
            await asyncio.wait(closing, timeout=ANSWER_SECONDS)

    async def _watch_sessions(self, _: web.Application) -> AsyncIterator[None]:
        task = asyncio.create_task(self._end_expired())
        yield
        task.cancel()

    async def _end_expired(self) -> None:
        ends: set[asyncio.Task[None]] = set()
        while True:
            await asyncio.sleep(POLL_SECONDS)
            expired = await self._watcher.expired({each.token for each in self._viewers})
            for viewer in [each for each in self._viewers if each.token in expired]:
                audit.note("socket_ended", "a WebSocket was ended with its session")
                # Not waited for: one that hangs must not let the others go on.
                ends.add(end := asyncio.create_task(self._viewers.pop(viewer)()))
                end.add_done_callback(ends.discard)


def main() -> None:
    config = Config.from_environment()
    relay = Relay(
        SessionWatcher(Auth.from_config(config)),
        str(config.janus_socket),
        read_secret(config.janus_token_file),
        str(config.ustreamer_socket),
        H264Source(Memsink(config.h264_sink)),
    )
    application = relay.application()
    application.cleanup_ctx.append(healing.give_signs_of_life)
    application.cleanup_ctx.append(relay.keep_telling)
    # systemd has opened the socket, so nobody is refused while the relay restarts.
    web.run_app(application, sock=socket.socket(fileno=SYSTEMD_SOCKET), print=None, access_log=None)


if __name__ == "__main__":
    main()
