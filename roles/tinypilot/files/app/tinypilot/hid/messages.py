# SPDX-License-Identifier: MIT
"""What a page may say: JSON objects with exactly the fields of their type. The table is the protocol."""

from __future__ import annotations

import json
import re
from collections.abc import Callable

from tinypilot.hid import layouts
from tinypilot.hid.keycodes import FIRST_MODIFIER, USAGES
from tinypilot.hid.outputs import PACES
from tinypilot.hid.reports import BUTTONS, KEYS_AT_ONCE, POINTER_MAX

TEXT_MAX = 20_000  # characters of a paste
MESSAGE_MAX = 128 * 1024  # bytes
WATCHER_MESSAGE_MAX = 1024  # of who may only watch
STEP_MAX = 4096  # of a relative mouse, in one message
CHARACTERS_MAX = 50  # of keys that are characters: more is a paste
COMBINATION_MAX = 8 + KEYS_AT_ONCE  # all modifiers, too

MODIFIERS = [code for code, usage in USAGES.items() if usage >= FIRST_MODIFIER]


class ProtocolError(ValueError):
    """A sentence: what is wrong with a message."""


def _whole(least: int, most: int) -> Callable[[object], bool]:
    return lambda value: type(value) is int and least <= value <= most


def _is_flag(value: object) -> bool:
    return type(value) is bool


def _is_key(value: object) -> bool:
    """Any name will do: browsers know keys that a USB keyboard lacks, and who presses one means no harm."""
    return isinstance(value, str) and re.fullmatch(r"\w{1,32}", value, re.ASCII) is not None


def _are_keys(value: object) -> bool:
    return (
        isinstance(value, list) and 0 < len(value) <= COMBINATION_MAX and all(map(_is_key, value))
    )


def _are_modifiers(value: object) -> bool:
    return (
        isinstance(value, list)
        and len(value) <= len(MODIFIERS)
        and all(each in MODIFIERS for each in value)
    )


def _is_layout(value: object) -> bool:
    return isinstance(value, str) and value in layouts.load_all()


def _is_pace(value: object) -> bool:
    return isinstance(value, str) and value in PACES


def _is_text(value: object) -> bool:
    return isinstance(value, str) and 0 < len(value) <= TEXT_MAX


def _are_characters(value: object) -> bool:
    return _is_text(value) and len(str(value)) <= CHARACTERS_MAX


def _is_token(value: object) -> bool:
    return isinstance(value, str) and re.fullmatch(r"[\w-]{16,64}", value, re.ASCII) is not None


_is_place = _whole(0, POINTER_MAX)
_is_step = _whole(-STEP_MAX, STEP_MAX)
_is_number = _whole(1, 2**53)
_is_moment = _whole(0, 2**53)  # milliseconds of the page's clock

FIELDS: dict[str, dict[str, Callable[[object], bool]]] = {
    # Sent while a key or button is down: who falls silent lets go.
    "alive": {},
    # Sent while a key is down, and more often: it is still held (playout.py).
    "held": {"at": _is_moment},
    "key": {"code": _is_key, "down": _is_flag, "at": _is_moment},
    # Of keys that browsers know by what they type alone, and of a phone's keyboard.
    "characters": {
        "layout": _is_layout,
        "text": _are_characters,
        "held": _are_modifiers,
        "at": _is_moment,
    },
    "combination": {"codes": _are_keys},
    "release": {},
    "move": {"x": _is_place, "y": _is_place},
    "step": {"x": _is_step, "y": _is_step},
    "button": {"button": _whole(0, BUTTONS - 1), "down": _is_flag, "relative": _is_flag},
    "wheel": {"wheel": _is_step, "pan": _is_step, "relative": _is_flag},
    "check": {"layout": _is_layout, "text": _is_text},
    "paste": {"layout": _is_layout, "text": _is_text, "pace": _is_pace},
    "cancel": {},
    "ask": {},
    # Whoever had the controls before the connection was lost, or this service was started anew.
    "resume": {"token": _is_token},
    # Answered at once: a page so notices a lost network.
    "ping": {},
    "give-up": {},
    "answer": {"person": _is_number, "yes": _is_flag},
}
# Fields that may be missing, in what a page of before says.
OPTIONAL = {"key": {"at"}}
DEFAULTS: dict[str, dict] = {"paste": {"pace": "fast"}}


def _as_object(pairs: list[tuple[str, object]]) -> dict:
    """Of two fields of one name it can't be told which is meant."""
    fields = dict(pairs)
    if len(fields) != len(pairs):
        raise ValueError("a field is there twice")
    return fields


def parse(data: str) -> dict:
    try:
        message = json.loads(data, object_pairs_hook=_as_object)
    except (ValueError, RecursionError):
        raise ProtocolError("A message must be JSON.") from None
    kind = message.get("type") if isinstance(message, dict) else None
    fields = FIELDS.get(kind) if isinstance(kind, str) else None
    if fields is None:
        raise ProtocolError(
            f"A message must be an object whose type is one of {', '.join(FIELDS)}."
        )
    message = {**DEFAULTS.get(message["type"], {}), **message}
    if message.keys() | OPTIONAL.get(message["type"], set()) != {"type", *fields}:
        raise ProtocolError(
            f"{kind} must have {', '.join(fields) or 'no fields'}, and nothing else."
        )
    for name, is_good in fields.items():
        if name in message and not is_good(message[name]):
            raise ProtocolError(f"{name} of {kind} has a value that is not allowed.")
    return message
