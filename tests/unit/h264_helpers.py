# SPDX-License-Identifier: MIT
"""H.264 of a real encoder, and a memsink that a test writes as uStreamer does."""

import asyncio
import ctypes
import fcntl
import os
import struct
from pathlib import Path

import av
from tinypilot.video import memsink
from tinypilot.video.memsink import LAYOUTS

ROOM_BYTES = 2 * 1024 * 1024


def encode(count: int, gop: int, size: tuple[int, int] = (320, 240), **options: str) -> list[bytes]:
    """So many access units as uStreamer's encoder makes them; each key frame has its parameter sets."""
    codec = av.CodecContext.create("libx264", "w")
    assert isinstance(codec, av.VideoCodecContext)
    codec.width, codec.height = size
    codec.pix_fmt = "yuv420p"
    codec.framerate = 30
    codec.gop_size = gop
    codec.options = {
        "preset": "ultrafast",
        "tune": "zerolatency",
        "profile": "baseline",
        "x264-params": f"keyint={gop}:min-keyint={gop}:scenecut=0:repeat-headers=1",
        **options,
    }
    units = []
    for number in range(count):
        frame = av.VideoFrame(*size, "yuv420p")
        for plane in frame.planes:
            plane.update(bytes([(number * 7) % 256]) * plane.buffer_size)
        frame.pts = number
        units += [bytes(packet) for packet in codec.encode(frame)]
    return units


class FakeSink:
    """uStreamer's end of a memsink of this layout version."""

    def __init__(self, path: Path, version: int):
        self.layout = next(each for each in LAYOUTS if each.version == version)
        self._path = path
        self._number = 0
        self._fd = os.open(path, os.O_RDWR | os.O_CREAT, 0o660)
        os.ftruncate(self._fd, self.layout.data + ROOM_BYTES)
        os.pwrite(self._fd, struct.pack("<QI", memsink.MAGIC, version), 0)

    @property
    def is_read(self) -> bool:
        """Somebody gave a sign of life."""
        return any(os.pread(self._fd, memsink.TIME_BYTES, self.layout.reader_seen))

    @property
    def is_open(self) -> bool:
        """This process has it open, beside this end."""
        return [
            os.path.realpath(f"/proc/self/fd/{fd}") for fd in os.listdir("/proc/self/fd")
        ].count(os.path.realpath(self._path)) > 1

    @property
    def is_asked_for_key(self) -> bool:
        return (
            bool(self.layout.key_request)
            and os.pread(self._fd, 1, self.layout.key_request) == b"\1"
        )

    @is_asked_for_key.setter
    def is_asked_for_key(self, asked: bool) -> None:
        os.pwrite(self._fd, bytes([asked]), self.layout.key_request)

    def put(self, data: bytes, captured: float | None = None, used: int | None = None) -> None:
        """captured: when, by memsink.now(); None: now."""
        self._number += 1
        fcntl.flock(self._fd, fcntl.LOCK_EX)
        os.pwrite(self._fd, data, self.layout.data)
        captured = memsink.now() if captured is None else captured
        stamp = ctypes.c_longdouble(captured + self.layout.ahead())
        os.pwrite(self._fd, bytes(stamp), self.layout.captured)
        used = len(data) if used is None else used
        os.pwrite(self._fd, struct.pack("<QQ", self._number, used), memsink.AT_ID)
        fcntl.flock(self._fd, fcntl.LOCK_UN)

    async def write(self, data: bytes, age: float = 0) -> None:
        """And waits until it has been fetched: a test must not be faster than the reader."""
        os.pwrite(self._fd, bytes(memsink.TIME_BYTES), self.layout.reader_seen)
        self.put(data, memsink.now() - age)
        async with asyncio.timeout(20):
            while not self.is_read:
                await asyncio.sleep(0.001)
