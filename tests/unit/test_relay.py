# SPDX-License-Identifier: MIT
"""The relay between viewers and Janus: signed, for as long as the session holds, and nothing left behind."""

import asyncio
import contextlib
import dataclasses
import json
import sqlite3
import struct

import pytest
from aiohttp import (
    ClientSession,
    UnixConnector,
    WSCloseCode,
    WSMsgType,
    WSServerHandshakeError,
    web,
)
from tinypilot.auth.auth import Auth
from tinypilot.auth.sessions import COOKIE_PREFIX, Session
from tinypilot.auth.store import make_database
from tinypilot.auth.watcher import SessionWatcher
from tinypilot.config import ConfigError
from tinypilot.video import h264_stream, mjpeg
from tinypilot.video import relay as relay_module
from tinypilot.video.h264_stream import H264Source
from tinypilot.video.memsink import Memsink
from tinypilot.video.relay import PROTOCOL, Relay, read_secret, sign

from .h264_helpers import FakeSink, encode

SECRET = b"0123456789abcdef"


class FakeJanus:
    """Answers each request with `success`, or as Janus does; `sessions` are those that were not destroyed."""

    def __init__(self):
        self.requests = []
        self.sessions = set()
        self.sockets = 0

    async def talk(self, request):
        socket = web.WebSocketResponse(protocols=[PROTOCOL])
        await socket.prepare(request)
        self.sockets += 1
        async for message in socket:
            asked = json.loads(message.data)
            self.requests.append(asked)
            if asked["janus"] == "create":
                self.sessions.add(7 + len(self.sessions))
            transaction = asked.get("transaction")
            if not isinstance(transaction, str) or (
                asked["janus"] == "destroy"
                and ("handle_id" in asked or type(asked["session_id"]) is not int)
            ):
                await socket.send_json({"janus": "error", "transaction": transaction})
                continue
            if asked["janus"] == "destroy":
                self.sessions.discard(asked["session_id"])
            await socket.send_json({"janus": "success", "transaction": transaction})
        self.sockets -= 1
        return socket


class FakeUstreamer:
    """Sends each frame that it is told to, as uStreamer does; `viewers` are those who still get them."""

    def __init__(self):
        self.viewers = 0
        self.frames = asyncio.Queue()

    async def stream(self, request):
        assert request.query["extra_headers"] == "1"
        response = web.StreamResponse()
        response.headers["Content-Type"] = "multipart/x-mixed-replace;boundary=boundarydonotcross"
        await response.prepare(request)
        self.viewers += 1
        try:
            while request.transport and not request.transport.is_closing():
                with contextlib.suppress(asyncio.TimeoutError):
                    await response.write(await asyncio.wait_for(self.frames.get(), 0.05))
        finally:
            self.viewers -= 1
        return response

    def show(self, jpeg, latency="0.25", length=None):
        self.frames.put_nowait(
            b"--boundarydonotcross\r\nContent-Type: image/jpeg\r\n"
            b"Content-Length: %d\r\nX-Timestamp: 1.0\r\nX-UStreamer-Latency: %s\r\n\r\n%s\r\n"
            % (len(jpeg) if length is None else length, latency.encode(), jpeg)
        )


@contextlib.asynccontextmanager
async def serving(application, path):
    runner = web.AppRunner(application, shutdown_timeout=0.1)
    await runner.setup()
    await web.UnixSite(runner, path).start()
    yield
    await runner.cleanup()


def new_relay(auth, tmp_path):
    sockets = f"{tmp_path}/janus.sock", SECRET, f"{tmp_path}/ustreamer.sock"
    return Relay(SessionWatcher(auth), *sockets, H264Source(Memsink(tmp_path / "sink")))


@contextlib.asynccontextmanager
async def running(auth, tmp_path, janus=None, ustreamer=None):
    """A relay in front of `janus` and `ustreamer`; yields a client of it."""
    async with contextlib.AsyncExitStack() as stack:
        for name, path, answer in [
            ("janus", "/", janus and janus.talk),
            ("ustreamer", "/stream", ustreamer and ustreamer.stream),
        ]:
            if answer:
                application = web.Application()
                application.router.add_get(path, answer)
                await stack.enter_async_context(serving(application, f"{tmp_path}/{name}.sock"))
        relay = new_relay(auth, tmp_path)
        await stack.enter_async_context(serving(relay.application(), f"{tmp_path}/relay.sock"))
        http = await stack.enter_async_context(
            ClientSession(connector=UnixConnector(f"{tmp_path}/relay.sock"))
        )
        running.relay = relay
        yield http


def connect(http, token):
    return http.ws_connect(
        "http://relay/janus/ws",
        protocols=[PROTOCOL],
        headers={"Cookie": f"{COOKIE_PREFIX}={token}"},
    )


def watch_jpegs(http, token):
    return http.ws_connect(
        "http://relay/api/jpegs", headers={"Cookie": f"{COOKIE_PREFIX}={token}"}, compress=15
    )


def watch_h264(http, token):
    return http.ws_connect(
        "http://relay/api/h264", headers={"Cookie": f"{COOKIE_PREFIX}={token}"}, compress=15
    )


async def ask(socket, janus, **facts):
    await socket.send_json({"janus": janus, "transaction": janus, **facts})
    return await socket.receive_json()


async def until(look):
    async with asyncio.timeout(20):
        while not look():
            await asyncio.sleep(0.01)


@pytest.fixture
def janus():
    return FakeJanus()


@pytest.fixture
def ustreamer():
    return FakeUstreamer()


@pytest.fixture
def auth(config):
    """With the real clock: the relay waits by it."""
    make_database(config.auth_file)
    return Auth.from_config(config)


@pytest.fixture
def token(auth):
    return auth.sessions.create_for_provisioning("viewer", 3600)


def test_what_a_viewer_says_reaches_janus_signed(auth, token, janus, tmp_path, monkeypatch):
    monkeypatch.setattr(relay_module.time, "time", lambda: 1_800_000_000)

    async def talk():
        async with running(auth, tmp_path, janus) as http, connect(http, token) as viewer:
            assert viewer.protocol == PROTOCOL
            assert (await ask(viewer, "create", token="of the viewer's own"))["janus"] == "success"

    # The session is looked up with another clock than the one that signs.
    session = Session(1, None, "viewer")
    monkeypatch.setattr(auth, "session_for", lambda given: session if given == token else None)
    asyncio.run(talk())
    assert janus.requests[0]["janus"] == "create"
    assert janus.requests[0]["token"] == sign(SECRET, "janus.plugin.ustreamer", 1_800_000_000)


def test_tokens_are_as_janus_wants_them():
    # The signature was computed with openssl.
    assert sign(b"secret", "janus.plugin.ustreamer", 1_800_000_000) == (
        "1800000030,janus,janus.plugin.ustreamer:4A5sJYmoJMpDqDJUAh4KBroXzFA="
    )


def test_the_secret_is_read_from_the_configuration(tmp_path):
    file = tmp_path / "token.jcfg"
    file.write_text('token_auth = true\ntoken_auth_secret = "0123abcd"\n')
    assert read_secret(file) == b"0123abcd"


def test_a_configuration_without_the_secret_is_refused_with_its_name(tmp_path):
    file = tmp_path / "token.jcfg"
    file.write_text("token_auth = true\n")
    with pytest.raises(ConfigError, match=str(file)):
        read_secret(file)


@pytest.mark.parametrize("given", ["", "unknown"])
def test_without_a_session_nobody_speaks_to_janus(auth, janus, tmp_path, given):
    async def talk():
        async with running(auth, tmp_path, janus) as http:
            with pytest.raises(WSServerHandshakeError) as refusal:
                await connect(http, given)
            return refusal.value.status

    assert asyncio.run(talk()) == 401


def test_a_session_that_ends_ends_the_picture(auth, token, janus, tmp_path, audited):
    other = auth.sessions.create_for_provisioning("viewer", 3600)

    async def talk():
        async with (
            running(auth, tmp_path, janus) as http,
            connect(http, token) as viewer,
            connect(http, other) as bystander,
        ):
            await ask(viewer, "create")
            await ask(viewer, "keepalive", session_id=7)
            await ask(bystander, "create")
            await ask(bystander, "keepalive", session_id=8)
            auth.sessions.log_out(auth.session_for(token))
            while not (await viewer.receive()).type.name.startswith("CLOS"):
                pass
            assert janus.sessions == {8}
            assert "socket_ended" in [event for event, _ in audited]
            await ask(bystander, "keepalive", session_id=8)

    asyncio.run(talk())


@pytest.mark.parametrize(
    "facts",
    [
        pytest.param({"transaction": 1}, id="transaction of another kind"),
        pytest.param({"transaction": None}, id="no transaction"),
        pytest.param({"transaction": "t", "handle_id": 3}, id="of a handle"),
    ],
)
def test_who_says_destroy_as_janus_does_not_take_it_keeps_no_picture(
    auth, token, janus, tmp_path, facts
):
    async def talk():
        async with running(auth, tmp_path, janus) as http, connect(http, token) as viewer:
            await ask(viewer, "create")
            await ask(viewer, "keepalive", session_id=7)
            await viewer.send_json({"janus": "destroy", "session_id": 7, **facts})
            auth.sessions.log_out(auth.session_for(token))
            while not (await viewer.receive()).type.name.startswith("CLOS"):
                pass
            await until(lambda: not janus.sessions)

    asyncio.run(talk())


def test_a_number_that_is_none_to_janus_ends_no_session(auth, token, janus, tmp_path):
    async def talk():
        async with running(auth, tmp_path, janus) as http, connect(http, token) as viewer:
            janus.sessions.add(1)
            await ask(viewer, "keepalive", session_id=1)
            await viewer.send_json({"janus": "destroy", "session_id": True, "transaction": "t"})
            auth.sessions.log_out(auth.session_for(token))
            while not (await viewer.receive()).type.name.startswith("CLOS"):
                pass
            await until(lambda: not janus.sessions)

    asyncio.run(talk())


def test_a_picture_without_a_socket_ends_with_the_session_too(auth, token, janus, tmp_path):
    """The page lost its WebSocket, and Janus would keep its picture for a while."""

    async def talk():
        async with running(auth, tmp_path, janus) as http:
            async with connect(http, token) as viewer:
                await ask(viewer, "create")
                await ask(viewer, "keepalive", session_id=7)
            assert janus.sessions == {7}
            auth.sessions.log_out(auth.session_for(token))
            await until(lambda: not janus.sessions)

    asyncio.run(talk())


def test_a_database_that_can_not_be_read_ends_no_picture(auth, token, janus, tmp_path, monkeypatch):
    failed = []

    def fail(_):
        failed.append(True)
        raise sqlite3.OperationalError("disk I/O error")

    async def talk():
        async with running(auth, tmp_path, janus) as http, connect(http, token) as viewer:
            await ask(viewer, "create")
            await ask(viewer, "keepalive", session_id=7)
            with monkeypatch.context() as broken:
                broken.setattr(auth, "session_for", fail)
                await until(lambda: len(failed) > 1)
            assert janus.sessions == {7}
            auth.sessions.log_out(auth.session_for(token))
            await until(lambda: not janus.sessions)

    asyncio.run(talk())


def test_a_claimed_picture_outlives_the_socket_before(auth, token, janus, tmp_path, monkeypatch):
    monkeypatch.setattr(relay_module, "LINGER_SECONDS", 0.1)

    async def talk():
        async with running(auth, tmp_path, janus) as http:
            async with connect(http, token) as viewer:
                await ask(viewer, "create")
                await ask(viewer, "keepalive", session_id=7)
            async with connect(http, token) as viewer:
                await ask(viewer, "claim", session_id=7)
                await until(lambda: janus.sockets == 1)
                assert janus.sessions == {7}
            await until(lambda: not janus.sessions)

    asyncio.run(talk())


def test_a_relay_that_stops_leaves_the_picture_to_the_next_one(auth, token, janus, tmp_path):
    async def talk():
        async with running(auth, tmp_path, janus):
            relay = new_relay(auth, tmp_path)
            async with (
                ClientSession(connector=UnixConnector(f"{tmp_path}/other.sock")) as http,
                contextlib.AsyncExitStack() as stopping,
            ):
                await stopping.enter_async_context(
                    serving(relay.application(), f"{tmp_path}/other.sock")
                )
                viewer = await connect(http, token)
                await ask(viewer, "create")
                await ask(viewer, "keepalive", session_id=7)
                said = asyncio.create_task(viewer.receive())
                await stopping.aclose()
                assert (await said).type is WSMsgType.CLOSE
            await until(lambda: janus.sockets == 0)
            assert janus.sessions == {7}

    asyncio.run(talk())


@pytest.mark.parametrize("text", ["", "{", "[]", '"create"', "[" * 60_000, "x" * 70_000])
def test_a_viewer_who_speaks_no_json_is_cut_off(auth, token, janus, tmp_path, text):
    async def talk():
        async with running(auth, tmp_path, janus) as http, connect(http, token) as viewer:
            await viewer.send_str(text)
            assert (await viewer.receive()).type.name.startswith("CLOS")

    asyncio.run(talk())
    assert janus.requests == []


def test_a_viewer_can_not_have_any_number_of_janus_sessions(auth, token, janus, tmp_path):
    async def talk():
        async with running(auth, tmp_path, janus) as http, connect(http, token) as viewer:
            for number in range(100):
                await viewer.send_json(
                    {"janus": "keepalive", "transaction": "t", "session_id": number}
                )
            try:
                async with asyncio.timeout(10):
                    while not (await viewer.receive()).type.name.startswith("CLOS"):
                        pass
            except TimeoutError:
                pytest.fail("a viewer was not cut off who asked for 100 sessions")

    asyncio.run(talk())
    asked = [request for request in janus.requests if request["janus"] == "keepalive"]
    assert len(asked) <= relay_module.JANUS_SESSIONS


@pytest.mark.parametrize("is_there", [True, False])
def test_the_page_can_ask_whether_janus_is_there(auth, janus, tmp_path, is_there):
    async def talk():
        async with running(auth, tmp_path, janus if is_there else None) as http:
            return (await http.get("http://relay/api/gateway")).status

    assert asyncio.run(talk()) == (204 if is_there else 502)


def test_without_janus_a_viewer_is_told_so(auth, token, tmp_path):
    async def talk():
        async with running(auth, tmp_path) as http:
            with pytest.raises(WSServerHandshakeError) as refusal:
                await connect(http, token)
            return refusal.value.status

    assert asyncio.run(talk()) == 502


def test_a_page_gets_the_newest_jpeg_each_time_it_has_shown_one(auth, token, ustreamer, tmp_path):
    async def talk():
        async with (
            running(auth, tmp_path, ustreamer=ustreamer) as http,
            watch_jpegs(http, token) as page,
        ):
            for jpeg in (b"one", b"two"):
                ustreamer.show(jpeg)
                assert (await page.receive_bytes())[4:] == jpeg
            # Two are underway. These find nobody who could show them...
            for jpeg in (b"three", b"four", b"five" * 100_000):
                ustreamer.show(jpeg)
            await until(ustreamer.frames.empty)
            with pytest.raises(asyncio.TimeoutError):
                await page.receive(timeout=0.2)
            # ...and the last of them is sent when one was shown.
            await page.send_str("shown")
            message = await page.receive_bytes()
            assert message[4:] == b"five" * 100_000
            (age_us,) = struct.unpack(">I", message[:4])
            assert (
                400_000 < age_us < 20_000_000
            )  # 0.25 s before it left uStreamer, and what it waited here
            assert page.compress == 0
            seen = running.relay.observed()["mjpeg"]
            assert (seen["viewers"], seen["encoded"], seen["sent"]) == (1, 5, 3)
            assert seen["dropped"] == {"replaced": 2}

    asyncio.run(talk())


@pytest.mark.parametrize("given", ["", "unknown"])
def test_without_a_session_there_are_no_jpegs(auth, ustreamer, tmp_path, given):
    async def talk():
        async with running(auth, tmp_path, ustreamer=ustreamer) as http:
            with pytest.raises(WSServerHandshakeError) as refusal:
                await watch_jpegs(http, given)
            return refusal.value.status

    assert asyncio.run(talk()) == 401
    assert ustreamer.viewers == 0


def test_jpegs_end_with_their_session(auth, token, ustreamer, tmp_path):
    other = auth.sessions.create_for_provisioning("viewer", 3600)

    async def talk():
        async with (
            running(auth, tmp_path, ustreamer=ustreamer) as http,
            watch_jpegs(http, token) as page,
            watch_jpegs(http, other) as bystander,
        ):
            await until(lambda: ustreamer.viewers == 2)
            auth.sessions.log_out(auth.session_for(token))
            assert (await page.receive()).type.name.startswith("CLOS")
            await until(lambda: ustreamer.viewers == 1)
            ustreamer.show(b"jpeg")
            assert (await bystander.receive_bytes())[4:] == b"jpeg"

    asyncio.run(talk())


def test_who_leaves_costs_ustreamer_nothing(auth, token, ustreamer, tmp_path):
    async def talk():
        async with running(auth, tmp_path, ustreamer=ustreamer) as http:
            async with watch_jpegs(http, token):
                await until(lambda: ustreamer.viewers == 1)
            await until(lambda: ustreamer.viewers == 0)

    asyncio.run(talk())


@pytest.mark.parametrize("sent", [0, 1, 2, 5])
def test_who_shows_what_was_not_sent_is_cut_off(auth, token, ustreamer, tmp_path, sent):
    async def talk():
        async with (
            running(auth, tmp_path, ustreamer=ustreamer) as http,
            watch_jpegs(http, token) as page,
        ):
            for number in range(sent):
                ustreamer.show(b"%d" % number)
                assert (await page.receive_bytes())[4:] == b"%d" % number
                await page.send_str("shown")
            with pytest.raises(asyncio.TimeoutError):
                await page.receive(timeout=0.1)  # nobody is cut off for what was sent
            await page.send_str("shown")
            # Long before the silence of uStreamer ends it.
            assert (await page.receive(timeout=3)).type.name.startswith("CLOS")

    asyncio.run(talk())


@pytest.mark.parametrize("size", [5, 15, 17, 1000])
def test_a_page_that_watches_jpegs_says_no_more_than_a_word(auth, token, ustreamer, tmp_path, size):
    async def talk():
        async with (
            running(auth, tmp_path, ustreamer=ustreamer) as http,
            watch_jpegs(http, token) as page,
        ):
            ustreamer.show(b"one")
            await page.receive_bytes()
            await page.send_str("x" * size)
            if size < 16:
                ustreamer.show(b"two")
                assert (await page.receive_bytes())[4:] == b"two"
            else:
                assert (await page.receive(timeout=3)).type.name.startswith("CLOS")

    asyncio.run(talk())


@pytest.mark.parametrize("length", [0, -1, 2**40])
def test_a_stream_of_nonsense_ends(auth, token, ustreamer, tmp_path, length):
    async def talk():
        async with (
            running(auth, tmp_path, ustreamer=ustreamer) as http,
            watch_jpegs(http, token) as page,
        ):
            ustreamer.show(b"jpeg", length=length)
            assert (await page.receive()).type.name.startswith("CLOS")

    asyncio.run(talk())


def test_without_ustreamer_there_are_no_jpegs(auth, token, tmp_path):
    async def talk():
        async with running(auth, tmp_path) as http:
            with pytest.raises(WSServerHandshakeError) as refusal:
                await watch_jpegs(http, token)
            return refusal.value.status

    assert asyncio.run(talk()) == 502


@pytest.mark.parametrize(("latency", "age_us"), [("-5", 0), ("1e9", 2**32 - 1)])
def test_an_age_that_can_not_be_is_told_as_near_as_it_can(
    auth, token, ustreamer, tmp_path, latency, age_us
):
    async def talk():
        async with (
            running(auth, tmp_path, ustreamer=ustreamer) as http,
            watch_jpegs(http, token) as page,
        ):
            ustreamer.show(b"one", latency)
            assert struct.unpack(">I", (await page.receive_bytes())[:4]) == (age_us,)

    asyncio.run(talk())


def read_frames(stream):
    """Each frame of these bytes, and then how they end."""

    async def read():
        reader = asyncio.StreamReader()
        reader.feed_data(stream)
        reader.feed_eof()
        found = []
        try:
            while True:
                found.append(await mjpeg.read_frame(reader))
        except (EOFError, ValueError) as end:
            return [*found, type(end)]

    return asyncio.run(read())


PART = b"--boundary\r\nContent-Length: 3\r\nX-UStreamer-Latency: 0.5\r\n\r\none\r\n"


def test_frames_are_read_one_after_the_other():
    assert read_frames(PART + b"--boundary\r\ncontent-length:4\r\n\r\nfour\r\n") == [
        (0.5, b"one"),
        # An old uStreamer does not say how old it is.
        (0, b"four"),
        EOFError,
    ]


@pytest.mark.parametrize("length", [10, len(PART) - 4])
def test_a_frame_that_breaks_off_is_the_end(length):
    assert read_frames(PART[:length]) in ([EOFError], [asyncio.IncompleteReadError])


@pytest.mark.parametrize(
    ("length", "frames"),
    [(0, [ValueError]), (1, [(0, b"x"), EOFError]), (2, [(0, b"xy"), EOFError]), (3, [ValueError])],
)
def test_a_frame_has_a_size_that_can_be(monkeypatch, length, frames):
    monkeypatch.setattr(mjpeg, "LARGEST_FRAME_BYTES", 2)
    assert read_frames(b"Content-Length: %d\r\n\r\n" % length + b"xyz"[:length]) == frames


@pytest.mark.parametrize("is_destroyed", [True, False])
def test_a_janus_session_that_was_destroyed_is_nobodys(
    auth, token, janus, tmp_path, monkeypatch, is_destroyed
):
    """What is not destroyed is, when its page is gone; the other may be somebody else's by then."""
    monkeypatch.setattr(relay_module, "LINGER_SECONDS", 0.01)

    async def talk():
        async with running(auth, tmp_path, janus) as http:
            async with connect(http, token) as viewer:
                await ask(viewer, "keepalive", session_id=7)
                if is_destroyed:
                    await ask(viewer, "destroy", session_id=7)
            await until(lambda: janus.sockets == 0)

    asyncio.run(talk())
    destroyed = [request for request in janus.requests if request["janus"] == "destroy"]
    assert [request["transaction"] for request in destroyed] == (
        ["destroy"] if is_destroyed else [relay_module.END]
    )


def test_a_viewer_may_have_as_many_janus_sessions_as_a_page_needs(auth, token, janus, tmp_path):
    async def talk():
        async with running(auth, tmp_path, janus) as http, connect(http, token) as viewer:
            for number in range(8):
                await ask(viewer, "keepalive", session_id=number)
            # One that has ended makes room.
            await ask(viewer, "destroy", session_id=0)
            await ask(viewer, "keepalive", session_id=8)

    asyncio.run(talk())
    assert len(janus.requests) >= 10


def test_the_page_speaks_to_janus_as_its_own_origin(auth, token, tmp_path):
    """Janus' own check of the origin sees the browser's."""
    origins = []

    class Janus(FakeJanus):
        async def talk(self, request):
            origins.append(request.headers.get("Origin"))
            return await super().talk(request)

    async def talk():
        async with running(auth, tmp_path, Janus()) as http:
            headers = {"Cookie": f"{COOKIE_PREFIX}={token}", "Origin": "https://kvm.example"}
            async with http.ws_connect(
                "http://relay/janus/ws", protocols=[PROTOCOL], headers=headers
            ) as viewer:
                await ask(viewer, "create")

    asyncio.run(talk())
    assert origins == ["https://kvm.example"]


def test_the_program_listens_where_systemd_does(monkeypatch, tmp_path, config, auth):
    token_file = tmp_path / "token.jcfg"
    token_file.write_text('token_auth_secret = "0123abcd"\n')
    configured = dataclasses.replace(config, janus_token_file=token_file)
    monkeypatch.setattr(relay_module.Config, "from_environment", lambda: configured)
    monkeypatch.setattr(relay_module.socket, "socket", lambda fileno: ("socket", fileno))
    run = []
    monkeypatch.setattr(relay_module.web, "run_app", lambda *_, **options: run.append(options))
    relay_module.main()
    # No access log: cookies and addresses are nobody's business.
    assert run == [{"sock": ("socket", 3), "print": None, "access_log": None}]


# --- H.264 ---


async def receive_unit(page):
    """Age in seconds, whether it is a key frame, and the access unit of the next message that has one."""
    while True:
        message = await page.receive_bytes()
        age_us, is_key = struct.unpack(">IB", message[:5])
        if message[5:]:
            return age_us / 1e6, bool(is_key), message[5:]


def test_pages_get_every_frame_from_a_key_frame_on(auth, token, tmp_path):
    units = encode(40, gop=20)

    async def talk():
        sink = FakeSink(tmp_path / "sink", version=10)
        async with (
            running(auth, tmp_path) as http,
            watch_h264(http, token) as page,
            watch_h264(http, token) as other,
        ):
            await until(lambda: sink.is_read)
            # They can begin with none of these.
            for unit in units[1:20]:
                await sink.write(unit)
            for unit in units[20:]:
                await sink.write(unit, age=0.25)
                for each in (page, other):
                    age, is_key, data = await receive_unit(each)
                    assert data == unit
                    assert is_key == (unit is units[20])
                    assert 0.25 <= age < 20
                    await each.send_str("shown")
            assert page.compress == 0

    asyncio.run(talk())


def test_uStreamer_is_asked_for_a_key_frame_by_who_needs_one(auth, token, tmp_path):
    units = encode(3, gop=20)

    async def talk():
        sink = FakeSink(tmp_path / "sink", version=10)
        async with running(auth, tmp_path) as http, watch_h264(http, token) as page:
            await until(lambda: sink.is_asked_for_key)
            sink.is_asked_for_key = False
            for unit in units:
                await sink.write(unit)
                assert (await receive_unit(page))[2] == unit
                await page.send_str("shown")
            # Who has one needs no other.
            assert not sink.is_asked_for_key
            await page.send_str("key")
            await until(lambda: sink.is_asked_for_key)

    asyncio.run(talk())


def test_a_page_that_shows_nothing_gets_no_more_than_its_window(auth, token, tmp_path, monkeypatch):
    monkeypatch.setattr(h264_stream, "FIRST_WINDOW_FRAMES", 5)
    monkeypatch.setattr(h264_stream, "GROWTH", 1)
    monkeypatch.setattr(h264_stream, "LATE_SECONDS", 60)
    units = encode(15, gop=10)

    async def talk():
        sink = FakeSink(tmp_path / "sink", version=10)
        async with running(auth, tmp_path) as http, watch_h264(http, token) as page:
            await until(lambda: sink.is_read)
            for unit in units[:10]:
                await sink.write(unit)
            assert [(await receive_unit(page))[2] for _ in range(5)] == units[:5]
            # What waits is sent when there is room...
            await page.send_str("shown")
            assert (await receive_unit(page))[2] == units[5]
            # ...and is of no use any more beside a new key frame.
            for unit in units[10:]:
                await sink.write(unit)
            for unit in units[10:]:
                await page.send_str("shown")
                assert (await receive_unit(page))[2] == unit

    asyncio.run(talk())


def test_what_has_waited_too_long_is_left_out_up_to_a_key_frame(auth, token, tmp_path, monkeypatch):
    monkeypatch.setattr(h264_stream, "FIRST_WINDOW_FRAMES", 1)
    monkeypatch.setattr(h264_stream, "LATE_SECONDS", 0.05)
    units = encode(15, gop=10)

    async def talk():
        sink = FakeSink(tmp_path / "sink", version=10)
        async with running(auth, tmp_path) as http, watch_h264(http, token) as page:
            await until(lambda: sink.is_read)
            await sink.write(units[0])
            assert (await receive_unit(page))[2] == units[0]
            await sink.write(units[1])
            sink.is_asked_for_key = False
            await asyncio.sleep(2 * h264_stream.LATE_SECONDS)
            await page.send_str("shown")
            await until(lambda: sink.is_asked_for_key)
            for unit in units[2:11]:
                await sink.write(unit)
            assert (await receive_unit(page))[2] == units[10]
            seen = running.relay.observed()["webcodecs"]
            assert (seen["viewers"], seen["encoded"], seen["sent"]) == (1, 11, 2)
            assert seen["dropped"] == {"late": 1, "no_key": 8, "replaced": 0}
            assert sum(seen["latency"]["frames"]) == 2

    asyncio.run(talk())
    assert running.relay.observed()["webcodecs"]["viewers"] == 0


def test_a_frame_that_was_missed_is_made_good_by_a_key_frame(auth, token, tmp_path):
    units = encode(30, gop=20)

    async def talk():
        sink = FakeSink(tmp_path / "sink", version=10)
        async with running(auth, tmp_path) as http, watch_h264(http, token) as page:
            await until(lambda: sink.is_read)
            for unit in [*units[:5], *units[6:]]:
                await sink.write(unit)
            got = [(await receive_unit(page))[2] for _ in range(15)]
            assert got == [*units[:5], *units[20:]]

    asyncio.run(talk())


@pytest.mark.parametrize("words", ["shown", "gone", "x" * 17, b"shown"])
def test_a_page_that_says_what_can_not_be_is_cut_off(auth, token, tmp_path, words):
    async def talk():
        async with running(auth, tmp_path) as http, watch_h264(http, token) as page:
            await (page.send_bytes if isinstance(words, bytes) else page.send_str)(words)
            while not (await page.receive()).type.name.startswith("CLOS"):
                pass

    asyncio.run(talk())


def test_without_frames_the_relay_says_that_it_lives(auth, token, tmp_path, monkeypatch):
    monkeypatch.setattr(h264_stream, "SIGN_OF_LIFE_SECONDS", 0.02)

    async def talk():
        async with running(auth, tmp_path) as http, watch_h264(http, token) as page:
            assert await page.receive_bytes() == bytes(5)
            assert await page.receive_bytes() == bytes(5)

    asyncio.run(talk())


def test_h264_ends_with_the_session(auth, token, tmp_path, audited):
    async def talk():
        sink = FakeSink(tmp_path / "sink", version=10)
        async with running(auth, tmp_path) as http, watch_h264(http, token) as page:
            await until(lambda: sink.is_read)
            auth.sessions.log_out(auth.session_for(token))
            while not (await page.receive()).type.name.startswith("CLOS"):
                pass
            # Nobody watches, so nobody reads, and uStreamer may rest.
            await until(lambda: not sink.is_open)
        assert "socket_ended" in [event for event, _ in audited]

    asyncio.run(talk())


def test_without_a_session_there_is_no_h264(auth, tmp_path):
    async def talk():
        async with running(auth, tmp_path) as http:
            with pytest.raises(WSServerHandshakeError) as refusal:
                await watch_h264(http, "unknown")
            return refusal.value.status

    assert asyncio.run(talk()) == 401


def test_not_any_number_of_pages_can_watch(auth, token, tmp_path, monkeypatch):
    monkeypatch.setattr(relay_module, "H264_VIEWERS", 1)

    async def talk():
        async with running(auth, tmp_path) as http, watch_h264(http, token):
            with pytest.raises(WSServerHandshakeError) as refusal:
                await watch_h264(http, token)
            return refusal.value.status

    assert asyncio.run(talk()) == 503


def test_a_new_sink_is_followed(auth, token, tmp_path):
    units = encode(2, gop=20)

    async def talk():
        path = tmp_path / "sink"
        async with running(auth, tmp_path) as http, watch_h264(http, token) as page:
            for version in (2, 7):
                path.unlink(missing_ok=True)
                sink = FakeSink(path, version=version)
                await until(lambda sink=sink: sink.is_read)
                await sink.write(units[0])
                assert (await receive_unit(page))[2] == units[0]
                await page.send_str("shown")

    asyncio.run(talk())


def test_a_reader_that_fails_goes_on(auth, token, tmp_path, monkeypatch):
    units = encode(1, gop=20)
    take, failures = h264_stream.AccessUnits.take, []

    def fail_once(self, *frame):
        if not failures:
            failures.append(frame)
            raise RuntimeError("a bug")
        return take(self, *frame)

    monkeypatch.setattr(h264_stream.AccessUnits, "take", fail_once)

    async def talk():
        sink = FakeSink(tmp_path / "sink", version=10)
        async with running(auth, tmp_path) as http, watch_h264(http, token) as page:
            await until(lambda: sink.is_read)
            sink.put(units[0])
            await until(lambda: failures)
            assert (await receive_unit(page))[2] == units[0]

    asyncio.run(talk())


def test_the_relay_says_that_it_lives_also_to_a_page_that_shows_nothing(
    auth, token, tmp_path, monkeypatch
):
    """Frames that find no room keep coming meanwhile."""
    monkeypatch.setattr(h264_stream, "FIRST_WINDOW_FRAMES", 1)
    monkeypatch.setattr(h264_stream, "SIGN_OF_LIFE_SECONDS", 0.2)
    units = encode(60, gop=60)

    async def talk():
        sink = FakeSink(tmp_path / "sink", version=10)
        async with running(auth, tmp_path) as http, watch_h264(http, token) as page:
            await until(lambda: sink.is_read)
            for unit in units:
                await sink.write(unit)
                await asyncio.sleep(0.02)
            assert (await receive_unit(page))[2] == units[0]
            assert await page.receive_bytes() == bytes(5)

    asyncio.run(talk())


# --- What Janus and the relay must agree about ---


class StrictJanus:
    """Janus as far as the relay depends on it: sessions with handles, each of which takes one of its ports. It answers
    nothing that is no JSON to it, and all as Janus does."""

    def __init__(self, ports=64):
        self.texts = []
        self.requests = []
        self.sessions = {}
        self.ports = ports
        self.number = 100
        self.mute = set()  # kinds that are not answered

    @property
    def handles(self):
        return [handle for handles in self.sessions.values() for handle in handles]

    async def talk(self, request):
        socket = web.WebSocketResponse(protocols=[PROTOCOL])
        await socket.prepare(request)
        async for message in socket:
            self.texts.append(message.data)
            if "\\u0000" in message.data:
                await socket.send_json({"janus": "error", "error": {"code": 454, "reason": "JSON"}})
                continue
            asked = json.loads(message.data)
            self.requests.append(asked)
            if asked["janus"] not in self.mute:
                with contextlib.suppress(ConnectionError):
                    await socket.send_json(self.answer(asked))
        return socket

    def answer(self, asked):
        self.number += 1
        kind, session, handle = (asked.get(key) for key in ("janus", "session_id", "handle_id"))
        told = {"janus": "success", "transaction": asked["transaction"]}
        if kind == "create":
            self.sessions[self.number] = set()
            return {**told, "data": {"id": self.number}}
        told["session_id"] = session
        if session not in self.sessions:
            return {**told, "janus": "error", "error": {"code": 458, "reason": "No such session"}}
        match kind:
            case "attach":
                if len(self.handles) >= self.ports:
                    return {**told, "janus": "error", "error": {"code": 490, "reason": "port"}}
                self.sessions[session].add(self.number)
                return {**told, "data": {"id": self.number}}
            case "detach":
                self.sessions[session].discard(handle)
            case "destroy":
                del self.sessions[session]
            case "keepalive" | "message" | "trickle":
                told["janus"] = "ack"
        return told


async def new_session(viewer, number=0):
    return (await ask_as(viewer, f"create {number}", "create"))["data"]["id"]


async def ask_as(viewer, transaction, janus, **facts):
    await viewer.send_json({"janus": janus, "transaction": transaction, **facts})
    async with asyncio.timeout(20):
        while (told := await viewer.receive_json()).get("transaction") != transaction:
            pass
    return told


async def attach(viewer, session, number=0):
    return await ask_as(
        viewer, f"attach {number}", "attach", session_id=session, plugin=relay_module.PLUGIN
    )


async def closes(viewer):
    async with asyncio.timeout(20):
        while not (await viewer.receive()).type.name.startswith("CLOS"):
            pass


@pytest.fixture
def strict():
    return StrictJanus()


UNREADABLE = [
    '{"janus": "destroy", "session_id": %d, "transaction": "\\u0000"}',
    '{"janus": "destroy", "session_id": %d, "transaction": "\\ud800"}',
    '{"janus": "destroy", "session_id": %d, "transaction": "a\\u0000b"}',
    '{"janus": "destroy", "session_id": %d, "session_id": 1, "transaction": "t"}',
    '{"janus": "Destroy", "session_id": %d, "transaction": "t"}',
    '{"janus": "keepalive", "janus": "destroy", "session_id": %d, "transaction": "t"}',
    '{"janus": "destroy", "session_id": %d.0, "transaction": "t"}',
    '{"janus": "destroy", "session_id": %d, "transaction": ""}',
    '{"janus": "destroy", "session_id": %d, "transaction": "tinypilot-relay-end"}',
    '{"janus": "destroy", "session_id": %d, "transaction": "' + "t" * 65 + '"}',
    '{"janus": "message", "session_id": %d, "handle_id": 1, "transaction": "t", "body": {"a": NaN}}',
    '{"janus": "message", "session_id": %d, "handle_id": 1, "transaction": "t", "body": {"a": 1e999}}',
    '{"janus": "message", "session_id": %d, "handle_id": 1, "transaction": "t", "body": {"\\u0000": 1}}',
    '{"janus": "message", "session_id": %d, "handle_id": 1, "transaction": "t", "body": {"a": 99999999999999999999}}',
    '{"janus": "message", "session_id": %d, "handle_id": 1, "transaction": "t", "body": '
    + '{"a":' * 9
    + "1"
    + "}" * 10,
    '{"janus": "message", "session_id": %d, "handle_id": 1, "transaction": "t", "body": ["a"]}',
    '{"janus": "destroy_session", "session_id": %d, "transaction": "t"}',
]


@pytest.mark.parametrize("text", UNREADABLE)
def test_what_two_parsers_may_read_differently_ends_the_picture(
    auth, token, strict, tmp_path, text
):
    async def talk():
        async with running(auth, tmp_path, strict) as http, connect(http, token) as viewer:
            number = await new_session(viewer)
            await attach(viewer, number)
            before = len(strict.texts)
            await viewer.send_str(text % number)
            await closes(viewer)
            await until(lambda: not strict.sessions)
            # The relay's own destroy alone.
            assert [json.loads(each)["transaction"] for each in strict.texts[before:]] == [
                relay_module.END
            ]

    asyncio.run(talk())


def test_a_session_is_forgotten_when_janus_has_destroyed_it_and_not_before(
    auth, token, strict, tmp_path
):
    strict.mute = {"destroy"}

    async def talk():
        async with running(auth, tmp_path, strict) as http, connect(http, token) as viewer:
            number = await new_session(viewer)
            await viewer.send_json({"janus": "destroy", "session_id": number, "transaction": "t"})
            await until(lambda: strict.requests[-1]["janus"] == "destroy")
            auth.sessions.log_out(auth.session_for(token))
            await closes(viewer)

    asyncio.run(talk())
    ends = [each for each in strict.requests if each["transaction"] == relay_module.END]
    # Not answered on the viewer's own connection, so asked for once more on another.
    assert len(ends) == 2


def test_janus_gets_no_field_that_the_relay_does_not_know(auth, token, strict, tmp_path):
    async def talk():
        async with running(auth, tmp_path, strict) as http, connect(http, token) as viewer:
            number = await new_session(viewer)
            await ask_as(
                viewer,
                "t",
                "attach",
                session_id=number,
                plugin=relay_module.PLUGIN,
                apisecret="x",
                handle_id=7,
                opaque_id="y",
                token="z",
            )

    asyncio.run(talk())
    attached = next(each for each in strict.requests if each["janus"] == "attach")
    assert attached.keys() == {"janus", "transaction", "session_id", "plugin", "token"}
    assert attached["token"] != "z"


def test_of_an_answer_janus_gets_the_lines_that_it_knows(auth, token, strict, tmp_path):
    known = [
        "v=0",
        "o=- 4611 2 IN IP4 127.0.0.1",
        "m=video 9 UDP/TLS/RTP/SAVPF 96 97",
        "c=IN IP4 0.0.0.0",
        "a=fingerprint:sha-256 " + ":".join(["AB"] * 32),
        "a=candidate:1 1 udp 2122 192.0.2.1 50000 typ host generation 0 ufrag abcd",
        "a=fmtp:96 level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42e01f",
    ]
    strange = [
        "a=fingerprint:md5 AA",
        "a=x:\x1b[31mred",
        "q=1",
        "a=setup:no",
        "m=x",
        "a=" + "\u00e4",
    ]

    async def talk():
        async with running(auth, tmp_path, strict) as http, connect(http, token) as viewer:
            number = await new_session(viewer)
            handle = (await attach(viewer, number))["data"]["id"]
            lines = [line for pair in zip(known, [*strange, ""], strict=True) for line in pair]
            jsep = {"type": "answer", "sdp": "\r\n".join(lines)}
            facts = {"session_id": number, "handle_id": handle, "body": {"request": "start"}}
            await ask_as(viewer, "t", "message", jsep=jsep, **facts)
            too_long = {**jsep, "sdp": "v=0\r\n" * 1000}
            await viewer.send_json(
                {"janus": "message", "transaction": "u", "jsep": too_long, **facts}
            )
            await closes(viewer)

    asyncio.run(talk())
    said = next(each for each in strict.requests if each["janus"] == "message")
    assert said["jsep"]["sdp"].splitlines() == known


def test_a_viewer_has_so_many_janus_sessions_however_they_are_made(auth, token, strict, tmp_path):
    async def talk():
        async with running(auth, tmp_path, strict) as http, connect(http, token) as viewer:
            with contextlib.suppress(ConnectionError):
                for number in range(1000):
                    await viewer.send_json({"janus": "create", "transaction": f"{number}"})
            await closes(viewer)
            await until(lambda: not strict.sessions)

    asyncio.run(talk())
    assert len(strict.requests) <= 2 * relay_module.JANUS_SESSIONS


def test_a_janus_session_has_so_many_handles_and_no_more(auth, token, strict, tmp_path):
    async def talk():
        async with running(auth, tmp_path, strict) as http, connect(http, token) as viewer:
            number = await new_session(viewer)
            for handle in range(relay_module.HANDLES):
                assert (await attach(viewer, number, handle))["janus"] == "success"
            detached = {"session_id": number, "handle_id": strict.handles[0]}
            await ask_as(viewer, "detach", "detach", **detached)
            await attach(viewer, number, 99)
            await viewer.send_json(
                {
                    "janus": "attach",
                    "transaction": "one more",
                    "session_id": number,
                    "plugin": relay_module.PLUGIN,
                }
            )
            await closes(viewer)

    asyncio.run(talk())
    assert sum(each["janus"] == "attach" for each in strict.requests) == relay_module.HANDLES + 1


def test_who_has_most_of_the_media_ports_gives_some_to_who_has_none(
    auth, token, strict, tmp_path, monkeypatch
):
    monkeypatch.setattr(relay_module, "MEDIA_PORTS", 8)
    strict.ports = 8
    other = auth.sessions.create_for_provisioning("viewer", 3600)

    async def talk():
        async with contextlib.AsyncExitStack() as stack:
            http = await stack.enter_async_context(running(auth, tmp_path, strict))
            for _ in range(2):
                greedy = await stack.enter_async_context(connect(http, token))
                for each in range(4):
                    number = await new_session(greedy, each)
                    assert (await attach(greedy, number, each))["janus"] == "success"
            assert len(strict.handles) == 8
            late = await stack.enter_async_context(connect(http, other))
            number = await new_session(late)
            assert (await attach(late, number))["janus"] == "success"
            # And the other way round nobody is put out for one who has his share.
            again = await stack.enter_async_context(connect(http, token))
            for each in range(3):
                session = await new_session(again, each)
                assert (await attach(again, session, each))["janus"] == "success"
            session = await new_session(again, 9)
            refused = await attach(again, session, 9)
            assert refused["error"]["reason"] == "All media ports are taken."
            assert (await ask_as(late, "alive", "keepalive", session_id=number))["janus"] == "ack"

    asyncio.run(talk())


def test_nobody_claims_the_janus_session_of_somebody_else(auth, token, strict, tmp_path):
    other = auth.sessions.create_for_provisioning("admin", 3600)

    async def talk():
        async with (
            running(auth, tmp_path, strict) as http,
            connect(http, token) as viewer,
            connect(http, other) as thief,
        ):
            number = await new_session(viewer)
            for kind in ("claim", "keepalive", "destroy"):
                told = await ask_as(thief, kind, kind, session_id=number)
                assert told["error"]["code"] == relay_module.NO_SUCH_SESSION
            auth.sessions.log_out(auth.session_for(other))
            await closes(thief)
            assert strict.sessions
            assert (await ask_as(viewer, "t", "keepalive", session_id=number))["janus"] == "ack"

    asyncio.run(talk())


def test_a_viewer_does_not_ask_without_end_for_what_is_not_answered(auth, token, strict, tmp_path):
    strict.mute = {"info"}

    async def talk():
        async with running(auth, tmp_path, strict) as http, connect(http, token) as viewer:
            with contextlib.suppress(ConnectionError):
                for number in range(150):
                    await viewer.send_json({"janus": "info", "transaction": f"{number}"})
            await closes(viewer)

    asyncio.run(talk())
    assert len(strict.requests) == relay_module.UNANSWERED


@pytest.mark.parametrize("path", ["janus/ws", "api/h264", "api/jpegs"])
def test_who_says_more_than_a_page_does_is_cut_off(auth, token, strict, ustreamer, tmp_path, path):
    async def talk():
        async with running(auth, tmp_path, strict, ustreamer) as http:
            viewer = await http.ws_connect(
                f"http://relay/{path}",
                protocols=[PROTOCOL],
                headers={"Cookie": f"{COOKIE_PREFIX}={token}"},
                autoping=False,
            )
            with contextlib.suppress(ConnectionError):
                for _ in range(3000):
                    await viewer.ping()
            async with asyncio.timeout(20):
                while (packet := await viewer.receive()).type is not WSMsgType.CLOSE:
                    pass
            assert packet.data == WSCloseCode.POLICY_VIOLATION

    asyncio.run(talk())


@pytest.mark.parametrize(
    ("path", "bound"),
    [
        ("janus/ws", "SIGNALLING_SOCKETS"),
        ("api/h264", "H264_VIEWERS"),
        ("api/jpegs", "JPEG_VIEWERS"),
    ],
)
def test_a_session_with_all_sockets_gives_one_to_somebody_else(
    auth, token, strict, ustreamer, tmp_path, monkeypatch, path, bound
):
    monkeypatch.setattr(relay_module, bound, 4)
    other = auth.sessions.create_for_provisioning("viewer", 3600)

    async def talk():
        async with running(auth, tmp_path, strict, ustreamer) as http:

            def come(token):
                return http.ws_connect(
                    f"http://relay/{path}",
                    protocols=[PROTOCOL],
                    headers={"Cookie": f"{COOKIE_PREFIX}={token}"},
                )

            # Kept: one that nobody knows any more is closed.
            there = [await come(token) for _ in range(4)]
            with pytest.raises(WSServerHandshakeError, match="503"):
                await come(token)
            there += [await come(other) for _ in range(2)]
            with pytest.raises(WSServerHandshakeError, match="503"):
                await come(other)

    asyncio.run(talk())
