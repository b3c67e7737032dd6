# SPDX-License-Identifier: MIT
"""Who had the controls last, also for the next start of the service: the one who can prove it gets them back.

The proof is a secret that the page was given, and the session that it was given in: neither is enough alone.
"""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import os
from pathlib import Path

FILE = "last-owner"


def proof_of(secret: str, session_token: str) -> str:
    return hashlib.sha256(f"{secret} {session_token}".encode()).hexdigest()


class LastOwner:
    """folder: in /run, this service's own. Without one, or if it is full, the next start knows nothing."""

    def __init__(self, folder: str | None):
        self._file = Path(folder, FILE) if folder else None
        self._proof = ""
        if self._file:
            with contextlib.suppress(OSError, UnicodeDecodeError):
                self._proof = self._file.read_text(encoding="ascii")

    def __bool__(self) -> bool:
        return bool(self._proof)

    def is_proven_by(self, proof: str) -> bool:
        return bool(self._proof) and hmac.compare_digest(self._proof.encode(), proof.encode())

    def remember(self, proof: str) -> None:
        """Empty: nobody."""
        if proof == self._proof:
            return
        self._proof = proof
        if self._file:
            with contextlib.suppress(OSError):
                new = self._file.with_suffix(".new")
                new.write_text(proof, encoding="ascii")
                os.replace(new, self._file)
