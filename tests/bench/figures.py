# SPDX-License-Identifier: MIT
"""Numbers out of samples, and tables out of numbers."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Sequence

Row = Sequence[object]


def percentile(samples: Iterable[float], percent: float) -> float:
    """The smallest sample that is not exceeded by `percent` % of them (nearest rank)."""
    ordered = sorted(samples)
    return ordered[max(0, math.ceil(percent / 100 * len(ordered)) - 1)]


def median(samples: Iterable[float]) -> float:
    return statistics.median(samples)


def milliseconds(seconds: float) -> str:
    return f"{seconds * 1000:.0f}" if seconds >= 0.1 else f"{seconds * 1000:.1f}"


def table(header: Row, rows: Iterable[Row]) -> str:
    """A table in Markdown; all columns but the first are aligned to the right."""
    lines = [header, ["---", *["---:"] * (len(header) - 1)], *rows]
    return "\n".join(f"| {' | '.join(map(str, line))} |" for line in lines)
