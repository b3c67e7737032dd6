# SPDX-License-Identifier: MIT
"""What comes from the attached computer, and by WebSocket: EDID, signal, H.264, frames."""

from __future__ import annotations

import asyncio
import importlib.util
import json
import re
import struct
from pathlib import Path
from types import SimpleNamespace
from unittest import mock

from hypothesis import strategies as st
from tinypilot import edid
from tinypilot.limits import Budget
from tinypilot.video import h264, hdmi
from tinypilot.websockets import FrameGuard

from tests.fuzz.inputs import bytes_of, json_texts, lines_of
from tests.fuzz.target import Target, text_of

ROLES = Path(__file__).parents[2] / "roles"
_spec = importlib.util.spec_from_file_location("kvm_edid", ROLES / "ustreamer/files/edid.py")
kvm_edid = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(kvm_edid)

# --- EDID ---


@st.composite
def edids(draw) -> bytes:
    """Blocks with right checksums, and their number in its place, in most cases."""
    blocks = []
    for number in range(draw(st.integers(1, 5))):
        kind = draw(
            st.sampled_from([kvm_edid.CTA, kvm_edid.VIDEO_TIMINGS, kvm_edid.DISPLAY_ID, 0xF0, 0])
        )
        begin = kvm_edid.HEADER if number == 0 else bytes([kind, draw(st.integers(0, 3))])
        if kind == kvm_edid.CTA and number:
            begin += bytes([draw(st.integers(0, 127)), 0]) + draw(_data_blocks())
        rest = draw(st.binary(max_size=126 - min(126, len(begin))))
        blocks.append((begin + rest)[:127].ljust(127, b"\0"))
    if draw(st.integers(0, 3)):
        blocks[0] = blocks[0][:126] + bytes([len(blocks) - 1])
    whole = [block + bytes([-sum(block) % 256]) for block in blocks]
    data = b"".join(whole)
    cut = draw(st.sampled_from([0, 0, 0, 1, 127]))
    return data[: len(data) - cut].hex().encode()


@st.composite
def _data_blocks(draw) -> bytes:
    found = b""
    for _ in range(draw(st.integers(0, 6))):
        tag, content = draw(st.integers(0, 7)), draw(st.binary(max_size=31))
        if tag == kvm_edid.VENDOR and draw(st.booleans()):
            content = (kvm_edid.HDMI + content)[:31]
        length = draw(st.sampled_from([len(content), len(content), 31, 0]))
        found += bytes([tag << 5 | length]) + content
    return found


def check_edid(data: bytes) -> None:
    digits = text_of(data).strip()
    if not re.fullmatch(r"([0-9a-f]{2})*", digits):
        return
    reason = kvm_edid.refusal(bytes.fromhex(digits))
    if not reason:
        # Only such texts reach it: what is taken is one by the setting's schema, too.
        assert re.fullmatch("00ffffffffffff00[0-9a-f]{240}([0-9a-f]{256}){0,3}", digits)
    assert len(reason) < 200 and (not reason or reason.endswith("."))


DECODED = st.lists(
    st.sampled_from(
        [
            *(
                "    DTD 1:  1280x720   60.000000 Hz  16:9    45.000 kHz     74.250000 MHz",
                "    VIC  16: 1920x1080",
            ),
            *(
                "    VIC   5:  1920x1080i  60.000000 Hz",
                "Warnings:",
                "",
                "Failures:",
                "  Base EDID: odd.",
            ),
            *(
                "    Display Product Name: 'DTD: 1x1 . Hz'",
                "    Alphanumeric Data: 'DTD: 0x0 1.1.1 Hz'",
            ),
            *(
                "    DMT 0x04:  640x480    59.940476 Hz",
                "DTD: 9x9 ٣ Hz",
                "CVT: 1x1 00000000000000000 Hz",
            ),
            "    DTD 2:  1x1 " + "9" * 400 + " Hz",
        ]
    )
    | st.text(max_size=30),
    max_size=20,
).map("\n".join)


def check_decoded(data: bytes) -> None:
    modes, complaints = edid.read(text_of(data))
    assert modes == sorted(set(modes), reverse=True)
    for mode in modes:
        assert mode.width >= 0 and mode.height >= 0 and mode.rate_hz >= 0
    json.dumps([mode.pixels_per_second for mode in modes], allow_nan=False)
    assert all(isinstance(each, str) for each in complaints)


# --- The signal ---

SIZES = st.fixed_dictionaries(
    {},
    optional={
        "width": st.integers(0, 4096),
        "height": st.integers(0, 4096),
        "rate_hz": st.integers(0, 240) | st.floats(),
        "pixel_clock_hz": st.integers(0, 600_000_000) | st.floats(),
        "interlaced": st.booleans(),
    },
)
FACTS = st.fixed_dictionaries(
    {"state": st.sampled_from(["present", "out_of_range", "none", "unlocked", "no_device", "odd"])},
    optional={
        "sends": SIZES,
        "takes": SIZES | st.fixed_dictionaries({"least": SIZES}),
        "most_pixels_per_second": st.integers(-1, 10**9) | st.floats(),
        "power": st.sampled_from([True, False, None, 1, "on", []]),
    },
)


def check_signal(data: bytes) -> None:
    try:
        facts = json.loads(text_of(data))
    except (ValueError, RecursionError):
        return
    if not isinstance(facts, dict):
        return
    signal = hdmi.judge(facts)
    assert signal.state in hdmi.STATES
    title, advice = hdmi.describe(signal, hdmi.in_english)
    assert title and advice
    json.dumps([signal.sends, signal.takes, signal.least], allow_nan=False)


# --- H.264 ---

PARAMETERS = (
    b"\0\0\1" + bytes.fromhex("6742c01fda01402225b2c0443c201e300b5a228"[:-1]),
    b"\0\0\1\x68\xce\x3c\x80",
)
UNITS = st.one_of(
    st.sampled_from([*PARAMETERS, b"\0\0\1", b"\0\0\0\1\x65\x88\x84", b"\0\0\1\x41\x9a\x24"]),
    st.tuples(st.sampled_from([1, 5, 6, 7, 8, 9]), st.binary(max_size=40)).map(
        lambda unit: b"\0\0\1" + bytes([0x60 | unit[0]]) + unit[1]
    ),
    st.binary(max_size=20),
)


def _from_digits(data: bytes) -> bytes:
    digits = re.sub(rb"[^0-9a-f]", b"", data)
    return bytes.fromhex(digits[: len(digits) // 2 * 2].decode())


def check_h264(data: bytes) -> None:
    """Lines of hexadecimal digits, each a frame."""
    units = h264.AccessUnits()
    for line in data.split():
        frame = _from_digits(line)
        unit = units.take(frame, 1.0)
        assert unit is None or unit.data.endswith(frame)
    assert sum(map(len, units._parameters.values())) <= len(data)


# --- Frames of WebSockets ---

LIMIT = 300
FRAMES_AT_ONCE = 12


@st.composite
def frames(draw) -> bytes:
    stream = b""
    for _ in range(draw(st.integers(1, 16))):
        first = draw(
            st.sampled_from(
                [0x81, 0x81, 0x82, 0x01, 0x00, 0x80, 0x88, 0x89, 0x8A, 0x09, 0xC1, 0x8F]
            )
        )
        payload = b"x" * draw(
            st.integers(0, 9) | st.sampled_from([120, 125, 126, 160, LIMIT, LIMIT + 1])
        )
        length = draw(st.sampled_from([len(payload)] * 6 + [126, 2**16, 2**30, 2**63 + 5]))
        mask = draw(st.sampled_from([0x80, 0x80, 0x80, 0]))
        form = draw(st.sampled_from(["short", "short", "word", "long"]))
        if form == "short" and length < 126:
            head = bytes([first, mask | length])
        elif form == "word" and length < 2**16:
            head = struct.pack(">BBH", first, mask | 126, length)
        else:
            head = struct.pack(">BBQ", first, mask | 127, length)
        stream += head + (b"\1\2\3\4" if mask else b"") + payload
    return stream.hex().encode()


class _Inner(asyncio.Protocol):
    def __init__(self) -> None:
        self.got = b""

    def data_received(self, data: bytes) -> None:
        self.got += data


def _guarded(data: bytes, step: int) -> tuple[bytes, bytes]:
    """What is passed on of what comes in pieces of so many bytes, and what is answered."""
    inner, transport = _Inner(), mock.Mock()
    transport.is_closing.return_value = False
    guard = FrameGuard(inner, transport, LIMIT, Budget(FRAMES_AT_ONCE, 0))
    for begin in range(0, len(data), step):
        guard.data_received(data[begin : begin + step])
    return inner.got, b"".join(call.args[0] for call in transport.write.call_args_list)


def check_frames(digits: bytes) -> None:
    data = _from_digits(digits)
    with mock.patch.object(
        asyncio, "get_running_loop", return_value=SimpleNamespace(call_later=mock.Mock())
    ):
        passed, told = _guarded(data, 1)
        for step in (2, 7, max(1, len(data))):
            passed_in_pieces, told_then = _guarded(data, step)
            assert told_then == told
            assert passed.startswith(passed_in_pieces)
    assert passed == data if not told else data.startswith(passed)
    _check_passed(passed)


def _check_passed(data: bytes) -> None:
    """By another reader: of each header that was passed on whole. One that is refused lacks its last byte."""
    at = count = message = 0
    while at + 2 <= len(data):
        first, second = data[at], data[at + 1]
        size, mask = {126: 2, 127: 8}.get(second & 127, 0), 4 if second & 128 else 0
        header_end = at + 2 + size + mask
        if header_end > len(data):
            break
        length = int.from_bytes(data[at + 2 : at + 2 + size], "big") if size else second & 127
        count += 1
        assert mask and count <= FRAMES_AT_ONCE
        if first & 0x0F < 8:
            message += length
            assert message <= LIMIT
            message = 0 if first & 0x80 else message
        at = header_end + length


TARGETS = [
    Target(
        "edid",
        "An EDID is refused in a sentence, or has the form that its setting demands.",
        check_edid,
        edids(),
    ),
    Target(
        "edid-decoded",
        "Whatever edid-decode prints of a monitor, its name too: modes are numbers, each there once.",
        check_decoded,
        bytes_of(DECODED),
    ),
    Target(
        "signal",
        "Whatever kvm-hdmi tells of the cable: a state that is known, a sentence, and numbers that JSON has.",
        check_signal,
        bytes_of(json_texts(FACTS)),
    ),
    Target(
        "h264",
        "Whatever the encoder writes: nothing raises, a frame is passed on whole, and little is kept.",
        check_h264,
        lines_of(
            st.lists(UNITS, min_size=1, max_size=4).map(
                lambda units: b"".join(units).hex().encode()
            )
        ),
    ),
    Target(
        "websocket-frames",
        "In whatever pieces bytes come: the same verdict, and aiohttp gets no message, frame or number beyond bounds.",
        check_frames,
        frames(),
    ),
]
