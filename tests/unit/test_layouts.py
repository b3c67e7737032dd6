# SPDX-License-Identifier: MIT
"""Layouts for pasting: each stroke is typed into XKB, which every Linux desktop uses."""

import ctypes
import importlib.util
import json
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "roles/tinypilot/files/app"))

from tinypilot.hid import keycodes, layouts  # noqa: E402

spec = importlib.util.spec_from_file_location("make_layouts", ROOT / "tools/make_layouts.py")
make_layouts = importlib.util.module_from_spec(spec)
sys.modules["make_layouts"] = make_layouts
spec.loader.exec_module(make_layouts)

ALL = layouts.load_all()
SHIFT_KEY, ALTGR_KEY = 42, 100  # the kernel's numbers
COMPOSED = 2
POSITION_OF_USAGE = {keycodes.USAGES[code]: at for code, at in make_layouts.POSITIONS.items()}


class Desktop:
    """A desktop that is set to a layout."""

    def __init__(self, layout: str):
        self.xkb = xkb = make_layouts.load_library()
        for name in (
            "xkb_state_new",
            "xkb_compose_table_new_from_locale",
            "xkb_compose_state_new",
        ):
            getattr(xkb, name).restype = ctypes.c_void_p
        _, name, variant = make_layouts.LAYOUTS[layout]
        self.keymap = make_layouts.Keymap(xkb, name, variant)
        self.state = ctypes.c_void_p(xkb.xkb_state_new(self.keymap._keymap))
        context = ctypes.c_void_p(xkb.xkb_context_new(0))
        table = xkb.xkb_compose_table_new_from_locale(context, b"en_US.UTF-8", 0)
        self.compose = ctypes.c_void_p(xkb.xkb_compose_state_new(ctypes.c_void_p(table), 0))

    def press(self, position: int, down: bool) -> None:
        self.xkb.xkb_state_update_key(self.state, position + make_layouts.XKB_OFFSET, int(down))

    def type(self, strokes) -> str:
        typed = ""
        for stroke in strokes:
            held = [
                key
                for key, bit in ((SHIFT_KEY, keycodes.SHIFT), (ALTGR_KEY, keycodes.ALTGR))
                if stroke.modifiers & bit
            ]
            for key in held:
                self.press(key, True)
            position = POSITION_OF_USAGE[stroke.usage] + make_layouts.XKB_OFFSET
            symbol = self.xkb.xkb_state_key_get_one_sym(self.state, position)
            for key in held:
                self.press(key, False)
            self.xkb.xkb_compose_state_feed(self.compose, symbol)
            status = self.xkb.xkb_compose_state_get_status(self.compose)
            if status == COMPOSED:
                symbol = self.xkb.xkb_compose_state_get_one_sym(self.compose)
            if status in (0, COMPOSED):
                typed += chr(self.xkb.xkb_keysym_to_utf32(symbol))
        return typed


def everything_up_to(last: int) -> str:
    return "".join(chr(code) for code in range(0x20, last))


@pytest.mark.parametrize("name", ALL)
def test_a_desktop_with_this_layout_shows_what_was_to_be_typed(name):
    desktop, layout = Desktop(name), ALL[name]
    typable = [c for c in everything_up_to(0x2100) if layout.strokes(c)]
    assert len(typable) >= 94
    for character in typable:
        assert desktop.type(layout.strokes(character)) == character, character


@pytest.mark.parametrize("name", ALL)
def test_every_layout_types_all_of_ascii(name):
    missing = set(map(chr, range(0x20, 0x7F))) - {
        c for c in everything_up_to(0x7F) if ALL[name].strokes(c)
    }
    assert missing == set()


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("en-gb", "£10 “no” | \\ ~ # @"),
        ("de", "Grüße: äöüÄÖÜß €@{[]}\\~| é à ê"),
        ("de-ch", "Zürich für 5 € {}[]\\ é à è ç"),
        ("fr", "À la fête, garçon: œ? 5 € @#{[|\\]} ë ï ù"),
        ("fr-be", "ça été où à 5 € @#[]{}|\\"),
        ("es", "¿Mañana? ¡Sí! ç € @#[]{} ü à"),
        ("it", "Perché è così: à ò ù € @#[]{}"),
        ("pt", "São João à força: é ê õ € @[]{}"),
        ("pt-br", "Ação, é ü ã õ @[]{}"),
        ("da", "Blåbærgrød € @{[]}\\|~ é"),
        ("no", "Blåbærsyltetøy € @{[]}\\| é"),
        ("sv", "Räksmörgås € @{[]}\\|~ é"),
        ("fi", "Yö, äiti ja Åbo € @{[]}\\|~"),
        ("pl", "Zażółć gęślą jaźń €"),
        ("cs", "Příliš žluťoučký kůň úpěl ďábelské ódy"),
        ("hu", "Árvíztűrő tükörfúrógép €"),
        ("tr", "Pijamalı hasta yağız şoföre çabucak güvendi, İzmir € @"),
    ],
)
def test_a_sentence_of_the_language_can_be_typed(name, text):
    expected = {"“", "”"} if name == "en-gb" else {"À", "œ"} if name == "fr" else set()
    assert set(ALL[name].untypable(text)) == expected


def test_what_cannot_be_typed_is_listed_once_and_in_order():
    assert ALL["en-us"].untypable("Größe ß €\n\t") == ["ö", "ß", "€"]
    assert ALL["de"].untypable("日本 日") == ["日", "本"]
    assert ALL["en-us"].untypable("\x00\x1b") == ["\x00", "\x1b"]


def test_text_is_normalized():
    assert layouts.normalized("a\r\nb\rc u\u0308") == "a\nb\nc ü"


def test_the_tables_are_what_the_tool_writes():
    # Other releases of xkb-data have other rarities, so the order of keys and the form are compared.
    for path in layouts.FOLDER.glob("*.json"):
        table = json.loads(path.read_text("utf-8"))
        assert make_layouts.as_json(table) == path.read_text("utf-8")
        assert list(table["keys"]) == [c for c in make_layouts.POSITIONS if c in table["keys"]]
        assert table["name"] == make_layouts.LAYOUTS[path.stem][0]
