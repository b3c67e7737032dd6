# SPDX-License-Identifier: MIT
"""Each key's usage, by the names that the HID usage tables give it (hid-tools has them)."""

import pytest
from hidtools.hut import HUT
from tinypilot.hid.keycodes import USAGES

KEYBOARD_PAGE = 7
# As W3C's UI Events KeyboardEvent code Values describe them. Letters, digits and the rest of the numpad follow a rule.
NAMES = {
    **{code: code for code in ("Home", "End", "Insert", "Power", "PageUp", "PageDown", "CapsLock")},
    "Enter": "Return (ENTER)",
    "Escape": "ESCAPE",
    "Backspace": "DELETE (Backspace)",
    "Tab": "Tab",
    "Space": "Spacebar",
    "Minus": "- and (underscore)",
    "Equal": "= and +",
    "BracketLeft": "[ and {",
    "BracketRight": "] and }",
    "Backslash": "\\ and |",
    "Semicolon": "; and :",
    "Quote": "' and \"",
    "Backquote": "Grave Accent and Tilde",
    "Comma": "Keyboard, and <",  # so says hid-tools
    "Period": ". and >",
    "Slash": "/ and ?",
    "IntlBackslash": "Non-US \\ and |",
    "ContextMenu": "Application",
    "NumpadComma": "Keypad Comma",
    "NumpadEqual": "Keypad =",
    "IntlRo": "Kanji1",
    "KanaMode": "Kanji2",
    "IntlYen": "Kanji3",
    "Convert": "Kanji4",
    "NonConvert": "Kanji5",
    **{f"Lang{number}": f"LANG{number}" for number in range(1, 6)},
    **{f"F{number}": f"F{number}" for number in range(1, 25)},
    **{
        f"{code}{side}": f"{side}{name}"
        for side in ("Left", "Right")
        for code, name in (("Control", "Control"), ("Shift", "Shift"), ("Alt", "Alt"))
    },
    **{f"Arrow{way}": f"{way}Arrow" for way in ("Up", "Down", "Left", "Right")},
    "MetaLeft": "Left GUI",
    "MetaRight": "Right GUI",
}


def name_of(usage: int) -> str:
    return HUT[KEYBOARD_PAGE][usage].name


def plain(name: str) -> str:
    return name.lower().replace(" ", "")


@pytest.mark.parametrize("code", NAMES)
def test_a_key_has_the_usage_of_its_name(code):
    assert plain(name_of(USAGES[code])) == plain(NAMES[code])


@pytest.mark.parametrize("code", [code for code in USAGES if code not in NAMES])
def test_others_are_called_what_they_type(code):
    name = name_of(USAGES[code])
    if code.startswith("Key"):
        assert name == f"{code[-1].lower()} and {code[-1]}"
    elif code.startswith("Digit"):
        assert name.startswith(f"{code[-1]} and")
    elif code.startswith("Numpad"):
        sign = {"Divide": "/", "Multiply": "*", "Subtract": "-", "Add": "+", "Enter": "ENTER"}
        sign |= {"Decimal": ". and Delete"}
        rest = code.removeprefix("Numpad")
        assert name.startswith(f"Keypad {sign.get(rest, rest)}")
    else:
        assert plain(code) in plain(name), name


def test_no_two_keys_are_the_same():
    assert len(set(USAGES.values())) == len(USAGES)
