# SPDX-License-Identifier: MIT
"""Codes that people read off a screen and type, and how whatever proves something is kept."""

import hashlib
import secrets
import unicodedata

# Without 0, 1, I, O.
CODE_ALPHABET = "23456789ABCDEFGHJKLMNPQRSTUVWXYZ"


def random_code(parts: int, length: int) -> str:
    """Such as ABCD-2345."""
    return "-".join(
        "".join(secrets.choice(CODE_ALPHABET) for _ in range(length)) for _ in range(parts)
    )


def typed_code(typed: str) -> str:
    """Capital letters and digits alone: keyboards and apps write them in other widths and scripts, and put spaces or
    dashes of their own between."""
    return "".join(
        str(unicodedata.decimal(each, each))
        for each in unicodedata.normalize("NFKC", typed).upper()
        if each.isalnum()
    )


def hashed(secret: str) -> bytes:
    """Plain SHA-256 is enough for random tokens and codes: no salt, no key stretching."""
    return hashlib.sha256(secret.encode()).digest()
