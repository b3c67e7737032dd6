# SPDX-License-Identifier: MIT
"""The picture as H.264 over a WebSocket, for a page that WebRTC does not reach and that can decode it.

One reader takes the frames from uStreamer's memsink for all viewers. A frame needs those before it, so none can be
left out as JPEGs are. The page says which frames it has shown, no more is underway to it than its line and its
decoder take in half a second, and a frame that waits here for longer is left out with all that follow it up to the
next key frame, which uStreamer is asked for. So a slow line shows fewer pictures, never old ones.

A message to the page is the frame's age in microseconds, from its capture (4 bytes, big endian), 1 for a key frame or
0 (1 byte), and the access unit; without one it says that the relay lives. The page sends SHOWN for each frame, and
KEY when its decoder needs a key frame to go on.
"""

import asyncio
import contextlib
import struct
import time
import traceback
from collections import deque
from collections.abc import Callable, Iterator

from aiohttp import ClientError

from tinypilot.video import memsink
from tinypilot.video.h264 import AccessUnit, AccessUnits
from tinypilot.video.memsink import Memsink
from tinypilot.video.numbers import LATE, NO_KEY, REPLACED, FrameNumbers
from tinypilot.websockets import GuardedWebSocket

HEADER = struct.Struct(">IB")
LONGEST_AGE_US = 2**32 - 1
SHOWN = "shown"
KEY = "key"
SIGN_OF_LIFE_SECONDS = 1

# When to look into the sink, which tells nobody of news: closely when a frame is due.
LOOK_CLOSE_SECONDS = 0.001
LOOK_FAR_SECONDS = 0.005
EARLY_SECONDS = 0.002
# What lies between frames that are further apart is not worth a prediction.
LONGEST_INTERVAL_SECONDS = 0.25
INTERVAL_WEIGHT = 0.1
# How often it is seen to that the sink is still the same, and uStreamer told that somebody reads.
REFRESH_SECONDS = 0.1
# One viewer with a bad line must not make the picture of all others worse by key frames.
KEY_REQUEST_SECONDS = 0.5

# Of what may be underway to one page.
LATE_SECONDS = 0.5
FIRST_WINDOW_BYTES = 128 * 1024
SMALLEST_WINDOW_BYTES = 16 * 1024
LARGEST_WINDOW_BYTES = 512 * 1024
FIRST_WINDOW_FRAMES = 20
SMALLEST_WINDOW_FRAMES = 2
LARGEST_WINDOW_FRAMES = 60
GROWTH = 1.5
# So many a decoder may keep to itself until the next one comes.
MOST_HELD_FRAMES = 16
# For the first frame, of which nothing is known yet.
FIRST_PATIENCE_SECONDS = 1.0


class Window:
    """What is underway to one page, and how much may be: as many bytes as its line takes in LATE_SECONDS, and as many
    frames as its decoder does. Times are seconds of time.monotonic()."""

    def __init__(self) -> None:
        self._most_bytes = FIRST_WINDOW_BYTES
        self._most_frames = FIRST_WINDOW_FRAMES
        self._bytes = 0
        # Of each frame: when it was sent, its size, and bytes and frames that were underway then, itself included.
        self._underway: deque[tuple[float, int, int, int]] = deque()
        self._was_short = False
        # How many the decoder keeps until the next one comes: what is left where nothing moves.
        self._held = 0
        self._moved_at = 0.0
        # What any frame takes, however small: the way there and back, and a decoder's rhythm.
        self._fastest = FIRST_PATIENCE_SECONDS

    def has_room(self, now: float, size: int) -> bool:
        if self._is_drained(now):
            return True
        if now - self._underway[self._held][0] > self._fastest + LATE_SECONDS:
            return False
        has_room = (
            self._bytes + size <= self._most_bytes
            and len(self._underway) - self._held < self._most_frames
        )
        self._was_short |= not has_room
        return has_room

    def is_nearly_empty(self, now: float = 0) -> bool:
        return self._is_drained(now) or self._bytes <= self._most_bytes / 4

    def _is_drained(self, now: float) -> bool:
        is_still = now - self._moved_at > self._fastest + 2 * LATE_SECONDS
        if is_still and len(self._underway) <= MOST_HELD_FRAMES:
            self._held = max(self._held, len(self._underway))
        return len(self._underway) <= self._held

    def send(self, now: float, size: int) -> None:
        self._bytes += size
        self._moved_at = now
        self._underway.append((now, size, self._bytes, len(self._underway) + 1))

    def show(self, now: float) -> None:
        """The page has shown the oldest. IndexError: nothing was sent that it could show."""
        sent, size, bytes_then, frames_then = self._underway.popleft()
        self._bytes -= size
        self._moved_at = now
        self._held = min(self._held, len(self._underway))
        if self._held:
            # When that was sent which made the decoder give this one out.
            sent = self._underway[self._held - 1][0]
        is_alone = (
            frames_then - self._held <= SMALLEST_WINDOW_FRAMES and size <= SMALLEST_WINDOW_BYTES / 2
        )
        # The way may have become longer: what hardly anything else was underway with tells.
        self._fastest = now - sent if is_alone else min(self._fastest, now - sent)
        waited = now - sent - self._fastest
        if waited > LATE_SECONDS:
            # Line or decoder had something to do all the time, so that this is what they take.
            share = LATE_SECONDS / waited
            self._most_bytes = max(int(bytes_then * share), SMALLEST_WINDOW_BYTES)
            self._most_frames = max(int(frames_then * share), SMALLEST_WINDOW_FRAMES)
        elif waited < LATE_SECONDS / 2 and self._was_short:
            self._most_bytes = min(int(self._most_bytes * GROWTH), LARGEST_WINDOW_BYTES)
            self._most_frames = min(int(self._most_frames * GROWTH), LARGEST_WINDOW_FRAMES)
            self._was_short = False


class H264Viewer:
    """One page that watches, for as long as its session holds."""

    def __init__(
        self,
        token: str,
        client: GuardedWebSocket,
        ask_for_key: Callable[[], None],
        numbers: FrameNumbers,
    ):
        self.token = token
        self.sockets = (client,)
        self._client = client
        self._ask_for_key = ask_for_key
        self._numbers = numbers
        self._window = Window()
        self._needs_key = True
        # Since when, and what: for LATE_SECONDS at most.
        self._waiting: deque[tuple[float, AccessUnit]] = deque()
        self._has_news = asyncio.Event()
        self._tasks: set[asyncio.Task] = set()

    @property
    def is_ready_for_key(self) -> bool:
        return self._needs_key and self._window.is_nearly_empty(time.monotonic())

    def offer(self, unit: AccessUnit) -> None:
        """Takes the next frame of the stream, or leaves it out."""
        now = time.monotonic()
        self._drop_late(now)
        if unit.is_key:
            # Nobody needs what came before it.
            self._drop_waiting(REPLACED)
            self._needs_key = False
        elif unit.is_after_gap:
            self._needs_key = True
        if self._needs_key:
            self._numbers.drop(NO_KEY)
            return
        self._waiting.append((now, unit))
        self._has_news.set()

    def _drop_late(self, now: float) -> None:
        if self._waiting and now - self._waiting[0][0] > LATE_SECONDS:
            self._drop_waiting(LATE)
            self._needs_key = True

    def _drop_waiting(self, reason: str) -> None:
        self._numbers.drop(reason, len(self._waiting))
        self._waiting.clear()

    def _next(self) -> AccessUnit | None:
        """What may be sent now."""
        now = time.monotonic()
        self._drop_late(now)
        if not self._waiting or not self._window.has_room(now, len(self._waiting[0][1].data)):
            return None
        _, unit = self._waiting.popleft()
        self._window.send(now, len(unit.data))
        return unit

    async def show(self) -> None:
        """Until the viewer leaves or is made to."""
        self._tasks = {asyncio.create_task(work) for work in (self._send(), self._listen())}
        done, _ = await asyncio.wait(self._tasks, return_when=asyncio.FIRST_COMPLETED)
        await self.end()
        for task in done:
            # Whoever went away, or spoke nonsense: that is how a stream ends.
            with contextlib.suppress(ClientError, IndexError, OSError, asyncio.CancelledError):
                task.result()

    async def end(self) -> None:
        for task in self._tasks:
            task.cancel()
        await self._client.close()

    async def _send(self) -> None:
        spoken_at = time.monotonic()
        while True:
            if unit := self._next():
                age = memsink.now() - unit.captured
                self._numbers.send(age)
                age_us = min(max(round(age * 1e6), 0), LONGEST_AGE_US)
                self._client.send_at_once(HEADER.pack(age_us, unit.is_key) + unit.data)
                spoken_at = time.monotonic()
                continue
            self._has_news.clear()
            try:
                # From when something was said: frames that find no room are news, too.
                async with asyncio.timeout(
                    max(spoken_at + SIGN_OF_LIFE_SECONDS - time.monotonic(), 0)
                ):
                    await self._has_news.wait()
            except TimeoutError:
                await self._client.send_bytes(HEADER.pack(0, 0))
                spoken_at = time.monotonic()

    async def _listen(self) -> None:
        async for message in self._client:
            if message.data == KEY:
                self._needs_key = True
                self._ask_for_key()
            elif message.data == SHOWN:
                self._window.show(time.monotonic())
                self._has_news.set()
            else:
                return


class LookTimes:
    """When the sink is looked into next: seldom between two frames, closely when one is due."""

    def __init__(self) -> None:
        self._last = 0.0
        self._interval = 0.0

    def note_frame(self, now: float) -> None:
        gap = now - self._last
        self._last = now
        if gap > LONGEST_INTERVAL_SECONDS:
            self._interval = 0
        elif self._interval == 0 or gap < self._interval / 2:
            self._interval = gap
        else:
            self._interval += INTERVAL_WEIGHT * (gap - self._interval)

    def pause(self, now: float) -> float:
        left = self._last + self._interval - EARLY_SECONDS - now
        if self._interval == 0 or left < -self._interval:
            return LOOK_FAR_SECONDS
        return min(max(left, LOOK_CLOSE_SECONDS), LOOK_FAR_SECONDS)


class H264Source:
    """The one reader of the sink. It reads while somebody watches."""

    def __init__(self, sink: Memsink):
        self._sink = sink
        self.numbers = FrameNumbers()
        self._viewers: set[H264Viewer] = set()
        self._reading: asyncio.Task[None] | None = None
        # Its parameter sets are good for the next first viewer, too: not every encoder repeats them.
        self._units = AccessUnits()
        self._wants_key = False
        self._key_asked_at = -KEY_REQUEST_SECONDS

    def ask_for_key(self) -> None:
        self._wants_key = True

    @contextlib.contextmanager
    def watched_by(self, viewer: H264Viewer) -> Iterator[None]:
        self._viewers.add(viewer)
        if self._reading is None or self._reading.done():
            self._reading = asyncio.create_task(self._read())
        try:
            yield
        finally:
            self._viewers.discard(viewer)
            if not self._viewers:
                self._reading.cancel()
                self._reading = None
                self._sink.close()

    async def _read(self) -> None:
        while True:
            try:
                await self._follow()
            except Exception:  # whatever it is: nobody else reads for those who watch
                traceback.print_exc()
                self._sink.close()
                await asyncio.sleep(REFRESH_SECONDS)

    async def _follow(self) -> None:
        times = LookTimes()
        refreshed_at = 0.0
        self._units.begin_anew()
        while True:
            now = time.monotonic()
            is_due = now - refreshed_at >= REFRESH_SECONDS
            if is_due:
                self._sink.refresh()
                refreshed_at = now
            if is_due or self._sink.has_news():
                frame = self._sink.fetch(self._take_key_wish(now))
                if frame:
                    times.note_frame(now)
                    self.numbers.encoded += 1
                    if unit := self._units.take(frame.data, frame.captured):
                        for viewer in self._viewers:
                            viewer.offer(unit)
            await asyncio.sleep(times.pause(time.monotonic()))

    def _take_key_wish(self, now: float) -> bool:
        """Whether uStreamer is to be asked for a key frame now."""
        is_wanted = self._wants_key or any(each.is_ready_for_key for each in self._viewers)
        if not is_wanted or now - self._key_asked_at < KEY_REQUEST_SECONDS:
            return False
        self._key_asked_at, self._wants_key = now, False
        return True
