# SPDX-License-Identifier: MIT
"""Waiting for what must happen. A limit that is reached says "it never happened"."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

Result = TypeVar("Result")

# Far more than anything needs, also on a busy machine. How long it takes is for the benchmark.
PATIENCE_SECONDS = 45.0
POLL_SECONDS = 0.1
# For what takes its time: a look at the device costs as much of a processor as a tenth of a second has.
LONG_POLL_SECONDS = 1.0


class NeverHappened(AssertionError):
    """What was waited for did not come."""


def wait_until(
    look: Callable[[], Result],
    what: str,
    seconds: float = PATIENCE_SECONDS,
    pause: Callable[[float], None] = time.sleep,
    poll_seconds: float = POLL_SECONDS,
) -> Result:
    """Calls `look` until what it returns is true, and returns that.

    pause: how to pass time, in seconds. A browser's events are handled while its own pause runs.
    Raises NeverHappened, naming `what` and the last thing seen.
    """
    deadline = time.monotonic() + seconds
    while True:
        seen = look()
        if seen:
            return seen
        if time.monotonic() > deadline:
            raise NeverHappened(f"{what}: not within {seconds:g} s (last seen: {seen!r})")
        pause(poll_seconds)
