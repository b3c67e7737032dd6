# SPDX-License-Identifier: MIT
"""The way of the picture: the relay to Janus and to uStreamer's JPEGs, and the STUN and TURN servers."""
