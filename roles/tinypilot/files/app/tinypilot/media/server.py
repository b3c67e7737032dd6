# SPDX-License-Identifier: MIT
"""Keeps the images and puts them into the drives: what the web app asks for, and the pieces of uploads from nginx.

A process of its own, as a user who may open the images, and of the gadget the drives' files alone. It knows no
sessions: only the web app and nginx may open its socket. The web app has checked who asks for what, for each piece as
well (routes/media.py).
"""

import asyncio
import contextlib
import json
import os
import socket
from collections import defaultdict
from collections.abc import AsyncIterator, Callable
from dataclasses import asdict
from functools import partial
from pathlib import Path

from aiohttp import web

from tinypilot import audit, healing
from tinypilot.config import Config
from tinypilot.errors import ApiError
from tinypilot.media.downloads import Downloads, name_in, without_secrets
from tinypilot.media.drives import Drives
from tinypilot.media.images import (
    BLOCK_BYTES,
    MIB,
    Images,
    UnpackingError,
    Upload,
    image_of,
)
from tinypilot.media.threads import in_thread

SYSTEMD_SOCKET = 3
# The web app takes 64 KiB, of which each byte may be three here. What it passes on is refused in a sentence.
REQUEST_BYTES = 256 * 1024
# A piece ends when it is this large, or takes so long: the next one is looked at anew, and a session that has ended
# sends no more. What has arrived by then is kept.
PIECE_BYTES = 16 * MIB
PIECE_SECONDS = 30
LOOK_SECONDS = 1


class Media:
    def __init__(self, images: Images, drives: Drives, fetch_socket: Path):
        self._images = images
        self._drives = drives
        # One change at a time, but for the pieces of uploads of several names.
        self._changing = asyncio.Lock()
        self._arriving: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._downloads = Downloads(
            images,
            fetch_socket,
            changing=self._changing,
            arriving=lambda name: self._arriving[name],
            finish=self._finish,
        )
        self._inserted: dict[int, str] = {}

    def application(self) -> web.Application:
        application = web.Application(
            middlewares=[_describe_refusal], client_max_size=REQUEST_BYTES
        )
        application.router.add_get("/api/media", self.tell)
        application.router.add_post("/api/media/uploads", self.begin)
        application.router.add_put(r"/api/media/uploads/{name}/{offset:\d{1,18}}", self.take_piece)
        application.router.add_delete("/api/media/uploads/{name}", self.cancel)
        application.router.add_post("/api/media/downloads", self.download)
        application.router.add_post("/api/media/disks", self.make_disk)
        application.router.add_delete("/api/media/images/{name}", self.delete)
        application.router.add_put(r"/api/media/drives/{number:\d}", self.insert)
        application.router.add_post(r"/api/media/drives/{number:\d}/eject", self.eject)
        application.cleanup_ctx.append(self._keep_looking)
        application.cleanup_ctx.append(self._keep_fetching)
        return application

    # --- What there is ---

    async def tell(self, _: web.Request) -> web.Response:
        problem = None
        try:
            self._drives.check_there_are_any()
        except ApiError as refusal:
            problem = _refusal(refusal)
        return web.json_response(
            {
                "images": self._images.images(),
                "uploads": self._images.uploads(),
                "downloads": [
                    {
                        "name": name,
                        "url": without_secrets(download.url),
                        "problem": _refusal(download.problem) if download.problem else None,
                    }
                    for name, download in self._downloads.all().items()
                ],
                "drives": [asdict(drive) for drive in self._drives.all()],
                "problem": problem,
                "room": self._images.room(),
            }
        )

    # --- Uploads ---

    async def begin(self, request: web.Request) -> web.Response:
        asked = await _object(request)
        async with self._changing:
            upload = await in_thread(
                partial(
                    self._images.begin,
                    asked.get("name"),
                    asked.get("size"),
                    asked.get("sha256", ""),
                    asked.get("tag", ""),
                )
            )
        return _told(upload)

    async def take_piece(self, request: web.Request) -> web.Response:
        name, offset = request.match_info["name"], int(request.match_info["offset"])
        self._images.upload(name)
        # A sender whose line broke comes back before its old connection is known to be gone.
        async with self._arriving[name]:
            upload = self._images.upload(name)
            if offset != upload.offset:
                raise ApiError(
                    409,
                    "This piece begins at {offset}, and {there} bytes have arrived: go on there.",
                    offset=offset,
                    there=upload.offset,
                )
            if upload.facts.url:
                raise ApiError(
                    409, "{name} is fetched by the device itself: give that up first.", name=name
                )
            most = min(PIECE_BYTES, upload.facts.size - offset)
            if (request.content_length or 0) > most:
                raise ApiError(
                    413, "A piece may have {most} bytes here: send less at once.", most=most
                )
            async with self._given_up_if_of_no_use(name):
                if upload.unpacked:
                    # What came before a restart is unpacked anew, and as long as it takes.
                    await in_thread(upload.sha256)
                try:
                    async with asyncio.timeout(PIECE_SECONDS):
                        await self._receive(request, upload, most)
                except TimeoutError:
                    pass
                finally:
                    # Also what a line that breaks has brought.
                    await in_thread(upload.sync)
                if upload.offset < upload.facts.size:
                    return _told(upload)
                return _told(upload, await self._finish(upload))

    @contextlib.asynccontextmanager
    async def _given_up_if_of_no_use(self, name: str) -> AsyncIterator[None]:
        try:
            yield
        except UnpackingError:
            async with self._changing:
                self._images.cancel(name)
            raise

    async def _finish(self, upload: Upload) -> str:
        name = upload.path.name
        # Nobody else waits for that: it may have to be read anew.
        await in_thread(upload.sha256)
        async with self._changing:
            sha256 = await in_thread(partial(self._images.finish, name))
        size = upload.unpacked.size if upload.unpacked else upload.facts.size
        audit.note("media_arrived", f"{image_of(name)} has arrived: {size} bytes, SHA-256 {sha256}")
        return sha256

    @staticmethod
    async def _receive(request: web.Request, upload: Upload, most: int) -> None:
        left, waiting = most, bytearray()
        try:
            async for block in request.content.iter_any():
                # More than was announced, of a sender that announces nothing.
                waiting += block[:left]
                left -= len(block)
                if len(waiting) >= BLOCK_BYTES:
                    arrived, waiting = waiting, bytearray()
                    await in_thread(partial(upload.append, bytes(arrived)))
                if left < 0:
                    raise ApiError(
                        413, "A piece may have {most} bytes here: send less at once.", most=most
                    )
        finally:
            if waiting:
                await in_thread(partial(upload.append, bytes(waiting)))

    async def download(self, request: web.Request) -> web.Response:
        asked = await _object(request)
        url, name = asked.get("url"), asked.get("name", "")
        if name == "":
            name = name_in(url)
        return _told(await self._downloads.begin(url, name, asked.get("sha256", "")))

    async def _keep_fetching(self, _: web.Application) -> AsyncIterator[None]:
        self._downloads.go_on()
        yield
        await self._downloads.end()

    async def cancel(self, request: web.Request) -> web.Response:
        name = request.match_info["name"]
        was_fetched = await self._downloads.give_up(name)
        if was_fetched and not self._images.find_upload(name):
            return web.json_response({})
        self._images.upload(name)
        async with self._arriving[name], self._changing:
            self._images.cancel(name)
        return web.json_response({})

    # --- Images ---

    async def make_disk(self, request: web.Request) -> web.Response:
        asked = await _object(request)
        async with self._changing:
            await in_thread(partial(self._images.make_disk, asked.get("name"), asked.get("size")))
        return web.json_response({})

    async def delete(self, request: web.Request) -> web.Response:
        name = request.match_info["name"]
        async with self._changing:
            self._check_not_inserted(name)
            self._images.delete(name)
        return web.json_response({})

    def _check_not_inserted(self, name: str) -> None:
        if drive := self._drives.of(name):
            raise ApiError(
                409,
                "{name} is in use: eject it from drive {number} first.",
                name=name,
                number=drive.number,
            )

    # --- Drives ---

    async def insert(self, request: web.Request) -> web.Response:
        number, asked = int(request.match_info["number"]), await _object(request)
        is_writable = bool(asked.get("is_writable"))
        async with self._changing:
            drive = self._drives.drive(number)
            path = self._images.path_of(asked.get("image"))
            self._check_not_inserted(path.name)
            if is_writable and drive.kind == "cdrom":
                raise ApiError(
                    400, "Drive {number} is a CD-ROM: nothing can be written to it.", number=number
                )
            if is_writable:
                await in_thread(partial(self._images.will_change, path.name))
            if drive.image:
                await self._eject(number, is_forced=False)
            await in_thread(partial(self._drives.insert, number, path, is_writable))
            self._inserted[number] = path.name
        return web.json_response({})

    async def eject(self, request: web.Request) -> web.Response:
        number, asked = int(request.match_info["number"]), await _object(request)
        async with self._changing:
            self._drives.drive(number)
            await self._eject(number, bool(asked.get("is_forced")))
        return web.json_response({})

    async def _eject(self, number: int, is_forced: bool) -> None:
        # The kernel ends first what the computer is just doing.
        await in_thread(partial(self._drives.eject, number, is_forced))
        self._inserted.pop(number, None)

    async def _keep_looking(self, _: web.Application) -> AsyncIterator[None]:
        self._inserted = {drive.number: drive.image for drive in self._drives.all() if drive.image}
        task = asyncio.create_task(self._look_for_ejects())
        yield
        task.cancel()

    async def _look_for_ejects(self) -> None:
        """The computer ejects without asking."""
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            async with self._changing:
                self.note_ejects()

    def note_ejects(self) -> None:
        if not self._inserted:
            return
        there = {drive.number: drive.image for drive in self._drives.all()}
        for number, image in list(self._inserted.items()):
            if there.get(number) != image:
                del self._inserted[number]
                audit.note(
                    "media_ejected",
                    f"the computer ejected {image} from drive {number}",
                    drive=number,
                )


def _told(upload: Upload, sha256: str = "") -> web.Response:
    """sha256: of the whole image, when all has arrived."""
    name, size = upload.path.name, upload.facts.size
    return web.json_response(
        {
            "name": name,
            "image": image_of(name),
            "size": size,
            "offset": upload.offset,
            "sha256": sha256,
        }
    )


async def _object(request: web.Request) -> dict:
    asked = await request.json()
    if not isinstance(asked, dict):
        raise ApiError(400, "The request must hold one JSON object.")
    return asked


def _refusal(error: ApiError) -> dict:
    """As the web app can say it in the reader's language; nginx hands it on as it is."""
    return {"error": str(error), "sentence": error.sentence, "values": error.values}


@web.middleware
async def _describe_refusal(request: web.Request, handler: Callable) -> web.StreamResponse:
    try:
        return await handler(request)
    except ApiError as error:
        return web.json_response(_refusal(error), status=error.status)
    except (json.JSONDecodeError, UnicodeDecodeError):
        refusal = ApiError(400, "The request must hold one JSON object.")
        return web.json_response(_refusal(refusal), status=refusal.status)
    except OSError as error:
        refusal = ApiError(
            503,
            "The device's disk is full, defective or read-only ({reason}).",
            reason=error.strerror,
        )
        return web.json_response(_refusal(refusal), status=refusal.status)


def main() -> None:
    os.umask(0o077)
    config = Config.from_environment()
    images = Images(config.media_dir, config.media_max_mib * MIB, config.media_free_mib * MIB)
    drives = Drives(config.media_drives)
    application = Media(images, drives, config.media_fetch_socket).application()
    application.cleanup_ctx.append(healing.give_signs_of_life)
    web.run_app(application, sock=socket.socket(fileno=SYSTEMD_SOCKET), print=None, access_log=None)


if __name__ == "__main__":
    main()
