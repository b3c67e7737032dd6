# SPDX-License-Identifier: MIT
"""What is refused of a WebSocket before anything of it is kept: spoken byte by byte, as no client library would."""

import asyncio
import base64
import contextlib
import os
import struct

import pytest
from aiohttp import WSCloseCode, WSMsgType, web
from tinypilot.limits import Budget
from tinypilot.websockets import GuardedWebSocket

LIMIT = 1000
PATIENCE_SECONDS = 10
FIN, TEXT, BINARY, CONTINUATION, PING, CLOSE = 0x80, 1, 2, 0, 9, 8
RESERVED = 0x40  # of a compressed message


def frame(opcode, payload=b"", *, fin=True, announced=None, masked=True, reserved=0):
    length = len(payload) if announced is None else announced
    head = bytes([(FIN if fin else 0) | reserved | opcode])
    mask_bit = 0x80 if masked else 0
    if length < 126:
        head += bytes([mask_bit | length])
    elif length < 1 << 16:
        head += struct.pack(">BH", mask_bit | 126, length)
    else:
        head += struct.pack(">BQ", mask_bit | 127, length)
    return head + (b"\0\0\0\0" if masked else b"") + payload


class Server:
    """Keeps the messages that it has heard; `frames` is the budget of each connection."""

    def __init__(self, frames=(1000, 100)):
        self.heard = []
        self.frames = frames

    async def serve(self, request):
        socket = GuardedWebSocket(
            message_bytes=LIMIT, frames=Budget(*self.frames), heartbeat=30, timeout=1
        )
        await socket.prepare(request)
        async for message in socket:
            if message.type in (WSMsgType.TEXT, WSMsgType.BINARY):
                self.heard.append(message.data)
        return socket


class Sender:
    """Sends what a test wants, each in one write."""

    def __init__(self, *messages):
        self.messages = messages
        self.writes = []

    async def serve(self, request):
        socket = GuardedWebSocket(message_bytes=LIMIT, frames=Budget(1000, 100), heartbeat=30)
        await socket.prepare(request)
        write = request.transport.write
        request.transport.write = lambda data: (self.writes.append(data), write(data))
        for message in self.messages:
            socket.send_at_once(message)
        await socket.close()
        with pytest.raises(ConnectionResetError):
            socket.send_at_once(b"late")
        return socket


@contextlib.asynccontextmanager
async def connected(server, tmp_path, *headers, early=b""):
    application = web.Application()
    application.router.add_get("/", server.serve)
    runner = web.AppRunner(application, shutdown_timeout=0.1)
    await runner.setup()
    await web.UnixSite(runner, f"{tmp_path}/socket").start()
    reader, writer = await asyncio.open_unix_connection(f"{tmp_path}/socket")
    key = base64.b64encode(os.urandom(16)).decode()
    lines = [
        "GET / HTTP/1.1",
        "Host: device",
        "Upgrade: websocket",
        "Connection: Upgrade",
        "Sec-WebSocket-Version: 13",
        f"Sec-WebSocket-Key: {key}",
        *headers,
    ]
    writer.write("\r\n".join([*lines, "", ""]).encode() + early)
    answer = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), PATIENCE_SECONDS)
    yield answer.decode(), reader, writer
    writer.close()
    await runner.cleanup()


async def closed_with(reader):
    """The code of the frame that says good-bye, and that nothing follows."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        while True:
            first, length = await reader.readexactly(2)
            payload = await reader.readexactly(length)
            if first == FIN | CLOSE:
                with contextlib.suppress(ConnectionError):
                    assert await reader.read() == b""
                return struct.unpack(">H", payload[:2])[0]


def talk(server, tmp_path, data, *, in_pieces=False):
    async def scenario():
        async with connected(server, tmp_path) as (answer, reader, writer):
            assert answer.startswith("HTTP/1.1 101")
            with contextlib.suppress(ConnectionError):
                for piece in [data[n : n + 1] for n in range(len(data))] if in_pieces else [data]:
                    writer.write(piece)
                    await writer.drain()
            return await closed_with(reader)

    return asyncio.run(scenario())


TOO_BIG, WRONG = WSCloseCode.MESSAGE_TOO_BIG, WSCloseCode.PROTOCOL_ERROR


@pytest.mark.parametrize("in_pieces", [False, True])
@pytest.mark.parametrize(
    ("data", "code"),
    [
        (frame(TEXT, announced=1 << 30), TOO_BIG),
        (frame(BINARY, announced=1 << 30), TOO_BIG),
        (frame(TEXT, announced=(1 << 63) - 1), TOO_BIG),
        (frame(TEXT, announced=(1 << 64) - 1), TOO_BIG),
        (frame(TEXT, announced=LIMIT + 1), TOO_BIG),
        (
            frame(TEXT, b"x" * LIMIT, fin=False) + frame(CONTINUATION, announced=1),
            TOO_BIG,
        ),
        (
            frame(TEXT, b"x" * 400, fin=False)
            + frame(PING)
            + frame(CONTINUATION, b"x" * 400, fin=False)
            + frame(CONTINUATION, announced=1 << 30, fin=False),
            TOO_BIG,
        ),
        (frame(CONTINUATION, announced=1 << 30), TOO_BIG),
        (frame(PING, announced=126), WRONG),
        (frame(CLOSE, announced=1 << 20), WRONG),
        (frame(PING, fin=False), WRONG),
        (frame(TEXT, b"hello", masked=False), WRONG),
        (frame(TEXT, announced=300, masked=False), WRONG),
        (frame(TEXT, announced=1 << 30, masked=False), WRONG),
        (frame(TEXT, b"hello", reserved=RESERVED), WRONG),
        (frame(PING) * 1100, WSCloseCode.POLICY_VIOLATION),
        (frame(TEXT, fin=False) + frame(CONTINUATION, fin=False) * 1100, 1008),
    ],
)
def test_what_no_browser_sends_ends_the_connection_by_its_header(tmp_path, data, code, in_pieces):
    server = Server()
    # Nothing but the header has come: who waits for the rest fails here.
    assert talk(server, tmp_path, data, in_pieces=in_pieces) == code
    assert server.heard == []


def test_messages_up_to_the_bound_arrive(tmp_path):
    server = Server()
    data = (
        frame(TEXT, b"x" * LIMIT)
        + frame(PING, b"p" * 125)
        + frame(TEXT, b"a" * 500, fin=False)
        + frame(CONTINUATION, b"b" * 500)
        + frame(BINARY, b"")
        + frame(CLOSE, struct.pack(">H", 1000))
    )
    assert talk(server, tmp_path, data, in_pieces=True) == 1000
    assert server.heard == ["x" * LIMIT, "a" * 500 + "b" * 500, b""]


def test_nothing_is_compressed(tmp_path):
    async def scenario():
        asked = "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits"
        async with connected(Server(), tmp_path, asked) as (answer, _, _):
            assert answer.startswith("HTTP/1.1 101")
            assert "permessage-deflate" not in answer

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("headers", "early"),
    [
        ((), frame(TEXT, announced=1 << 30)),
        (("Content-Length: 5",), b"hello"),
        (("Transfer-Encoding: chunked",), b"5\r\nhello\r\n0\r\n\r\n"),
    ],
)
def test_who_speaks_before_the_answer_gets_none(tmp_path, headers, early):
    async def scenario():
        async with connected(Server(), tmp_path, *headers, early=early) as (answer, _, _):
            assert answer.startswith("HTTP/1.1 400")

    asyncio.run(scenario())


def test_a_budget_fills_again():
    now = 0.0
    budget = Budget(3, 2, clock=lambda: now)
    assert [budget.take() for _ in range(4)] == [True, True, True, False]
    now = 1.0
    assert [budget.take() for _ in range(3)] == [True, True, False]
    now = 100.0
    assert [budget.take() for _ in range(4)] == [True, True, True, False]


@pytest.mark.parametrize("length", [0, 1, 125, 126, 16384, 16385, 65535, 65536, 200_000])
def test_a_picture_is_one_frame_and_one_write(tmp_path, length):
    message = os.urandom(length)
    sender = Sender(message, b"next")

    async def scenario():
        async with connected(sender, tmp_path) as (_, reader, _writer):
            return [await read_frame(reader) for _ in range(2)]

    assert asyncio.run(scenario()) == [(FIN | BINARY, message), (FIN | BINARY, b"next")]
    assert len(sender.writes) >= 2 and sender.writes[0].endswith(message)


async def read_frame(reader):
    """Its first byte and its payload; a server's has no mask."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        first, length = await reader.readexactly(2)
        if length >= 126:
            more = await reader.readexactly({126: 2, 127: 8}[length])
            length = int.from_bytes(more)
        return first, await reader.readexactly(length)
