# SPDX-License-Identifier: MIT
"""The picture for programs: whether there is one, and what it shows now."""

import contextlib
import http.client
import json
import time
from pathlib import Path

from tinypilot.errors import ApiError
from tinypilot.unix_http import UnixConnection
from tinypilot.video.multipart import AGE_HEADER, LARGEST_FRAME_BYTES, LENGTH_HEADER

PATIENCE_SECONDS = 3.0
LONGEST_LINE = 1024
LINES_MAX = 64
STATE_BYTES = 64 * 1024


def has_picture(ustreamer: Path) -> bool:
    """Whether the attached computer sends one. Raises ApiError if uStreamer does not answer."""
    try:
        with contextlib.closing(UnixConnection(ustreamer, PATIENCE_SECONDS)) as connection:
            connection.request("GET", "/state")
            told = json.loads(connection.getresponse().read(STATE_BYTES))
            return bool(told["result"]["source"]["online"])
    except (OSError, ValueError, LookupError, TypeError, http.client.HTTPException) as error:
        raise _no_ustreamer() from error


def newest_jpeg(ustreamer: Path) -> bytes:
    """A picture that was captured after this was called. uStreamer's snapshot is what it has encoded last, which is a
    second old while nobody watches: so this watches, until there is one that is younger than the question."""
    asked_at = time.monotonic()
    try:
        with contextlib.closing(UnixConnection(ustreamer, PATIENCE_SECONDS)) as connection:
            connection.request("GET", "/stream?extra_headers=1")
            stream = connection.getresponse()
            while (waited := time.monotonic() - asked_at) < PATIENCE_SECONDS:
                age, jpeg = _next_frame(stream)
                if age < waited:
                    return jpeg
    except (OSError, ValueError, EOFError, http.client.HTTPException) as error:
        raise _no_ustreamer() from error
    raise ApiError(503, "No new picture came within {seconds} s.", seconds=round(PATIENCE_SECONDS))


def _next_frame(stream: http.client.HTTPResponse) -> tuple[float, bytes]:
    """As mjpeg.read_frame(), without an event loop."""
    headers: dict[bytes, bytes] = {}
    for _ in range(LINES_MAX):
        line = stream.readline(LONGEST_LINE)
        if not line:
            raise EOFError
        if not line.strip() and LENGTH_HEADER in headers:
            break
        name, _, value = line.partition(b":")
        headers[name.lower()] = value.strip()
    length = int(headers.get(LENGTH_HEADER, 0))
    if not 0 < length <= LARGEST_FRAME_BYTES:
        raise ValueError(f"uStreamer announces a frame of {length} bytes")
    jpeg = stream.read(length)
    if len(jpeg) < length:
        raise EOFError
    return float(headers.get(AGE_HEADER, 0)), jpeg


def _no_ustreamer() -> ApiError:
    return ApiError(
        503,
        "uStreamer, which captures the picture, does not answer. See `journalctl -u ustreamer`.",
    )
