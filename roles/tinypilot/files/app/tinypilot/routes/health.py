# SPDX-License-Identifier: MIT
"""What programs ask. /api/source and /api/gateway are nginx' own (see nginx.conf)."""

import time
from dataclasses import asdict

from flask import Blueprint, current_app
from flask.typing import ResponseReturnValue

from tinypilot import healing
from tinypilot.auth.http import public, session, session_if_any
from tinypilot.i18n import t
from tinypilot.monitoring.health import Informant, parts_of
from tinypilot.operation import (
    BOOL,
    NUMBER,
    SECRET,
    TEXT,
    TIME,
    list_of,
    object_of,
    operation,
    or_null,
)
from tinypilot.routes.settings import settings
from tinypilot.video import hdmi
from tinypilot.video.ice import IceServers

STARTED = time.time()

blueprint = Blueprint("health", __name__, url_prefix="/api")

ICE_SERVER = {
    "type": "object",
    "properties": {
        "urls": {"type": "array", "items": {"type": "string"}},
        "username": TEXT,
        "credential": SECRET,
    },
    "required": ["urls"],
    "additionalProperties": False,
}

SIZE = {"width": NUMBER, "height": NUMBER, "rate_hz": NUMBER}
SIGNAL = object_of(
    state={
        "type": "string",
        "enum": list(hdmi.STATES),
        "description": "What comes over the video cable; unknown: the input can't tell, as a dongle's.",
    },
    title={**TEXT, "description": "The same in words, in the reader's language."},
    words={**TEXT, "description": "What it means, and what to do."},
    sends={
        **or_null(object_of(**SIZE, interlaced=BOOL)),
        "description": "What the computer sends, if that can be measured.",
    },
    takes={
        **or_null(object_of(**SIZE)),
        "description": "The largest common mode that this device takes, if that is known.",
    },
    least={
        **or_null(object_of(width=NUMBER, height=NUMBER, pixel_clock_hz=NUMBER)),
        "description": "What this device takes at least, if the computer sends less.",
    },
    picture={
        **or_null(object_of(width=NUMBER, height=NUMBER)),
        "description": "Of not_encoded: the size of the picture.",
    },
    most_encoded_pixels={
        **or_null(NUMBER),
        "description": "Of not_encoded: how many the encoder takes in each direction.",
    },
)
PART = {
    "part": TEXT,
    "ok": {**or_null(BOOL), "description": "null: that is not known yet, and no fault."},
    "words": TEXT,
}
HEALINGS = {
    "type": "object",
    "additionalProperties": NUMBER,
    "description": "By unit: how often since the start of the device.",
}


HEALTH = {
    "type": "object",
    "properties": {
        "status": {"type": "string", "enum": ["ok", "not ok"]},
        "since": TIME,
        "healings": HEALINGS,
        "parts": list_of(**PART),
    },
    "required": ["status"],
    "additionalProperties": False,
}


@blueprint.get("/health")
@public
@operation(
    "Whether the device is well: 200, or 503. Who is logged in is told of each part.",
    answers=HEALTH,
)
def health() -> ResponseReturnValue:
    """For load balancers, monitoring and people. Another `since` tells a page that waits for a restart that it is
    over."""
    parts = parts_of(informant().facts(), t)
    bad = [part for part in parts if part.is_ok is False]
    answer: dict[str, object] = {"status": "not ok" if bad else "ok"}
    if session_if_any():
        answer["since"] = STARTED
        answer["healings"] = {unit: each.count for unit, each in healing.of_all().items()}
        answer["parts"] = [part.told() for part in parts]
    if bad:
        answer["error"] = bad[0].words if session_if_any() else t("The device is not well.")
        return answer, 503
    return answer


def informant() -> Informant:
    """One for all: what it was told is good for each."""
    known = current_app.extensions
    path = current_app.config["TINYPILOT"].metrics_socket
    return known.setdefault("informant", Informant(path))


@blueprint.get("/ice-servers")
@operation(
    "STUN and TURN servers, as RTCPeerConnection takes them; credentials may end in an hour",
    answers=object_of(ice_servers={"type": "array", "items": ICE_SERVER}),
)
def ice_servers():
    """STUN and TURN servers for one connection: credentials may be short-lived."""
    known = IceServers.from_settings(settings().effective())
    return {"ice_servers": known.for_session(session().number)}


@blueprint.get("/signal")
@operation("What the attached computer sends, and why there may be no picture", answers=SIGNAL)
def signal() -> dict:
    found = hdmi.judge(hdmi.ask(current_app.config["TINYPILOT"].hdmi_socket))
    title, words = hdmi.describe(found, t)
    return {**asdict(found), "title": title, "words": words}
