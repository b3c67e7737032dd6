# SPDX-License-Identifier: MIT
"""TinyPilot's own programs: the web app (app.py), the relay to Janus (video/relay.py), and what root does on the
device (__main__.py).

The picture's bytes never pass here, so all of them may be restarted while somebody watches.
"""
