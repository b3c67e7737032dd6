# SPDX-License-Identifier: MIT
"""The table of bounds in docs/security.md has the numbers that the programs have."""

import importlib
import re
from pathlib import Path

ROW = re.compile(r"^\| .*\| ([0-9, ]+) \| `([a-z0-9_.]+)\.([A-Z0-9_]+)` \|$", re.MULTILINE)
DOCUMENT = Path(__file__).parents[2] / "docs/security.md"


def test_the_table_of_bounds_is_true():
    rows = ROW.findall(DOCUMENT.read_text())
    assert len(rows) > 25
    for values, module, name in rows:
        bound = getattr(importlib.import_module(f"tinypilot.{module}"), name)
        wanted = tuple(map(int, values.split(",")))
        assert (bound if isinstance(bound, tuple) else (bound,)) == wanted, name
