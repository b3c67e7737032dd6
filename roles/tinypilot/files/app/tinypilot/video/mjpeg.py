# SPDX-License-Identifier: MIT
"""The picture as JPEGs, for a page that WebRTC does not reach.

uStreamer's own stream is pushed, so on a thin line frames pile up in buffers and the picture lags by seconds.
Here the page says when it has shown a frame, no more than FRAMES_UNDERWAY are underway to it, and what uStreamer
makes meanwhile is left out: the next frame is always the newest one.

A message to the page is the frame's age in microseconds, from its capture (4 bytes, big endian), and the JPEG;
whatever the page sends means that it has shown a frame.
"""

import asyncio
import contextlib
import struct
import time

from aiohttp import ClientError, StreamReader

from tinypilot.video.multipart import AGE_HEADER, LARGEST_FRAME_BYTES, LENGTH_HEADER
from tinypilot.video.numbers import REPLACED, FrameNumbers
from tinypilot.websockets import GuardedWebSocket

FRAMES_UNDERWAY = 2
LONGEST_AGE_US = 2**32 - 1


async def read_frame(stream: StreamReader) -> tuple[float, bytes]:
    """The next part of uStreamer's multipart stream: its age in seconds when uStreamer sent it, and the JPEG."""
    headers: dict[bytes, bytes] = {}
    # An empty line ends them; there is one between two parts, too.
    while (line := await stream.readline()).strip() or LENGTH_HEADER not in headers:
        if not line:
            raise EOFError
        name, _, value = line.partition(b":")
        headers[name.lower()] = value.strip()
    length = int(headers[LENGTH_HEADER])
    if not 0 < length <= LARGEST_FRAME_BYTES:
        raise ValueError(f"uStreamer announces a frame of {length} bytes")
    return float(headers.get(AGE_HEADER, 0)), await stream.readexactly(length)


class MjpegViewer:
    """One page that watches JPEGs, for as long as its session holds."""

    def __init__(self, token: str, client: GuardedWebSocket, numbers: FrameNumbers):
        self.token = token
        self.sockets = (client,)
        self._client = client
        self._numbers = numbers
        self._underway = asyncio.BoundedSemaphore(FRAMES_UNDERWAY)
        self._newest: tuple[float, bytes] | None = None
        self._arrived = asyncio.Event()
        self._tasks: set[asyncio.Task] = set()

    async def show(self, stream: StreamReader) -> None:
        """Until the viewer leaves or is made to, or uStreamer ends."""
        self._tasks = {
            asyncio.create_task(work)
            for work in (self._receive(stream), self._send(), self._listen())
        }
        done, _ = await asyncio.wait(self._tasks, return_when=asyncio.FIRST_COMPLETED)
        await self.end()
        for task in done:
            # Whoever went away, or spoke nonsense: that is how a stream ends.
            with contextlib.suppress(
                ClientError, EOFError, OSError, ValueError, asyncio.CancelledError
            ):
                task.result()

    async def end(self) -> None:
        for task in self._tasks:
            task.cancel()
        await self._client.close()

    async def _receive(self, stream: StreamReader) -> None:
        while True:
            age, jpeg = await read_frame(stream)
            self._numbers.encoded += 1
            if self._arrived.is_set():
                self._numbers.drop(REPLACED)
            self._newest = time.monotonic() - age, jpeg
            self._arrived.set()

    async def _send(self) -> None:
        while True:
            # In this order: a place is taken by a frame that is sent, never by one that may come.
            await self._arrived.wait()
            await self._underway.acquire()
            self._arrived.clear()
            # _receive() sets it before it says that a frame has arrived.
            assert self._newest
            captured, jpeg = self._newest
            age = time.monotonic() - captured
            self._numbers.send(age)
            age_us = min(max(round(age * 1e6), 0), LONGEST_AGE_US)
            self._client.send_at_once(struct.pack(">I", age_us) + jpeg)

    async def _listen(self) -> None:
        async for _ in self._client:
            # One who has shown more than was sent is no page of ours: the ValueError ends it.
            self._underway.release()
