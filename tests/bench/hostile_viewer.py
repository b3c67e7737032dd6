# SPDX-License-Identifier: MIT
"""How long a key takes while a viewer does its worst at the HID service, without a device.

    python -m tests.bench.hostile_viewer

Runs the service on a unix socket, with sockets in the place of the USB gadget's files, an operator who presses keys,
and in processes of their own viewers who do what docs/security.md says of them. Prints the round trips, from the key's
message to its report, in milliseconds.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import multiprocessing
import os
import socket
import statistics
import struct
import sys
import tempfile
import time

from aiohttp import ClientError, ClientSession, UnixConnector, web

KEYS = 500
PAUSE_SECONDS = 0.01
PROCESSES, SOCKETS = 2, 4  # of viewers, and of each


class Gate:
    async def session_in(self, cookies: str):
        from tinypilot.auth.sessions import Session

        name = cookies.partition("=")[2]
        number = sum(name.encode())
        return name, Session(number, name, "viewer" if name.startswith("viewer") else "operator")

    async def expired(self, tokens: set) -> set:
        return set()


def serve(path: str, gadget: list[int]) -> None:
    from tinypilot import audit
    from tinypilot.hid import device
    from tinypilot.hid.server import Server

    audit.note = lambda *_, **__: None
    opened = os.open
    files = {f"/dev/hidg{number}": file for number, file in enumerate(gadget)}
    device.os.open = lambda name, *rest: (
        os.dup(files[name]) if name in files else opened(name, *rest)
    )
    application = Server(Gate(), list(files), 60).application()
    web.run_app(application, path=path, print=None, access_log=None)


FLOODS = {
    "nobody": [],
    "checks of long texts": [
        json.dumps(
            {
                "type": "check",
                "layout": "de",
                "text": "".join(map(chr, range(0x4E00, 0x4E00 + size))),
            }
        )
        for size in (100, 20_000)
    ],
    "tiny messages": ['{"type":"alive"}'],
    "nonsense": ["[" * 60_000, "{" * 900],
}


async def _flood(path: str, name: str, texts: list[str]) -> None:
    async def talk(http: ClientSession, number: int) -> None:
        while True:
            with contextlib.suppress(ClientError, OSError):
                headers = {"Cookie": f"__Host-tinypilot={name}-{number}"}
                async with http.ws_connect("http://hid/api/hid", headers=headers) as viewer:
                    while not viewer.closed:
                        for text in texts:
                            await viewer.send_str(text)

    async with ClientSession(connector=UnixConnector(path, limit=0)) as http:
        await asyncio.gather(*(talk(http, number) for number in range(SOCKETS)))


def flood(path: str, name: str, texts: list[str]) -> None:
    os.nice(5)
    asyncio.run(_flood(path, name, texts))


async def _measure(path: str, keyboard: socket.socket) -> list[float]:
    loop = asyncio.get_running_loop()
    took = []
    async with ClientSession(connector=UnixConnector(path)) as http:
        headers = {"Cookie": "__Host-tinypilot=ann"}
        async with http.ws_connect("http://hid/api/hid", headers=headers) as ann:
            listening = asyncio.create_task(_read(ann))
            await ann.send_json({"type": "ask"})
            report = bytes(8)
            for number in range(2 * KEYS):
                down = number % 2 == 0
                began = time.perf_counter()
                await ann.send_json({"type": "key", "code": "KeyA", "down": down})
                while (report[2] != 0) != down:
                    report = await loop.sock_recv(keyboard, 64)
                took.append(1000 * (time.perf_counter() - began))
                await asyncio.sleep(PAUSE_SECONDS)
            listening.cancel()
    return took


async def _read(socket) -> None:
    async for _ in socket:
        pass


def main() -> None:
    for name, texts in FLOODS.items():
        with tempfile.TemporaryDirectory() as folder:
            pairs = [socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET) for _ in range(3)]
            for ours, theirs in pairs:
                ours.setblocking(False)
                theirs.setblocking(False)
                ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, struct.pack("ll", 1, 0))
            path = f"{folder}/hid.sock"
            gadget = [ours.fileno() for ours, _ in pairs]
            running = [multiprocessing.Process(target=serve, args=(path, gadget))]
            running[0].start()
            while not os.path.exists(path):
                time.sleep(0.05)
            for number in range(PROCESSES if texts else 0):
                arguments = (path, f"viewer{number}", texts)
                running.append(multiprocessing.Process(target=flood, args=arguments))
                running[-1].start()
            took = asyncio.run(_measure(path, pairs[0][1]))
            for each in running:
                each.kill()
                each.join()
        p50, p99 = statistics.median(took), statistics.quantiles(took, n=100)[98]
        print(f"{name}: p50 {p50:.2f}, p99 {p99:.2f}, longest {max(took):.2f}")


if __name__ == "__main__":
    sys.path.insert(0, "roles/tinypilot/files/app")
    multiprocessing.set_start_method("fork")
    main()
