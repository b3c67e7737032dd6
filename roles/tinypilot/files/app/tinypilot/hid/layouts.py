# SPDX-License-Identifier: MIT
"""What to press for a text, on a computer that is set to this or that layout."""

import asyncio
import json
import unicodedata
from dataclasses import dataclass, replace
from functools import cache
from itertools import islice
from pathlib import Path

from tinypilot.hid.keycodes import ALTGR, SHIFT, USAGES

FOLDER = Path(__file__).parent / "layouts"
# What can't be typed is named in an answer, which has a bound; whoever mends that is told of the rest.
UNTYPABLE_MAX = 500
# Less than a millisecond of work.
CHARACTERS_A_TURN = 100
# On one letter: Unicode's stream-safe text has no more (UAX 15).
MARKS_MAX = 30
_LEVELS = (0, SHIFT, ALTGR, SHIFT | ALTGR)
_DOTTED_CIRCLE = "\u25cc"
# A dead key and the space bar. Others (the acute, the diaeresis) differ between systems.
_ALONE = {"`": "\u0300", "^": "\u0302", "~": "\u0303"}
# With these, systems agree on Western European letters only.
_WESTERN_MARKS = frozenset("\u0300\u0301\u0302\u0303\u0308")
_LAST_WESTERN = "\u00ff"


# With Shift alone, in layouts that have no table here (Canadian multilingual, Arabic). In those that have one hardly
# anybody types them with AltGr.
_SHIFTED_ELSEWHERE = {"Backquote": "\\", "IntlBackslash": "¦"}


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

    def strokes_at(self, character: str, caps_lock: bool) -> tuple[Stroke, ...]:
        """The same where Caps Lock is on or not: it makes of letters what Shift does."""
        strokes = self.strokes(character)
        if not caps_lock or not strokes:
            return strokes
        *before, last = strokes
        shifted = replace(last, modifiers=last.modifiers ^ SHIFT)
        letter = next((each for each, stroke in self.direct.items() if stroke == last), "")
        is_letter = self.direct.get(letter.swapcase()) == shifted and letter.swapcase() != letter
        return (*before, shifted if is_letter else last)

    def _pair(self, mark: str, base: str) -> tuple[Stroke, ...]:
        if mark not in self.dead or base not in self.direct:
            return ()
        return (self.dead[mark], self.direct[base])

    def untypable(self, text: str) -> list[str]:
        """The characters that this layout has no keys for, each once, in the order of the text: the first of them."""
        missing = (character for character in dict.fromkeys(text) if not self.strokes(character))
        return list(islice(missing, UNTYPABLE_MAX))

    async def find_untypable(self, text: str) -> list[str]:
        """The same of a long text, in turns with all else that waits: nobody's key is late for it."""
        missing: list[str] = []
        characters = list(dict.fromkeys(text))
        for begin in range(0, len(characters), CHARACTERS_A_TURN):
            missing += self.untypable("".join(characters[begin : begin + CHARACTERS_A_TURN]))
            if len(missing) >= UNTYPABLE_MAX:
                break
            await asyncio.sleep(0)
        return missing[:UNTYPABLE_MAX]


def normalized(text: str) -> str:
    """The text with one character a letter and one a line end, whatever system it comes from."""
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    # Marks are sorted in a time that grows with the square of their number: 20,000 take seconds.
    return unicodedata.normalize("NFC", text) if _has_plausible_marks(text) else text


def _has_plausible_marks(text: str) -> bool:
    if text.isascii():
        return True
    marks = 0
    for character in text:
        marks = marks + 1 if unicodedata.combining(character) else 0
        if marks > MARKS_MAX:
            return False
    return True


@cache
def altgr_characters() -> dict[str, tuple[str, str]]:
    """By key: what it types in some layout with AltGr, which has it nowhere else, and in none without; the second
    with Shift, too. A page that sees such a character knows that AltGr is held, though the browser hides it."""
    tables = [table["keys"] for table in _load_tables().values()]
    found: dict[str, tuple[set[str], set[str]]] = {code: (set(), set()) for code in USAGES}
    for keys in tables:
        elsewhere = {character for characters in keys.values() for character in characters[:2]}
        for code, characters in keys.items():
            for level, character in enumerate(characters[2:]):
                if len(character) == 1 and character not in elsewhere:
                    found[code][level].add(character)
    for keys in tables:
        for code, characters in keys.items():
            # Caps Lock makes of one level the other, for letters.
            letters = {each for each in characters[:2] if each.isalpha()}
            # Variants without dead keys type their marks at once.
            marks = {
                each for each, mark in _ALONE.items() if _DOTTED_CIRCLE + mark in characters[:2]
            }
            for found_here, without in zip(found[code], characters, strict=False):
                found_here.difference_update(letters, marks, without)
    for code, shifted in _SHIFTED_ELSEWHERE.items():
        found[code][1].difference_update(shifted)
    return {
        code: ("".join(sorted(plain)), "".join(sorted(shifted)))
        for code, (plain, shifted) in found.items()
        if plain or shifted
    }


def _load_tables() -> dict[str, dict]:
    return {path.stem: json.loads(path.read_text("utf-8")) for path in FOLDER.glob("*.json")}


@cache
def load_all() -> dict[str, Layout]:
    """All layouts by the name of their file, in the order of the names that people see."""
    layouts = {stem: Layout.from_table(table) for stem, table in _load_tables().items()}
    return dict(sorted(layouts.items(), key=lambda item: item[1].name))
