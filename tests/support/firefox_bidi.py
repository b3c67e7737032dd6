#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Starts Firefox, and stands between it and Playwright, which is told to run this instead of Firefox.

Playwright asks for what the newest Firefox knows of WebDriver BiDi. Debian's has no command yet for the preferred
colours, without which Playwright opens no page; they are set here by Firefox' own preference.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import re
import sys

from aiohttp import ClientSession, ClientWebSocketResponse, web

FIREFOX = "firefox"
# The preference can only be set by Firefox' own scripts.
MAY_USE_ITS_OWN_SCRIPTS = "--remote-allow-system-access"
COLOURS_COMMAND = "emulation.setMediaFeaturesOverride"
# As the preference has it; 2 is what the system prefers.
COLOURS = {"dark": 0, "light": 1, None: 2}
# Playwright counts its own commands up from 1.
FIRST_ID = 1 << 40
LONGEST_LINE_BYTES = 1 << 24


class Link:
    """One connection of Playwright's, and the one to Firefox that belongs to it."""

    def __init__(self, playwright: web.WebSocketResponse, firefox: ClientWebSocketResponse):
        self._playwright = playwright
        self._firefox = firefox
        self._ids = itertools.count(FIRST_ID)
        self._answers: dict[int, asyncio.Future] = {}

    async def run(self) -> None:
        """Until one of them closes."""
        ways = [asyncio.create_task(self._ask()), asyncio.create_task(self._answer())]
        await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        for way in ways:
            way.cancel()
        await asyncio.gather(self._playwright.close(), self._firefox.close())

    async def _ask(self) -> None:
        async with asyncio.TaskGroup() as own:
            async for message in self._playwright:
                command = json.loads(message.data)
                if command["method"] == COLOURS_COMMAND:
                    own.create_task(self._prefer_colours(command))
                else:
                    await self._firefox.send_str(message.data)

    async def _answer(self) -> None:
        async for message in self._firefox:
            answer = json.loads(message.data)
            if own := self._answers.pop(answer.get("id"), None):
                own.set_result(answer)
            else:
                await self._playwright.send_str(message.data)

    async def _prefer_colours(self, command: dict) -> None:
        value = COLOURS[command["params"]["features"].get("prefers-color-scheme")]
        windows = await self._ask_firefox("browsingContext.getTree", {"moz:scope": "chrome"})
        answer = windows
        if windows["type"] == "success":
            name = "layout.css.prefers-color-scheme.content-override"
            script = {
                "expression": f"Services.prefs.setIntPref('{name}', {value})",
                "target": {"context": windows["result"]["contexts"][0]["context"]},
                "awaitPromise": False,
            }
            answer = await self._ask_firefox("script.evaluate", script)
        await self._playwright.send_json({**answer, "id": command["id"]})

    async def _ask_firefox(self, method: str, params: dict) -> dict:
        number = next(self._ids)
        answer = self._answers[number] = asyncio.get_running_loop().create_future()
        await self._firefox.send_json({"id": number, "method": method, "params": params})
        return await answer


async def serve(firefox_url: str) -> str:
    """Lets Playwright in; returns where."""

    async def join(request: web.Request) -> web.WebSocketResponse:
        playwright = web.WebSocketResponse(max_msg_size=0)
        await playwright.prepare(request)
        async with (
            ClientSession() as client,
            client.ws_connect(firefox_url + request.path, max_msg_size=0) as firefox,
        ):
            await Link(playwright, firefox).run()
        return playwright

    app = web.Application()
    app.router.add_get("/session", join)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    return "ws://{}:{}".format(*runner.addresses[0])


async def main() -> int:
    firefox = await asyncio.create_subprocess_exec(
        FIREFOX,
        MAY_USE_ITS_OWN_SCRIPTS,
        *sys.argv[1:],
        stderr=asyncio.subprocess.PIPE,
        limit=LONGEST_LINE_BYTES,
    )
    async for line in firefox.stderr:
        said = line.decode(errors="replace")
        if listens := re.search(r"WebDriver BiDi listening on (ws://\S+)", said):
            said = said.replace(listens[1], await serve(listens[1]))
        with contextlib.suppress(BrokenPipeError):
            print(said, end="", file=sys.stderr, flush=True)
    return await firefox.wait()


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
