# SPDX-License-Identifier: MIT
"""What to press for a text, on a computer that is set to this or that layout."""

import json
import unicodedata
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from tinypilot.hid.keycodes import ALTGR, SHIFT, USAGES

FOLDER = Path(__file__).parent / "layouts"
_LEVELS = (0, SHIFT, ALTGR, SHIFT | ALTGR)
_DOTTED_CIRCLE = "\u25cc"
# A dead key and the space bar. Others (the acute, the diaeresis) differ between systems.
_ALONE = {"`": "\u0300", "^": "\u0302", "~": "\u0303"}
# With these, systems agree on Western European letters only.
_WESTERN_MARKS = frozenset("\u0300\u0301\u0302\u0303\u0308")
_LAST_WESTERN = "\u00ff"


@dataclass(frozen=True)
class Stroke:
    """A key that is pressed with modifiers and let go."""

    usage: int
    modifiers: int = 0


_SAME_EVERYWHERE = {"\n": (Stroke(USAGES["Enter"]),), "\t": (Stroke(USAGES["Tab"]),)}


@dataclass(frozen=True)
class Layout:
    name: str
    direct: dict[str, Stroke]
    dead: dict[str, Stroke]

    @classmethod
    def from_table(cls, table: dict) -> "Layout":
        direct: dict[str, Stroke] = {}
        dead: dict[str, Stroke] = {}
        # By level first: who has a character twice gets the easier one.
        for level, modifiers in enumerate(_LEVELS):
            for code, characters in table["keys"].items():
                if level >= len(characters) or not characters[level]:
                    continue
                stroke = Stroke(USAGES[code], modifiers)
                if characters[level].startswith(_DOTTED_CIRCLE):
                    dead.setdefault(characters[level][1:], stroke)
                else:
                    direct.setdefault(characters[level], stroke)
        return cls(table["name"], direct, dead)

    def strokes(self, character: str) -> tuple[Stroke, ...]:
        """What types the character; () if nothing does."""
        if character in _SAME_EVERYWHERE:
            return _SAME_EVERYWHERE[character]
        if character in self.direct:
            return (self.direct[character],)
        if character in _ALONE:
            return self._pair(_ALONE[character], " ")
        base, *marks = list(unicodedata.normalize("NFD", character))
        if len(marks) != 1 or (marks[0] in _WESTERN_MARKS and character > _LAST_WESTERN):
            return ()
        return self._pair(marks[0], base)

    def _pair(self, mark: str, base: str) -> tuple[Stroke, ...]:
        if mark not in self.dead or base not in self.direct:
            return ()
        return (self.dead[mark], self.direct[base])

    def untypable(self, text: str) -> list[str]:
        """The characters that this layout has no keys for, each once, in the order of the text."""
        return [character for character in dict.fromkeys(text) if not self.strokes(character)]


def normalized(text: str) -> str:
    """The text with one character a letter and one a line end, whatever system it comes from."""
    return unicodedata.normalize("NFC", text.replace("\r\n", "\n").replace("\r", "\n"))


@cache
def load_all() -> dict[str, Layout]:
    """All layouts by the name of their file, in the order of the names that people see."""
    tables = {path.stem: json.loads(path.read_text("utf-8")) for path in FOLDER.glob("*.json")}
    layouts = {stem: Layout.from_table(table) for stem, table in tables.items()}
    return dict(sorted(layouts.items(), key=lambda item: item[1].name))
