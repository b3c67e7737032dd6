# SPDX-License-Identifier: MIT
"""Writes the keyboard layouts for pasting, from Debian's xkb-data (needs libxkbcommon0).

    tools/make_layouts.py roles/tinypilot/files/app/tinypilot/hid/layouts

Linux gives AltGr to far more characters than other systems do. Kept are those that are printed on
keyboards, so that what a table promises is typed whatever runs on the attached computer.
"""

from __future__ import annotations

import ctypes
import json
import sys
import unicodedata
from collections.abc import Iterator
from pathlib import Path

# name of the file: (what people see, XKB layout, XKB variant)
LAYOUTS = {
    "en-us": ("English (US)", "us", ""),
    "en-gb": ("English (UK)", "gb", ""),
    "de": ("German", "de", ""),
    "de-ch": ("German (Switzerland)", "ch", ""),
    "fr": ("French", "fr", ""),
    "fr-be": ("Belgian", "be", ""),
    "fr-ca": ("French (Canada)", "ca", ""),
    "fr-ch": ("French (Switzerland)", "ch", "fr"),
    "es": ("Spanish", "es", ""),
    "es-latam": ("Spanish (Latin America)", "latam", ""),
    "it": ("Italian", "it", ""),
    "pt": ("Portuguese", "pt", ""),
    "pt-br": ("Portuguese (Brazil)", "br", ""),
    "da": ("Danish", "dk", ""),
    "no": ("Norwegian", "no", ""),
    "sv": ("Swedish", "se", ""),
    "fi": ("Finnish", "fi", ""),
    "is": ("Icelandic", "is", ""),
    "pl": ("Polish", "pl", ""),
    "cs": ("Czech", "cz", ""),
    "hu": ("Hungarian", "hu", ""),
    "tr": ("Turkish", "tr", ""),
    "ja": ("Japanese", "jp", ""),
}

# KeyboardEvent.code of each position that types something, and the kernel's number of it.
ROWS = (
    (41, "Backquote"),
    (2, "Digit1 Digit2 Digit3 Digit4 Digit5 Digit6 Digit7 Digit8 Digit9 Digit0 Minus Equal"),
    (16, "KeyQ KeyW KeyE KeyR KeyT KeyY KeyU KeyI KeyO KeyP BracketLeft BracketRight"),
    (30, "KeyA KeyS KeyD KeyF KeyG KeyH KeyJ KeyK KeyL Semicolon Quote"),
    (43, "Backslash"),
    (86, "IntlBackslash"),
    (44, "KeyZ KeyX KeyC KeyV KeyB KeyN KeyM Comma Period Slash"),
    (89, "IntlRo"),
    (124, "IntlYen"),
    (57, "Space"),
)
POSITIONS = {code: first + i for first, codes in ROWS for i, code in enumerate(codes.split())}
XKB_OFFSET = 8

LEVELS = 4  # plain, shift, AltGr, shift + AltGr
# Beside ASCII, what AltGr types: on most keyboards, and on some.
ALTGR = "€µ²³"
ALTGR_MORE = {
    "cs": "ß÷×¤đĐłŁ°",
    "da": "£",
    "de-ch": "¦°§¬¢",
    "en-gb": "¦áéíóúÁÉÍÓÚ",
    "es": "¬",
    "es-latam": "¬",
    "fi": "£",
    "fr": "¤",
    "fr-ca": "±£¢¤¬¦¼½¾§¶",
    "fr-ch": "¦°§¬¢",
    "hu": "äÄđĐłŁß÷×¤°",
    "no": "£",
    "pl": "ąćęłńóśźżĄĆĘŁŃÓŚŹŻ",
    "pt": "£§",
    "pt-br": "¹£¢¬§ªº°",
    "sv": "£",
    "tr": "£½",
}
# Dead keys that need AltGr and are on keyboards all the same.
ALTGR_DEAD = {
    "cs": "^`~¨´°ˇ˝¸",
    "da": "~",
    "de-ch": "´~",
    "es-latam": "^`",
    "fi": "~",
    "fr-be": "´`~",
    "fr-ch": "´~",
    "hu": "^`¨´°ˇ˝¸",
    "no": "´~",
    "pt": "¨",
    "sv": "~",
    "tr": "~´¨`",
}
# Positions that Linux has and others have not, for characters that all have elsewhere.
NOT_ALTGR = {"it": {"Digit7", "Digit8", "Digit9", "Digit0"}}

# Each mark, alone and combining.
MARKS = {
    "dead_grave": ("`", "\u0300"),
    "dead_acute": ("´", "\u0301"),
    "dead_circumflex": ("^", "\u0302"),
    "dead_tilde": ("~", "\u0303"),
    "dead_diaeresis": ("¨", "\u0308"),
    "dead_abovering": ("°", "\u030a"),
    "dead_doubleacute": ("˝", "\u030b"),
    "dead_caron": ("ˇ", "\u030c"),
    "dead_cedilla": ("¸", "\u0327"),
}
DOTTED_CIRCLE = "\u25cc"


class RuleNames(ctypes.Structure):
    _fields_ = [
        (name, ctypes.c_char_p) for name in ("rules", "model", "layout", "variant", "options")
    ]


def load_library() -> ctypes.CDLL:
    xkb = ctypes.CDLL("libxkbcommon.so.0")
    for name in ("xkb_context_new", "xkb_keymap_new_from_names"):
        getattr(xkb, name).restype = ctypes.c_void_p
    xkb.xkb_keysym_to_utf32.restype = ctypes.c_uint32
    return xkb


class Keymap:
    """A layout as XKB compiles it."""

    def __init__(self, xkb: ctypes.CDLL, layout: str, variant: str):
        self._xkb = xkb
        names = RuleNames(b"evdev", b"pc105", layout.encode(), variant.encode(), None)
        context = ctypes.c_void_p(xkb.xkb_context_new(0))
        keymap = xkb.xkb_keymap_new_from_names(context, ctypes.byref(names), 0)
        if not keymap:
            raise SystemExit(f"xkb-data has no layout {layout} {variant}")
        self._keymap = ctypes.c_void_p(keymap)

    def levels(self, position: int) -> Iterator[str]:
        """What the key types at each level: a character, a dead key's mark on a circle, or ''."""
        symbols = ctypes.POINTER(ctypes.c_uint32)()
        for level in range(LEVELS):
            count = self._xkb.xkb_keymap_key_get_syms_by_level(
                self._keymap, position + XKB_OFFSET, 0, level, ctypes.byref(symbols)
            )
            yield self._describe(symbols[0]) if count == 1 else ""

    def _describe(self, symbol: int) -> str:
        name = ctypes.create_string_buffer(64)
        self._xkb.xkb_keysym_get_name(symbol, name, len(name))
        if mark := MARKS.get(name.value.decode()):
            return DOTTED_CIRCLE + mark[1]
        character = chr(self._xkb.xkb_keysym_to_utf32(symbol))
        return character if character == " " or is_printed(character) else ""


def is_printed(character: str) -> bool:
    return unicodedata.category(character)[0] in "LNPS"


def is_kept(layout: str, code: str, level: int, character: str) -> bool:
    if level < 2:
        return True
    if code in NOT_ALTGR.get(layout, ()):
        return False
    if character.startswith(DOTTED_CIRCLE):
        dead = ALTGR_DEAD.get(layout, "")
        return any(alone in dead and character.endswith(mark) for alone, mark in MARKS.values())
    if character.isascii():
        return character != " "
    return character in ALTGR or character in ALTGR_MORE.get(layout, "")


def table(xkb: ctypes.CDLL, layout: str) -> dict:
    name, xkb_layout, variant = LAYOUTS[layout]
    keymap = Keymap(xkb, xkb_layout, variant)
    keys = {}
    for code, position in POSITIONS.items():
        levels = [
            character if is_kept(layout, code, level, character) else ""
            for level, character in enumerate(keymap.levels(position))
        ]
        if code == "Space":
            levels = [" "]
        while levels and not levels[-1]:
            levels.pop()
        if levels:
            keys[code] = levels
    return {
        "name": name,
        "xkb": f"{xkb_layout}({variant})" if variant else xkb_layout,
        "keys": keys,
    }


def as_json(layout: dict) -> str:
    """One key a line: these files are read by people too."""
    lines = [f'  "{name}": {json.dumps(layout[name])},' for name in ("name", "xkb")]
    keys = ",\n".join(
        f'    "{code}": {json.dumps(levels, ensure_ascii=False)}'
        for code, levels in layout["keys"].items()
    )
    return "\n".join(["{", *lines, '  "keys": {', keys, "  }", "}"]) + "\n"


def main(folder: Path) -> None:
    xkb = load_library()
    for layout in LAYOUTS:
        (folder / f"{layout}.json").write_text(as_json(table(xkb, layout)), encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
