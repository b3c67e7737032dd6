# SPDX-License-Identifier: MIT
"""Settings as JSON. The web app may change nothing itself: root's program applies them (settings/apply.py)."""

import json
import socket

from flask import Blueprint, Response, current_app

from tinypilot import certificate, edid
from tinypilot.auth.http import read_json, read_object, require_role, session
from tinypilot.errors import ApiError
from tinypilot.settings.model import Settings
from tinypilot.video.ice import SETTINGS as ICE_SETTINGS
from tinypilot.video.ice import IceServers

POWER_ACTIONS = ("restart", "reboot", "poweroff")
# Longer than a service takes to restart, twice.
PATIENCE_SECONDS = 50

# What a schema can't say, by the widget of the setting's group.
CHECKS = {"edid": edid.check, "certificate": certificate.check}

blueprint = Blueprint("settings", __name__, url_prefix="/api")


def settings() -> Settings:
    return Settings.from_config(current_app.config["TINYPILOT"])


@blueprint.get("/settings")
@require_role("admin")
def all_settings():
    return {"settings": settings().as_dict()}


@blueprint.patch("/settings")
@require_role("admin")
def change_settings():
    """{name: value, or null for the default}: all of them, or none."""
    changes = read_object()
    settings().check(changes)
    declared = settings().declared()
    for name, value in changes.items():
        check = CHECKS.get(declared[name].group.widget or "")
        if check and value:
            check(value)
    if changes.keys() & ICE_SETTINGS:
        IceServers.from_settings(settings().effective(changes)).check()
    _ask_root({"set": changes, "by": session().user or "provisioning"})
    return all_settings()


@blueprint.post("/power")
@require_role("admin")
def power():
    (action,) = read_json(action=str)
    if action not in POWER_ACTIONS:
        raise ApiError(400, "action must be one of {actions}.", actions=", ".join(POWER_ACTIONS))
    _ask_root({"power": action, "by": session().user or "provisioning"})
    return {}


@blueprint.get("/log")
@require_role("admin")
def log():
    told = _ask_root({"log": True, "by": session().user or "provisioning"})
    headers = {"Content-Disposition": 'attachment; filename="tinypilot.log"'}
    return Response(told["log"], mimetype="text/plain", headers=headers)


def _ask_root(request: dict) -> dict:
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
