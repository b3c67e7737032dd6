# SPDX-License-Identifier: MIT
"""Tells Prometheus (GET /metrics, through nginx) and the web app (GET /facts) of the device.

A process of its own, as a user who may open uStreamer's sink and nothing else: a decoder is at work here, and nothing
that is asked of it may delay a frame, a key or a healing. nginx lets nobody ask who has no session or token.
"""

import asyncio
import socket
import time
from collections.abc import AsyncIterator

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST

from tinypilot import healing
from tinypilot.config import Config
from tinypilot.monitoring import facts, metrics, observations
from tinypilot.monitoring.facts import Facts
from tinypilot.monitoring.sampler import Sampler
from tinypilot.settings.apply import HEALABLE
from tinypilot.video.memsink import Memsink

SYSTEMD_SOCKET = 3
# Who asks more often, or at once, gets the same.
FRESH_SECONDS = 1.0


class Teller:
    def __init__(self, config: Config):
        self._units = sorted({*config.services, *HEALABLE})
        self._sampler = Sampler(
            Memsink(config.h264_sink),
            lambda: bool(facts.has_signal(observations.read("supervisor"))),
            facts.problem_of_source,
        )
        self._gathering = asyncio.Lock()
        self._facts: Facts | None = None
        self._gathered_at = 0.0

    def application(self) -> web.Application:
        application = web.Application()
        application.router.add_get("/metrics", self.tell_prometheus)
        application.router.add_get("/facts", self.tell_web_app)
        application.cleanup_ctx.append(self._keep_sampling)
        return application

    async def tell_prometheus(self, _: web.Request) -> web.Response:
        text = metrics.exposition(await self._gather(waits=True))
        return web.Response(body=text, headers={"Content-Type": CONTENT_TYPE_LATEST})

    async def tell_web_app(self, _: web.Request) -> web.Response:
        return web.json_response((await self._gather(waits=False)).told())

    async def _gather(self, waits: bool) -> Facts:
        """waits: for the first frames that are decoded."""
        async with self._gathering:
            if self._facts is None or time.monotonic() - self._gathered_at > FRESH_SECONDS:
                video = await self._sampler.verdict(waits)
                self._facts = await facts.gather(self._units, video)
                self._gathered_at = time.monotonic()
            return self._facts

    async def _keep_sampling(self, _: web.Application) -> AsyncIterator[None]:
        task = asyncio.create_task(self._sampler.keep_sampling())
        yield
        task.cancel()


def main() -> None:
    application = Teller(Config.from_environment()).application()
    application.cleanup_ctx.append(healing.give_signs_of_life)
    web.run_app(application, sock=socket.socket(fileno=SYSTEMD_SOCKET), print=None, access_log=None)


if __name__ == "__main__":
    main()
