# SPDX-License-Identifier: MIT
"""H.264 for the second transport: the sink, the frames, and how much of them is underway."""

import ctypes
import fcntl
import math
import os
import re
import time
from pathlib import Path

import pytest
from tinypilot.video import h264_stream, memsink
from tinypilot.video.h264 import AccessUnits, NumberFormat, number_format
from tinypilot.video.h264_stream import LookTimes, Window
from tinypilot.video.memsink import LAYOUTS, Memsink, layout_of

from .h264_helpers import FakeSink, encode

PLUGIN = Path(__file__).parents[2] / "roles/ustreamer/files/janus_plugin"

# --- The sink ---


def opened(path):
    sink = Memsink(path)
    sink.refresh()
    return sink


def test_the_layouts_are_those_of_the_plugin():
    table = re.search(
        r"layouts\[\] = \{\n(.*?)\n\};", (PLUGIN / "memsink.c").read_text(), re.DOTALL
    )
    assert table
    rows = [
        [int(each) for each in re.findall(r"\d+", row)]
        for row in re.findall(r"\{(\d.*?)\}", table[1])
    ]
    # version, source_online, captured, encoded, reader_seen, key_request, data
    assert [(row[0], row[2], row[4], row[5], row[6]) for row in rows] == [
        (each.version, each.captured, each.reader_seen, each.key_request, each.data)
        for each in LAYOUTS
    ]


@pytest.mark.parametrize("version", sorted({each.version for each in LAYOUTS}))
def test_each_layout_is_read(tmp_path, version):
    writer = FakeSink(tmp_path / "sink", version)
    sink = opened(tmp_path / "sink")
    assert not sink.has_news()
    writer.put(b"a frame", captured=memsink.now() - 0.5)
    assert sink.has_news()
    frame = sink.fetch(wants_key=True)
    assert frame.data == b"a frame"
    assert 0.5 <= memsink.now() - frame.captured < 20
    assert writer.is_read
    assert writer.is_asked_for_key == sink.can_request_key == (version != 2)
    assert not sink.has_news()
    assert sink.fetch(wants_key=False) is None
    sink.close()


def test_two_layouts_of_one_version_are_told_apart_by_their_size():
    assert layout_of(7, 144 + (1 << 21)).captured == 96
    assert layout_of(7, 128 + (1 << 21)).captured == 80
    assert layout_of(9, 1 << 21) is None


@pytest.mark.parametrize(
    "content", [b"", bytes(4096), memsink.MAGIC.to_bytes(8, "little") + bytes(8)]
)
def test_what_is_no_sink_yet_is_not_opened(tmp_path, content):
    (tmp_path / "sink").write_bytes(content)
    sink = opened(tmp_path / "sink")
    assert sink.fetch(wants_key=False) is None
    assert not sink.has_news()


def test_a_link_in_the_place_of_the_sink_is_not_followed(tmp_path):
    FakeSink(tmp_path / "real", 10).put(b"a frame")
    (tmp_path / "sink").symlink_to(tmp_path / "real")
    assert opened(tmp_path / "sink").fetch(wants_key=False) is None


def test_a_pipe_in_the_place_of_the_sink_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "sink")
    assert opened(tmp_path / "sink").fetch(wants_key=False) is None


def test_a_frame_that_can_not_be_that_long_is_left(tmp_path):
    writer = FakeSink(tmp_path / "sink", 10)
    sink = opened(tmp_path / "sink")
    writer.put(b"a frame", used=1 << 40)
    assert sink.fetch(wants_key=False) is None
    writer.put(b"another")
    assert sink.fetch(wants_key=False).data == b"another"


def test_a_locked_sink_is_not_waited_for(tmp_path):
    writer = FakeSink(tmp_path / "sink", 10)
    sink = opened(tmp_path / "sink")
    writer.put(b"a frame")
    with open(tmp_path / "sink", "rb") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        assert sink.fetch(wants_key=False) is None
    assert sink.fetch(wants_key=False).data == b"a frame"


@pytest.mark.parametrize("version", sorted({each.version for each in LAYOUTS}))
@pytest.mark.parametrize("drift", [-3600.0, 3600.0])
def test_the_clock_of_each_version_is_known(tmp_path, monkeypatch, version, drift):
    """After weeks CLOCK_MONOTONIC, which NTP corrects, and CLOCK_MONOTONIC_RAW, which uStreamer took until 5.41, are
    far apart. By the wrong one a frame were old, and uStreamer would take no reader for alive."""
    real = time.clock_gettime

    def clock_gettime(clock):
        return real(clock) + (drift if clock == time.CLOCK_MONOTONIC_RAW else 0)

    monkeypatch.setattr(memsink.time, "clock_gettime", clock_gettime)
    clock = time.CLOCK_MONOTONIC_RAW if version < 4 else time.CLOCK_MONOTONIC
    writer = FakeSink(tmp_path / "sink", version)
    sink = opened(tmp_path / "sink")
    writer.put(b"a frame")
    with open(tmp_path / "sink", "r+b") as file:
        stamp = bytes(ctypes.c_longdouble(clock_gettime(clock) - 0.5))
        os.pwrite(file.fileno(), stamp, writer.layout.captured)
        assert 0.4 < memsink.now() - sink.fetch(wants_key=False).captured < 20
        head = os.pread(file.fileno(), memsink.TIME_BYTES, writer.layout.reader_seen)
    seen = ctypes.c_longdouble.from_buffer_copy(head).value
    assert -0.1 < clock_gettime(clock) - seen < 20
    number, seen = sink.glance()
    assert number == 1
    assert -0.1 < memsink.now() - seen < 20


@pytest.mark.parametrize("bits", [bytes(9) + b"\x7f" * 7, b"\xff" * 16])
def test_a_time_that_is_none_is_now(tmp_path, bits):
    writer = FakeSink(tmp_path / "sink", 10)
    sink = opened(tmp_path / "sink")
    writer.put(b"a frame")
    with open(tmp_path / "sink", "r+b") as file:
        os.pwrite(file.fileno(), bits, writer.layout.captured)
    captured = sink.fetch(wants_key=False).captured
    assert math.isfinite(captured)
    assert captured > 1e30 or 0 <= memsink.now() - captured < 20


@pytest.mark.parametrize("change", ["truncated", "replaced", "another layout"])
def test_a_sink_that_changes_is_opened_anew(tmp_path, change):
    path = tmp_path / "sink"
    FakeSink(path, 10).put(b"old")
    sink = opened(path)
    assert sink.fetch(wants_key=False)
    if change == "truncated":
        os.truncate(path, 0)
    elif change == "replaced":
        path.unlink()
    writer = FakeSink(path, 10 if change == "replaced" else 8)
    writer.put(b"new")
    sink.fetch(wants_key=False)
    sink.refresh()
    assert sink.fetch(wants_key=False).data == b"new"


# --- Frames ---


def test_key_frames_and_what_follows_them():
    units = AccessUnits()
    taken = [units.take(data, captured=7.0) for data in encode(20, gop=10)]
    assert [each.is_key for each in taken] == [number % 10 == 0 for number in range(20)]
    assert not any(each.is_after_gap for each in taken)
    assert {each.captured for each in taken} == {7.0}


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"profile": "main"},
        {"profile": "high"},
        {"profile": "high444", "x264-params": "cqm=jvt:repeat-headers=1"},
    ],
)
def test_a_missing_frame_shows_in_the_next_one_alone(options):
    data = encode(30, gop=30, **options)
    for missing in (2, 15, 17):
        units = AccessUnits()
        taken = [units.take(each, 0) for each in [*data[:missing], *data[missing + 1 :]]]
        assert [number for number, each in enumerate(taken) if each.is_after_gap] == [missing]


def test_frames_of_which_nothing_is_made_leave_no_gap():
    """x264 marks each third of them as referred to by none."""
    data = encode(30, gop=30, profile="main", **{"x264-params": "bframes=0:repeat-headers=1"})
    units = AccessUnits()
    assert not any(units.take(each, 0).is_after_gap for each in data)


def test_parameter_sets_are_put_before_a_key_frame_that_lacks_them():
    first, *_, later = encode(11, gop=10)
    units = AccessUnits()
    units.take(first, 0)
    start = later.index(b"\0\0\1\x65")
    taken = units.take(later[start:], 0)
    assert taken.is_key
    assert taken.data.endswith(later[start:])
    assert b"\0\0\1\x67" in taken.data and b"\0\0\1\x68" in taken.data


def test_a_key_frame_without_parameter_sets_is_none_to_begin_with():
    [data] = encode(1, gop=10)
    assert not AccessUnits().take(data[data.index(b"\0\0\1\x65") :], 0).is_key


@pytest.mark.parametrize(
    "data", [b"", b"no start code", b"\0\0\1", b"\0\0\1\x09\x10", b"\xff\xd8\xff"]
)
def test_what_is_no_picture_is_none(data):
    assert AccessUnits().take(data, 0) is None


@pytest.mark.parametrize("sps", [b"\x67", b"\x67\x63\0\x1f\xff", b"\x67\x42\0\x1f"])
def test_a_parameter_set_that_can_not_be_read_has_no_numbers(sps):
    unit = b"\0\0\1" + sps + b"\0\0\1\x68\xce\0\0\1\x65\x88\x84"
    units = AccessUnits()
    assert units.take(unit, 0).is_key
    assert not units.take(b"\0\0\1\x41\x9a\x24", 0).is_after_gap
    if sps != b"\x67\x63\0\x1f\xff":
        with pytest.raises(ValueError, match="ends too early"):
            number_format(sps)
    else:
        assert number_format(sps) == NumberFormat()


def test_an_encoder_that_does_not_count_is_not_believed():
    """All frames have one number: after a while that is taken for the encoder's way."""
    key, frame = encode(2, gop=30)
    units = AccessUnits()
    units.take(key, 0)
    first = units.take(frame, 0)
    assert not first.is_after_gap
    other = AccessUnits()
    other.take(key, 0)
    [*_, wrong] = encode(6, gop=30)
    gaps = [other.take(wrong, 0).is_after_gap for _ in range(12)]
    assert gaps[0] and not gaps[-1]


# --- What is underway ---


def test_a_window_is_full_at_its_size_and_takes_one_frame_of_any():
    window = Window()
    assert window.has_room(0, 10_000_000)
    window.send(0, 100_000)
    assert window.has_room(0, 20_000)
    assert not window.has_room(0, 40_000)
    assert not window.is_nearly_empty()
    window.show(0.1)
    assert window.is_nearly_empty()
    assert window.has_room(0.1, 10_000_000)


def test_a_line_that_takes_little_gets_half_a_second_of_it():
    window = Window()
    window.send(0, 1000)
    window.show(0.05)
    now = 1.0
    # 128 kB a second.
    for _ in range(8):
        window.send(now, 16_000)
    for number in range(8):
        window.show(now + (number + 1) / 8)
    now = 3.0
    sent = 0
    while window.has_room(now, 16_000):
        window.send(now, 16_000)
        sent += 16_000
    assert 48_000 <= sent <= 64_000


def test_a_line_that_takes_more_gets_more():
    window = Window()
    for _ in range(10):
        while window.has_room(0, 50_000):
            window.send(0, 50_000)
        while window.is_nearly_empty() is False:
            window.show(0.1)
    sent = 0
    while window.has_room(0, 50_000) and sent < 100_000_000:
        window.send(0, 50_000)
        sent += 50_000
    assert 350_000 < sent <= h264_stream.LARGEST_WINDOW_BYTES


def test_nothing_is_sent_after_what_has_been_underway_for_too_long():
    window = Window()
    window.send(0, 1000)
    window.show(0.2)
    window.send(1, 1000)
    assert window.has_room(1.69, 1000)
    assert not window.has_room(1.71, 1000)


def test_a_long_way_is_not_taken_for_a_full_line():
    """Each frame takes 0.6 s there and back, however little is sent."""
    window = Window()
    for number in range(100):
        now = number / 30
        assert window.has_room(now, 1000), now
        window.send(now, 1000)
        if number >= 18:
            window.show(now)


def test_no_more_frames_are_underway_than_a_page_can_have_in_hand():
    window = Window()
    count = 0
    while window.has_room(0, 1):
        window.send(0, 1)
        count += 1
    assert count == h264_stream.FIRST_WINDOW_FRAMES


def test_a_decoder_that_is_slow_gets_half_a_second_of_frames():
    """Four a second, however small they are."""
    window = Window()
    window.send(0, 100)
    window.show(0.25)
    for _ in range(20):
        window.send(1, 100)
    for number in range(20):
        window.show(1 + (number + 1) / 4)
    count = 0
    while window.has_room(10, 100):
        window.send(10, 100)
        count += 1
    assert count == 2


def test_who_shows_what_was_not_sent_is_told_apart():
    window = Window()
    window.send(0, 1)
    window.show(0)
    with pytest.raises(IndexError):
        window.show(0)


def test_what_a_decoder_keeps_until_the_next_frame_does_not_stop_it():
    """It gives out a frame when two more have come, as some do of themselves. The first ones find a line that was
    closed for a while."""
    held, underway, shown = 2, 0, 0
    window = Window()
    for number in range(600):
        now = number / 30
        if window.has_room(now, 2000):
            window.send(now, 2000)
            underway += 1
        while underway > held and not 2 < now < 4:
            window.show(now)
            underway -= 1
            shown += now > 10
    assert shown > 280


def test_a_way_that_becomes_longer_is_learned():
    """From 40 ms there and back to 0.7 s."""
    window, sent, count = Window(), [], 0
    for number in range(900):
        now = number / 30
        while sent and now - sent[0] >= (0.04 if now < 5 else 0.7):
            sent.pop(0)
            window.show(now)
        if window.has_room(now, 2000):
            window.send(now, 2000)
            sent.append(now)
            count += now > 20
    assert count > 280


# --- When to look ---


def looks(times, since, until):
    """How many looks there are in this span, and when."""
    now, made = since, []
    while now < until:
        now += times.pause(now)
        made.append(now)
    return made


def test_it_is_looked_for_a_frame_closely_when_one_is_due():
    times = LookTimes()
    for number in range(30):
        times.note_frame(number / 30)
    due = 30 / 30
    made = looks(times, 29 / 30, due + 0.005)
    assert len([each for each in made if each < due - 0.004]) < 8
    assert min(abs(each - due) for each in made) <= 0.001


@pytest.mark.parametrize("before", [1.0, 10.0])
def test_without_a_rhythm_it_is_looked_seldom(before):
    times = LookTimes()
    for number in range(30):
        times.note_frame(number / 30)
    assert len(looks(times, before, before + 1)) <= 230


def test_a_faster_rhythm_is_seen_at_once():
    times = LookTimes()
    for number in range(10):
        times.note_frame(number / 10)
    times.note_frame(0.9 + 1 / 60)
    times.note_frame(0.9 + 2 / 60)
    due = 0.9 + 3 / 60
    assert min(abs(each - due) for each in looks(times, 0.9 + 2 / 60, due + 0.005)) <= 0.001
