# SPDX-License-Identifier: MIT
"""The software encoder itself, under sanitizers, between a raw sink that a test writes as uStreamer does and the
readers of this project."""

import contextlib
import ctypes
import fcntl
import json
import os
import re
import signal
import socket
import struct
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import pytest
from av.video.reformatter import ColorRange, Colorspace
from tinypilot.video import memsink

from tests.support import ROOT
from tests.support.waiting import wait_until

SOURCE = ROOT / "roles/ustreamer/files/encoder"
MIB = 1024 * 1024
# As uStreamer's writers were seen, and not shared with the program or its readers: version, what its raw object has
# beyond whole MiB, width (with height, format and stride behind it), online (with key behind it), GOP, captured,
# reader seen, key request, data.
WRITERS = [
    (2, 128, 32, 48, None, 64, 112, None, 128),
    (3, 144, 32, 48, None, 64, 112, 128, 129),
    (4, 144, 32, 48, 52, 64, 112, 128, 129),
    (5, 144, 32, 48, 52, 64, 112, 128, 20736),
    (6, 144, 32, 48, 52, 64, 112, 128, 144),
    (7, 128, 52, 68, 72, 80, 32, 48, 128),
    (7, 144, 52, 68, 72, 96, 32, 48, 144),
    (8, 144, 52, 68, 72, 96, 32, 48, 144),
    (10, 160, 68, 84, 88, 112, 32, 64, 160),
]
NEWEST = WRITERS[-1]
SIZE = (320, 240)
# As the standard numbers the matrices.
BT601 = 6


@pytest.fixture(scope="session")
def program(tmp_path_factory) -> Path:
    build = tmp_path_factory.mktemp("encoder")
    subprocess.run(
        ["make", "-s", "-C", SOURCE, f"BUILD={build}", "SANITIZE=address,undefined"], check=True
    )
    return build / "ustreamer-encoder"


@dataclass
class RawSink:
    """uStreamer's end of a sink of raw frames."""

    path: Path
    writer: tuple

    def __post_init__(self):
        self.version, rest, self.width, self.online, _, self.captured, self.seen, _, self.data = (
            self.writer
        )
        self.number = 0
        self.fd = os.open(self.path, os.O_RDWR | os.O_CREAT, 0o660)
        os.ftruncate(self.fd, 8 * MIB + rest)
        os.pwrite(self.fd, struct.pack("<QI", memsink.MAGIC, self.version), 0)

    def put(self, pixels: bytes, fourcc: bytes, size=SIZE, stride=0, used=None) -> float:
        """Returns when it was captured."""
        self.number += 1
        captured = memsink.now()
        fcntl.flock(self.fd, fcntl.LOCK_EX)
        os.pwrite(self.fd, pixels, self.data)
        os.pwrite(self.fd, struct.pack("<III", *size, int.from_bytes(fourcc, "little")), self.width)
        os.pwrite(self.fd, struct.pack("<I", stride), self.width + 12)
        os.pwrite(self.fd, b"\1", self.online)
        os.pwrite(self.fd, bytes(ctypes.c_longdouble(captured + self.ahead)), self.captured)
        used = len(pixels) if used is None else used
        os.pwrite(self.fd, struct.pack("<QQ", self.number, used), memsink.AT_ID)
        fcntl.flock(self.fd, fcntl.LOCK_UN)
        return captured

    @property
    def reader_seen(self) -> float:
        head = os.pread(self.fd, memsink.TIME_BYTES, self.seen)
        return ctypes.c_longdouble.from_buffer_copy(head).value

    @property
    def ahead(self) -> float:
        known = [each for each in memsink.LAYOUTS if each.version == self.version]
        return known[0].ahead() if known else 0.0


class Bench:
    """The program between its sinks."""

    def __init__(self, program: Path, folder: str, writer: tuple, *options: str):
        self.folder, self.writer = folder, writer
        self.raw = RawSink(self.path("raw"), writer)
        self.reader = memsink.Memsink(self.path("h264"))
        self.decoder = av.CodecContext.create("h264", "r")
        self.notices = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.notices.bind(f"\0{folder}")
        self.notices.settimeout(20)
        self.process = subprocess.Popen(
            [
                program,
                *(f"--raw-sink={self.path('raw').name}", f"--h264-sink={self.path('h264').name}"),
                *options,
            ],
            env={"NOTIFY_SOCKET": f"@{folder}"},
            stderr=subprocess.PIPE,
            text=True,
        )

    def path(self, what: str) -> Path:
        return Path(f"/dev/shm/{self.folder}.{what}")

    def first_number(self) -> int:
        """Of what is encoded before anybody watches, so that who asks is told what there is."""

        def number() -> int:
            self.reader.refresh()
            return (self.reader.glance() or (0,))[0]

        until(number, "a first frame")
        return number()

    def watch(self) -> None:
        """As a reader that has come: from now on the program encodes all."""

        def looked() -> bool:
            self.reader.refresh()
            self.reader.fetch(wants_key=False)
            return self.reader.glance() is not None

        until(looked, "an H.264 sink")
        # uStreamer is told at once.
        until(lambda: self.raw.reader_seen, "a sign of the encoder")

    def encoded(self, wants_key: bool = False) -> memsink.Frame:
        """The next frame that comes out."""
        found = None

        def fetched() -> bool:
            nonlocal found
            self.reader.refresh()
            found = self.reader.fetch(wants_key=wants_key)
            return found is not None

        until(fetched, "a frame that is encoded")
        assert found
        return found

    def shown(self, frame: memsink.Frame) -> av.VideoFrame:
        (picture,) = self.decoder.decode(av.Packet(frame.data))
        return picture

    def h264_header(self) -> bytes:
        return self.path("h264").read_bytes()[:160]

    def close(self) -> str:
        """What it said. It must have lived until here."""
        if self.notices.fileno() < 0:
            return ""
        assert self.process.poll() is None, self.process.stderr.read()
        self.process.kill()
        said = self.process.communicate()[1]
        self.notices.close()
        self.reader.close()
        os.close(self.raw.fd)
        for what in ("raw", "h264", "jpeg"):
            self.path(what).unlink(missing_ok=True)
        return said


@pytest.fixture
def bench(program, request) -> Iterator:
    benches: list[Bench] = []

    def make(*options: str, writer: tuple = NEWEST) -> Bench:
        name = f"kvm-test-{os.getpid()}-{len(benches)}"
        benches.append(Bench(program, name, writer, *options))
        return benches[-1]

    yield make
    for each in benches:
        each.close()


def uyvy(luma: int, size=SIZE, u=128, v=128) -> bytes:
    return bytes([u, luma, v, luma]) * (size[0] * size[1] // 2)


def until(condition, what: str) -> None:
    wait_until(condition, what, seconds=20, poll_seconds=0.005)


def range_of(plane: av.video.plane.VideoPlane) -> tuple[int, int]:
    """The lowest and the highest value in it."""
    rows = [bytes(plane)[row * plane.line_size :][: plane.width] for row in range(plane.height)]
    return min(map(min, rows)), max(map(max, rows))


def is_plain(plane: av.video.plane.VideoPlane, value: int) -> bool:
    """All of it, but for what a lossy codec takes away."""
    low, high = range_of(plane)
    return value - 2 <= low and high <= value + 2


def jpeg(colour: tuple[int, int, int]) -> bytes:
    codec = av.CodecContext.create("mjpeg", "w")
    codec.width, codec.height, codec.pix_fmt = *SIZE, "yuvj422p"
    codec.time_base = Fraction(1, 30)
    codec.options = {"qmin": "1", "qmax": "1"}
    picture = av.VideoFrame(*SIZE, "rgb24")
    picture.planes[0].update(bytes(colour) * (SIZE[0] * SIZE[1]))
    full = picture.reformat(
        format="yuvj422p", dst_colorspace=Colorspace.ITU601, dst_color_range=ColorRange.JPEG
    )
    return b"".join(bytes(packet) for packet in [*codec.encode(full), *codec.encode()])


def is_key(data: bytes) -> bool:
    """Begins with its parameter sets."""
    return data[4] & 31 == 7


def test_it_tells_systemd_that_it_is_ready_and_then_that_it_lives(bench):
    told = bench()
    assert told.notices.recv(100) == b"READY=1"
    assert told.notices.recv(100).endswith(b"\nWATCHDOG=1")
    told.process.send_signal(signal.SIGSTOP)
    told.notices.settimeout(0.01)
    with contextlib.suppress(TimeoutError):
        while True:
            told.notices.recv(100)
    told.process.send_signal(signal.SIGCONT)
    told.notices.settimeout(20)
    assert told.notices.recv(100).endswith(b"\nWATCHDOG=1")


@pytest.mark.parametrize("writer", WRITERS, ids=[f"{each[0]}-{each[8]}" for each in WRITERS])
def test_whoever_knows_the_raw_sinks_layout_can_read_what_is_encoded(bench, writer):
    """uStreamer's other readers look at the same offsets, so they are looked at here, too."""
    between = bench(writer=writer)
    version, _, width, online, gop, _, _, _, data = writer
    captured = between.raw.put(uyvy(100), b"UYVY")
    frame = between.encoded()
    # Where two clocks are compared, they are not read at once.
    assert frame.captured == pytest.approx(captured, abs=0.05)
    head = between.h264_header()
    assert struct.unpack_from("<QI", head) == (memsink.MAGIC, version)
    assert struct.unpack_from("<IIII", head, width) == (*SIZE, int.from_bytes(b"H264", "little"), 0)
    assert head[online : online + 2] == b"\1\1"
    if gop:
        assert struct.unpack_from("<I", head, gop) == (30,)
    with open(between.path("h264"), "rb") as sink:
        sink.seek(data)
        assert sink.read(len(frame.data)) == frame.data
    assert (between.shown(frame).width, between.shown(frame).height) == SIZE
    # What a reader maps, whatever the object's size is.
    assert between.path("h264").stat().st_size >= 2 * MIB + data
    assert between.path("h264").stat().st_mode & 0o777 == 0o660


@pytest.mark.parametrize("fourcc", [b"UYVY", b"YUYV", b"RGB3", b"MJPG"])
@pytest.mark.parametrize(
    "colour", [(255, 255, 255), (0, 0, 0), (255, 0, 0), (0, 255, 0), (0, 0, 255), (90, 140, 200)]
)
def test_colours_come_back(bench, fourcc, colour):
    red, green, blue = colour
    y = round(16 + 0.25679 * red + 0.50413 * green + 0.09791 * blue)
    u = round(128 - 0.14822 * red - 0.29099 * green + 0.43922 * blue)
    v = round(128 + 0.43922 * red - 0.36779 * green - 0.07143 * blue)
    pixels = {
        b"UYVY": uyvy(y, u=u, v=v),
        b"YUYV": bytes([y, u, y, v]) * (SIZE[0] * SIZE[1] // 2),
        b"RGB3": bytes(colour) * (SIZE[0] * SIZE[1]),
        b"MJPG": jpeg(colour),
    }[fourcc]
    between = bench("--bitrate=20000")
    between.raw.put(pixels, fourcc)
    picture = between.shown(between.encoded())
    # As a viewer is told, and not as one guesses.
    assert picture.colorspace == BT601
    assert picture.color_range == ColorRange.MPEG
    for plane, value in zip(picture.planes, (y, u, v), strict=True):
        assert is_plain(plane, value), (range_of(plane), value)


def test_a_padded_row_is_no_part_of_the_picture(bench):
    row = bytes([128, 80]) * SIZE[0]
    between = bench("--bitrate=20000")
    between.raw.put((row + b"\xff" * 64) * SIZE[1], b"UYVY", stride=len(row) + 64)
    assert is_plain(between.shown(between.encoded()).planes[0], 80)


def test_a_key_frame_comes_when_it_is_asked_for_and_at_its_distance(bench):
    between = bench("--gop=5")
    between.raw.put(uyvy(100), b"UYVY")
    between.first_number()
    between.watch()
    keys = []
    # The first is the one that the new viewer gets; the eighth is asked for.
    for number in range(12):
        request = number == 7
        if request:
            between.reader.fetch(wants_key=True)
        between.raw.put(uyvy(20 + number), b"UYVY")
        keys.append(is_key(between.encoded().data))
    assert [number for number, each in enumerate(keys) if each] == [0, 5, 7]
    at = NEWEST[7]
    assert between.h264_header()[at] == 0


def test_each_is_a_key_frame_with_a_distance_of_none(bench):
    between = bench("--gop=0")
    between.raw.put(uyvy(100), b"UYVY")
    between.first_number()
    between.watch()
    for number in range(3):
        between.raw.put(uyvy(20 + number), b"UYVY")
        assert is_key(between.encoded().data)


def test_another_size_and_another_format_are_followed_with_a_key_frame(bench):
    between = bench()
    between.raw.put(uyvy(100), b"UYVY")
    between.first_number()
    between.watch()
    for size, fourcc, pixels in [
        ((640, 480), b"UYVY", uyvy(100, (640, 480))),
        ((322, 242), b"RGB3", bytes(3 * 322 * 242)),
        # An odd row is left out: H.264 has half as many of colour.
        ((640, 481), b"RGB3", bytes(3 * 640 * 481)),
    ]:
        between.raw.put(pixels, fourcc, size)
        frame = between.encoded()
        assert is_key(frame.data)
        picture = between.shown(frame)
        assert (picture.width, picture.height) == (size[0] & ~1, size[1] & ~1)


def test_while_it_is_held_up_only_the_newest_frame_waits(bench):
    between = bench("--bitrate=20000")
    between.raw.put(uyvy(100), b"UYVY")
    between.first_number()
    between.watch()
    between.process.send_signal(signal.SIGSTOP)
    for luma in (40, 80, 120, 160):
        between.raw.put(uyvy(luma), b"UYVY")
    between.process.send_signal(signal.SIGCONT)
    assert is_plain(between.shown(between.encoded()).planes[0], 160)


def test_it_sleeps_while_nobody_watches_and_ustreamer_with_it(bench):
    between = bench()
    between.raw.put(uyvy(100), b"UYVY")
    first = between.first_number()
    for luma in range(20, 30):
        between.raw.put(uyvy(luma), b"UYVY")
        time.sleep(0.03)
    assert between.reader.glance()[0] == first
    assert between.raw.reader_seen == 0
    # Who comes then gets a beginning.
    between.watch()
    between.encoded()
    between.raw.put(uyvy(50), b"UYVY")
    until(lambda: between.raw.reader_seen, "a sign of the encoder")


def test_before_6_0_the_readers_of_the_jpeg_sink_keep_ustreamer_awake(bench):
    name = f"kvm-test-{os.getpid()}-0.jpeg"
    jpeg = RawSink(Path("/dev/shm") / name, WRITERS[0])
    between = bench(f"--waking-sink={name}", writer=WRITERS[0])
    between.raw.put(uyvy(100), b"UYVY")
    assert jpeg.reader_seen == 0
    between.watch()
    until(lambda: jpeg.reader_seen, "a sign of the encoder")
    os.close(jpeg.fd)


def test_a_frame_rate_that_is_limited_leaves_frames_out(bench):
    between = bench("--most-fps=1")
    between.raw.put(uyvy(100), b"UYVY")
    between.first_number()
    between.watch()
    seen = between.reader.glance()[0]
    for luma in range(20, 24):
        between.raw.put(uyvy(luma), b"UYVY")
        time.sleep(0.05)
    between.raw.put(uyvy(90, (640, 480)), b"UYVY", (640, 480))
    assert is_key(between.encoded().data)
    assert between.reader.glance()[0] != seen


@pytest.mark.parametrize(
    ("frame", "said"),
    [
        ((uyvy(1), b"UYVY", SIZE, 0, 1000), "damaged, or not whole"),
        ((uyvy(1), b"UYVY", SIZE, 0, 2**63), "damaged, or not whole"),
        ((uyvy(1), b"UYVY", SIZE, 2), "damaged, or not whole"),
        ((uyvy(1), b"UYVY", (1920, 1080)), "damaged, or not whole"),
        ((uyvy(1), b"UYVY", (2**32 - 1, 2**32 - 1)), "can't be encoded"),
        (
            (uyvy(1), b"UYVY", (20000, 2)),
            "Pictures of 20000x2 can't be encoded: libx264 takes at most 16384 pixels in each direction, and two at "
            "least. Choose another mode on the attached computer, or set ustreamer_resolution.",
        ),
        ((uyvy(1), b"UYVY", (0, 0)), "Pictures of 0x0 can't be encoded"),
        ((b"\xff\xd8nothing", b"MJPG"), "damaged, or not whole"),
        ((jpeg((1, 2, 3)), b"MJPG", (640, 480)), "damaged, or not whole"),
        ((jpeg((1, 2, 3))[:-900], b"MJPG", SIZE, 0, 200), "damaged, or not whole"),
        ((uyvy(1), b"NV24"), "of the format NV24 can't be encoded: set ustreamer_format"),
    ],
)
def test_a_frame_that_is_none_is_left_out(bench, frame, said):
    between = bench()
    between.raw.put(*frame)
    between.watch()
    between.raw.put(*frame)
    between.raw.put(uyvy(100), b"UYVY")
    assert is_key(between.encoded().data)
    between.raw.put(uyvy(100), b"UYVY")
    between.encoded()
    assert said in between.close()


def test_a_raw_sink_of_another_layout_is_refused_in_one_sentence(bench):
    between = bench(writer=(11, *NEWEST[1:]))
    between.raw.put(uyvy(100), b"UYVY")
    said = between.process.stderr.readline()
    assert "has layout 11, and this encoder knows 2-8 and 10" in said
    assert said.endswith(": provision the device again with a uStreamer that is known.\n")
    assert not between.path("h264").exists()


def test_the_loops_that_turn_pixels_become_vector_instructions(tmp_path):
    """Without, they take a quarter of what encoding takes, and nothing else shows it."""
    options = [f"BUILD={tmp_path}", "CFLAGS=-O2 -fopt-info-vec-optimized"]
    told = subprocess.run(
        ["make", "-s", "-C", SOURCE, *options, tmp_path / "convert.o"],
        capture_output=True,
        text=True,
        check=True,
    ).stderr
    # Of one row, and of two.
    assert len(set(re.findall(r"convert\.c:(\d+):.*loop vectorized", told))) >= 2, told


# --- Measuring ---


@pytest.mark.parametrize("picture_format", ["UYVY", "YUYV", "RGB24", "MJPEG"])
def test_it_measures_how_fast_it_encodes(program, picture_format):
    told = subprocess.run(
        [program, "--measure=64x48,162x98", "--milliseconds=1", f"--format={picture_format}"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert told.stderr == ""
    found = json.loads(told.stdout)["sizes"]
    assert [(each["width"], each["height"]) for each in found] == [(64, 48), (162, 98)]
    for each in found:
        assert each["frame_ms"] == pytest.approx(
            1000 / each["frames_per_second"], rel=0.02, abs=0.01
        )


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--measure=20000x20000"], "Pictures of 20000x20000 can't be encoded"),
        (["--measure=0x0"], "Pictures of 0x0 can't be encoded"),
        (["--measure=large"], "large is no size such as 1280x720"),
        (["--measure=64x48,"], " is no size such as 1280x720"),
        (["--measure=64x48", "--format=NV12"], "NV12 is no format that can be encoded: UYVY"),
        (["--measure=64x48", "--milliseconds=soon"], "soon is no number"),
    ],
)
def test_what_can_not_be_measured_is_said(program, options, said):
    done = subprocess.run([program, *options], capture_output=True, text=True)
    assert done.returncode == 1
    assert said in done.stderr


def test_a_sink_that_was_removed_is_made_again(bench):
    between = bench()
    between.raw.put(uyvy(100), b"UYVY")
    between.first_number()
    between.watch()
    between.path("h264").unlink()
    until(between.path("h264").exists, "another sink")
    between.watch()
    between.raw.put(uyvy(50), b"UYVY")
    assert is_key(between.encoded().data)
