# SPDX-License-Identifier: MIT
"""Viewers of the picture over a WebSocket that show nothing, and say at once that they have.

    python -m tests.bench.light_socket_viewers URL COUNT

Input and output are those of light_viewers.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time

import aiohttp

# The age of a frame, and whether it is a key frame: no frame is that short.
HEADER_BYTES = 5


async def watch(http: aiohttp.ClientSession, url: str, counts: list[int], number: int) -> None:
    async with http.ws_connect(url, ssl=False, max_msg_size=0) as socket:
        async for message in socket:
            if message.type is aiohttp.WSMsgType.BINARY and len(message.data) > HEADER_BYTES:
                counts[number] += 1
                await socket.send_str("shown")


async def main(url: str, cookie: str, count: int) -> None:
    counts = [0] * count
    origin = url.replace("wss://", "https://").rpartition("/api/")[0]
    async with aiohttp.ClientSession(headers={"Cookie": cookie, "Origin": origin}) as http:
        watching = [asyncio.create_task(watch(http, url, counts, n)) for n in range(count)]
        while not all(counts):
            await asyncio.sleep(0.1)
        print("watching", flush=True)
        before, began = counts.copy(), time.monotonic()
        await asyncio.to_thread(sys.stdin.read)
        seconds = time.monotonic() - began
        print(json.dumps([(now - b) / seconds for now, b in zip(counts, before, strict=True)]))
        for task in watching:
            task.cancel()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.stdin.readline().strip(), int(sys.argv[2])))
