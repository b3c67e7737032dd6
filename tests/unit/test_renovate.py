# SPDX-License-Identifier: MIT
"""Renovate finds what it is to keep up to date: its patterns match the files that they are for."""

import json
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
MANAGERS = json.loads((ROOT / "renovate.json").read_text())["customManagers"]


def files_of(manager: dict) -> list[Path]:
    """Renovate writes a regular expression between slashes."""
    patterns = [pattern.strip("/") for pattern in manager["managerFilePatterns"]]
    names = [
        file.relative_to(ROOT)
        for folder in ("roles", "inventory")
        for file in (ROOT / folder).rglob("*.yml")
    ]
    return [
        ROOT / name for name in names if any(re.search(pattern, str(name)) for pattern in patterns)
    ]


@pytest.mark.parametrize("manager", MANAGERS, ids=lambda manager: manager["description"])
def test_renovate_finds_each_version(manager):
    found = files_of(manager)
    assert found
    # Renovate's named groups are JavaScript's.
    patterns = [pattern.replace("(?<", "(?P<") for pattern in manager["matchStrings"]]
    for file in found:
        match = next((m for p in patterns if (m := re.search(p, file.read_text()))), None)
        assert match, f"{file.relative_to(ROOT)} has nothing that Renovate knows"
        assert re.fullmatch(r"v[\d.]+", match["currentValue"])
