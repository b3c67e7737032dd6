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


def test_a_relay_that_is_full_has_files_left():
    """A socket of a viewer, and its counterpart to Janus or uStreamer. systemd's default is 1,024."""
    relay = importlib.import_module("tinypilot.video.relay")
    files = 2 * relay.SIGNALLING_SOCKETS + 2 * relay.JPEG_VIEWERS + relay.H264_VIEWERS
    assert f"| {files} by its bounds" in DOCUMENT.read_text()
    assert files < 1024 / 2
