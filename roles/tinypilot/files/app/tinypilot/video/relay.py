# SPDX-License-Identifier: MIT
"""The only way to Janus, and to the picture over a WebSocket: for as long as a viewer's session holds.

Janus knows no users and nginx can't end what it has once let through, so somebody in between must. The relay
signs each request with a token that Janus checks, and when a session ends it destroys what that session has
in Janus: the picture stops with the signalling, not half a minute later. Media itself never comes by here.

nginx asks the web app first, so what arrives here has a session; it is looked up again because it is kept.
"""

import asyncio
import base64
import contextlib
import hmac
import json
import re
import socket
import time
from collections.abc import AsyncIterator, Callable, Coroutine
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
from tinypilot.auth.watcher import SessionWatcher
from tinypilot.config import Config, ConfigError
from tinypilot.video.h264_stream import H264Source, H264Viewer
from tinypilot.video.memsink import Memsink
from tinypilot.video.mjpeg import MjpegViewer

PLUGIN = "janus.plugin.ustreamer"
PROTOCOL = "janus-protocol"
# Each request gets a new one, so it need not live longer than a request.
TOKEN_SECONDS = 30
POLL_SECONDS = 0.2
# A page that lost its WebSocket may claim its Janus session, whose picture goes on, within this time.
LINGER_SECONDS = 30
MESSAGE_BYTES = 64 * 1024
# A page has one, and another while it makes itself anew.
JANUS_SESSIONS = 8
PING_SECONDS = 15
ANSWER_SECONDS = 1
# uStreamer sends blank frames while there is no signal, so one that is silent for so long hangs.
SILENCE = ClientTimeout(total=None, sock_connect=2, sock_read=10)
# All that a page says is that it has shown a frame, or needs a key frame.
SHOWN_BYTES = 16
H264_VIEWERS = 64
# The transaction of the relay's own requests.
END = "tinypilot-relay-end"
SYSTEMD_SOCKET = 3


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


def picture_socket() -> web.WebSocketResponse:
    """Not compressed: pictures are."""
    return web.WebSocketResponse(
        heartbeat=PING_SECONDS, max_msg_size=SHOWN_BYTES, compress=False, timeout=ANSWER_SECONDS
    )


class Viewer:
    """One WebSocket from outside, its counterpart to Janus, and the Janus sessions spoken of on it."""

    def __init__(self, token: str, client: web.WebSocketResponse, janus: ClientWebSocketResponse):
        self.token = token
        self.client = client
        self.janus = janus
        self.sockets = (janus, client)
        self.janus_sessions: set[int] = set()
        self.destroyed = asyncio.Event()
        self.is_over = False


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
        # Who watches, and how that is ended.
        self._viewers: dict[
            Viewer | MjpegViewer | H264Viewer, Callable[[], Coroutine[None, None, None]]
        ] = {}
        self._owners: dict[int, Viewer] = {}
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
        async with ClientSession(connector=UnixConnector(self._janus_socket)) as http:
            try:
                janus = await http.ws_connect(
                    "http://janus/", protocols=[PROTOCOL], origin=request.headers.get("Origin")
                )
            except (ClientError, OSError):
                return web.Response(status=502)
            client = web.WebSocketResponse(
                protocols=[PROTOCOL], heartbeat=PING_SECONDS, max_msg_size=MESSAGE_BYTES
            )
            await client.prepare(request)
            viewer = Viewer(token, client, janus)
            self._viewers[viewer] = lambda: self._end(viewer)
            answers = asyncio.create_task(self._hand_back(viewer))
            try:
                await self._hand_on(viewer)
                if viewer.janus_sessions and client.closed:
                    await asyncio.wait({answers}, timeout=LINGER_SECONDS)
            finally:
                if not self._is_stopping:
                    await self._end(viewer)
                self._viewers.pop(viewer, None)
                answers.cancel()
        return client

    async def show_jpegs(self, request: web.Request) -> web.StreamResponse:
        token, session = await self._watcher.session_in(request.headers.get("Cookie", ""))
        if session is None:
            return web.Response(status=401)
        connector = UnixConnector(self._ustreamer_socket)
        async with ClientSession(connector=connector, timeout=SILENCE) as http:
            try:
                stream = await http.get("http://ustreamer/stream?extra_headers=1")
            except (ClientError, OSError):
                return web.Response(status=502)
            client = picture_socket()
            await client.prepare(request)
            viewer = MjpegViewer(token, client)
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
        if sum(isinstance(each, H264Viewer) for each in self._viewers) >= H264_VIEWERS:
            return web.Response(status=503)
        client = picture_socket()
        await client.prepare(request)
        viewer = H264Viewer(token, client, self._h264.ask_for_key)
        self._viewers[viewer] = viewer.end
        try:
            with self._h264.watched_by(viewer):
                await viewer.show()
        finally:
            self._viewers.pop(viewer, None)
        return client

    async def _hand_on(self, viewer: Viewer) -> None:
        """From the viewer to Janus, until either is gone or the viewer says what can't be understood."""
        async for message in viewer.client:
            try:
                request = json.loads(message.data) if message.type is WSMsgType.TEXT else None
            except (ValueError, RecursionError):
                request = None
            if viewer.is_over or not isinstance(request, dict):
                return
            is_destroy = request.get("janus") == "destroy"
            if is_destroy:
                # The session is forgotten here, so nothing may be said with it that Janus could refuse it for.
                request = {key: request.get(key) for key in ("janus", "session_id", "transaction")}
                if not isinstance(request["transaction"], str):
                    return
            number = request.get("session_id")
            # Not `true`, which is 1 to Python and nothing to Janus.
            if type(number) is int:
                self._own(viewer, number, ended=is_destroy)
            if len(viewer.janus_sessions) > JANUS_SESSIONS or viewer.janus.closed:
                return
            await self._tell(viewer, request)

    def _own(self, viewer: Viewer, number: int, ended: bool) -> None:
        """Whoever speaks of a Janus session last has it: a page claims it on a new WebSocket."""
        owner = self._owners.pop(number, viewer)
        owner.janus_sessions.discard(number)
        if not ended:
            self._owners[number] = viewer
            viewer.janus_sessions.add(number)

    async def _tell(self, viewer: Viewer, request: dict) -> None:
        token = sign(self._secret, PLUGIN, time.time())
        with contextlib.suppress(ConnectionError):
            await viewer.janus.send_str(json.dumps({**request, "token": token}))

    async def _hand_back(self, viewer: Viewer) -> None:
        """From Janus to the viewer, also when nobody listens any more: pings must be answered."""
        async for message in viewer.janus:
            if message.type is not WSMsgType.TEXT:
                break
            if END in message.data:
                viewer.destroyed.set()
            if not viewer.client.closed:
                with contextlib.suppress(ConnectionError):
                    await viewer.client.send_str(message.data)
        await viewer.client.close()

    async def _end(self, viewer: Viewer) -> None:
        """Nothing flows any more: neither words nor pictures."""
        viewer.is_over = True
        numbers = viewer.janus_sessions.copy()
        for number in numbers:
            self._own(viewer, number, ended=True)
            await self._tell(viewer, {"janus": "destroy", "session_id": number, "transaction": END})
        if numbers and not viewer.janus.closed:
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(viewer.destroyed.wait(), ANSWER_SECONDS)
        await viewer.janus.close()
        await viewer.client.close()

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
    # systemd has opened the socket, so nobody is refused while the relay restarts.
    web.run_app(application, sock=socket.socket(fileno=SYSTEMD_SOCKET), print=None, access_log=None)


if __name__ == "__main__":
    main()
