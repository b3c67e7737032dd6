# SPDX-License-Identifier: MIT
"""Virtual media as JSON. The web app asks the media service (media/server.py) for all of it, and says who may.

A piece of an upload does not come by here: nginx asks this program whether it may be sent, and passes it on to the
media service itself.
"""

import contextlib
import http.client
import json
from collections.abc import Set
from urllib.parse import quote, urlsplit

from flask import Blueprint, current_app

from tinypilot import audit
from tinypilot.auth.http import auth, read_object, require_role, sentence_of, session
from tinypilot.auth.sessions import check_still_may
from tinypilot.errors import ApiError
from tinypilot.media.fetch import LONGEST_URL
from tinypilot.media.images import LONGEST_TAG, NAME, SECTOR_BYTES, SMALLEST_DISK_BYTES, check_name
from tinypilot.operation import BOOL, NOTHING, NUMBER, TEXT, list_of, object_of, operation
from tinypilot.unix_http import UnixConnection

# Longer than the kernel takes to write to a slow disk what a computer has written last, and than a server takes to
# begin (media/downloads.py).
PATIENCE_SECONDS = 60
ANSWER_BYTES = 1024 * 1024
IMAGE_NAME = {"type": "string", "pattern": f"^{NAME.pattern}$"}
SIZE = {"type": "integer", "minimum": 1, "description": "In bytes."}
SHA256 = {"type": "string", "pattern": "^([0-9a-f]{64})?$"}
UPLOAD: dict[str, dict] = {"name": TEXT, "size": NUMBER, "offset": NUMBER}
ARRIVED = {
    "type": "object",
    "properties": {
        **UPLOAD,
        "image": {
            **TEXT,
            "description": "What it becomes: without .xz, .gz and .zst, which are unpacked.",
        },
        "offset": {**NUMBER, "description": "How many bytes have arrived: the rest goes on there."},
        "sha256": {**SHA256, "description": "Of the whole image, unpacked, when all has arrived."},
    },
}
MEDIA = object_of(
    images=list_of(
        name=TEXT,
        size=NUMBER,
        sha256={**SHA256, "description": "Empty: a computer may have written to it."},
    ),
    uploads=list_of(**UPLOAD),
    downloads=list_of(
        name=TEXT,
        url={**TEXT, "description": "Without what follows a question mark."},
        problem={**TEXT, "description": "Why it has ended, or empty: it goes on."},
    ),
    sources={
        "type": "array",
        "items": TEXT,
        "description": "The hosts that images may be fetched from.",
    },
    drives=list_of(
        number=NUMBER,
        kind={"type": "string", "enum": ["cdrom", "disk"]},
        image={
            **TEXT,
            "description": "What is in it, or empty. The computer may eject it as well.",
        },
        is_writable=BOOL,
    ),
    problem={**TEXT, "description": "Why there are no drives, or empty."},
    room=object_of(
        used=NUMBER,
        most={**NUMBER, "description": "Of all images together, in bytes."},
        left={**NUMBER, "description": "How large the next one may be."},
    ),
)


blueprint = Blueprint("media", __name__)


@blueprint.get("/api/media")
@require_role("operator")
@operation(
    "Images, uploads that are not complete, and the drives of the attached computer", answers=MEDIA
)
def media() -> dict:
    told = what_there_is()
    downloads = [{**each, "problem": _problem(each["problem"])} for each in told["downloads"]]
    sources = list(current_app.config["TINYPILOT"].media_sources)
    return {
        **told,
        "downloads": downloads,
        "sources": sources,
        "problem": _problem(told["problem"]),
    }


def _problem(told: dict | None) -> str:
    return sentence_of(_refusal_in(503, told)) if told else ""


def what_there_is() -> dict:
    """problem: a sentence with its values, or None."""
    return _ask("GET", "/api/media")


# --- Images ---


def _new_upload() -> dict:
    described = object_of(
        name=IMAGE_NAME,
        size=SIZE,
        sha256={**SHA256, "description": "Of what must arrive, as it is sent, if that is known."},
        tag={
            "type": "string",
            "maxLength": LONGEST_TAG,
            "description": "What tells this file from others of its name and size, such as when it was changed.",
        },
    )
    return {**described, "required": ["name", "size"]}


@blueprint.post("/api/media/uploads")
@require_role("admin")
@operation("Begin an upload, or go on with it where it was", takes=_new_upload, answers=ARRIVED)
def begin_upload() -> dict:
    asked = _read({"name", "size"}, {"sha256", "tag"})
    told = _change("admin", "POST", "/api/media/uploads", asked)
    if told["offset"] == 0:
        _note("media_upload", f"uploads {told['name']}, {told['size']} bytes")
    return told


@blueprint.put(f"/api/media/uploads/<name>/<int(max={10**18 - 1}):offset>")
@require_role("admin")
@operation(
    "Send a piece, of 16 MiB at most, as the body; one without content completes what has arrived",
    answers=ARRIVED,
    content="application/octet-stream",
)
def send_piece(name: str, offset: int) -> dict:
    """nginx asks here whether it may be sent: the media service answers."""
    check_name(name)
    return {}


@blueprint.delete("/api/media/uploads/<name>")
@require_role("admin")
@operation("Give up an upload", answers=NOTHING)
def cancel_upload(name: str) -> dict:
    _change("admin", "DELETE", f"/api/media/uploads/{quote(check_name(name))}")
    _note("media_deleted", f"gave up the upload of {name}")
    return {}


def _new_download() -> dict:
    described = object_of(
        url={
            **TEXT,
            "maxLength": LONGEST_URL,
            "description": "https, at one of the hosts of tinypilot_media_sources. Empty: go on with what has ended.",
        },
        name={**TEXT, "description": "What the image is called; else as the file in the address."},
        sha256={**SHA256, "description": "Of what must arrive, as it is sent, if that is known."},
    )
    return {**described, "required": ["url"]}


@blueprint.post("/api/media/downloads")
@require_role("admin")
@operation(
    "Have the device fetch an image by https, or go on with it; answered when the server has begun to send",
    takes=_new_download,
    answers=ARRIVED,
)
def download() -> dict:
    asked = _read({"url"}, {"name", "sha256"})
    told = _change("admin", "POST", "/api/media/downloads", asked)
    # A name of the host alone: what follows may be a secret.
    host = urlsplit(asked["url"]).hostname or "the same server"
    _note("media_download", f"has {told['name']} fetched from {host}, {told['size']} bytes")
    return told


@blueprint.post("/api/media/disks")
@require_role("admin")
@operation(
    "Make an empty disk with a FAT file system",
    takes=lambda: object_of(
        name=IMAGE_NAME,
        size={"type": "integer", "minimum": SMALLEST_DISK_BYTES, "multipleOf": SECTOR_BYTES},
    ),
    answers=NOTHING,
)
def make_disk() -> dict:
    asked = _read({"name", "size"})
    _change("admin", "POST", "/api/media/disks", asked)
    _note("media_disk", f"made the disk {asked['name']}, {asked['size']} bytes")
    return {}


@blueprint.delete("/api/media/images/<name>")
@require_role("admin")
@operation("Delete an image that is in no drive", answers=NOTHING)
def delete_image(name: str) -> dict:
    _change("admin", "DELETE", f"/api/media/images/{quote(check_name(name))}")
    _note("media_deleted", f"deleted {name}")
    return {}


# --- Drives ---


@blueprint.put("/api/media/drives/<int(max=7):number>")
@require_role("operator")
@operation(
    "Put an image into a drive, in place of what is in it",
    takes=lambda: object_of(image=IMAGE_NAME, is_writable=BOOL),
    answers=NOTHING,
)
def insert(number: int) -> dict:
    asked = _read({"image", "is_writable"})
    if not isinstance(asked["is_writable"], bool):
        raise ApiError(400, "{name} must be of the type {type}.", name="is_writable", type="bool")
    put_in(number, asked["image"], asked["is_writable"])
    return {}


def put_in(number: int, image: object, is_writable: bool) -> None:
    """Raises ApiError, as does take_out()."""
    asked = {"image": image, "is_writable": is_writable}
    _change("operator", "PUT", f"/api/media/drives/{number}", asked)
    way = "to be written to" if is_writable else "to be read"
    _note("media_inserted", f"put {image} into drive {number}, {way}")


@blueprint.post("/api/media/drives/<int(max=7):number>/eject")
@require_role("operator")
@operation(
    "Eject what is in a drive",
    takes=lambda: object_of(
        is_forced={
            **BOOL,
            "description": "Also if the computer has locked it, which may cost it data.",
        }
    ),
    answers=NOTHING,
)
def eject(number: int) -> dict:
    asked = _read({"is_forced"})
    if not isinstance(asked["is_forced"], bool):
        raise ApiError(400, "{name} must be of the type {type}.", name="is_forced", type="bool")
    take_out(number, asked["is_forced"])
    return {}


def take_out(number: int, is_forced: bool) -> None:
    _change("operator", "POST", f"/api/media/drives/{number}/eject", {"is_forced": is_forced})
    _note("media_ejected", f"emptied drive {number}{' by force' if is_forced else ''}")


# --- The media service ---


def _read(needed: set[str], optional: Set[str] = frozenset()) -> dict:
    asked = read_object()
    if not needed <= asked.keys() <= needed | optional:
        raise ApiError(
            400,
            "The request must hold {fields}, and nothing else.",
            fields=", ".join(sorted(needed)),
        )
    for name, value in asked.items():
        # No field may have more, and nobody behind has to read it.
        if isinstance(value, str) and len(value) > LONGEST_URL:
            raise ApiError(
                400,
                "{name} must have at most {most} characters and no control characters.",
                name=name,
                most=LONGEST_URL,
            )
    return asked


def _change(role: str, method: str, path: str, asked: dict | None = None) -> dict:
    # What was checked before took its time.
    check_still_may(role, session(), auth().store.database)
    return _ask(method, path, asked)


def _ask(method: str, path: str, asked: dict | None = None) -> dict:
    try:
        with contextlib.closing(
            UnixConnection(current_app.config["TINYPILOT"].media_socket, PATIENCE_SECONDS)
        ) as service:
            body = None if asked is None else json.dumps(asked)
            service.request(method, path, body, {"Content-Type": "application/json"})
            answer = service.getresponse()
            told = json.loads(answer.read(ANSWER_BYTES))
    except (OSError, ValueError, http.client.HTTPException) as error:
        raise ApiError(
            503, "The media service does not answer. See `journalctl -u tinypilot-media`."
        ) from error
    if answer.status != 200:
        raise _refusal_in(answer.status, told)
    return told


def _refusal_in(status: int, told: dict) -> ApiError:
    return ApiError.of_another_program(status, told["sentence"], told["values"])


def _note(event: str, what: str) -> None:
    by = session().user or "provisioning"
    audit.note(event, f"{by} {what}", by=by)
