# SPDX-License-Identifier: MIT
"""What the device tells of itself: the proof that there is a picture, and Prometheus' families."""

import asyncio
import contextlib
import ctypes
import json
import os
import random
import threading

import pytest
from aiohttp import ClientSession, UnixConnector, web
from prometheus_client.parser import text_string_to_metric_families
from tinypilot import healing, supervisor
from tinypilot.config import Config
from tinypilot.healing import Healings
from tinypilot.monitoring import facts as facts_module
from tinypilot.monitoring import machine, metrics, observations, openh264, sampler
from tinypilot.monitoring.facts import Facts, Unit
from tinypilot.monitoring.machine import Disk
from tinypilot.monitoring.sampler import Sampler, Verdict
from tinypilot.monitoring.server import Teller
from tinypilot.video import hdmi, memsink
from tinypilot.video.memsink import Memsink
from tinypilot.video.numbers import BOUNDS_MS, FrameNumbers

from .conftest import ROLES
from .h264_helpers import FakeSink, encode

LATENCY = {
    "bounds_ms": list(BOUNDS_MS),
    "frames": [0, 5, 3, *[0] * (len(BOUNDS_MS) - 3), 1],
    "sum_us": 2_500_000,
}
STATISTICS = {
    "viewers": 2,
    "frames_read": 100,
    "gaps": 1,
    "frames_sent": 190,
    "frames_held_back": 4,
    "latency": LATENCY,
    "sound": {"listeners": 1, "open": True, "opened": 2, "packets": 500, "silent": 20},
}
SOURCE = {"online": True, "captured_fps": 30, "resolution": {"width": 1280, "height": 720}}
SEEN_BY_SUPERVISOR = {
    "source": SOURCE,
    "frames_captured": 1234,
    "signal": {"state": hdmi.PRESENT, "sends": None, "takes": None, "least": None},
    "janus_version": "1.1.2",
    "statistics": STATISTICS,
    "certificate": None,
    "troubles": {"janus.service": ""},
}
SEEN_BY_RELAY = {
    name: {"viewers": 1, "encoded": 50, "sent": 48, "dropped": {"late": 2}, "latency": LATENCY}
    for name in ("webcodecs", "mjpeg")
}


def full_facts(**changes):
    """Of a device that tells all."""
    known = {
        "supervisor": SEEN_BY_SUPERVISOR,
        "relay": SEEN_BY_RELAY,
        "units": {"janus.service": Unit(3, True), "nginx.service": Unit(0, False)},
        "healings": {
            "janus.service": Healings(2, 1, 5.0, "", {"no_answer": 1, "no_sign_of_life": 1})
        },
        "video": Verdict(True, "", 5.0, 1_800_000_000.0, 1280, 720),
        "disks": {"/": Disk(5_000, 10_000, False), "/var": Disk(5_000, 10_000, True)},
        "temperatures_celsius": {"cpu-thermal": 48.3},
        "throttling": {name: (False, True) for name in machine.CONDITIONS},
        "certificate_ends": 1_900_000_000.0,
        "versions": {"version": "0123", "debian": "13", "janus": "1.1.2"},
    }
    return Facts(**{**known, **changes})


def samples_of(facts):
    """By (name, labels as a frozenset of pairs)."""
    text = metrics.exposition(facts).decode()
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def value_of(facts, name, **labels):
    """None: there is no such series."""
    return samples_of(facts).get((name, frozenset(labels.items())))


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.setattr(observations, "FOLDER", tmp_path)
    monkeypatch.setattr(healing, "slowness", lambda: 1)
    return tmp_path


# --- The decoder ---


def damaged(unit, seed):
    """The same key frame with a piece in it that is none of it, or without its end."""
    chance = random.Random(seed)
    picture = unit.index(b"\0\0\1\x65") + 16
    at = chance.randrange(picture, (picture + len(unit)) // 2)
    if seed % 2:
        return unit[:at]
    return unit[:at] + chance.randbytes(len(unit) - at)


@pytest.fixture(scope="module")
def units():
    return encode(4, 30)


def test_real_frames_are_decoded(units):
    with openh264.decoder() as decoder:
        assert [decoder.decode(unit) for unit in units] == [(320, 240)] * len(units)


@pytest.mark.parametrize("seed", range(20))
def test_damage_is_not_taken_for_a_picture(units, seed):
    with openh264.decoder() as decoder, pytest.raises(openh264.DamagedError):
        decoder.decode(damaged(units[0], seed))


def test_a_frame_without_its_key_frame_is_no_picture(units):
    with openh264.decoder() as decoder, pytest.raises(openh264.DamagedError):
        decoder.decode(units[1])


@pytest.mark.parametrize("data", [b"", b"\0\0\1", b"no H.264 at all" * 50, bytes(5000)])
def test_what_is_no_h264_is_no_picture(data):
    with openh264.decoder() as decoder, pytest.raises(openh264.DamagedError):
        decoder.decode(data)


def test_a_device_without_the_library_says_so(monkeypatch):
    monkeypatch.setattr(openh264, "LIBRARIES", ("libabsent.so.1",))
    openh264.load.cache_clear()
    try:
        with pytest.raises(openh264.NoDecoderError, match=r"libabsent\.so\.1"), openh264.decoder():
            pass
    finally:
        openh264.load.cache_clear()


# --- The sink, which is woken for two frames ---


@pytest.fixture(params=[2, 4, 7, 10])
def sink(tmp_path, request):
    return FakeSink(tmp_path / "sink", request.param)


def reader_seen(sink):
    head = os.pread(sink._fd, memsink.HEADER_BYTES, 0)
    return memsink._seconds(head, sink.layout.reader_seen) - sink.layout.ahead()


def read_by_somebody(sink, ago=0.0):
    seen = bytes(ctypes.c_longdouble(memsink.now() - ago + sink.layout.ahead()))
    os.pwrite(sink._fd, seen, sink.layout.reader_seen)


def opened(tmp_path):
    reader = Memsink(tmp_path / "sink")
    reader.refresh()
    return reader


def encodes(sink):
    """As uStreamer decides it."""
    return reader_seen(sink) + memsink.READER_SECONDS > memsink.now()


def test_who_is_woken_encodes_for_a_moment_and_is_not_taken_to_be_watched(tmp_path, sink):
    reader = opened(tmp_path)
    assert not encodes(sink)
    woken = reader.wake(1.5)
    assert encodes(sink)
    assert reader_seen(sink) + memsink.READER_SECONDS < memsink.now() + 1.5 + 0.001
    # The supervisor asks that: nobody is to be healed for a sample.
    assert memsink.now() - reader_seen(sink) > supervisor.READER_SECONDS
    assert bool(sink.layout.key_request) == sink.is_asked_for_key
    reader.let_sleep(woken)
    assert not encodes(sink)


def test_a_real_reader_is_not_put_to_sleep(tmp_path, sink):
    reader = opened(tmp_path)
    woken = reader.wake(1.5)
    read_by_somebody(sink)
    reader.let_sleep(woken)
    assert encodes(sink)
    assert reader.wake(1.5) is None
    assert memsink.now() - reader_seen(sink) < supervisor.READER_SECONDS


def test_a_look_leaves_no_trace(tmp_path, sink, units):
    sink.put(units[0])
    reader = opened(tmp_path)
    assert reader.looks_like_key()
    assert reader.fetch(wants_key=False, signs=False).data == units[0]
    assert not sink.is_read
    sink.put(units[1])
    assert not reader.looks_like_key()


def test_ustreamer_is_told_nothing_that_changes_for_how_long_it_encodes():
    """memsink.READER_SECONDS is its default."""
    unit = (ROLES / "ustreamer/templates/ustreamer.service.j2").read_text()
    assert "--h264-sink=" in unit
    assert "h264-sink-client-ttl" not in unit
    encoder = (ROLES / "ustreamer/files/encoder/sink.h").read_text()
    assert f"#define SINK_READER_SECONDS {memsink.READER_SECONDS}\n" in encoder


# --- The sampler ---


class Encoder:
    """What uStreamer does with its sink: encodes while somebody reads. `make` has what it puts there, by the frame's
    number; `captured` when that was captured, by memsink.now()."""

    def __init__(self, sink, make, captured=lambda number: memsink.now()):
        self.sink, self.make, self.captured = sink, make, captured
        self.encoded = 0
        self._ends = threading.Event()

    def _run(self):
        while not self._ends.wait(0.02):
            if encodes(self.sink) and (data := self.make(self.encoded)) is not None:
                self.sink.put(data, captured=self.captured(self.encoded))
                self.encoded += 1

    @contextlib.contextmanager
    def running(self):
        thread = threading.Thread(target=self._run)
        thread.start()
        try:
            yield self
        finally:
            self._ends.set()
            thread.join()


@pytest.fixture
def quick(monkeypatch):
    monkeypatch.setattr(sampler, "PATIENCE_SECONDS", 1.0)
    monkeypatch.setattr(sampler, "LONGEST_SECONDS", 1.5)


@pytest.fixture
def sample(tmp_path, quick):
    """The verdict on an encoder: sample(make, ...)."""

    def run(make, watched=False, expects=True, problem="", **options):
        sink = FakeSink(tmp_path / "sink", 4)
        if watched:
            read_by_somebody(sink)
        asked = Sampler(Memsink(tmp_path / "sink"), lambda: expects, lambda: problem)
        with Encoder(sink, make, **options).running() as encoder:
            verdict = asyncio.run(asked.verdict(waits=True))
        run.encoder = encoder
        run.sink = sink
        return verdict

    return run


def film(gop=5):
    frames = encode(3 * gop, gop)
    return lambda number: frames[number % len(frames)]


def test_frames_that_can_be_decoded_are_the_proof(sample):
    verdict = sample(film())
    assert (verdict.is_ok, verdict.words) == (True, "")
    assert (verdict.width, verdict.height) == (320, 240)


def test_a_sample_costs_few_frames_and_then_nobody_encodes_any_more(sample):
    sample(film())
    assert sample.encoder.encoded <= 8
    assert not encodes(sample.sink)


def test_while_somebody_watches_nothing_is_changed(sample):
    before = memsink.now()
    assert sample(film(), watched=True).is_ok
    assert reader_seen(sample.sink) < before + 0.5
    assert not sample.sink.is_asked_for_key


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda number: None, sampler.NO_FRAMES),
        (lambda number: bytes(2000), sampler.NO_KEY),
        (lambda number: random.Random(number).randbytes(2000), sampler.NO_KEY),
        (lambda number: encode(2, 30)[1], sampler.NO_KEY),
        (lambda number: encode(1, 30)[0] if number == 0 else None, sampler.OLD_FRAMES),
    ],
    ids=["nothing", "zeros", "noise", "no key frame", "one frame alone"],
)
def test_what_is_no_picture_is_none(sample, make, words):
    verdict = sample(make)
    assert (verdict.is_ok, verdict.words) == (False, words)


def test_a_picture_with_damage_is_none(sample):
    key = encode(1, 30)[0]
    verdict = sample(lambda number: damaged(key, 2 * number))
    assert not verdict.is_ok
    assert "can't be decoded" in verdict.words


def test_frames_after_a_key_frame_must_be_whole_as_well(sample):
    key, after = encode(2, 30)
    verdict = sample(lambda number: key if number == 0 else after[:6] + b"\xff" * 200)
    assert not verdict.is_ok


def test_frames_that_are_all_of_one_moment_are_no_proof(sample):
    """Though they can be decoded, and come one after the other."""
    began = memsink.now()
    verdict = sample(film(), captured=lambda number: began)
    assert (verdict.is_ok, verdict.words) == (False, sampler.OLD_FRAMES)


def test_key_frames_that_are_far_apart_are_waited_for(sample, monkeypatch):
    """Longer than for a frame, as long as frames come."""
    monkeypatch.setattr(sampler, "PATIENCE_SECONDS", 0.3)
    monkeypatch.setattr(sampler, "LONGEST_SECONDS", 20.0)
    frames = encode(62, 60)
    assert sample(lambda number: frames[min(number + 30, 61)]).is_ok


def test_who_asks_first_is_not_kept_waiting(sample, monkeypatch):
    monkeypatch.setattr(sampler, "WAIT_SECONDS", 0.1)
    assert sample(lambda number: None) is None
    assert not encodes(sample.sink)


def test_one_frame_again_and_again_is_no_proof(sample):
    """Of an encoder that has stopped, while capturing goes on."""
    key = encode(1, 30)[0]
    verdict = sample(lambda number: key)
    assert (verdict.is_ok, verdict.words) == (False, sampler.OLD_FRAMES)


def test_key_frames_alone_are_a_proof(sample):
    """Of an encoder that is told to make nothing else."""
    assert sample(film(gop=1)).is_ok


def test_what_lies_there_from_before_is_no_proof(sample):
    assert not sample(film(), captured=lambda number: memsink.now() - 60).is_ok


def test_blank_frames_of_a_source_that_is_not_captured_are_no_proof(sample):
    verdict = sample(film(), problem=facts_module.NOT_CAPTURED)
    assert (verdict.is_ok, verdict.words) == (False, facts_module.NOT_CAPTURED)


def test_without_a_signal_nobody_is_woken(sample):
    assert sample(film(), expects=False) is None
    assert sample.encoder.encoded == 0


def test_without_a_sink_there_is_no_picture(tmp_path, quick):
    asked = Sampler(Memsink(tmp_path / "absent"), lambda: True, lambda: "")
    verdict = asyncio.run(asked.verdict(waits=True))
    assert (verdict.is_ok, verdict.words) == (False, sampler.NO_SINK)


def test_without_a_decoder_nothing_is_claimed_and_nobody_is_woken(sample, monkeypatch):
    def absent():
        raise openh264.NoDecoderError("no library")

    monkeypatch.setattr(openh264, "load", absent)
    assert sample(film()).is_ok is None
    assert sample.encoder.encoded == 0


def test_who_does_not_wait_is_told_that_nothing_is_known_yet(tmp_path, quick):
    asked = Sampler(Memsink(tmp_path / "absent"), lambda: True, lambda: "")
    assert asyncio.run(asked.verdict(waits=False)) is None


class Samples:
    """How often a sampler looks, by a clock that only looks move."""

    def __init__(self, tmp_path, monkeypatch, is_ok=True):
        self.now, self.taken = 1000.0, []
        self.is_watched = True
        monkeypatch.setattr(sampler.time, "monotonic", lambda: self.now)
        self.sampler = Sampler(Memsink(tmp_path / "absent"), lambda: True, lambda: "")
        monkeypatch.setattr(self.sampler, "_is_watched", lambda: self.is_watched)

        async def sample():
            self.taken.append(self.now)
            return Verdict(is_ok, "", self.now, self.now)

        monkeypatch.setattr(self.sampler, "_sample", sample)

    def run(self, seconds):
        async def scenario():
            for _ in range(seconds):
                self.now += 1
                await self.sampler._sample_if_due()

        asyncio.run(scenario())
        return len(self.taken)


@pytest.mark.parametrize(
    ("is_watched", "is_ok", "times"),
    [(True, True, 40), (False, True, 10), (True, False, 120), (True, None, 40)],
)
def test_samples_are_seldom(tmp_path, monkeypatch, is_watched, is_ok, times):
    samples = Samples(tmp_path, monkeypatch, is_ok)
    samples.is_watched = is_watched
    assert samples.run(600) == times


def test_nobody_asks_nobody_samples(tmp_path, quick):
    """Before the first question, and five minutes after the last."""
    taken = []

    async def scenario():
        asked = Sampler(Memsink(tmp_path / "absent"), lambda: True, lambda: "")

        async def sample():
            taken.append(1)
            return Verdict(True, "", 0.0, 0.0)

        asked._sample = sample
        task = asyncio.create_task(asked.keep_sampling())
        for _ in range(20):
            await asyncio.sleep(0)
        assert taken == []
        await asked.verdict(waits=False)
        async with asyncio.timeout(10):
            while not taken:
                await asyncio.sleep(0)
        task.cancel()

    asyncio.run(scenario())


# --- Families ---


def test_an_exposition_is_valid_and_each_family_has_its_unit_and_its_words():
    text = metrics.exposition(full_facts()).decode()
    families = list(text_string_to_metric_families(text))
    assert len({family.name for family in families}) == len(families) > 20
    for family in families:
        assert family.name.startswith("kvm_")
        assert family.documentation.endswith(".")
        assert family.type in ("counter", "gauge", "histogram")
        if family.type == "counter":
            assert all(sample.name.endswith("_total") for sample in family.samples)


def test_figures_are_those_that_were_seen():
    facts = full_facts()
    assert value_of(facts, "kvm_frames_captured_total") == 1234
    assert value_of(facts, "kvm_frames_encoded_total", transport="webrtc") == 100
    assert value_of(facts, "kvm_frames_sent_total", transport="webrtc") == 190
    assert value_of(facts, "kvm_frames_sent_total", transport="mjpeg") == 48
    assert value_of(facts, "kvm_frames_dropped_total", transport="webrtc", reason="no_key") == 4
    assert value_of(facts, "kvm_frames_dropped_total", transport="webcodecs", reason="late") == 2
    assert value_of(facts, "kvm_viewers", transport="webrtc") == 2
    assert value_of(facts, "kvm_sound_listeners") == 1
    assert value_of(facts, "kvm_sound_device_open") == 1
    assert value_of(facts, "kvm_sound_packets_total", kind="captured") == 480
    assert value_of(facts, "kvm_sound_packets_total", kind="silent") == 20
    assert value_of(facts, "kvm_service_restarts_total", unit="janus.service") == 3
    assert value_of(facts, "kvm_service_active", unit="nginx.service") == 0
    healed = {"unit": "janus.service", "reason": "no_sign_of_life"}
    assert value_of(facts, "kvm_healings_total", **healed) == 1
    assert value_of(facts, "kvm_healings_total", unit="nginx.service", reason="no_answer") == 0
    assert value_of(facts, "kvm_signal") == 1
    assert value_of(facts, "kvm_signal_state", state="present") == 1
    assert value_of(facts, "kvm_signal_state", state="asleep") == 0
    assert value_of(facts, "kvm_source_width_pixels") == 1280
    assert value_of(facts, "kvm_source_frames_per_second") == 30
    assert value_of(facts, "kvm_video_ok") == 1
    assert value_of(facts, "kvm_temperature_celsius", zone="cpu-thermal") == 48.3
    assert value_of(facts, "kvm_throttled", condition="under_voltage") == 0
    assert value_of(facts, "kvm_throttled_since_start", condition="under_voltage") == 1
    assert value_of(facts, "kvm_certificate_end_timestamp_seconds") == 1_900_000_000
    assert value_of(facts, "kvm_disk_free_bytes", path="/var") == 5000
    assert value_of(facts, "kvm_disk_read_only", path="/var") == 1


def test_a_histogram_grows_up_to_the_number_of_all():
    samples = samples_of(full_facts())
    name = "kvm_capture_to_send_seconds"
    buckets = {
        dict(labels)["le"]: value
        for (sample, labels), value in samples.items()
        if sample == f"{name}_bucket" and ("transport", "webrtc") in labels
    }
    assert list(buckets.values()) == sorted(buckets.values())
    assert (buckets["0.005"], buckets["0.01"], buckets["0.02"]) == (0, 5, 8)
    of_webrtc = frozenset({("transport", "webrtc")})
    assert buckets["+Inf"] == samples[f"{name}_count", of_webrtc] == 9
    assert samples[f"{name}_sum", of_webrtc] == 2.5


def test_what_is_not_known_has_no_series():
    assert {name for name, _ in samples_of(Facts())} == {"kvm_monitoring_cpu_seconds_total"}


@pytest.mark.parametrize(
    ("signal", "online", "video", "has_signal", "ok"),
    [
        (hdmi.PRESENT, True, True, 1, 1),
        (hdmi.PRESENT, True, False, 1, 0),
        (hdmi.PRESENT, True, None, 1, None),
        (hdmi.PRESENT, False, False, 1, 0),
        (hdmi.DISCONNECTED, True, None, 0, 0),
        (hdmi.TOO_LARGE, True, None, 0, 0),
        # A dongle: uStreamer's word counts.
        (hdmi.UNKNOWN, True, True, 1, 1),
        (hdmi.UNKNOWN, False, None, 0, 0),
    ],
)
def test_without_a_signal_there_is_no_picture_and_both_are_told_apart(
    signal, online, video, has_signal, ok
):
    seen = {
        **SEEN_BY_SUPERVISOR,
        "signal": {"state": signal},
        "source": {**SOURCE, "online": online},
    }
    verdict = None if video is None else Verdict(video, "", 0.0, 0.0)
    facts = full_facts(supervisor=seen, video=verdict)
    assert value_of(facts, "kvm_signal") == has_signal
    assert value_of(facts, "kvm_video_ok") == ok


def test_a_device_without_sound_tells_nothing_of_it():
    silent = {name: each for name, each in STATISTICS.items() if name != "sound"}
    facts = full_facts(supervisor={**SEEN_BY_SUPERVISOR, "statistics": silent})
    assert "kvm_sound_listeners" not in {name for name, _ in samples_of(facts)}
    assert value_of(facts, "kvm_sound_device_open") is None
    assert value_of(facts, "kvm_sound_packets_total", kind="captured") is None


def test_nobody_looks_nothing_is_claimed():
    """The supervisor does not run: neither signal nor picture is known."""
    facts = full_facts(supervisor={})
    for name in ("kvm_signal", "kvm_video_ok", "kvm_source_width_pixels", "kvm_viewers"):
        assert value_of(facts, name) is None


def test_an_exposition_is_small_whatever_happens():
    """No label has a value that somebody outside could make up."""
    many = [f"unit-{number}.service" for number in range(10)]
    healings = {unit: Healings(9, 1, 0.0, "", {"made up": 5, "other": 4}) for unit in many}
    facts = full_facts(units={unit: Unit(10**9, True) for unit in many}, healings=healings)
    text = metrics.exposition(facts)
    assert b"made up" not in text
    assert len(text) < 32 * 1024


# --- Where the figures come from ---


def test_each_trouble_is_of_a_kind(monkeypatch, tmp_path):
    """By which healings are counted; reasons are sentences with figures in them."""
    said = [
        f"{supervisor.NO_ANSWER} for 4 s",
        f"{supervisor.NO_H264} for 5 s",
        f"{supervisor.NO_SIGNAL} for 15 s",
        "takes no connection for 60 s",
        "answers what can't be understood for 60 s",
        "does not read the sink for 4 s",
        "has a process that is stopped for 4 s",
        "could not ask its stun-server when it started",
        healing.NO_SIGN_OF_LIFE,
    ]
    kinds = [healing.kind_of(reason) for reason in said]
    assert sorted(kinds) == sorted(healing.KINDS.values())
    assert healing.kind_of("something else") == "other"
    monkeypatch.setattr(healing.of, "__defaults__", (tmp_path,))
    monkeypatch.setattr(healing.note, "__defaults__", (tmp_path,))
    for reason in [*said, said[0]]:
        healing.note("janus.service", reason)
    assert healing.of("janus.service").kinds == {**dict.fromkeys(kinds, 1), "no_answer": 2}


def test_what_a_program_has_seen_is_there_for_a_while(monkeypatch):
    observations.publish("relay", {"viewers": 1})
    assert observations.read("relay")["viewers"] == 1
    now = observations.time.monotonic()
    monkeypatch.setattr(observations.time, "monotonic", lambda: now + 60)
    assert observations.read("relay") == {}


@pytest.mark.parametrize("text", ["", "{", "[]", "5", '{"viewers": 1}', '{"at": "now"}'])
def test_what_is_damaged_says_nothing(folder, text):
    (folder / "relay").write_text(text)
    assert observations.read("relay") == {}


def test_who_can_not_publish_goes_on(tmp_path):
    observations.publish("relay", {}, tmp_path / "absent")


def write(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def test_a_pi_tells_of_its_temperature_and_what_slows_it_down(tmp_path):
    write(tmp_path / "class/thermal/thermal_zone0/type", "cpu-thermal\n")
    write(tmp_path / "class/thermal/thermal_zone0/temp", "48312\n")
    write(tmp_path / "class/thermal/thermal_zone1/type", "broken\n")
    write(tmp_path / "devices/platform/soc/soc:firmware/get_throttled", "50005\n")
    assert machine.temperatures_celsius(tmp_path) == {"cpu-thermal": 48.312}
    assert machine.throttling(tmp_path) == {
        "under_voltage": (True, True),
        "frequency_capped": (False, False),
        "throttled": (True, True),
        "soft_temperature_limit": (False, False),
    }


def test_what_is_no_pi_tells_nothing(tmp_path):
    assert machine.temperatures_celsius(tmp_path) == {}
    assert machine.throttling(tmp_path) == {}


def test_disks_are_those_of_the_system():
    told = machine.disks()
    assert {*told} == {"/", "/var"}
    for disk in told.values():
        assert 0 < disk.free_bytes <= disk.size_bytes


MOUNTS = """\
21 1 179:2 / / ro,relatime shared:1 - ext4 /dev/root {root}
22 21 0:5 / /dev rw,nosuid - devtmpfs udev rw,size=1k
23 21 179:3 / /var ro,relatime - ext4 /dev/mmcblk0p3 {var}
24 23 0:9 / /var/tmp ro,relatime - tmpfs tmpfs ro
""".splitlines()


def test_a_disk_that_takes_nothing_is_told_from_a_sandbox():
    """As the kernel remounts it when its card is at its end."""
    lines = [line.format(root="rw,errors=remount-ro", var="ro") for line in MOUNTS]
    assert not machine.is_read_only("/", lines)
    assert machine.is_read_only("/var", lines)
    # Without a file system of its own.
    assert not machine.is_read_only("/var", lines[:2])
    assert not machine.is_read_only("/", [])


SYSTEMCTL = """#!/bin/sh
printf 'Id=janus.service\\nNRestarts=3\\nActiveState=active\\nLoadState=loaded\\n\\n'
printf 'Id=nginx.service\\nNRestarts=0\\nActiveState=failed\\nLoadState=loaded\\n\\n'
printf 'Id=absent.service\\nNRestarts=0\\nActiveState=inactive\\nLoadState=not-found\\n'
"""


def test_systemd_is_asked_for_the_units(tmp_path, monkeypatch):
    program = tmp_path / "systemctl"
    write(program, SYSTEMCTL)
    program.chmod(0o755)
    monkeypatch.setattr(facts_module, "SYSTEMCTL", str(program))
    names = ["janus.service", "nginx.service", "absent.service"]
    assert asyncio.run(facts_module.units(names)) == {
        "janus.service": Unit(3, True),
        "nginx.service": Unit(0, False),
    }


@pytest.mark.parametrize("program", ["#!/bin/sh\nexit 1\n", "#!/bin/sh\nexec sleep 60\n", None])
def test_a_systemd_that_does_not_tell_is_not_waited_for(tmp_path, monkeypatch, program):
    path = tmp_path / "systemctl"
    if program:
        write(path, program)
        path.chmod(0o755)
    monkeypatch.setattr(facts_module, "SYSTEMCTL", str(path))
    monkeypatch.setattr(facts_module, "ANSWER_SECONDS", 0.2)
    assert asyncio.run(facts_module.units(["janus.service"])) == {}


def test_the_end_of_a_certificate_is_read(tmp_path):
    from datetime import UTC, datetime, timedelta

    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    ends = datetime.now(UTC).replace(microsecond=0) + timedelta(days=30)
    name = x509.Name([])
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), 5)
        .not_valid_before(ends - timedelta(days=60))
        .not_valid_after(ends)
        .sign(key, hashes.SHA256())
    )
    pem = made.public_bytes(serialization.Encoding.PEM).decode()
    assert machine.end_of_certificate(pem) == ends.timestamp()
    assert machine.end_of_certificate("no certificate") is None


def test_frames_are_counted_by_what_became_of_them():
    numbers = FrameNumbers()
    for seconds in (0.005, 0.0051, 5, -1):
        numbers.send(seconds)
    numbers.drop("late", 3)
    told = numbers.told()
    assert (told["sent"], told["dropped"]) == (4, {"late": 3})
    assert told["latency"]["frames"] == [2, 1, *[0] * (len(BOUNDS_MS) - 2), 1]
    assert told["latency"]["sum_us"] == 5_010_100


def test_captured_frames_are_counted_by_ustreamers_own_rate(monkeypatch):
    now = 1000.0
    monkeypatch.setattr(supervisor.time, "monotonic", lambda: now)
    asked = supervisor.UStreamer(None, None, lambda: hdmi.Signal(hdmi.PRESENT))
    for seconds in (2, 2, 2):
        now += seconds
        asked._count_frames({"online": True, "captured_fps": 30})
    assert asked.frames_captured == 180
    # What was while nobody looked is not made up.
    now += 3600
    asked._count_frames({"online": True, "captured_fps": 30})
    assert asked.frames_captured == 180 + 30 * 4
    now += 2
    asked._count_frames({"online": False})
    assert asked.frames_captured == 300
    assert asked.source == {"online": False}


class FakeJanus(supervisor.Janus):
    """A Janus with this plugin, which is asked over no socket."""

    def __init__(self, plugin):
        super().__init__(None, b"")
        self.plugin, self.asked = plugin, []

    async def _connect(self):
        pass

    async def _ask_plugin(self, request):
        self.asked.append(request)
        if self.plugin is None:
            raise TimeoutError
        return self.plugin.get(request, {})


def test_the_plugin_is_asked_what_became_of_the_frames_if_it_knows():
    features = {"features": {"reader_late_ms": 0}}
    ours = FakeJanus({"features": features, "statistics": {"statistics": STATISTICS}})
    assert asyncio.run(ours.ask()) == set()
    assert ours.statistics == STATISTICS
    upstreams = FakeJanus({"features": {"features": {}}})
    assert asyncio.run(upstreams.ask()) == set()
    assert (upstreams.asked, upstreams.statistics) == (["features"], None)
    ours.plugin = None
    with pytest.raises(TimeoutError):
        asyncio.run(ours.ask())
    assert ours.statistics is None


# --- The program ---


@contextlib.asynccontextmanager
async def teller(tmp_path):
    config = Config(name="rack", h264_sink=tmp_path / "absent", services=("janus.service",))
    runner = web.AppRunner(Teller(config).application())
    await runner.setup()
    path = str(tmp_path / "metrics.sock")
    await web.UnixSite(runner, path).start()
    async with ClientSession(connector=UnixConnector(path)) as http:
        yield http
    await runner.cleanup()


def test_prometheus_is_told(tmp_path, quick, monkeypatch):
    monkeypatch.setattr(facts_module, "SYSTEMCTL", "/absent")
    observations.publish("supervisor", SEEN_BY_SUPERVISOR)
    observations.publish("relay", SEEN_BY_RELAY)

    async def scenario():
        async with teller(tmp_path) as http:
            answer = await http.get("http://metrics/metrics")
            assert answer.headers["Content-Type"].startswith("text/plain; version=")
            return await answer.text()

    text = asyncio.run(scenario())
    assert 'kvm_viewers{transport="webrtc"} 2.0' in text
    # There is a signal, and no sink.
    assert "kvm_video_ok 0.0" in text


def test_scrapes_at_once_are_one(tmp_path, quick, monkeypatch):
    asked = []

    async def units(names):
        asked.append(names)
        return {}

    monkeypatch.setattr(facts_module, "units", units)

    async def scenario():
        async with teller(tmp_path) as http:

            async def scrape():
                async with http.get("http://metrics/metrics") as answer:
                    return await answer.text()

            texts = await asyncio.gather(*(scrape() for _ in range(20)))
            assert all("kvm_disk_free_bytes" in text for text in texts)

    asyncio.run(scenario())
    assert len(asked) == 1
    assert "ustreamer.service" in asked[0]


def test_the_web_app_is_told_what_it_makes_words_of(tmp_path, quick, monkeypatch):
    monkeypatch.setattr(facts_module, "SYSTEMCTL", "/absent")
    observations.publish("supervisor", SEEN_BY_SUPERVISOR)

    async def scenario():
        async with teller(tmp_path) as http, http.get("http://metrics/facts") as answer:
            return json.loads(await answer.text())

    told = asyncio.run(scenario())
    assert (told["has_signal"], told["is_picture_proven"]) == (True, None)
    assert told["signal"]["state"] == "present"
