# SPDX-License-Identifier: MIT
"""What became of the frames of one transport, since this program was started."""

from bisect import bisect_left
from collections import Counter

# As the plugin's.
BOUNDS_MS = (5, 10, 20, 30, 50, 75, 100, 150, 200, 300, 500, 1000)
# Why a viewer did not get a frame: another was sooner there, it had waited for too long, or what it needs is not there.
REPLACED, LATE, NO_KEY = "replaced", "late", "no_key"


class FrameNumbers:
    def __init__(self) -> None:
        self.encoded = 0
        self.sent = 0
        self.dropped = Counter[str]()
        self._latencies = [0] * (len(BOUNDS_MS) + 1)
        self._latency_seconds = 0.0

    def send(self, age_seconds: float) -> None:
        """Counts a frame that is sent so long after its capture."""
        self.sent += 1
        age_seconds = max(age_seconds, 0)
        self._latencies[bisect_left(BOUNDS_MS, age_seconds * 1000)] += 1
        self._latency_seconds += age_seconds

    def drop(self, reason: str, frames: int = 1) -> None:
        self.dropped[reason] += frames

    def told(self) -> dict:
        return {
            "encoded": self.encoded,
            "sent": self.sent,
            "dropped": {**self.dropped},
            "latency": {
                "bounds_ms": BOUNDS_MS,
                "frames": self._latencies,
                "sum_us": round(self._latency_seconds * 1e6),
            },
        }
