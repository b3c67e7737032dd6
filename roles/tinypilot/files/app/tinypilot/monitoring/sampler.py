# SPDX-License-Identifier: MIT
"""Proves that there is a picture: takes two frames out of uStreamer's sink now and then, and decodes them.

A key frame alone could be the same one for ever, so the frame after it must come as well, and be of a later moment.
While somebody watches the sampler takes what is there, and uStreamer does not notice it. While nobody does, uStreamer
encodes nothing; it is then woken for as long as these two frames take (Memsink.wake), once a minute. While nobody asks
for metrics either, there are no samples.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass

from tinypilot import healing
from tinypilot.monitoring import openh264
from tinypilot.video import memsink
from tinypilot.video.h264 import AccessUnit, AccessUnits
from tinypilot.video.memsink import Memsink

WATCHED_SECONDS = 15.0
UNWATCHED_SECONDS = 60.0
# What is wrong may be over soon.
BAD_SECONDS = 5.0
# For so long after somebody has asked.
ASKED_SECONDS = 300.0
# As the supervisor's: who reads has been seen so lately.
READER_SECONDS = 2.0
# For a frame; uStreamer captures one a second while it sleeps. And for a key frame, of which a slow source has few.
PATIENCE_SECONDS = 4.0
LONGEST_SECONDS = 30.0
# Of who asks first.
WAIT_SECONDS = 5.0
WAKE_SECONDS = 1.5
LOOK_SECONDS = 0.004
LOOP_SECONDS = 1.0
# What lay in the sink for longer is not the present.
OLD_SECONDS = 2.0

# Less than between two frames of any source.
SHORTEST_STEP_SECONDS = 0.001

NO_SINK = "uStreamer's H.264 sink is not there"
NO_FRAMES = "no frame comes out of the encoder"
NO_KEY = "no key frame comes out of the encoder"
GAPS = "no frame goes on where its key frame ended"
OLD_FRAMES = "the frames are all the same one"
# The later ones say more.
PROBLEMS = (NO_SINK, NO_FRAMES, NO_KEY, GAPS, OLD_FRAMES)


@dataclass(frozen=True)
class Verdict:
    """is_ok: whether real frames were decoded; None: that can't be known here. words: why not. at: when, by
    time.monotonic(); by_clock: the same in Unix time."""

    is_ok: bool | None
    words: str
    at: float
    by_clock: float
    width: int = 0
    height: int = 0


class Sampler:
    """expects_picture: whether there is a signal that could be seen; problem_of_source: why uStreamer captures nothing
    of it, or ""."""

    def __init__(
        self,
        sink: Memsink,
        expects_picture: Callable[[], bool],
        problem_of_source: Callable[[], str],
    ):
        self._sink = sink
        self._expects_picture = expects_picture
        self._problem_of_source = problem_of_source
        self._verdict: Verdict | None = None
        self._asked_at = -ASKED_SECONDS
        self._was_asked = asyncio.Event()
        self._sampling = asyncio.Lock()
        # Parameter sets may come with the first key frame alone.
        self._units = AccessUnits()

    async def verdict(self, waits: bool) -> Verdict | None:
        """The newest; None: nothing is expected, or known yet. waits: for the first one."""
        now = time.monotonic()
        was_asked = now - self._asked_at < ASKED_SECONDS
        self._asked_at = now
        self._was_asked.set()
        if not self._expects_picture():
            return None
        if waits and (not was_asked or self._verdict is None):
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(WAIT_SECONDS):
                    await self._sample_if_due()
        return self._verdict

    async def keep_sampling(self) -> None:
        while True:
            if time.monotonic() - self._asked_at > ASKED_SECONDS:
                self._was_asked.clear()
                await self._was_asked.wait()
            try:
                await self._sample_if_due()
            except Exception:  # whatever it is: the next sample may succeed
                traceback.print_exc()
            await asyncio.sleep(LOOP_SECONDS)

    async def _sample_if_due(self) -> None:
        async with self._sampling:
            if not self._expects_picture():
                self._verdict = None
            elif self._is_due():
                before, self._verdict = self._verdict, await self._sample()
                if self._verdict.words and not (before and before.words == self._verdict.words):
                    print(f"No picture: {self._verdict.words}.", flush=True)

    def _is_due(self) -> bool:
        if self._verdict is None:
            return True
        age = time.monotonic() - self._verdict.at
        if self._verdict.is_ok is False:
            return age >= BAD_SECONDS
        return age >= (WATCHED_SECONDS if self._is_watched() else UNWATCHED_SECONDS)

    def _is_watched(self) -> bool:
        self._sink.refresh()
        glance = self._sink.glance()
        return glance is not None and 0 <= memsink.now() - glance[1] < READER_SECONDS

    async def _sample(self) -> Verdict:
        is_ok: bool | None = False
        words, size = "", (0, 0)
        try:
            openh264.load()
            self._check_source()
            key, following = await self._two_frames()
            # Decoding takes a tenth of a second where frames are large.
            size = await asyncio.to_thread(_decode, key, following)
            # Without one uStreamer encodes blank frames.
            self._check_source()
            is_ok = True
        except openh264.DamagedError as damage:
            words = str(damage)
        except openh264.NoDecoderError as error:
            is_ok, words = None, str(error)
        finally:
            self._sink.close()
        return Verdict(is_ok, words, time.monotonic(), time.time(), *size)

    def _check_source(self) -> None:
        if problem := self._problem_of_source():
            raise openh264.DamagedError(problem)

    async def _two_frames(self) -> tuple[AccessUnit, AccessUnit]:
        began = time.monotonic()
        patience = PATIENCE_SECONDS * healing.slowness()
        deadline = began + patience
        key: AccessUnit | None = None
        newest: int | None = None
        problem, woken, woken_at = NO_SINK, None, 0.0
        self._units.begin_anew()
        try:
            while (now := time.monotonic()) < deadline:
                if not self._is_watched() and now - woken_at > WAKE_SECONDS / 2:
                    woken, woken_at = self._sink.wake(WAKE_SECONDS) or woken, now
                if key is None and (glance := self._sink.glance()) and glance[0] != newest:
                    # While frames come a key frame is among them soon.
                    if newest is not None:
                        deadline = min(now + patience, began + LONGEST_SECONDS)
                    problem = (
                        NO_FRAMES if newest is None else max(problem, NO_KEY, key=PROBLEMS.index)
                    )
                    newest = glance[0]
                unit = self._next_unit(key)
                if unit is None:
                    await asyncio.sleep(LOOK_SECONDS)
                elif unit.is_after_gap and not unit.is_key:
                    # What it refers to was missed here, or is nonsense.
                    key, problem = None, GAPS
                elif key is None and unit.is_key:
                    key, problem, deadline = unit, OLD_FRAMES, now + patience
                elif key and _goes_on(key, unit):
                    return key, unit
        finally:
            if woken is not None:
                self._sink.let_sleep(woken)
        raise openh264.DamagedError(problem)

    def _next_unit(self, key: AccessUnit | None) -> AccessUnit | None:
        """Before the first key frame only what looks like one is read: others are not in the way of the encoder."""
        if not self._sink.has_news() or (key is None and not self._sink.looks_like_key()):
            return None
        frame = self._sink.fetch(wants_key=False, signs=False)
        if frame is None or memsink.now() - frame.captured > OLD_SECONDS:
            return None
        return self._units.take(frame.data, frame.captured)


def _goes_on(key: AccessUnit, following: AccessUnit) -> bool:
    """No encoder makes the same twice: frames are numbered, and key frames that follow each other as well (idr_pic_id,
    7.4.3)."""
    is_later = following.captured > key.captured + SHORTEST_STEP_SECONDS
    return is_later and following.data != key.data


def _decode(key: AccessUnit, following: AccessUnit) -> tuple[int, int]:
    with openh264.decoder() as decoder:
        size = decoder.decode(key.data)
        decoder.decode(following.data)
    return size
