# SPDX-License-Identifier: MIT
"""Files that are there whole, also after a power cut."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Mapping
from pathlib import Path


def replace_all(texts: Mapping[Path, str]) -> set[Path]:
    """Writes each file whole, by renaming, unless it says so already. Returns those that were written."""
    changed = {
        file: text
        for file, text in texts.items()
        if (file.read_text(encoding="utf-8") if file.exists() else "") != text
    }
    try:
        for file, text in changed.items():
            with open(_new(file), "w", encoding="utf-8") as opened:
                opened.write(text)
                opened.flush()
                os.fsync(opened.fileno())
    except OSError:
        for file in changed:
            with contextlib.suppress(OSError):
                _new(file).unlink()
        raise
    for file in changed:
        os.replace(_new(file), file)
    for parent in {file.parent for file in changed}:
        folder = os.open(parent, os.O_RDONLY)
        os.fsync(folder)
        os.close(folder)
    return set(changed)


def _new(file: Path) -> Path:
    return file.with_suffix(".new")
