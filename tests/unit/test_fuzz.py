# SPDX-License-Identifier: MIT
"""Each target of `make fuzz`: its corpus, and a few inputs that are the same each time."""

import pytest

from tests.fuzz import TARGETS
from tests.fuzz.__main__ import check_one, try_examples

EXAMPLES = 60


@pytest.mark.parametrize("target", TARGETS.values(), ids=TARGETS)
def test_what_must_hold_whatever_comes(target):
    assert target.corpus
    for data in target.corpus:
        check_one(target, data)
    try_examples(target, number=1, examples=EXAMPLES, shrinks=False)
