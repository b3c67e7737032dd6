# SPDX-License-Identifier: MIT
"""What programs ask. /api/source and /api/gateway are nginx' own (see nginx.conf)."""

import time

from flask import Blueprint

from tinypilot.access import session
from tinypilot.ice import IceServers
from tinypilot.settings_api import settings

STARTED = time.time()

blueprint = Blueprint("api", __name__, url_prefix="/api")


@blueprint.get("/health")
def health():
    """Answers when the web app does: for checks after provisioning and for monitoring. Another `since` tells a page
    that waits for a restart that it is over."""
    return {"status": "ok", "since": STARTED}


@blueprint.get("/ice-servers")
def ice_servers():
    """STUN and TURN servers for one connection: credentials may be short-lived."""
    known = IceServers.from_settings(settings().in_force())
    return {"ice_servers": known.for_session(session().number)}
