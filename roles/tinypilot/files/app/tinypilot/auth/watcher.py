# SPDX-License-Identifier: MIT
"""Whether the sessions of open WebSockets, and the tokens of programs, still hold, for programs with an event loop.

The database is read in a thread of its own: a slow SD card must hold up neither a key nor an answer of Janus.
"""

from __future__ import annotations

import asyncio
import sqlite3
import time
import traceback
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from tinypilot.auth.auth import Auth
from tinypilot.auth.sessions import Session

RECHECK_SECONDS = 1

Answer = TypeVar("Answer")


class SessionWatcher:
    def __init__(self, auth: Auth):
        self._auth = auth
        self._thread = ThreadPoolExecutor(max_workers=1)
        self._revision: int | None = None
        self._checked_at = 0.0

    async def session_in(self, cookies: str) -> tuple[str, Session | None]:
        """The token in the Cookie header of a request, and its session. Raises sqlite3.Error: nobody is let in whose
        session can't be looked up."""

        def ask() -> tuple[str, Session | None]:
            token = self._auth.token_in(cookies)
            return token, self._auth.session_for(token)

        return await self._in_thread(ask)

    async def session_of(self, token: str) -> Session | None:
        """Of a session's token or an API token, which the web app was shown. Raises sqlite3.Error."""
        return await self._in_thread(lambda: self._auth.holder_of(token))

    async def expired(self, tokens: set[str]) -> set[str]:
        """Which of these belong to no session any more. To be asked several times a second: it checks them when the
        database has changed, and else each second, because time ends sessions, too. A database that can't be read ends
        no session, and is asked again."""
        try:
            return await self._in_thread(lambda: self._check(tokens))
        except sqlite3.Error:
            traceback.print_exc()
            self._revision = None
            return set()

    def _check(self, tokens: set[str]) -> set[str]:
        now, before = time.monotonic(), self._revision
        self._revision = self._auth.store.revision
        if self._revision == before and now - self._checked_at < RECHECK_SECONDS:
            return set()
        self._checked_at = now
        return {token for token in tokens if not self._auth.holder_of(token)}

    async def _in_thread(self, ask: Callable[[], Answer]) -> Answer:
        return await asyncio.get_running_loop().run_in_executor(self._thread, ask)
