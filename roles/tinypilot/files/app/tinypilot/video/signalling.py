# SPDX-License-Identifier: MIT
"""What a viewer may say to Janus, and what Janus says.

Two programs that read one text may read it differently: which of two fields of one name counts, what a NUL in a string
means, or a number with an exponent. So Janus never gets a viewer's text. What the relay has understood it writes anew,
with the fields that it knows, and what it does not understand ends the connection.
"""

from __future__ import annotations

import json
import math
import re
from dataclasses import dataclass, field

PLUGIN = "janus.plugin.ustreamer"
# The transaction of the relay's own requests.
END = "tinypilot-relay-end"

TRANSACTION = re.compile(r"[\x20-\x7e]{1,64}")
NUMBER_MAX = 2**53
DEPTH_MAX = 8
CANDIDATES_MAX = 32  # in one message
SDP_LINES_MAX = 256
SDP_LINE_MAX = 512

# By kind: whether it names a session, and a handle.
KINDS = {
    "create": (False, False),
    "info": (False, False),
    "ping": (False, False),
    "claim": (True, False),
    "keepalive": (True, False),
    "destroy": (True, False),
    "attach": (True, False),
    "detach": (True, True),
    "hangup": (True, True),
    "message": (True, True),
    "trickle": (True, True),
}

# The lines that Janus makes something of, as browsers write them. It puts others into its log.
_TOKEN = r"[\w.+/-]+"
_WORDS = r"[\w .,:;=+/*@<>{}\[\]-]*"
_SDP_LINES = re.compile(
    rf"v=0|o={_WORDS}|s={_WORDS}|t=\d+ \d+|c=IN IP[46] [0-9a-fA-F.:]+|b={_TOKEN}:\d+"
    rf"|m=(?:video|audio|application) \d+ {_TOKEN}(?: {_TOKEN})*"
    r"|a=(?:sendrecv|sendonly|recvonly|inactive|rtcp-mux|rtcp-rsize|end-of-candidates|extmap-allow-mixed|ice-lite)"
    r"|a=fingerprint:sha-256 [0-9A-Fa-f]{2}(?::[0-9A-Fa-f]{2}){31}"
    r"|a=setup:(?:active|passive|actpass)"
    r"|a=ice-(?:ufrag|pwd):[A-Za-z0-9+/]{4,256}"
    rf"|a=(?:group|msid-semantic|ice-options|mid|msid|rtcp|rtpmap|fmtp|rtcp-fb|extmap|ssrc|ssrc-group|rid):{_WORDS}"
    rf"|a=candidate:{_WORDS}",
    re.ASCII,
)
_CANDIDATE = re.compile(rf"(?:candidate:{_WORDS})?", re.ASCII)
_MID = re.compile(r"[\w-]{0,32}", re.ASCII)


@dataclass(frozen=True)
class Told:
    """What Janus says, as far as the relay has to know it. `made`: the number of what was made; `error`: its code."""

    kind: str
    transaction: str
    session: int | None
    sender: int | None
    made: int | None
    error: int | None

    @property
    def is_answer(self) -> bool:
        """To a request, and not news of a session."""
        return self.kind in ("success", "error", "ack", "server_info", "pong")


@dataclass(frozen=True)
class Request:
    """What a viewer asks Janus for. `rest` has what belongs to its kind."""

    kind: str
    transaction: str
    session: int | None = None
    handle: int | None = None
    rest: dict = field(default_factory=dict)

    def written(self, token: str) -> str:
        """As Janus gets it, signed."""
        message: dict[str, object] = {"janus": self.kind, "transaction": self.transaction}
        if self.session is not None:
            message["session_id"] = self.session
        if self.handle is not None:
            message["handle_id"] = self.handle
        return json.dumps({**message, **self.rest, "token": token}, allow_nan=False)


def understand(text: str) -> Request | None:
    """None: it is nothing that a page says."""
    try:
        message = json.loads(text, object_pairs_hook=_as_object)
    except (ValueError, RecursionError):
        return None
    if not isinstance(message, dict):
        return None
    kind, transaction = message.get("janus"), message.get("transaction")
    if not isinstance(kind, str) or kind not in KINDS:
        return None
    if not isinstance(transaction, str) or not _is_transaction(transaction):
        return None
    has_session, has_handle = KINDS[kind]
    session = message.get("session_id") if has_session else None
    handle = message.get("handle_id") if has_handle else None
    if has_session != _is_number(session) or has_handle != _is_number(handle):
        return None
    rest = _rest(kind, message)
    if rest is None:
        return None
    return Request(kind, transaction, session, handle, rest)


def hear(text: str) -> Told | None:
    """None: it is nothing that Janus says."""
    try:
        told = json.loads(text)
    except (ValueError, RecursionError):
        return None
    if not isinstance(told, dict):
        return None
    data, error = told.get("data"), told.get("error")
    return Told(
        _word(told.get("janus")),
        _word(told.get("transaction")),
        _number(told.get("session_id")),
        _number(told.get("sender")),
        _number(data.get("id")) if isinstance(data, dict) else None,
        _number(error.get("code")) if isinstance(error, dict) else None,
    )


def _word(value: object) -> str:
    return value if isinstance(value, str) else ""


def _number(value: object) -> int | None:
    return value if type(value) is int else None


def _as_object(pairs: list[tuple[str, object]]) -> dict:
    fields = dict(pairs)
    if len(fields) != len(pairs):
        raise ValueError("a field is there twice")
    return fields


def _is_transaction(text: str) -> bool:
    return bool(TRANSACTION.fullmatch(text)) and END not in text


def _is_number(value: object) -> bool:
    # Not `true`, which is 1 to Python and nothing to Janus.
    return type(value) is int and 0 <= value <= NUMBER_MAX


def _rest(kind: str, message: dict) -> dict | None:
    match kind:
        case "attach":
            return {"plugin": PLUGIN} if message.get("plugin") == PLUGIN else None
        case "message":
            return _body(message)
        case "trickle":
            return _candidates(message)
    return {}


def _body(message: dict) -> dict | None:
    body = message.get("body")
    if not isinstance(body, dict) or not _is_plain(body):
        return None
    if "jsep" not in message:
        return {"body": body}
    jsep = message["jsep"]
    if not isinstance(jsep, dict) or jsep.get("type") not in ("offer", "answer"):
        return None
    sdp = jsep.get("sdp")
    if not isinstance(sdp, str) or (known := known_lines(sdp)) is None:
        return None
    return {"body": body, "jsep": {"type": jsep["type"], "sdp": known}}


def known_lines(sdp: str) -> str | None:
    """The lines that Janus knows, without all others. None: it has more than any has."""
    lines = sdp.splitlines()
    if len(lines) > SDP_LINES_MAX or any(len(line) > SDP_LINE_MAX for line in lines):
        return None
    return "".join(f"{line}\r\n" for line in lines if _SDP_LINES.fullmatch(line))


def _candidates(message: dict) -> dict | None:
    if "candidates" in message:
        given = message["candidates"]
        if not isinstance(given, list) or len(given) > CANDIDATES_MAX:
            return None
        found = [_candidate(each) for each in given]
        return None if None in found else {"candidates": found}
    candidate = _candidate(message.get("candidate"))
    return None if candidate is None else {"candidate": candidate}


def _candidate(given: object) -> dict | None:
    if not isinstance(given, dict):
        return None
    if given.get("completed") is True:
        return {"completed": True}
    candidate, mid, index = (given.get(key) for key in ("candidate", "sdpMid", "sdpMLineIndex"))
    if not isinstance(candidate, str) or len(candidate) > SDP_LINE_MAX:
        return None
    if not _CANDIDATE.fullmatch(candidate):
        return None
    found: dict[str, object] = {"candidate": candidate}
    if isinstance(mid, str) and _MID.fullmatch(mid):
        found["sdpMid"] = mid
    if _is_number(index):
        found["sdpMLineIndex"] = index
    return found


def _is_plain(value: object, depth: int = 0) -> bool:
    """Whether all parsers of JSON take it for the same."""
    if isinstance(value, dict):
        return depth < DEPTH_MAX and all(
            _is_plain(key) and _is_plain(each, depth + 1) for key, each in value.items()
        )
    if isinstance(value, list):
        return depth < DEPTH_MAX and all(_is_plain(each, depth + 1) for each in value)
    if isinstance(value, str):
        return "\0" not in value and not any("\ud800" <= each <= "\udfff" for each in value)
    if isinstance(value, float):
        return math.isfinite(value)
    if type(value) is int:
        return abs(value) <= NUMBER_MAX
    return value is None or isinstance(value, bool)
