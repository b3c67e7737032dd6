# SPDX-License-Identifier: MIT
"""Viewers that receive and put frames together, but decode none: many fit on one machine.

    python -m tests.bench.light_viewers URL COUNT [sound]

Reads the cookie of a session, writes a line when all watch, reads until its input ends, then writes
the frames per second of each viewer as a JSON list.
"""

from __future__ import annotations

import asyncio
import json
import logging
import sys
import time
from contextlib import AsyncExitStack

from aiortc import rtcrtpreceiver
from aiortc.codecs.base import Decoder

from tests.support.viewers import Listener, Viewer

SETTLE_SECONDS = 2


class Deaf(Decoder):
    """Takes sound and makes nothing of it."""

    def decode(self, encoded_frame):
        return []


class Counter(Decoder):
    """In the place of a decoder: counts the frames."""

    def __init__(self):
        self.frames = 0

    def decode(self, encoded_frame):
        self.frames += 1
        return []


def count_instead_of_decoding() -> list[Counter]:
    """From now on; the list grows with each receiver."""
    counters: list[Counter] = []

    def make(codec):
        if codec.mimeType.startswith("audio/"):
            return Deaf()
        counters.append(Counter())
        return counters[-1]

    rtcrtpreceiver.get_decoder = make
    return counters


async def main(url: str, cookie: str, count: int, *words: str) -> None:
    kind = Listener if "sound" in words else Viewer
    counters = count_instead_of_decoding()
    async with AsyncExitStack() as stack:
        for _ in range(count):
            viewer = await stack.enter_async_context(kind(url, cookie))
            await viewer.watch()
        # What each is shown first comes in a burst.
        while len(counters) < count or not all(counter.frames for counter in counters):
            await asyncio.sleep(0.1)
        await asyncio.sleep(SETTLE_SECONDS)
        print("watching", flush=True)
        before, began = [counter.frames for counter in counters], time.monotonic()
        await asyncio.to_thread(sys.stdin.read)
        seconds = time.monotonic() - began
        print(json.dumps([(c.frames - b) / seconds for c, b in zip(counters, before, strict=True)]))


if __name__ == "__main__":
    logging.disable(logging.WARNING)
    asyncio.run(main(sys.argv[1], sys.stdin.readline().strip(), int(sys.argv[2]), *sys.argv[3:]))
