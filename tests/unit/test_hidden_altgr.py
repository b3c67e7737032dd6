# SPDX-License-Identifier: MIT
"""Which characters tell that AltGr is held."""

import pytest
from tinypilot.hid import keycodes, layouts

ALL = layouts.altgr_characters()


@pytest.mark.parametrize(
    ("code", "character"),
    [
        ("KeyQ", "@"),
        ("KeyE", "€"),
        ("KeyM", "µ"),
        ("Digit7", "{"),
        ("Digit2", "@"),
        ("Digit3", "#"),
        ("Digit0", "}"),
        ("KeyF", "["),
        ("KeyO", "ó"),
        ("IntlBackslash", "|"),
        ("BracketRight", "~"),
        ("Minus", "\\"),
    ],
)
def test_what_is_typed_with_altgr_alone_tells_of_it(code, character):
    assert character in ALL[code][0]


@pytest.mark.parametrize("layout", layouts.load_all().values(), ids=lambda layout: layout.name)
def test_what_a_key_types_without_altgr_never_does(layout):
    code_of = {usage: code for code, usage in keycodes.USAGES.items()}
    for character, stroke in layout.direct.items():
        plain, shifted = ALL.get(code_of[stroke.usage], ("", ""))
        if stroke.modifiers == 0:
            assert character not in plain
        if stroke.modifiers == keycodes.SHIFT:
            assert character not in shifted
        if not stroke.modifiers & keycodes.ALTGR and character.isalpha():
            assert character not in plain + shifted, "Caps Lock"


def test_nor_what_other_layouts_have_without_it():
    """Hebrew has / on Q, Dvorak has ' there."""
    for code, characters in {"KeyQ": "/'", "KeyW": "',<", "Digit2": "2é", "KeyZ": ";:"}.items():
        assert not set(characters) & set("".join(ALL[code])), code


def test_nor_what_others_have_there_with_shift_or_as_a_dead_key():
    """Canadian multilingual, Arabic and Urdu, and the Brazilian and Portuguese variants without dead keys."""
    for code, characters in {"Backquote": "\\", "IntlBackslash": "¦", "Quote": "~^"}.items():
        assert not set(characters) & set(ALL.get(code, ("", ""))[1]), code
    assert "~" not in ALL["Quote"][0]
