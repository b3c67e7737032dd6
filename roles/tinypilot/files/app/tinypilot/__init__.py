# SPDX-License-Identifier: MIT
"""TinyPilot's web app: everything a person needs that is not the picture itself.

The picture's bytes never pass here. nginx hands the page's WebSocket to Janus and its question
about the signal to uStreamer, so the app may be restarted while somebody watches.
"""

from tinypilot.app import create_app

__all__ = ["create_app"]
