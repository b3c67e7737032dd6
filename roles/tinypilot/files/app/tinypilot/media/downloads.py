# SPDX-License-Identifier: MIT
"""Images that the device fetches itself. The bytes come from a program that has the network and no files (fetch.py);
here they are an upload as any other, which goes on after whatever has ended it, a restart included.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import unicodedata
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from urllib.parse import unquote

from tinypilot.errors import ApiError
from tinypilot.media.images import (
    BLOCK_BYTES,
    MIB,
    Facts,
    Images,
    UnpackingError,
    Upload,
    check_name,
)
from tinypilot.media.threads import in_thread

# Two at once, and a few whose refusal nobody has looked at yet.
RUNNING_MAX = 2
KEPT_MAX = 10
# Of fetch.py, and what the way there takes.
HEAD_SECONDS = 45
# Longer than fetch.py waits for its server.
SILENCE_SECONDS = 45
# What has arrived is on the disk at least so often.
SYNC_BYTES = 16 * MIB
# One after the other, while less than that comes each time: a router that restarts is back within that.
PROGRESS_BYTES = MIB
PAUSES_SECONDS = (1, 2, 4, 8, 16, 30, 30, 30)

Lock = Callable[[str], asyncio.Lock]


@dataclass
class Download:
    """task: None when it has ended, and problem says why."""

    url: str
    task: asyncio.Task | None = None
    problem: ApiError | None = None


@dataclass(frozen=True)
class Answer:
    """What the server has, and the stream of it."""

    size: int
    version: str
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter


def name_in(url: object) -> str:
    """The last part of the path: what people call the file."""
    if not isinstance(url, str):
        return ""
    # A server may have a file whose name is written as macOS does it.
    return unicodedata.normalize("NFC", unquote(without_secrets(url).rpartition("/")[2]))


def without_secrets(url: str) -> str:
    """What follows may be one."""
    return url.partition("#")[0].partition("?")[0]


class Downloads:
    """arriving: the lock of an upload; finish: of one that has arrived."""

    def __init__(
        self,
        images: Images,
        socket: Path,
        *,
        changing: asyncio.Lock,
        arriving: Lock,
        finish: Callable[[Upload], Awaitable[str]],
    ):
        self._images = images
        self._socket = socket
        self._changing = changing
        self._arriving = arriving
        self._finish = finish
        self._downloads: dict[str, Download] = {}

    def all(self) -> dict[str, Download]:
        return dict(self._downloads)

    def is_running(self, name: str) -> bool:
        return name in self._downloads and self._downloads[name].task is not None

    async def begin(self, url: object, name: object, sha256: object) -> Upload:
        """A new one, or the same one again, which goes on where it was."""
        name = check_name(name)
        if self.is_running(name):
            raise ApiError(409, "{name} is being fetched already.", name=name)
        if sum(1 for each in self._downloads.values() if each.task) >= RUNNING_MAX:
            raise ApiError(
                409,
                "{most} images are being fetched: wait for one of them, or give it up.",
                most=RUNNING_MAX,
            )
        there = self._images.find_upload(name)
        if there and url == "":
            url = there.facts.url
        if there and there.facts.url != url:
            raise ApiError(
                409,
                "Another file called {name} is being uploaded: continue that one, or delete it first.",
                name=name,
            )
        # So that nobody begins it twice.
        self._downloads[name] = Download(str(url), asyncio.current_task())
        answer = None
        try:
            if there is None or there.offset < there.facts.size:
                answer = await self._ask(url, there)
            facts = there.facts if there else Facts(0)
            begin = partial(
                self._images.begin,
                name,
                answer.size if answer else facts.size,
                facts.sha256 if sha256 == "" else sha256,
                url=str(url),
                version=answer.version if answer else facts.version,
            )
            async with self._changing:
                upload = await in_thread(begin)
        except BaseException:
            self._downloads.pop(name, None)
            if answer:
                answer.writer.close()
            raise
        self._run(name, str(url), answer)
        return upload

    def go_on(self) -> None:
        """With what a restart has interrupted."""
        for each in self._images.uploads():
            if url := self._images.upload(each["name"]).facts.url:
                self._run(each["name"], url, None)

    async def give_up(self, name: str) -> bool:
        """Whether there was one. What has arrived of it is left to others."""
        download = self._downloads.pop(name, None)
        if download and download.task:
            download.task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await download.task
        return download is not None

    async def end(self) -> None:
        for name in list(self._downloads):
            await self.give_up(name)

    def _run(self, name: str, url: str, answer: Answer | None) -> None:
        download = self._downloads[name] = Download(url)
        download.task = asyncio.create_task(self._fetch(name, download, answer))

    async def _fetch(self, name: str, download: Download, answer: Answer | None) -> None:
        try:
            await self._fetch_all(name, answer)
        except ApiError as problem:
            download.task, download.problem = None, problem
            if isinstance(problem, UnpackingError):
                async with self._changing:
                    self._images.cancel(name)
            self._forget_some()
        except OSError as error:
            download.task = None
            download.problem = ApiError(
                503,
                "The device's disk is full, defective or read-only ({reason}).",
                reason=error.strerror,
            )
            self._forget_some()
        else:
            del self._downloads[name]

    def _forget_some(self) -> None:
        ended = [name for name, each in self._downloads.items() if not each.task]
        for name in ended[:-KEPT_MAX]:
            del self._downloads[name]

    async def _fetch_all(self, name: str, answer: Answer | None) -> None:
        upload = self._images.upload(name)
        pauses = iter(PAUSES_SECONDS)
        while upload.offset < upload.facts.size:
            before = upload.offset
            problem: ApiError | None = None
            try:
                answer = answer or await self._ask(upload.facts.url, upload)
                async with self._arriving(name):
                    await self._receive(upload, answer)
            except ApiError as error:
                if error.status != 502:
                    raise
                problem = error
            finally:
                if answer:
                    answer.writer.close()
                answer = None
            is_whole = upload.offset >= upload.facts.size
            if is_whole or upload.offset - before >= PROGRESS_BYTES:
                pauses = iter(PAUSES_SECONDS)
            elif (pause := next(pauses, None)) is not None:
                await asyncio.sleep(pause)
            else:
                raise problem or ApiError(
                    502, "The server ends before the end of {name}, again and again.", name=name
                )
        async with self._arriving(name):
            await self._finish(upload)

    async def _receive(self, upload: Upload, answer: Answer) -> None:
        if (answer.size, answer.version) != (upload.facts.size, upload.facts.version):
            raise ApiError(
                409,
                "The server has another file now: give {name} up, and begin anew.",
                name=upload.path.name,
            )
        if upload.unpacked:
            await in_thread(upload.sha256)
        synced = upload.offset
        try:
            async for block in _blocks(answer.reader):
                wanted = block[: upload.facts.size - upload.offset]
                await in_thread(partial(upload.append, wanted))
                if upload.offset - synced >= SYNC_BYTES:
                    await in_thread(upload.sync)
                    synced = upload.offset
                if upload.offset >= upload.facts.size:
                    return
        finally:
            await in_thread(upload.sync)

    async def _ask(self, url: object, upload: Upload | None) -> Answer:
        asked = {"url": url, "offset": 0, "version": ""}
        if upload:
            asked |= {"offset": upload.offset, "version": upload.facts.version}
        writer = None
        try:
            async with asyncio.timeout(HEAD_SECONDS):
                reader, writer = await asyncio.open_unix_connection(
                    str(self._socket), limit=2 * BLOCK_BYTES
                )
                writer.write(json.dumps(asked).encode() + b"\n")
                await writer.drain()
                told = json.loads(await reader.readline())
            if "size" in told:
                return Answer(told["size"], told["version"], reader, writer)
        except FileNotFoundError as error:
            raise ApiError(
                403,
                "This device fetches no images: tinypilot_media_sources in the inventory says where from.",
            ) from error
        except (OSError, ValueError) as error:
            if writer:
                writer.close()
            raise ApiError(
                502,
                "The program that fetches images does not answer. See `journalctl -u 'tinypilot-fetch@*'`.",
            ) from error
        writer.close()
        raise ApiError.of_another_program(told["status"], told["sentence"], told["values"])


async def _blocks(reader: asyncio.StreamReader) -> AsyncIterator[bytes]:
    """Until nothing comes any more."""
    with contextlib.suppress(TimeoutError, ConnectionError):
        while True:
            async with asyncio.timeout(SILENCE_SECONDS):
                block = await reader.read(BLOCK_BYTES)
            if not block:
                return
            yield block
