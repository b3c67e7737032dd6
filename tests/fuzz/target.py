# SPDX-License-Identifier: MIT
"""What a target is."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from hypothesis import strategies as st

from tests.fuzz.inputs import mutated

CORPUS = Path(__file__).parent / "corpus"


@dataclass(frozen=True)
class Target:
    """`check` raises if what `holds` says does not hold of an input; `makes` is where inputs come from, beside
    corpus/NAME, which has one a file."""

    name: str
    holds: str
    check: Callable[[bytes], None]
    makes: st.SearchStrategy

    @property
    def folder(self) -> Path:
        return CORPUS / self.name

    @property
    def corpus(self) -> list[bytes]:
        return [file.read_bytes() for file in sorted(self.folder.iterdir())]

    @property
    def inputs(self) -> st.SearchStrategy:
        return st.one_of(self.makes, mutated(self.corpus))


def text_of(data: bytes) -> str:
    return data.decode("utf-8", "replace")


def is_same(one: object, other: object) -> bool:
    """1, 1.0 and True are equal to Python, and not to anybody else."""
    return json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)
