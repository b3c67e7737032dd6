# SPDX-License-Identifier: MIT
"""What the parts of uStreamer's MJPEG stream say of themselves."""

AGE_HEADER = b"x-ustreamer-latency"
LENGTH_HEADER = b"content-length"
# Larger than any; what says so is not uStreamer.
LARGEST_FRAME_BYTES = 32 * 1024 * 1024
