# SPDX-License-Identifier: MIT
"""The verdict of `make soak`: what grows is told from what only varies."""

import pytest

from tests.soak.__main__ import is_flat
from tests.soak.slopes import settled, slope

HOUR = 3600


def samples(value, seconds=2 * HOUR, each=30):
    return [(at, value(at)) for at in range(0, seconds + 1, each)]


def test_a_line_is_found_below_what_varies():
    line = slope(samples(lambda at: 100 + at / HOUR + (5 if at % 210 == 0 else 0)))
    assert line.level == pytest.approx(100, abs=0.1)
    assert line.change == pytest.approx(2, abs=0.1)
    assert line.percent == pytest.approx(2, abs=0.1)


def test_what_comes_first_is_left_out():
    line = slope(settled(samples(lambda at: min(at, 600))))
    assert line.change == 0 and line.level == 600
    assert settled(samples(lambda at: at, seconds=400, each=10))[0][0] == 100


@pytest.mark.parametrize(
    ("kind", "level", "change", "flat"),
    [
        ("memory, MiB", 100, 2.0, True),
        ("memory, MiB", 100, 2.1, False),
        ("memory, MiB", 10, 1.0, True),
        ("memory, MiB", 10, 1.1, False),
        ("open files", 20, 1, True),
        ("open files", 20, 2, False),
        ("latency, ms", 30, 5, True),
        ("latency, ms", 30, 6, False),
        ("latency, ms", 30, -20, True),
    ],
)
def test_the_verdict(kind, level, change, flat):
    line = slope([(0, level), (HOUR, level + change)])
    assert is_flat(kind, line) == flat
