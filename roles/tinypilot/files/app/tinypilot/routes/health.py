# SPDX-License-Identifier: MIT
"""What programs ask. /api/source and /api/gateway are nginx' own (see nginx.conf)."""

import time

from flask import Blueprint

from tinypilot.auth.http import session
from tinypilot.operation import SECRET, TEXT, TIME, object_of, operation
from tinypilot.routes.settings import settings
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


@blueprint.get("/health")
@operation("Whether the web app answers", answers=object_of(status=TEXT, since=TIME))
def health():
    """Answers when the web app does: for checks after provisioning and for monitoring. Another `since` tells a page
    that waits for a restart that it is over."""
    return {"status": "ok", "since": STARTED}


@blueprint.get("/ice-servers")
@operation(
    "STUN and TURN servers, as RTCPeerConnection takes them; credentials may end in an hour",
    answers=object_of(ice_servers={"type": "array", "items": ICE_SERVER}),
)
def ice_servers():
    """STUN and TURN servers for one connection: credentials may be short-lived."""
    known = IceServers.from_settings(settings().effective())
    return {"ice_servers": known.for_session(session().number)}
