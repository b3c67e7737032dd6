# SPDX-License-Identifier: MIT
"""What must be known of an H.264 access unit (Annex B) to leave some out: which is a key frame, and which one is
missing. Numbers in brackets are sections of ITU-T H.264."""

from collections.abc import Iterator
from dataclasses import dataclass

SLICE, IDR, SPS, PPS = 1, 5, 7, 8
START_CODE = b"\0\0\1"
# Profiles whose SPS tells of chroma and scaling (7.3.2.1.1).
HIGH_PROFILES = {44, 83, 86, 100, 110, 118, 122, 128, 134, 135, 138, 139, 244}
PLAIN_PROFILES = {66, 77, 88}
# More than the longest slice header up to its frame_num; SPS lie within it, too, without scaling lists.
HEADER_BYTES = 512
LONGEST_CYCLE = 255
# Bits of frame_num.
WIDEST = 16
# So many unexpected numbers in a row: this encoder does not count as it should, and is not believed.
UNEXPECTED_MOST = 8


class Bits:
    """Reads a NAL unit bit by bit; a ValueError at its end."""

    def __init__(self, nal: bytes):
        # The first byte is the unit's type; what stands after two zeros is not part of the content (7.4.1).
        content = nal[1:HEADER_BYTES].replace(b"\0\0\3", b"\0\0")
        self._value = int.from_bytes(content, "big")
        self._left = 8 * len(content)

    def read(self, count: int) -> int:
        if count > self._left:
            raise ValueError("the unit ends too early")
        self._left -= count
        return (self._value >> self._left) & ((1 << count) - 1)

    def ue(self) -> int:
        """Exp-Golomb (9.1)."""
        zeros = 0
        while not self.read(1):
            zeros += 1
        return (1 << zeros) - 1 + self.read(zeros)

    def se(self) -> int:
        value = self.ue()
        return (value + 1) // 2 if value % 2 else -(value // 2)


def first_units(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Type and unit, up to the first slice, of which only the beginning is given: the rest is what takes time."""
    start = data.find(START_CODE)
    while start >= 0:
        start += len(START_CODE)
        kind = data[start] & 0x1F if start < len(data) else 0
        if kind in (SLICE, IDR):
            yield kind, data[start : start + HEADER_BYTES]
            return
        end = data.find(START_CODE, start)
        yield kind, data[start : None if end < 0 else end].rstrip(b"\0")
        start = end


@dataclass(frozen=True)
class NumberFormat:
    """How a stream counts its frames: bits of frame_num (0: not so that it could be followed), and whether colour
    planes come apart."""

    bits: int = 0
    has_planes: bool = False


def number_format(sps: bytes) -> NumberFormat:
    """Of a sequence parameter set (7.3.2.1.1)."""
    bits = Bits(sps)
    has_planes = False
    profile = bits.read(8)
    if profile not in HIGH_PROFILES | PLAIN_PROFILES:
        return NumberFormat()
    bits.read(16)
    bits.ue()
    if profile in HIGH_PROFILES:
        chroma = bits.ue()
        if chroma == 3:
            has_planes = bool(bits.read(1))
        bits.ue()
        bits.ue()
        bits.read(1)
        if bits.read(1):
            for number in range(12 if chroma == 3 else 8):
                if bits.read(1):
                    _skip_scaling_list(bits, 16 if number < 6 else 64)
    width = 4 + bits.ue()
    order = bits.ue()
    if order == 0:
        bits.ue()
    elif order == 1:
        bits.read(1)
        bits.se()
        bits.se()
        for _ in range(min(bits.ue(), LONGEST_CYCLE)):
            bits.se()
    bits.ue()
    may_have_gaps = bits.read(1)
    bits.ue()
    bits.ue()
    has_frames_only = bits.read(1)
    can_be_followed = width <= WIDEST and has_frames_only and not may_have_gaps
    return NumberFormat(width if can_be_followed else 0, has_planes)


def _skip_scaling_list(bits: Bits, size: int) -> None:
    last = 8
    for _ in range(size):
        last = (last + bits.se()) % 256
        if last == 0:
            return


@dataclass(frozen=True)
class AccessUnit:
    """One encoded frame, as a decoder takes it; `is_key`: it can begin with this one; `is_after_gap`: a frame
    before it was missed, so that what it refers to is not there. `captured`: by memsink.now()."""

    data: bytes
    captured: float
    is_key: bool
    is_after_gap: bool


class AccessUnits:
    """Makes them of frames in the order of a stream. frame_num (7.4.3) tells of one that was missed."""

    def __init__(self) -> None:
        self._parameters: dict[int, bytes] = {}
        self._format = NumberFormat()
        self._next: int | None = None
        self._counts = False
        self._unexpected = 0

    def begin_anew(self) -> None:
        """What came meanwhile was not seen, and is not missed."""
        self._next = None

    def take(self, data: bytes, captured: float) -> AccessUnit | None:
        """None: there is no picture in it."""
        own = set()
        for kind, unit in first_units(data):
            if kind in (SPS, PPS):
                own.add(kind)
                self._keep(kind, unit)
            elif kind in (SLICE, IDR):
                is_key = kind == IDR
                is_after_gap = self._is_after_gap(unit, is_key)
                if is_key and SPS not in own:
                    # Not every encoder repeats them with each key frame.
                    data = b"".join(START_CODE + each for each in self._parameters.values()) + data
                can_begin = is_key and len(self._parameters) == 2
                return AccessUnit(data, captured, can_begin, is_after_gap)
        return None

    def _keep(self, kind: int, unit: bytes) -> None:
        if self._parameters.get(kind) == unit:
            return
        self._parameters[kind] = unit
        if kind == PPS:
            return
        self._next, self._counts, self._unexpected = None, False, 0
        try:
            self._format = number_format(unit)
        except ValueError:
            self._format = NumberFormat()

    def _is_after_gap(self, unit: bytes, is_key: bool) -> bool:
        if self._format.bits == 0:
            return False
        bits = Bits(unit)
        try:
            for _ in ("first_mb_in_slice", "slice_type", "pic_parameter_set_id"):
                bits.ue()
            if self._format.has_planes:
                bits.read(2)
            number = bits.read(self._format.bits)
        except ValueError:
            self._next = None
            return False
        expected = self._next
        # What nothing refers to leaves the number to the next frame.
        is_referred_to = bool(unit[0] & 0x60)
        self._next = (number + is_referred_to) % (1 << self._format.bits)
        if is_key or expected is None:
            return False
        if number == expected:
            self._counts = True
            return False
        self._unexpected += not self._counts
        return self._counts or self._unexpected < UNEXPECTED_MOST
