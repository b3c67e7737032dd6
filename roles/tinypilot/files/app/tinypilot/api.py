# SPDX-License-Identifier: MIT
"""What programs ask. /api/source and /api/gateway are nginx' own (see nginx.conf)."""

import time

from flask import Blueprint

STARTED = time.time()

blueprint = Blueprint("api", __name__, url_prefix="/api")


@blueprint.get("/health")
def health():
    """Answers when the web app does: for checks after provisioning and for monitoring. Another `since` tells a page
    that waits for a restart that it is over."""
    return {"status": "ok", "since": STARTED}
