# SPDX-License-Identifier: MIT
"""Signalling: what viewers say to Janus, and what Janus says, alone and in a row."""

from __future__ import annotations

import asyncio
import json
from types import SimpleNamespace
from unittest import mock

from aiohttp import WSMsgType
from hypothesis import strategies as st
from tinypilot.auth.sessions import Session
from tinypilot.video import relay, signalling
from tinypilot.video.relay import Relay, Viewer

from tests.fuzz.inputs import ANY_JSON, bytes_of, json_texts, lines_of
from tests.fuzz.jansson import read_as_janus
from tests.fuzz.target import Target, is_same, text_of

TRANSACTIONS = st.sampled_from(
    ["a", "b", "c", "d" * 64, "e" * 65, "\0", "\x7f", signalling.END, "ä"]
)
NUMBERS = st.integers(0, 4) | st.sampled_from([2**53, 2**53 + 1, 2**63, -1, 1.0, True])
SDP_LINES = st.sampled_from(
    [
        *(
            "v=0",
            "o=- 1 2 IN IP4 127.0.0.1",
            "s=-",
            "t=0 0",
            "a=group:BUNDLE v",
            "a=msid-semantic: WMS",
        ),
        *(
            "m=video 9 UDP/TLS/RTP/SAVPF 96",
            "c=IN IP4 0.0.0.0",
            "a=recvonly",
            "a=mid:v",
            "a=rtcp-mux",
        ),
        *("a=ice-ufrag:abcd", "a=ice-pwd:" + "x" * 22, "a=setup:active", "a=rtpmap:96 H264/90000"),
        "a=fingerprint:sha-256 " + ":".join(["AB"] * 32),
        "a=candidate:1 1 udp 2113937151 192.0.2.1 5000 typ host",
        *(
            "a=x-odd:1",
            "a=mid:\N{KELVIN SIGN}",
            "a=mid:v\0",
            "a=mid:\x0bv=0",
            "a=ssrc:1 cname:\u2028v=0",
        ),
        "a=mid:" + "y" * 600,
    ]
)
SDPS = st.lists(SDP_LINES, max_size=30).flatmap(
    lambda lines: st.sampled_from(["\r\n", "\n", "\r", "\x85", ""]).map(
        lambda end: end.join([*lines, ""])
    )
)
CANDIDATES = st.one_of(
    st.just({"completed": True}),
    st.fixed_dictionaries(
        {
            "candidate": st.sampled_from(
                ["", "candidate:1 1 udp 1 192.0.2.1 9 typ host", "candidate:\n", "x"]
            )
        },
        optional={
            "sdpMid": st.sampled_from(["0", "v", "", "v" * 33, None, 0]),
            "sdpMLineIndex": NUMBERS,
        },
    ),
)
BODIES = st.fixed_dictionaries(
    {"request": st.sampled_from(["watch", "start", "stop", "features"])},
    optional={"params": ANY_JSON},
)
REQUESTS = st.fixed_dictionaries(
    {"janus": st.sampled_from([*signalling.KINDS, "nonsense"]), "transaction": TRANSACTIONS},
    optional={
        "session_id": NUMBERS,
        "handle_id": NUMBERS,
        "plugin": st.sampled_from([signalling.PLUGIN, "janus.plugin.echotest"]),
        "body": BODIES,
        "jsep": st.fixed_dictionaries(
            {"type": st.sampled_from(["offer", "answer", "x"]), "sdp": SDPS}
        ),
        "candidate": CANDIDATES,
        "candidates": st.lists(CANDIDATES, max_size=34),
        "token": st.just("of my own"),
        "admin_secret": st.just("x"),
    },
)
ANSWERS = st.fixed_dictionaries(
    {
        "janus": st.sampled_from(
            [
                *("success", "error", "ack", "pong", "server_info"),
                *("event", "timeout", "detached", "webrtcup"),
            ]
        )
    },
    optional={
        "transaction": TRANSACTIONS,
        "session_id": NUMBERS,
        "sender": NUMBERS | st.just([]),
        "data": st.fixed_dictionaries({"id": NUMBERS}) | ANY_JSON,
        "error": st.fixed_dictionaries({"code": st.sampled_from([458, 459, 490, "458"])})
        | ANY_JSON,
    },
)
FIELDS = {
    *("janus", "transaction", "session_id", "handle_id", "token"),
    *("plugin", "body", "jsep", "candidate", "candidates"),
}


def check_request(data: bytes) -> None:
    request = signalling.understand(text_of(data))
    if request is not None:
        _check_written(request)


def _check_written(request: signalling.Request) -> None:
    written = request.written("a token")
    assert signalling.understand(written) == request
    told = read_as_janus(written)
    assert is_same(told, json.loads(written))
    assert told["token"] == "a token" and told.keys() <= FIELDS
    assert "\0" not in written and "\\u0000" not in written and written.isascii()
    assert len(told.get("candidates", ())) <= signalling.CANDIDATES_MAX
    sdp = told.get("jsep", {}).get("sdp", "")
    lines = sdp.split("\r\n")
    assert lines.pop() == "" and len(lines) <= signalling.SDP_LINES_MAX
    assert all(line.isascii() and line.isprintable() for line in lines)


class _Socket:
    """Has one thing to say at a time, and keeps what it is told."""

    closed = False

    def __init__(self) -> None:
        self.says = ""
        self.told: list[str] = []

    async def __aiter__(self):
        yield SimpleNamespace(type=WSMsgType.TEXT, data=self.says)

    async def send_str(self, text: str) -> None:
        self.told.append(text)

    async def send_json(self, value: object) -> None:
        self.told.append(json.dumps(value))

    async def close(self) -> None:
        pass


def check_conversation(data: bytes) -> None:
    """Lines such as `ann> {"janus": "create", ...}` and `ann< {"janus": "success", ...}`, which is Janus' answer."""
    asyncio.run(_converse(text_of(data).splitlines()))


async def _converse(lines: list[str]) -> None:
    between = Relay(mock.Mock(), "/nowhere", b"secret", "/nowhere", mock.Mock())
    viewers = {}
    for number, name in enumerate(("ann", "eve")):
        session = Session(number, name, "viewer")
        viewer = viewers[f"{name}"] = Viewer(name, session, _Socket(), _Socket())
        viewer.ports = between._ports.take(session, lambda: None, weight=0)
        between._viewers[viewer] = mock.AsyncMock()
    for line in lines:
        viewer, said = viewers.get(line[:3]), line[4:].strip()
        if viewer is None:
            continue
        if line[3:4] == ">":
            viewer.client.says = said
            await between._hand_on(viewer)
        else:
            viewer.janus.says = said
            await between._hand_back(viewer)
        _check_state(between, viewers)
    for viewer in viewers.values():
        for told in viewer.janus.told:
            assert signalling.understand(told) is not None
            assert read_as_janus(told)["token"]


def _check_state(between: Relay, viewers: dict[str, Viewer]) -> None:
    owned = {number: viewer for viewer in viewers.values() for number in viewer.janus_sessions}
    assert owned == between._owners
    assert sum(len(viewer.janus_sessions) for viewer in viewers.values()) == len(owned)
    for viewer in viewers.values():
        assert len(viewer.unanswered) <= relay.UNANSWERED
        for number in (
            *viewer.janus_sessions,
            *(each for some in viewer.janus_sessions.values() for each in some),
        ):
            assert type(number) is int


def _line(direction: bytes, text: st.SearchStrategy) -> st.SearchStrategy:
    return st.tuples(st.sampled_from([b"ann", b"ann", b"eve"]), bytes_of(json_texts(text))).map(
        lambda pair: pair[0] + direction + pair[1]
    )


TARGETS = [
    Target(
        "janus-request",
        "What a viewer says is nothing to the relay, or Janus reads exactly what the relay has understood, in bounds.",
        check_request,
        bytes_of(json_texts(REQUESTS)),
    ),
    Target(
        "janus-conversation",
        "Whatever viewers and Janus say: nothing raises, each Janus session has one owner, and numbers are numbers.",
        check_conversation,
        lines_of(_line(b"> ", REQUESTS), _line(b"< ", ANSWERS)),
    ),
]
