# SPDX-License-Identifier: MIT
"""Reader for the shared memory ("memsink") into which uStreamer puts its newest H.264 frame.

Knows the layouts of uStreamer 4.0 to 6.62 on 64-bit machines, as the bundled Janus plugin does. The memory is never
mapped: all access is pread() and pwrite(), so a writer that truncates it can't kill the reader.
"""

import contextlib
import ctypes
import fcntl
import math
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tinypilot.video.h264 import IDR, SPS, first_units

MAGIC = 0xCAFEBABECAFEBABE
AT_VERSION = 8
AT_ID = 16
AT_USED = 24
HEADER_BYTES = 160
LARGEST_FRAME_BYTES = 32 * 1024 * 1024
PAGE_BYTES = 4096
# uStreamer's --h264-sink-client-ttl, which it has without the option: for so long it encodes for a reader.
READER_SECONDS = 10
# With parameter sets and what else stands before the first slice.
FIRST_UNITS_BYTES = 512
# uStreamer's times: seconds as a long double.
TIME_BYTES = 16


@dataclass(frozen=True)
class Layout:
    """Offsets in bytes: when the frame was captured, when a reader was last seen, whether one asks for a key frame
    (0: this version can't be asked), and the frame itself."""

    version: int
    captured: int
    reader_seen: int
    key_request: int
    data: int

    def ahead(self) -> float:
        """Seconds by which the clock of uStreamer's stamps is ahead of now(). Until 5.41 it was one that no time
        server corrects, and the two drift apart by seconds a day. (5.32 to 5.41 have layout 4, too, and are not told
        apart.)"""
        return time.clock_gettime(time.CLOCK_MONOTONIC_RAW) - now() if self.version < 4 else 0.0


# Versions 5 and 7 are not what one expects: see memsink.c of the plugin.
LAYOUTS = (
    Layout(2, 64, 112, 0, 128),
    Layout(3, 64, 112, 128, 129),
    Layout(4, 64, 112, 128, 129),
    Layout(5, 64, 112, 128, 20736),
    Layout(6, 64, 112, 128, 144),
    Layout(7, 96, 32, 48, 144),
    Layout(7, 80, 32, 48, 128),
    Layout(8, 96, 32, 48, 144),
    Layout(10, 112, 32, 64, 160),
)


@dataclass(frozen=True)
class Frame:
    """What was encoded; `captured`: when, by now(); `encoding_seconds`: what that took, with what it waited for."""

    data: bytes
    captured: float
    encoding_seconds: float


def layout_of(version: int, size: int) -> Layout | None:
    """The room for data is a multiple of the page size; what is left over of the object's size is its header."""
    known = [layout for layout in LAYOUTS if layout.version == version]
    fitting = [layout for layout in known if size % PAGE_BYTES == layout.data % PAGE_BYTES]
    return next(iter(fitting or known), None)


def now() -> float:
    """Seconds of CLOCK_MONOTONIC."""
    return time.monotonic()


def _number(data: bytes, at: int, size: int) -> int:
    return int.from_bytes(data[at : at + size], "little")


def _seconds(head: bytes, at: int) -> float:
    return ctypes.c_longdouble.from_buffer_copy(head[at : at + TIME_BYTES]).value


class Memsink:
    """Opened when it is there, and anew when a new one has taken its place: nobody need wait for uStreamer."""

    def __init__(self, path: Path):
        self._path = path
        self._fd = -1
        self._inode = 0
        self._size = 0
        self._layout: Layout | None = None
        self._last_id = 0

    @property
    def can_request_key(self) -> bool:
        return self._layout is not None and self._layout.key_request != 0

    def close(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
        self._fd, self._layout = -1, None

    def refresh(self) -> None:
        """Opens the sink if it is not, or if its name leads to another object by now."""
        if self._fd >= 0:
            try:
                if self._path.lstat().st_ino == self._inode:
                    return
            except OSError:
                pass
            self.close()
        # /dev/shm is open to all, so the name may be a trap: no link is followed, and a FIFO is not waited for.
        with contextlib.suppress(OSError):
            self._fd = os.open(self._path, os.O_RDWR | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOFOLLOW)
            self._examine()
        if self._layout is None:
            self.close()

    def _examine(self) -> None:
        state = os.fstat(self._fd)
        head = os.pread(self._fd, HEADER_BYTES, 0)
        # The writer sets them last.
        if len(head) < HEADER_BYTES or _number(head, 0, 8) != MAGIC:
            return
        layout = layout_of(_number(head, AT_VERSION, 4), state.st_size)
        if layout and state.st_size > layout.data:
            self._layout, self._inode, self._size = layout, state.st_ino, state.st_size
            self._last_id = 0

    def has_news(self) -> bool:
        """Whether a fetch is worth while: a look without the lock."""
        if self._fd < 0:
            return False
        try:
            return _number(os.pread(self._fd, 8, AT_ID), 0, 8) != self._last_id
        except OSError:
            self.close()
            return False

    def glance(self) -> tuple[int, float] | None:
        """The newest frame's number, and when a reader was last seen, by now(). uStreamer takes no notice."""
        if self._layout is None:
            return None
        try:
            head = os.pread(self._fd, HEADER_BYTES, 0)
        except OSError:
            self.close()
            return None
        seen = _seconds(head, self._layout.reader_seen) - self._layout.ahead()
        return _number(head, AT_ID, 8), seen

    def looks_like_key(self) -> bool:
        """Whether a key frame may lie there, by its first bytes: a look without the lock. The frame itself may begin
        far behind its parameters."""
        if self._layout is None:
            return False
        try:
            head = os.pread(self._fd, FIRST_UNITS_BYTES, self._layout.data)
        except OSError:
            self.close()
            return False
        return any(kind in (IDR, SPS) for kind, _ in first_units(head))

    def wake(self, seconds: float) -> float | None:
        """Has uStreamer encode for so long, as if a reader had been seen some time ago, and asks for a key frame.
        Returns what lets it sleep again (let_sleep); None: a real reader is there, or the sink is busy or gone."""
        if self._layout is None:
            return None
        try:
            with self._locked() as is_locked:
                if not is_locked:
                    return None
                head = os.pread(self._fd, HEADER_BYTES, 0)
                seen = _seconds(head, self._layout.reader_seen)
                by_sink = now() + self._layout.ahead()
                stamp = by_sink - READER_SECONDS + seconds
                if stamp < seen <= by_sink:
                    return None
                self._sign(self._layout, stamp)
                if self._layout.key_request:
                    os.pwrite(self._fd, b"\1", self._layout.key_request)
                return stamp
        except OSError:
            self.close()
            return None

    def let_sleep(self, woken: float) -> None:
        """Unless a reader has come meanwhile, or another waker."""
        if self._layout is None:
            return
        with contextlib.suppress(OSError), self._locked() as is_locked:
            head = os.pread(self._fd, HEADER_BYTES, 0)
            if is_locked and _seconds(head, self._layout.reader_seen) == woken:
                self._sign(self._layout, 0)

    def _sign(self, layout: Layout, seen: float) -> None:
        """seen: by the sink's clock."""
        os.pwrite(self._fd, bytes(ctypes.c_longdouble(seen)), layout.reader_seen)

    def fetch(self, wants_key: bool, signs: bool = True) -> Frame | None:
        """The newest frame, if it was not fetched before; tells uStreamer that somebody reads (`signs`), and what is
        wanted.

        Never waits: a writer stopped with the lock held must not stop us. A writer that finds the sink locked
        drops its frame, so the lock is held for one copy only.
        """
        if self._layout is None:
            return None
        try:
            with self._locked() as is_locked:
                return self._exchange(self._layout, wants_key, signs) if is_locked else None
        except OSError:
            self.close()
            return None

    @contextlib.contextmanager
    def _locked(self) -> Iterator[bool]:
        try:
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
            return
        try:
            yield True
        finally:
            fcntl.flock(self._fd, fcntl.LOCK_UN)

    def _exchange(self, layout: Layout, wants_key: bool, signs: bool) -> Frame | None:
        if signs:
            self._sign(layout, now() + layout.ahead())
        if wants_key and layout.key_request:
            os.pwrite(self._fd, b"\1", layout.key_request)
        head = os.pread(self._fd, HEADER_BYTES, 0)
        if (
            _number(head, 0, 8) != MAGIC
            or _number(head, AT_VERSION, 4) != layout.version
            or os.fstat(self._fd).st_size != self._size
        ):
            # A new writer sets the object up again, perhaps with another layout.
            raise OSError("the sink has changed")
        number = _number(head, AT_ID, 8)
        if number == self._last_id:
            return None
        self._last_id = number
        used = _number(head, AT_USED, 8)
        if used > min(self._size - layout.data, LARGEST_FRAME_BYTES):
            return None
        seconds = _seconds(head, layout.captured) - layout.ahead()
        # In each layout the begin and the end of encoding stand behind it.
        begin, end = (_seconds(head, layout.captured + each * TIME_BYTES) for each in (1, 2))
        # Any bits can stand there.
        if not math.isfinite(seconds):
            seconds = now()
        encoding = end - begin if math.isfinite(end - begin) else 0.0
        return Frame(os.pread(self._fd, used, layout.data), seconds, encoding)


# Where they have another size, no offset above holds.
assert ctypes.sizeof(ctypes.c_longdouble) == TIME_BYTES
