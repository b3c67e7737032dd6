# SPDX-License-Identifier: MIT
"""The door (see tinypilot.door), asked in a thread of its own: a slow SD card must not hold up a key."""

from __future__ import annotations

import asyncio
import sqlite3
import time
import traceback
from concurrent.futures import ThreadPoolExecutor

from tinypilot.door import Door
from tinypilot.input.server import Visitor

LOOK_ANYWAY_SECONDS = 1


class DoorGatekeeper:
    def __init__(self, door: Door):
        self._door = door
        self._thread = ThreadPoolExecutor(max_workers=1)
        self._revision: int | None = None
        self._looked_at = 0.0

    async def find(self, token: str) -> Visitor | None:
        session = await self._ask(self._door.find, token)
        if session is None:
            return None
        return Visitor(session.user, session.may("operator"))

    async def no_longer_valid(self, tokens: set[str]) -> set[str]:
        """Looks when anything changed at the door, and else each second: time ends sessions, too."""
        try:
            return await self._ask(self._look, tokens)
        except sqlite3.Error:
            traceback.print_exc()
            self._revision = None
            return set()

    def _look(self, tokens: set[str]) -> set[str]:
        now, before = time.monotonic(), self._revision
        self._revision = self._door.store.revision
        if self._revision == before and now - self._looked_at < LOOK_ANYWAY_SECONDS:
            return set()
        self._looked_at = now
        return {token for token in tokens if not self._door.find(token)}

    async def _ask(self, question, *arguments):
        return await asyncio.get_running_loop().run_in_executor(self._thread, question, *arguments)
