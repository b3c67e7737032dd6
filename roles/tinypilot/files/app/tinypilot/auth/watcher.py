# SPDX-License-Identifier: MIT
"""Whether sessions still hold, asked in a thread of its own: a slow SD card must not hold up a key."""

from __future__ import annotations

import asyncio
import sqlite3
import time
import traceback
from concurrent.futures import ThreadPoolExecutor

from tinypilot.auth.auth import Auth
from tinypilot.hid.server import Identity

LOOK_ANYWAY_SECONDS = 1


class SessionWatcher:
    def __init__(self, auth: Auth):
        self._auth = auth
        self._thread = ThreadPoolExecutor(max_workers=1)
        self._revision: int | None = None
        self._looked_at = 0.0

    async def session_for(self, token: str) -> Identity | None:
        session = await self._ask(self._auth.session_for, token)
        if session is None:
            return None
        return Identity(session.user, session.may("operator"))

    async def expired(self, tokens: set[str]) -> set[str]:
        """Looks when anything changed in the database, and else each second: time ends sessions, too."""
        try:
            return await self._ask(self._look, tokens)
        except sqlite3.Error:
            traceback.print_exc()
            self._revision = None
            return set()

    def _look(self, tokens: set[str]) -> set[str]:
        now, before = time.monotonic(), self._revision
        self._revision = self._auth.store.revision
        if self._revision == before and now - self._looked_at < LOOK_ANYWAY_SECONDS:
            return set()
        self._looked_at = now
        return {token for token in tokens if not self._auth.session_for(token)}

    async def _ask(self, question, *arguments):
        return await asyncio.get_running_loop().run_in_executor(self._thread, question, *arguments)
