# SPDX-License-Identifier: MIT
"""What a program has seen, for those who tell of it: one small file each in memory, which replaces itself.

So whoever tells need not be let in where the supervisor and the relay are, and nobody waits for anybody.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import time
from collections.abc import Callable
from pathlib import Path

FOLDER = Path("/run/kvm-observations")
PUBLISH_SECONDS = 2.0
# Who has not said anything for so long does not run, or hangs.
FRESH_SECONDS = 10.0
# Far more than any has.
LARGEST_BYTES = 64 * 1024


def publish(name: str, seen: dict, folder: Path | None = None) -> None:
    file = (folder or FOLDER) / name
    new = file.with_suffix(".new")
    # Without room, or without the folder, nobody is told, and the program goes on.
    with contextlib.suppress(OSError):
        new.write_text(json.dumps({**seen, "at": time.monotonic()}), encoding="utf-8")
        new.chmod(0o644)
        os.replace(new, file)


async def keep_publishing(name: str, look: Callable[[], dict], folder: Path | None = None) -> None:
    while True:
        publish(name, look(), folder)
        await asyncio.sleep(PUBLISH_SECONDS)


def read(name: str, folder: Path | None = None) -> dict:
    """{}: nothing, or nothing new."""
    try:
        with open((folder or FOLDER) / name, "rb") as file:
            seen = json.loads(file.read(LARGEST_BYTES))
        is_fresh = 0 <= time.monotonic() - seen["at"] <= FRESH_SECONDS
    except (OSError, ValueError, LookupError, TypeError):
        return {}
    return seen if is_fresh else {}
