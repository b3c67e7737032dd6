# SPDX-License-Identifier: MIT
"""Files that are there whole, also after a power cut."""

from __future__ import annotations

import os
from pathlib import Path


def replace(file: Path, text: str) -> bool:
    """Writes the file whole, by renaming, unless it says so already; where there is none, it says nothing.

    Returns whether it was written.
    """
    if (file.read_text(encoding="utf-8") if file.exists() else "") == text:
        return False
    new = file.with_suffix(".new")
    with open(new, "w", encoding="utf-8") as opened:
        opened.write(text)
        opened.flush()
        os.fsync(opened.fileno())
    os.replace(new, file)
    folder = os.open(file.parent, os.O_RDONLY)
    os.fsync(folder)
    os.close(folder)
    return True
