# SPDX-License-Identifier: MIT
"""Settings as JSON. The web app may change nothing itself: root's program applies them (settings/apply.py)."""

import json
import socket
import subprocess
from dataclasses import asdict

from flask import Blueprint, Response, current_app

from tinypilot import certificate, edid
from tinypilot.auth.http import auth, read_object, require_role, session
from tinypilot.auth.sessions import check_still_may
from tinypilot.errors import ApiError
from tinypilot.operation import BOOL, NOTHING, NUMBER, list_of, object_of, operation, or_null
from tinypilot.settings.model import Group, Settings
from tinypilot.video.ice import SETTINGS as ICE_SETTINGS
from tinypilot.video.ice import IceServers

POWER_ACTIONS = ("restart", "reboot", "poweroff")
# Longer than a service takes to restart, twice.
PATIENCE_SECONDS = 50

CHECK_SECONDS = 10

# The same in all languages, or {language: text}.
TEXTS = {"type": ["string", "object"]}
SETTING = object_of(
    value={"description": "The effective value; for a secret, whether there is one."},
    default={"description": "The default from provisioning; for a secret, whether there is one."},
    is_set={**BOOL, "description": "Whether it was set here, which overrides the default."},
    fixed={
        **BOOL,
        "description": "Whether provisioning has fixed it, so that it can't be set here.",
    },
    secret={**BOOL, "description": "Whether its value is never answered."},
    group={**TEXTS, "description": "Title of its group."},
    label={**TEXTS, "description": "What people call it."},
    hint={**TEXTS, "description": "More about it, or empty."},
    unit={**TEXTS, "description": "Unit of a number, or empty."},
    choices={"type": "object", "description": "Suggested values, by name."},
    schema={"type": "object", "description": "The values that may be set, as JSON Schema."},
)
EDID = object_of(
    modes=list_of(
        width=NUMBER,
        height=NUMBER,
        rate_hz={**NUMBER, "description": "Frames, or fields of an interlaced mode, a second."},
        interlaced=BOOL,
        fits={**or_null(BOOL), "description": "Whether this device can take it; null: not known."},
    ),
    complaints={
        "type": "array",
        "items": {"type": "string"},
        "description": "What edid-decode dislikes. It says nothing of what computers make of it.",
    },
)
SETTINGS = object_of(settings={"type": "object", "additionalProperties": SETTING})

blueprint = Blueprint("settings", __name__, url_prefix="/api")


def settings() -> Settings:
    return Settings.from_config(current_app.config["TINYPILOT"])


def new_settings() -> dict:
    described = settings().as_dict()
    return {
        "type": "object",
        "properties": {name: or_null(facts["schema"]) for name, facts in described.items()},
        "additionalProperties": False,
        "minProperties": 1,
    }


@blueprint.get("/settings")
@require_role("admin")
@operation("All settings and the values that they may have", answers=SETTINGS)
def all_settings():
    return {"settings": settings().as_dict()}


@blueprint.patch("/settings")
@require_role("admin")
@operation(
    "Change settings, all or none; null: the default from provisioning",
    takes=new_settings,
    answers=SETTINGS,
)
def change_settings():
    """{name: value, or null for the default}: all of them, or none."""
    changes = read_object()
    declared = settings().declared()
    for name, value in changes.items():
        if name in declared and declared[name].group.widget == "certificate":
            changes[name] = certificate.normalized(value) if isinstance(value, str) else value
    settings().check(changes)
    for name, value in changes.items():
        group = declared[name].group
        if value and group.widget == "certificate":
            certificate.check(value)
        if value and group.check:
            _check(name, value, group.check)
    if changes.keys() & ICE_SETTINGS:
        IceServers.from_settings(settings().effective(changes)).check()
    _ask_root({"set": changes, "by": session().user or "provisioning"})
    return all_settings()


def _check(name: str, value: str, program: tuple[str, ...]) -> None:
    """Raises ApiError if the program that the setting's role has for it refuses the value."""
    try:
        done = subprocess.run(
            [*program, value], capture_output=True, text=True, timeout=CHECK_SECONDS, check=True
        )
    except (OSError, subprocess.SubprocessError) as error:
        raise ApiError(
            503,
            "{name} can't be checked: {program} does not run on this device.",
            name=name,
            program=program[0],
        ) from error
    if done.stdout:
        raise ApiError(400, "This can't be used: {reason}", reason=done.stdout)


@blueprint.get("/edid")
@require_role("admin")
@operation("The display modes that the EDID in force offers", answers=EDID)
def offered_modes():
    for name, setting in settings().declared().items():
        if setting.group.widget == "edid":
            modes, complaints = edid.describe(str(settings().effective()[name]))
            return {
                "modes": [{**asdict(mode), "fits": _fits(mode, setting.group)} for mode in modes],
                "complaints": complaints,
            }
    return {"modes": [], "complaints": []}


def _fits(mode: edid.Mode, group: Group) -> bool | None:
    if group.most_encoded_pixels and max(mode.width, mode.height) > group.most_encoded_pixels:
        return False
    if group.most_pixels_per_second is None:
        return None
    return mode.pixels_per_second <= group.most_pixels_per_second


@blueprint.post("/power")
@require_role("admin")
@operation(
    "Restart the services, reboot, or switch off",
    takes={"action": {"type": "string", "enum": list(POWER_ACTIONS)}},
    answers=NOTHING,
)
def power(action):
    if action not in POWER_ACTIONS:
        raise ApiError(400, "action must be one of {actions}.", actions=", ".join(POWER_ACTIONS))
    _ask_root({"power": action, "by": session().user or "provisioning"})
    return {}


@blueprint.get("/log")
@require_role("admin")
@operation(
    "The log of the services, oldest entry first",
    answers={"type": "string"},
    media="text/plain",
)
def log():
    told = _ask_root({"log": True, "by": session().user or "provisioning"})
    headers = {"Content-Disposition": 'attachment; filename="tinypilot.log"'}
    return Response(told["log"], mimetype="text/plain", headers=headers)


def _ask_root(request: dict) -> dict:
    # What was checked before took its time.
    check_still_may("admin", session(), auth().store.database)
    path = current_app.config["TINYPILOT"].settings_socket
    try:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(PATIENCE_SECONDS)
            connection.connect(str(path))
            connection.sendall(json.dumps(request).encode() + b"\n")
            with connection.makefile("rb") as answer:
                told = json.loads(answer.readline())
    except (OSError, ValueError) as error:
        raise ApiError(
            503,
            "The settings service does not answer. See `journalctl -u 'tinypilot-apply@*'`.",
        ) from error
    if told.get("rolled_back_ok"):
        raise ApiError(
            409,
            "{unit} does not run with these settings. The previous settings were restored.",
            unit=told["failed"],
        )
    if "failed" in told:
        raise ApiError(
            409,
            "{unit} runs neither with these settings nor with the previous ones, which were restored.",
            unit=told["failed"],
        )
    if "error" in told:
        raise ApiError(409, "Nothing was changed: {reason}", reason=told["error"])
    return told
