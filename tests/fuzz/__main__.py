# SPDX-License-Identifier: MIT
"""python -m tests.fuzz [--seconds 60] [--seed N] [NAME ...]: each target for so long, or those that are named.

What breaks a property is written into the corpus in its shortest form, so that `make check` tries it from then on."""

from __future__ import annotations

import argparse
import hashlib
import random
import sys
import time
import warnings

from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis.errors import HypothesisWarning

from tests.fuzz import TARGETS
from tests.fuzz.target import Target

EXAMPLES_IN_A_ROW = 250


class Broken(Exception):
    """`data` breaks what the target says."""

    def __init__(self, data: bytes):
        self.data = data


def check_one(target: Target, data: bytes) -> None:
    try:
        target.check(data)
    except Exception as error:
        raise Broken(data) from error


def try_examples(target: Target, number: int, examples: int, *, shrinks: bool = True) -> None:
    """Raises Broken, with the shortest input that it finds. To shorten one takes minutes."""

    @seed(number)
    @settings(
        max_examples=examples,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
        phases=[Phase.generate, *([Phase.shrink] if shrinks else [])],
    )
    @given(target.inputs)
    def check(data: bytes) -> None:
        check_one(target, data)

    check()


def fuzz(target: Target, seconds: float, number: int) -> int:
    """Returns how many inputs were tried, in rounds: each has a seed of its own."""
    for data in target.corpus:
        check_one(target, data)
    tried, end = 0, time.monotonic() + seconds
    while time.monotonic() < end:
        try_examples(target, number + tried, EXAMPLES_IN_A_ROW)
        tried += EXAMPLES_IN_A_ROW
    return tried


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--seed", type=int, default=random.randrange(10**9))
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(TARGETS))
    arguments = parser.parse_args()
    # Of a strategy that is long when it is printed.
    warnings.simplefilter("ignore", HypothesisWarning)
    broken = []
    for name in arguments.names or TARGETS:
        target = TARGETS[name]
        try:
            tried = fuzz(target, arguments.seconds, arguments.seed)
            print(f"{name}: {tried} inputs, seed {arguments.seed}", flush=True)
        except Broken as error:
            broken.append(name)
            file = target.folder / f"found-{hashlib.sha256(error.data).hexdigest()[:8]}"
            file.write_bytes(error.data)
            sys.excepthook(Broken, error, error.__traceback__)
            print(
                f"{name}: seed {arguments.seed} broke it, with what is in {file}.\n{target.holds}"
            )
    if broken:
        sys.exit(f"Broken: {', '.join(broken)}.")


if __name__ == "__main__":
    main()
