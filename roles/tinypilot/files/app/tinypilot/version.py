# SPDX-License-Identifier: MIT
"""Which page the device has. One that is open over an upgrade learns that there is another now."""

import functools
import hashlib
from pathlib import Path

APP = Path(__file__).parent
PARTS = ("static", "templates", "locale")


@functools.cache
def page_version() -> str:
    """Of all that the page is made of. Each process asks when it starts: later the files may be newer than it is."""
    digest = hashlib.sha256()
    for file in sorted(file for part in PARTS for file in (APP / part).rglob("*.*")):
        digest.update(f"{file.relative_to(APP)}\n".encode() + file.read_bytes())
    return digest.hexdigest()[:16]
