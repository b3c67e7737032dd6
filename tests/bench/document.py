# SPDX-License-Identifier: MIT
"""The generated parts of docs/performance.md; the prose around them stays."""

from __future__ import annotations

import re
from pathlib import Path

PERFORMANCE = Path(__file__).parents[2] / "docs" / "performance.md"


def write(part: str, text: str, path: Path = PERFORMANCE) -> None:
    """Puts `text` between the markers of `part`; raises ValueError if there are none."""
    begin, end = f"<!-- bench: {part} -->", f"<!-- end: {part} -->"
    between = re.compile(f"{re.escape(begin)}.*?{re.escape(end)}", re.DOTALL)
    document, count = between.subn(
        lambda _: f"{begin}\n{text}\n{end}", path.read_text(encoding="utf-8")
    )
    if count != 1:
        raise ValueError(f"{path.name} must have the markers {begin} and {end} once")
    path.write_text(document, encoding="utf-8")
