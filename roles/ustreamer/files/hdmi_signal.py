#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""What comes over the video cable, as the driver of the HDMI input knows it.

kvm-hdmi DEVICE MOST_PIXELS_PER_SECOND MOST_ENCODED_PIXELS

answers each connection to the socket that systemd has opened with a JSON object. How many pixels a second the device
takes (0: that is not known), and how many in each direction the encoder does, is handed on in it.

Each question to the driver is one that uStreamer's own work does not notice, on a file descriptor of its own: nothing
is set, and no buffer is asked for.
"""

import contextlib
import errno
import fcntl
import json
import os
import socket
import struct
import sys
import time

SYSTEMD_SOCKET = 3
# All pages that wait for a picture share an answer.
KEEP_SECONDS = 0.2
CLIENT_SECONDS = 1

# struct v4l2_dv_timings: type; width, height, interlaced, polarities; pixel clock; three horizontal and three vertical
# blankings, and three of an interlaced picture's second field.
TIMINGS = struct.Struct("=5IQ9I")
TIMINGS_BYTES = 132
# struct v4l2_dv_timings_cap: type, pad, reserved; smallest and largest width, height and pixel clock; standards, what
# else it can.
CAPABILITIES = struct.Struct("=8I2Q2I")
CAPABILITIES_BYTES = 144
CAN_INTERLACED = 1
# struct v4l2_format: type, and of the pixel format width and height.
FORMAT = struct.Struct("=I4x2I")
FORMAT_BYTES = 208
VIDEO_CAPTURE = 1
CONTROL = struct.Struct("=Ii")
POWER_PRESENT = 0x00A00964  # V4L2_CID_DV_RX_POWER_PRESENT


def _ioctl_number(direction: int, number: int, size: int) -> int:
    return direction << 30 | size << 16 | ord("V") << 8 | number


QUERY_TIMINGS = _ioctl_number(2, 99, TIMINGS_BYTES)
TIMINGS_CAP = _ioctl_number(3, 100, CAPABILITIES_BYTES)
GET_FORMAT = _ioctl_number(3, 4, FORMAT_BYTES)
GET_CONTROL = _ioctl_number(3, 27, CONTROL.size)

# What the driver's refusal to measure says of the cable.
STATES = {errno.ENOLINK: "none", errno.ENOLCK: "unlocked", errno.ERANGE: "out_of_range"}
NO_DEVICE = {errno.ENOENT, errno.ENODEV, errno.ENXIO}


def look(path: str) -> dict:
    """state: present, out_of_range, unlocked, none, no_device or unknown; power: whether the computer has 5 volts on
    the cable, if that can be known; sends: what was measured; takes: what the driver says that it takes; hands_out: the
    size of what is captured, of an input that measures nothing, as a dongle."""
    facts: dict = {"state": "unknown", "power": None, "sends": None, "takes": None}
    facts["hands_out"] = None
    try:
        device = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    except OSError as error:
        facts["state"] = "no_device" if error.errno in NO_DEVICE else "unknown"
        return facts
    try:
        facts["takes"] = capabilities(device)
        facts["power"] = power(device)
        facts["state"], facts["sends"] = measure(device)
        if facts["state"] == "unknown":
            facts["hands_out"] = captured_size(device)
    finally:
        os.close(device)
    return facts


def measure(device: int) -> tuple[str, dict | None]:
    request, state = bytearray(TIMINGS_BYTES), "present"
    try:
        fcntl.ioctl(device, QUERY_TIMINGS, request)
    except OSError as error:
        state = STATES.get(error.errno or 0, "no_device" if error.errno in NO_DEVICE else "unknown")
        # The kernel hands timings out that are out of range.
        if state != "out_of_range":
            return state, None
    _, width, height, interlaced, _, pixel_clock, *blanking = TIMINGS.unpack_from(request)
    lines = height + sum(blanking[3:] if interlaced else blanking[3:6])
    frame = (width + sum(blanking[:3])) * lines
    if not (width and height and frame):
        return state, None
    rate = pixel_clock / frame * (2 if interlaced else 1)
    return state, {
        "width": width,
        "height": height,
        "rate_hz": round(rate),
        "interlaced": bool(interlaced),
        "pixel_clock_hz": pixel_clock,
    }


def captured_size(device: int) -> dict | None:
    request = bytearray(FORMAT.pack(VIDEO_CAPTURE, 0, 0).ljust(FORMAT_BYTES, b"\0"))
    try:
        fcntl.ioctl(device, GET_FORMAT, request)
    except OSError:
        return None
    _, width, height = FORMAT.unpack_from(request)
    return {"width": width, "height": height} if width and height else None


def capabilities(device: int) -> dict | None:
    request = bytearray(CAPABILITIES_BYTES)
    try:
        fcntl.ioctl(device, TIMINGS_CAP, request)
    except OSError:
        return None
    _, _, _, _, *sizes, least_clock, clock, _, can = CAPABILITIES.unpack_from(request)
    least_width, width, least_height, height = sizes
    return {
        "width": width,
        "height": height,
        "pixel_clock_hz": clock,
        "least": {"width": least_width, "height": least_height, "pixel_clock_hz": least_clock},
        "interlaced": bool(can & CAN_INTERLACED),
    }


def power(device: int) -> bool | None:
    request = bytearray(CONTROL.pack(POWER_PRESENT, 0))
    try:
        fcntl.ioctl(device, GET_CONTROL, request)
    except OSError:
        return None
    return bool(CONTROL.unpack(request)[1])


def main() -> None:
    device, most_pixels_per_second, most_encoded_pixels = sys.argv[1:]
    listener = socket.socket(fileno=SYSTEMD_SOCKET)
    answer, looked_at = b"", -KEEP_SECONDS
    while True:
        client, _ = listener.accept()
        now = time.monotonic()
        if now - looked_at >= KEEP_SECONDS:
            facts = look(device)
            facts["most_pixels_per_second"] = int(most_pixels_per_second) or None
            facts["most_encoded_pixels"] = int(most_encoded_pixels)
            answer, looked_at = json.dumps(facts).encode(), now
        # Who has gone gets no answer.
        with client, contextlib.suppress(OSError):
            client.settimeout(CLIENT_SECONDS)
            client.sendall(answer)


if __name__ == "__main__":
    main()
