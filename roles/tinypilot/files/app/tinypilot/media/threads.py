# SPDX-License-Identifier: MIT
"""Work that takes as long as a disk does, beside the event loop."""

import asyncio
import contextlib
from collections.abc import Callable
from typing import TypeVar

Answer = TypeVar("Answer")


async def in_thread(work: Callable[[], Answer]) -> Answer:
    """To the end, also for a sender who is gone: what is half written would be."""
    task = asyncio.ensure_future(asyncio.to_thread(work))
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        with contextlib.suppress(Exception):
            await task
        raise
