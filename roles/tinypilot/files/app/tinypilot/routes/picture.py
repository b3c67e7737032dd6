# SPDX-License-Identifier: MIT
"""The picture for programs: what it shows, and waiting for one."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from flask import Blueprint, Response, current_app, request

from tinypilot.auth.http import read_object, require_role, session
from tinypilot.check import check
from tinypilot.errors import ApiError
from tinypilot.hid.client import is_gone
from tinypilot.limits import person_of
from tinypilot.operation import BOOL, object_of, operation
from tinypilot.routes.health import SIGNAL, signal
from tinypilot.video import png, screenshot

# Each keeps one of the web app's threads.
LOOKS_AT_ONCE = 2
WAIT_SECONDS_MAX = 50
LOOK_SECONDS = 0.25

blueprint = Blueprint("picture", __name__, url_prefix="/api")

WAIT = object_of(seconds={"type": "integer", "minimum": 0, "maximum": WAIT_SECONDS_MAX})
IMAGE = {"type": "string", "format": "binary"}


class Looking:
    """Who looks now: one look of a person at a time, and a few of all."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._people: set[str] = set()

    @contextmanager
    def place(self, person: str) -> Iterator[None]:
        with self._lock:
            if person in self._people or len(self._people) >= LOOKS_AT_ONCE:
                raise ApiError(
                    429,
                    "So many look at the picture or wait for one already. Try again in a moment.",
                    retry_after=1,
                )
            self._people.add(person)
        try:
            yield
        finally:
            self._people.discard(person)


@contextmanager
def _place(kind: str) -> Iterator[None]:
    looking = current_app.extensions.setdefault(f"looking: {kind}", Looking())
    with looking.place(person_of(session())):
        yield


def has_picture() -> bool:
    return screenshot.has_picture(current_app.config["TINYPILOT"].ustreamer_socket)


def _jpeg() -> bytes:
    with _place("screenshot"):
        if not has_picture():
            raise ApiError(409, "There is no picture. {words}", words=signal()["words"])
        return screenshot.newest_jpeg(current_app.config["TINYPILOT"].ustreamer_socket)


@blueprint.get("/screenshot.jpg")
@operation(
    "What the attached computer shows, captured after the request came",
    answers=IMAGE,
    media="image/jpeg",
)
def screenshot_as_jpeg():
    return Response(_jpeg(), mimetype="image/jpeg")


@blueprint.get("/screenshot.png")
@operation("The same as PNG, of the same quality", answers=IMAGE, media="image/png")
def screenshot_as_png():
    try:
        return Response(png.from_jpeg(_jpeg()), mimetype="image/png")
    except (OSError, ValueError) as error:
        raise ApiError(
            503, "The picture can't be made a PNG: {reason}. Ask for JPEG.", reason=error
        ) from error


@blueprint.post("/picture/wait")
@require_role("operator")
@operation(
    "Wait until there is a picture, for so many seconds at most; answered with what there is then",
    takes=lambda: WAIT,
    answers=object_of(has_picture=BOOL, signal=SIGNAL),
)
def wait_for_picture():
    asked = read_object()
    check(asked, WAIT)
    deadline = time.monotonic() + asked["seconds"]
    caller = request.environ.get("gunicorn.socket")
    with _place("wait"):
        while not (is_there := has_picture()) and time.monotonic() < deadline:
            if caller and is_gone(caller):
                break
            time.sleep(LOOK_SECONDS)
    return {"has_picture": is_there, "signal": signal()}
