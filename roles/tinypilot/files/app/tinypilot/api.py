# SPDX-License-Identifier: MIT
"""What programs ask. /api/source and /api/gateway are nginx' own (see nginx.conf)."""

from flask import Blueprint

blueprint = Blueprint("api", __name__, url_prefix="/api")


@blueprint.get("/health")
def health():
    """Answers when the web app does: for checks after provisioning and for monitoring."""
    return {"status": "ok"}
