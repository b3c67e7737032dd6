# SPDX-License-Identifier: MIT
"""The viewer of playbooks/verify.yml (aiortc, no browser), for tests without an event loop."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Coroutine
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from playbooks.files.viewer import (
    ChainError,
    Frame,
    Viewer,
    crc16,
    look,
    read_code,
    with_one_fmtp_each,
)

from .waiting import PATIENCE_SECONDS, NeverHappened

__all__ = [
    "ChainError",
    "Listener",
    "Viewer",
    "crc16",
    "look",
    "read_code",
    "run",
    "undamaged_frames",
    "watch",
    "with_one_fmtp_each",
]


class Listener(Viewer):
    """A viewer that asks for sound, too."""

    async def send(self, message, handle=True):
        body = message.get("body", {})
        if body.get("request") == "watch":
            message = {**message, "body": {**body, "params": {"audio": True}}}
        return await super().send(message, handle)


def run(coroutine: Coroutine) -> Any:
    """Runs it to its end, in a thread: Playwright's event loop occupies this one."""
    with ThreadPoolExecutor(1) as threads:
        return threads.submit(asyncio.run, coroutine).result()


async def undamaged_frames(viewer: Viewer, count: int) -> list[Frame]:
    """`count` frames in a row whose checksums are right.

    On a busy machine aiortc is not always quick enough to take its packets from the socket, and
    then decodes what is left of the pictures until the device has sent a key frame.
    """
    frames: list[Frame] = []
    deadline = time.monotonic() + PATIENCE_SECONDS
    while len(frames) < count:
        frame = await viewer.next_frame(PATIENCE_SECONDS)
        frames = [*frames, frame] if frame.code else []
        if time.monotonic() > deadline:
            raise NeverHappened(f"{count} undamaged pictures in a row")
    return frames


async def watch(url: str, cookie: str, count: int) -> list[Frame]:
    """`count` frames of a new viewer, see undamaged_frames()."""
    async with Viewer(url, cookie) as viewer:
        await viewer.watch()
        return await undamaged_frames(viewer, count)
