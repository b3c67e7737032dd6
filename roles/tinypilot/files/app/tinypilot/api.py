# SPDX-License-Identifier: MIT
"""What programs ask. /api/source and /api/gateway are nginx' own (see nginx.conf)."""

from flask import Blueprint, current_app, request

from tinypilot.door import SESSION_COOKIE

blueprint = Blueprint("api", __name__, url_prefix="/api")


@blueprint.get("/health")
def health():
    """Answers when the web app does: for checks after provisioning and for monitoring."""
    return {"status": "ok"}


@blueprint.get("/ice-servers")
def ice_servers():
    """STUN and TURN servers for one connection: credentials may be short-lived."""
    known = current_app.extensions["ice_servers"]
    return {"ice_servers": known.for_session(request.cookies[SESSION_COOKIE])}
