# SPDX-License-Identifier: MIT
"""Video transport: the relay to Janus and to uStreamer's JPEGs, and the STUN and TURN servers."""
