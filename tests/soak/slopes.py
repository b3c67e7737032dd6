# SPDX-License-Identifier: MIT
"""What grows: a line through samples, and whether it is flat."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

Sample = tuple[float, float]
# What comes first is left out: caches fill, libraries are loaded.
SETTLING_SECONDS = 600.0
# Of a run that is shorter than two of these.
SETTLING_SHARE = 0.25


@dataclass(frozen=True)
class Slope:
    """level: at the beginning of the line; change: from there to its end."""

    level: float
    change: float

    @property
    def percent(self) -> float:
        return 100 * self.change / self.level if self.level else 0.0


def settled(samples: Sequence[Sample]) -> list[Sample]:
    begin, end = samples[0][0], samples[-1][0]
    settling = min(SETTLING_SECONDS, SETTLING_SHARE * (end - begin))
    return [sample for sample in samples if sample[0] >= begin + settling]


def slope(samples: Sequence[Sample]) -> Slope:
    """By Theil and Sen: the median of all slopes between two samples, which a few outliers do not move."""
    slopes = sorted(
        (second[1] - first[1]) / (second[0] - first[0])
        for number, first in enumerate(samples)
        for second in samples[number + 1 :]
        if second[0] > first[0]
    )
    if not slopes:
        return Slope(samples[0][1] if samples else 0.0, 0.0)
    per_second = slopes[len(slopes) // 2]
    begin, end = samples[0][0], samples[-1][0]
    levels = sorted(value - per_second * (at - begin) for at, value in samples)
    return Slope(levels[len(levels) // 2], per_second * (end - begin))
