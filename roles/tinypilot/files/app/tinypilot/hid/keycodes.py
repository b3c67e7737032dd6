# SPDX-License-Identifier: MIT
"""Physical keys: KeyboardEvent.code as browsers say it, and the usage that USB HID gives it."""

FIRST_MODIFIER = 0xE0

_ROWS = (
    (0x04, "KeyA KeyB KeyC KeyD KeyE KeyF KeyG KeyH KeyI KeyJ KeyK KeyL KeyM"),
    (0x11, "KeyN KeyO KeyP KeyQ KeyR KeyS KeyT KeyU KeyV KeyW KeyX KeyY KeyZ"),
    (0x1E, "Digit1 Digit2 Digit3 Digit4 Digit5 Digit6 Digit7 Digit8 Digit9 Digit0"),
    (0x28, "Enter Escape Backspace Tab Space Minus Equal BracketLeft BracketRight Backslash"),
    (0x33, "Semicolon Quote Backquote Comma Period Slash CapsLock"),
    (0x3A, "F1 F2 F3 F4 F5 F6 F7 F8 F9 F10 F11 F12 PrintScreen ScrollLock Pause"),
    (0x49, "Insert Home PageUp Delete End PageDown ArrowRight ArrowLeft ArrowDown ArrowUp"),
    (0x53, "NumLock NumpadDivide NumpadMultiply NumpadSubtract NumpadAdd NumpadEnter"),
    (0x59, "Numpad1 Numpad2 Numpad3 Numpad4 Numpad5 Numpad6 Numpad7 Numpad8 Numpad9 Numpad0"),
    (0x63, "NumpadDecimal IntlBackslash ContextMenu Power NumpadEqual"),
    (0x68, "F13 F14 F15 F16 F17 F18 F19 F20 F21 F22 F23 F24"),
    (0x85, "NumpadComma"),
    (0x87, "IntlRo KanaMode IntlYen Convert NonConvert"),
    (0x90, "Lang1 Lang2 Lang3 Lang4 Lang5"),
    (FIRST_MODIFIER, "ControlLeft ShiftLeft AltLeft MetaLeft"),
    (FIRST_MODIFIER + 4, "ControlRight ShiftRight AltRight MetaRight"),
)

USAGES = {code: first + i for first, codes in _ROWS for i, code in enumerate(codes.split())}
SHIFT = 1 << USAGES["ShiftLeft"] - FIRST_MODIFIER
ALTGR = 1 << USAGES["AltRight"] - FIRST_MODIFIER


def modifier_of(usage: int) -> int:
    """The bit of a modifier in a report; 0 for other keys."""
    return 1 << usage - FIRST_MODIFIER if usage >= FIRST_MODIFIER else 0
