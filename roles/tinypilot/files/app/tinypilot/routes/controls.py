# SPDX-License-Identifier: MIT
"""Keyboard and mouse for programs, as JSON. What is done is done by the HID service (hid/programs.py); here it is
checked, by the same schemas that describe it."""

from flask import Blueprint, current_app, request

from tinypilot.auth.http import credential, read_object, require_role
from tinypilot.check import check, with_defaults
from tinypilot.hid import client, layouts
from tinypilot.hid.device import UsbState
from tinypilot.hid.keycodes import USAGES
from tinypilot.hid.messages import COMBINATION_MAX, STEP_MAX
from tinypilot.hid.outputs import PACES
from tinypilot.hid.playout import PRESS_MS
from tinypilot.hid.programs import BUTTONS, CLICKS_MAX, HOLD_MS_MAX, KEEP_SECONDS, PROGRAM_TEXT_MAX
from tinypilot.operation import BOOL, NOTHING, TEXT, list_of, object_of, operation, or_null

DEFAULT_LAYOUT = "en-us"
TURN_MAX = 100

blueprint = Blueprint("controls", __name__, url_prefix="/api")


def optional(schema: dict, default: object) -> dict:
    return {**schema, "default": default}


def taking(**properties: dict) -> dict:
    """An object in which fields with a default may be left out."""
    needed = [name for name, schema in properties.items() if "default" not in schema]
    return {**object_of(**properties), "required": needed}


def number(least: int, most: int, kind: str = "integer") -> dict:
    return {"type": kind, "minimum": least, "maximum": most}


RELATIVE = optional(
    {
        **BOOL,
        "description": "By the relative mouse, for computers that do not take the absolute one.",
    },
    False,
)
# By the operation of programs.py: what it takes.
TEXT_ACTION = taking(
    text={"type": "string", "minLength": 1, "maxLength": PROGRAM_TEXT_MAX},
    layout=optional(
        {
            "type": "string",
            "enum": list(layouts.load_all()),
            "description": "The one that the attached computer has.",
        },
        DEFAULT_LAYOUT,
    ),
    pace=optional(
        {
            "type": "string",
            "enum": list(PACES),
            "description": "slow is for firmware, which looks at the keyboard each 30 ms.",
        },
        "fast",
    ),
)
CHORD_ACTION = taking(
    keys={
        "type": "array",
        "items": {"type": "string", "enum": list(USAGES)},
        "minItems": 1,
        "maxItems": COMBINATION_MAX,
        "uniqueItems": True,
        "description": "As KeyboardEvent.code has them, pressed in this order, and let go in the other.",
    },
    hold_ms=optional(number(0, HOLD_MS_MAX), PRESS_MS),
)
MOVE_ACTION = taking(
    x={**number(0, 1, "number"), "description": "0 is the left edge of the screen, 1 the right."},
    y={**number(0, 1, "number"), "description": "0 is the upper edge, 1 the lower."},
)
STEP_ACTION = taking(x=number(-STEP_MAX, STEP_MAX), y=number(-STEP_MAX, STEP_MAX))
CLICK_ACTION = taking(
    button=optional({"type": "string", "enum": list(BUTTONS)}, "left"),
    clicks=optional(number(1, CLICKS_MAX), 1),
    relative=RELATIVE,
)
SCROLL_ACTION = taking(
    wheel={**number(-TURN_MAX, TURN_MAX), "description": "Up is positive."},
    pan=optional({**number(-TURN_MAX, TURN_MAX), "description": "Right is positive."}, 0),
    relative=RELATIVE,
)
TAKE_ACTION = taking(
    force=optional(
        {**BOOL, "description": "Also from somebody who has not used them for a while."}, False
    )
)


def act(kind: str, schema: dict | None = None) -> dict:
    """What the request asks for."""
    asked = {}
    if schema:
        asked = read_object()
        check(asked, schema)
        asked = with_defaults(asked, schema)
    return ask({"type": kind, **asked})


def ask(action: dict) -> dict:
    """Ends the action if the client goes. gunicorn says which connection it has; another server does not."""
    config = current_app.config["TINYPILOT"]
    return client.act(
        config.hid_socket, credential(), action, request.environ.get("gunicorn.socket")
    )


@blueprint.errorhandler(client.Gone)
def nobody_listens(_: client.Gone) -> tuple[str, int]:
    return "", 499


@blueprint.get("/controls")
@operation(
    "Who has keyboard and mouse, and what the attached computer says to them",
    answers=object_of(
        owner={**or_null(TEXT), "description": "null: nobody."},
        is_own=BOOL,
        is_idle={**BOOL, "description": "Whoever asks gets them."},
        usb={"type": "string", "enum": [str(each) for each in UsbState]},
    ),
)
def controls():
    return ask({"type": "state"})


@blueprint.post("/controls")
@require_role("operator")
@operation(
    f"Take keyboard and mouse: they are this session's until it gives them up, or for {KEEP_SECONDS} s after its last "
    "action. An action takes them by itself, and for itself",
    takes=lambda: TAKE_ACTION,
    answers=NOTHING,
)
def take():
    return act("take", TAKE_ACTION)


@blueprint.delete("/controls")
@require_role("operator")
@operation("Give keyboard and mouse up", answers=NOTHING)
def give_up():
    return act("give_up")


@blueprint.post("/controls/release")
@require_role("operator")
@operation("Let go of all keys and buttons", answers=NOTHING)
def release():
    return act("release")


@blueprint.get("/keyboard/layouts")
@operation(
    "The layouts that a text can be typed in",
    answers=object_of(layouts=list_of(id=TEXT, name=TEXT)),
)
def all_layouts():
    return {"layouts": [{"id": key, "name": each.name} for key, each in layouts.load_all().items()]}


@blueprint.post("/keyboard/text")
@require_role("operator")
@operation(
    "Type a text; answered when the attached computer has it, and nothing is typed if the layout lacks a character",
    takes=lambda: TEXT_ACTION,
    answers=object_of(typed={"type": "integer", "description": "Characters."}),
)
def type_text():
    return act("text", TEXT_ACTION)


@blueprint.post("/keyboard/chord")
@require_role("operator")
@operation("Press keys together", takes=lambda: CHORD_ACTION, answers=NOTHING)
def press_chord():
    return act("chord", CHORD_ACTION)


@blueprint.post("/mouse/move")
@require_role("operator")
@operation("Move the pointer to a place of the screen", takes=lambda: MOVE_ACTION, answers=NOTHING)
def move():
    return act("move", MOVE_ACTION)


@blueprint.post("/mouse/step")
@require_role("operator")
@operation(
    "Move the pointer by so much (the relative mouse)", takes=lambda: STEP_ACTION, answers=NOTHING
)
def step():
    return act("step", STEP_ACTION)


@blueprint.post("/mouse/click")
@require_role("operator")
@operation("Click where the pointer is", takes=lambda: CLICK_ACTION, answers=NOTHING)
def click():
    return act("click", CLICK_ACTION)


@blueprint.post("/mouse/scroll")
@require_role("operator")
@operation("Turn the wheel", takes=lambda: SCROLL_ACTION, answers=NOTHING)
def scroll():
    return act("scroll", SCROLL_ACTION)
