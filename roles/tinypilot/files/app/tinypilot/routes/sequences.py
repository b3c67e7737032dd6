# SPDX-License-Identifier: MIT
"""Sequences of power, picture and keys, as JSON (power/sequences.py)."""

from flask import Blueprint, Flask, current_app

from tinypilot.auth.http import auth, credential, read_object, require_role, sentence_of, session
from tinypilot.auth.sessions import LONGEST_INPUT
from tinypilot.check import check, with_defaults
from tinypilot.operation import BOOL, NOTHING, NUMBER, TEXT, list_of, object_of, operation, or_null
from tinypilot.power.atx import PRESSES
from tinypilot.power.sequences import NAME_MAX, STEPS_MAX, WAIT_SECONDS_MAX, Runner, Sequences
from tinypilot.power.sequences import called as called_by
from tinypilot.routes.controls import CHORD_ACTION, TEXT_ACTION, number, taking

blueprint = Blueprint("sequences", __name__, url_prefix="/api/sequences")

REPEAT_MS = 100, 10_000
REPEAT_SECONDS_MAX = 120
NAMED = {"type": "string", "minLength": 1, "maxLength": LONGEST_INPUT}


def step(do: str, summary: str, **properties: dict) -> dict:
    kind = {"type": "string", "enum": [do]}
    return {**taking(do=kind, **properties), "description": summary}


STEP = {
    "oneOf": [
        step(
            "power",
            "Press a button (ATX)",
            press={"type": "string", "enum": list(PRESSES)},
        ),
        step("wake", "Send a machine's magic packet, by its name", machine=NAMED),
        step("hook", "Run a command of the inventory", hook=NAMED),
        step("wait", "Wait", seconds=number(0, WAIT_SECONDS_MAX, "number")),
        step(
            "wait_for_picture",
            "Wait for a picture: without one in this time the sequence ends",
            seconds=number(1, WAIT_SECONDS_MAX),
        ),
        step("chord", "Press keys together", **CHORD_ACTION["properties"]),
        step("text", "Type a text", **TEXT_ACTION["properties"]),
        step(
            "repeat",
            "Press keys together again and again, also while the computer starts and takes none",
            keys=CHORD_ACTION["properties"]["keys"],
            every_ms=number(*REPEAT_MS),
            seconds=number(1, REPEAT_SECONDS_MAX),
        ),
    ]
}
SEQUENCE = object_of(
    name={"type": "string", "minLength": 1, "maxLength": NAME_MAX},
    steps={"type": "array", "items": STEP, "minItems": 1, "maxItems": STEPS_MAX},
)


def install(app: Flask) -> None:
    app.extensions["sequences"] = Runner(app.config["TINYPILOT"], app.extensions["auth"])
    app.register_blueprint(blueprint)


def sequences() -> Sequences:
    return Sequences(auth().store)


def runner() -> Runner:
    return current_app.extensions["sequences"]


def read() -> tuple[str, list[dict]]:
    asked = read_object()
    check(asked, SEQUENCE)
    kinds = {kind["properties"]["do"]["enum"][0]: kind for kind in STEP["oneOf"]}
    return asked["name"], [with_defaults(each, kinds[each["do"]]) for each in asked["steps"]]


@blueprint.get("")
@require_role("operator")
@operation(
    "All sequences, and the one that runs or ran last",
    answers=object_of(
        sequences=list_of(number=NUMBER, name=TEXT, steps={"type": "array", "items": STEP}),
        last={
            **or_null(
                object_of(
                    number=NUMBER,
                    name=TEXT,
                    by=TEXT,
                    is_running=BOOL,
                    is_stopped=BOOL,
                    step={**NUMBER, "description": "Which one is or was the last, from 1 on."},
                    steps=NUMBER,
                    error={
                        "type": "string",
                        "description": "Why it ended before its end, or empty.",
                    },
                )
            )
        },
    ),
)
def all_sequences():
    last = runner().last
    return {
        "sequences": sequences().all(),
        "last": last
        and {
            "number": last.number,
            "name": last.name,
            "by": called_by(last.by),
            "is_running": not last.is_over,
            "is_stopped": last.is_stopped,
            "step": last.step + 1,
            "steps": len(last.steps),
            "error": sentence_of(last.error) if last.error else "",
        },
    }


@blueprint.post("")
@require_role("admin")
@operation("Add a sequence", takes=lambda: SEQUENCE, answers=object_of(number=NUMBER))
def add_sequence():
    name, steps = read()
    return {"number": sequences().add(session(), name, steps)}


@blueprint.patch("/<int(max=2147483647):number>")
@require_role("admin")
@operation("Change a sequence", takes=lambda: SEQUENCE, answers=NOTHING)
def change_sequence(number):
    name, steps = read()
    sequences().change(number, session(), name, steps)
    return {}


@blueprint.delete("/<int(max=2147483647):number>")
@require_role("admin")
@operation("Remove a sequence", answers=NOTHING)
def remove_sequence(number):
    sequences().remove(number, session())
    return {}


@blueprint.post("/<int(max=2147483647):number>/run")
@require_role("operator")
@operation(
    "Begin a sequence. It has the controls while it runs, and ends with the session or token",
    takes={},
    answers=NOTHING,
)
def run_sequence(number):
    runner().start(sequences().get(number), session(), credential())
    return {}


@blueprint.post("/stop")
@require_role("operator")
@operation("Stop the sequence that runs, whoever began it", takes={}, answers=NOTHING)
def stop_sequence():
    runner().stop(session())
    return {}
