# SPDX-License-Identifier: MIT
"""WebSockets whose frames are looked at before anything of them is kept.

aiohttp of Debian 12 and 13 (3.8 and 3.11) compares a message with max_msg_size when its frame is whole: of one that is
announced as 1 GiB it keeps what comes until the memory is used up. It counts neither empty frames nor pings that wait
for a slow reader, and takes frames without a mask. So each byte passes FrameGuard first, which reads the headers of the
frames alone. It is put in front of aiohttp with asyncio's transport.set_protocol(), which is documented; nothing of
aiohttp is replaced or patched, and with a newer one the guard is merely superfluous.

Messages are never compressed: a hundred bytes could be announced that become a hundred kilobytes of work.
"""

from __future__ import annotations

import asyncio
import logging
import struct
from collections.abc import Iterable

from aiohttp import WSCloseCode, web

from tinypilot.limits import Budget

# It repeats what a client has asked for, as often as the client asks.
logging.getLogger("aiohttp.websocket").setLevel(logging.ERROR)

CONTROL_BYTES = 125  # RFC 6455, 5.5
# A peer that takes no goodbye is cut off.
GOODBYE_SECONDS = 1

_FIN, _RESERVED, _OPCODE = 0x80, 0x70, 0x0F
_MASKED, _LENGTH = 0x80, 0x7F
_FIRST_CONTROL = 0x8
_BINARY, _CLOSE = 0x2, 0x8


class FrameGuard(asyncio.Protocol):
    """Passes on to `inner` what holds to the bounds; ends the connection before the rest of what does not is read."""

    def __init__(
        self,
        inner: asyncio.BaseProtocol,
        transport: asyncio.Transport,
        message_bytes: int,
        frames: Budget,
    ):
        self._inner = inner
        self._transport = transport
        self._message_bytes = message_bytes
        self._frames = frames
        self._header = bytearray()
        self._payload_left = 0
        self._message_so_far = 0
        self._is_over = False

    def data_received(self, data: bytes) -> None:
        if self._is_over:
            return
        code = self._refusal_of(data)
        if code:
            self._refuse(code)
        else:
            self._inner.data_received(data)  # type: ignore[attr-defined]

    def eof_received(self) -> bool | None:
        return self._inner.eof_received()  # type: ignore[attr-defined]

    def connection_lost(self, error: Exception | None) -> None:
        self._is_over = True
        self._inner.connection_lost(error)

    def pause_writing(self) -> None:
        self._inner.pause_writing()

    def resume_writing(self) -> None:
        self._inner.resume_writing()

    def _refusal_of(self, data: bytes) -> WSCloseCode | None:
        position, end = 0, len(data)
        while position < end:
            if self._payload_left:
                step = min(self._payload_left, end - position)
                self._payload_left -= step
                position += step
                continue
            self._header.append(data[position])
            position += 1
            if len(self._header) >= 2 and len(self._header) == _header_length(self._header[1]):
                if code := self._refusal_of_frame(self._header):
                    return code
                self._header.clear()
        return None

    def _refusal_of_frame(self, header: bytearray) -> WSCloseCode | None:
        first, second = header[0], header[1]
        length = second & _LENGTH
        if length == 126:
            (length,) = struct.unpack_from(">H", header, 2)
        elif length == 127:
            (length,) = struct.unpack_from(">Q", header, 2)
        if first & _RESERVED or not second & _MASKED:
            return WSCloseCode.PROTOCOL_ERROR
        if not self._frames.take():
            return WSCloseCode.POLICY_VIOLATION
        if first & _OPCODE >= _FIRST_CONTROL:
            if length > CONTROL_BYTES or not first & _FIN:
                return WSCloseCode.PROTOCOL_ERROR
        else:
            # With the pieces of the same message that came before.
            self._message_so_far += length
            if self._message_so_far > self._message_bytes:
                return WSCloseCode.MESSAGE_TOO_BIG
            if first & _FIN:
                self._message_so_far = 0
        self._payload_left = length
        return None

    def _refuse(self, code: WSCloseCode) -> None:
        self._is_over = True
        self._header.clear()
        if not self._transport.is_closing():
            self._transport.write(struct.pack(">BBH", _FIN | _CLOSE, 2, code))
            self._transport.close()
        asyncio.get_running_loop().call_later(GOODBYE_SECONDS, self._transport.abort)


def _header_length(second: int) -> int:
    """Of a masked frame, by its second byte."""
    return 2 + {126: 2, 127: 8}.get(second & _LENGTH, 0) + (4 if second & _MASKED else 0)


def _header_of(length: int) -> bytes:
    """Of a whole binary message without a mask."""
    if length <= CONTROL_BYTES:
        return struct.pack(">BB", _FIN | _BINARY, length)
    if length < 1 << 16:
        return struct.pack(">BBH", _FIN | _BINARY, 126, length)
    return struct.pack(">BBQ", _FIN | _BINARY, 127, length)


class GuardedWebSocket(web.WebSocketResponse):
    """A WebSocket to somebody who may be hostile: messages of `message_bytes` at most, frames within their budget."""

    def __init__(
        self,
        *,
        message_bytes: int,
        frames: Budget,
        heartbeat: float,
        protocols: Iterable[str] = (),
        timeout: float = 10.0,
    ):
        super().__init__(
            heartbeat=heartbeat,
            # aiohttp refuses what is as long as this.
            max_msg_size=message_bytes + 1,
            compress=False,
            protocols=protocols,
            timeout=timeout,
        )
        self._guarded_bytes = message_bytes
        self._guarded_transport: asyncio.Transport | None = None
        self._frames = frames

    async def prepare(self, request: web.BaseRequest):  # type: ignore[no-untyped-def]
        if self.prepared:
            return await super().prepare(request)
        transport = request.transport
        if transport is None:
            raise web.HTTPBadRequest(text="The connection is gone.\n")
        # Whoever speaks before the answer, or sends a body, has frames read that did not pass the guard.
        speaks_early = bool(getattr(request.protocol, "_message_tail", b""))
        has_body = request.headers.get("Content-Length", "0") != "0"
        if speaks_early or has_body or "Transfer-Encoding" in request.headers:
            raise web.HTTPBadRequest(
                text="A WebSocket begins with its answer, and without a body.\n"
            )
        transport.set_protocol(
            FrameGuard(transport.get_protocol(), transport, self._guarded_bytes, self._frames)
        )
        self._guarded_transport = transport
        return await super().prepare(request)

    def send_at_once(self, message: bytes) -> None:
        """A picture, in one write. aiohttp makes two of what is larger than 16 kB, each of which nginx sends on by
        itself. Nothing is waited for: whoever calls this bounds what is underway."""
        transport = self._guarded_transport
        if transport is None or self.closed or transport.is_closing():
            raise ConnectionResetError("The WebSocket is closed.")
        transport.write(_header_of(len(message)) + message)
