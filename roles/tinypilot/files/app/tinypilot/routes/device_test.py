# SPDX-License-Identifier: MIT
"""Tests this device for an admin: a program of its own measures (doctor/measure.py), and this makes words of it."""

import threading
import time

from flask import Blueprint, current_app

from tinypilot import audit
from tinypilot.auth.http import require_role, session
from tinypilot.doctor import verdicts
from tinypilot.errors import ApiError
from tinypilot.i18n import t
from tinypilot.operation import BOOL, TEXT, TIME, list_of, object_of, operation

# A test takes the processor and the disk for some seconds.
PAUSE_SECONDS = 30

blueprint = Blueprint("device_test", __name__, url_prefix="/api")

DEVICE_TEST = object_of(
    at=TIME,
    watched={**BOOL, "description": "Whether somebody watched meanwhile, and so took a part."},
    parts=list_of(
        part=TEXT,
        title={**TEXT, "description": "What people call it."},
        state={
            "type": "string",
            "enum": list(verdicts.STATES),
            "description": "poor: it works, and could do better; unknown: nothing to measure, and no fault.",
        },
        figure={**TEXT, "description": "What was measured, in words."},
        words={**TEXT, "description": "What it means and what to do, or empty."},
    ),
    figures={
        "type": "object",
        "description": "The same as numbers: encoder (sizes with frames_per_second and frame_ms), stream, capture, "
        "disk, ports, usb.",
    },
)


class _Turn:
    """One test at a time, and a pause between two."""

    def __init__(self) -> None:
        self._testing = threading.Lock()
        self._next_at = 0.0

    def __enter__(self) -> None:
        if not self._testing.acquire(blocking=False):
            raise ApiError(409, "The device is being tested. That takes up to 20 seconds.")
        wait = self._next_at - time.monotonic()
        if wait > 0:
            self._testing.release()
            raise ApiError(
                429,
                "The device was tested a moment ago. It can be tested again in {seconds} seconds.",
                seconds=int(wait) + 1,
                retry_after=int(wait) + 1,
            )

    def __exit__(self, *_: object) -> None:
        self._next_at = time.monotonic() + PAUSE_SECONDS
        self._testing.release()


@blueprint.post("/device-test")
@require_role("admin")
@operation(
    "Test this device: encoder at each size, video input, picture, disk, network ports, USB. It takes up to 20 "
    "seconds; who watches comes first",
    answers=DEVICE_TEST,
)
def test_device():
    with current_app.extensions.setdefault("device test", _Turn()):
        by = session().user or "provisioning"
        audit.note("device_tested", f"{by} tested the device", by=by)
        try:
            figures = verdicts.ask(current_app.config["TINYPILOT"].device_test_socket)
        except verdicts.NoFigures as error:
            raise ApiError(
                503,
                "The program that tests the device does not answer. See `journalctl -u 'tinypilot-device-test@*'`.",
            ) from error
        return {
            "at": figures["at"],
            "watched": figures["watched"],
            "parts": [each.told() for each in verdicts.judge(figures, t)],
            "figures": figures,
        }
