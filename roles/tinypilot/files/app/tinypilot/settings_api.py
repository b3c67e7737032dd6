# SPDX-License-Identifier: MIT
"""Settings as JSON. The web app may change nothing itself: root's program applies them (apply.py)."""

import json
import socket

from flask import Blueprint, current_app

from tinypilot.access import needs, read_object, session
from tinypilot.door import Refused
from tinypilot.settings import Settings

# Longer than a service takes to restart, twice.
PATIENCE_SECONDS = 50

blueprint = Blueprint("settings", __name__, url_prefix="/api")


def settings() -> Settings:
    return Settings.from_config(current_app.config["TINYPILOT"])


@blueprint.get("/settings")
@needs("admin")
def all_settings():
    return {"settings": settings().described()}


@blueprint.patch("/settings")
@needs("admin")
def change_settings():
    """{name: value, or null for the play's}: all of them, or none."""
    changes = read_object()
    if not changes:
        raise Refused(400, "The request must name a setting.")
    mistake = settings().mistake(changes)
    if mistake:
        raise Refused(400, mistake)
    _ask_root({"set": changes, "by": session().user or "the play"})
    return all_settings()


def _ask_root(request: dict) -> None:
    path = current_app.config["TINYPILOT"].settings_socket
    try:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(PATIENCE_SECONDS)
            connection.connect(str(path))
            connection.sendall(json.dumps(request).encode() + b"\n")
            with connection.makefile("rb") as answer:
                answer = json.loads(answer.read())
    except (OSError, ValueError) as error:
        raise Refused(
            503, "What applies settings does not answer: `journalctl -u 'tinypilot-apply@*'` tells why."
        ) from error
    if "error" in answer:
        raise Refused(answer["status"], answer["error"])
