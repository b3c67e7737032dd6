# SPDX-License-Identifier: MIT
"""The test of a device: what is measured, what is said of it, and who may ask for it."""

import copy
import json
import os
import stat
import subprocess
import sys
import threading
import time
from types import SimpleNamespace

import pytest
from tinypilot.doctor import __main__ as program
from tinypilot.doctor import measure, report, verdicts
from tinypilot.monitoring import observations
from tinypilot.routes import device_test
from tinypilot.video import hdmi, memsink
from tinypilot.video.hdmi import in_english

from .conftest import FIGURES, ROLES
from .h264_helpers import FakeSink


def figures(**changes):
    """changes: by part, merged into it unless it is no object."""
    found = copy.deepcopy(FIGURES)
    for name, change in changes.items():
        found[name] = {**found[name], **change} if isinstance(change, dict) else change
    return found


def judged(**changes):
    return {each.part: each for each in verdicts.judge(figures(**changes), in_english)}


# --- What is said ---


def test_a_device_that_is_well_gets_a_figure_for_each_part():
    found = judged(encoder={"sizes": FIGURES["encoder"]["sizes"][:1]})
    assert {part: each.state for part, each in found.items()} == dict.fromkeys(
        ["encoder 640x480", "capture", "stream", "disk", "ports", "usb"], "good"
    )
    assert {part: each.figure for part, each in found.items()} == {
        "encoder 640x480": "210 frames per second, 4.75 ms each",
        "capture": "1280 × 720, 30 frames per second",
        "stream": "29.9 frames per second, 9.1 ms each",
        "disk": "1024 MiB free, 14.2 MiB/s written, saved after 6.0 ms",
        "ports": "TCP: 22, 443. UDP 20000 to 20003, for pictures: 3 of 4 are free. Other UDP: 5353.",
        "usb": "The attached computer takes keys",
    }


OFF = {"online": False, "captured_fps": 0, "resolution": {"width": 640, "height": 480}}
CABLE_OUT = {"state": "none", "power": False, "sends": None, "takes": None}


@pytest.mark.parametrize(
    ("changes", "part", "state", "said"),
    [
        ({}, "encoder 1920x1080", "poor", "a frame rate limit of 24 fps"),
        ({"watched": True}, "encoder 640x480", "good", "this is what was left"),
        ({"encoder": {"error": "killed"}}, "encoder", "bad", "can't be measured (killed)"),
        (
            {"encoder": {"kind": "chip", "sizes": []}},
            *("encoder", "unknown", "take it from who watches"),
        ),
        ({"capture": {"source": None}}, "capture", "bad", "uStreamer does not answer"),
        ({"capture": {"source": OFF, "signal": CABLE_OUT}}, "capture", "unknown", "5 volts"),
        (
            {"capture": {"source": OFF, "signal": {"state": hdmi.NO_DEVICE}}},
            *("capture", "bad", "does not find its video input"),
        ),
        ({"capture": {"source": OFF}}, "stream", "unknown", ""),
        ({"stream": {"frames_per_second": 12.0}}, "stream", "poor", "30 per second are captured"),
        ({"stream": {"is_there": False}}, "stream", "bad", "doctor"),
        ({"disk": {"error": "Input/output error"}}, "disk", "bad", "(Input/output error)"),
        ({"disk": {"free_bytes": 2**20}}, "disk", "bad", "nearly full"),
        ({"disk": {"mib_per_second": 0.4}}, "disk", "poor", "worn out"),
        ({"disk": {"sync_ms": 900.0}}, "disk", "poor", "worn out"),
        ({"ports": {"tcp": {}}}, "ports", "bad", "Nobody listens on TCP port 443"),
        ({"ports": {"udp": {"20001": "asterisk"}}}, "ports", "poor", "taken by asterisk"),
        ({"ports": {"rtp_ports": None}}, "ports", "good", ""),
        ({"usb": "silent"}, "usb", "bad", "Wake it"),
        ({"usb": "disconnected"}, "usb", "unknown", "not connected by USB"),
        ({"usb": "missing"}, "usb", "poor", "no USB port"),
        ({"usb": None}, "usb", "bad", "HID service does not answer"),
    ],
)
def test_what_is_not_well_is_named_with_what_to_do(changes, part, state, said):
    found = judged(**changes)[part]
    assert (found.state, said in found.words) == (state, True), found


def test_a_stream_without_frames_is_bad():
    stream = {"is_there": True, "frames": 0}
    (found,) = [
        each
        for each in verdicts.judge({**FIGURES, "stream": stream}, in_english)
        if each.part == "stream"
    ]
    assert (found.state, found.figure) == ("bad", "No frames")


def test_fewer_frames_than_come_are_enough_where_they_were_limited():
    limited = judged(stream={"frames_per_second": 15.0}, frame_rate_limit=15)
    assert limited["stream"].state == "good"


# --- What is measured ---


def test_the_encoders_own_program_measures_at_the_settings_in_force(tmp_path):
    told = tmp_path / "encoder"
    told.write_text('#!/bin/sh\necho "$@" >&2\necho \'{"sizes": [{"width": 1}]}\'\n')
    told.chmod(0o755)
    command = ["sh", "-c", f"{told} $@ 2>{tmp_path}/said", "x", "--bitrate={rate}", "--gop={gop}"]
    found = measure.encoder({"ustreamer": {"measure_encoder": command}}, {"rate": 8000})
    assert found == {"kind": "software", "sizes": [{"width": 1}]}
    (options,) = (tmp_path / "said").read_text().splitlines()
    assert "--measure=640x480,1280x720,1920x1080" in options
    assert "--bitrate=8000" in options
    assert "--gop" not in options


@pytest.mark.parametrize(
    ("command", "said"),
    [
        (["sh", "-c", "echo no memory >&2; exit 1"], "no memory"),
        (["sh", "-c", "exit 3"], "exit code 3"),
        (["sh", "-c", "echo nonsense"], "Expecting"),
        (["/nowhere/encoder"], "No such file"),
    ],
)
def test_an_encoder_that_can_not_be_measured_says_why(command, said):
    found = measure.encoder({"ustreamer": {"measure_encoder": command}}, {})
    assert said in found["error"]
    assert found["sizes"] == []


def test_a_chip_is_not_tried():
    assert measure.encoder({"ustreamer": {"measure_encoder": []}}, {})["kind"] == "chip"


class Reader:
    """A reader of a sink, by a clock of its own: frames as a writer makes them, 20 a second."""

    def __init__(self, monkeypatch):
        self.now = 1000.0
        self.number = 0
        clock = SimpleNamespace(monotonic=lambda: self.now, sleep=self.sleep)
        monkeypatch.setattr(measure, "time", clock)
        monkeypatch.setattr(measure.memsink, "Memsink", lambda path: self)

    def sleep(self, seconds):
        self.now += seconds

    def refresh(self):
        pass

    def glance(self):
        return 1, 0.0

    def fetch(self, wants_key):
        number = int(self.now * 20)
        if number == self.number:
            return None
        self.number = number
        return memsink.Frame(b"", number / 20, 0.004)

    def close(self):
        pass


def test_the_frames_of_the_sink_are_counted_by_when_they_were_captured(monkeypatch):
    Reader(monkeypatch)
    found = measure.stream("sink")
    assert (found["frames_per_second"], found["frame_ms"]) == (20.0, 4.0)


def test_a_sink_that_is_not_there_is_told(tmp_path):
    assert measure.stream(tmp_path / "none") == {"is_there": False}
    assert not measure.is_watched(tmp_path / "none")


def test_who_reads_is_told_from_who_has_looked_for_a_picture(tmp_path):
    writer = FakeSink(tmp_path / "sink", 10)
    writer.put(b"a frame")
    reader = memsink.Memsink(tmp_path / "sink")
    reader.refresh()
    assert not measure.is_watched(tmp_path / "sink")
    reader.wake(1.5)
    assert not measure.is_watched(tmp_path / "sink")
    reader.fetch(wants_key=False)
    assert measure.is_watched(tmp_path / "sink")


def test_the_disk_is_measured_and_nothing_is_left_on_it(tmp_path):
    found = measure.disk(tmp_path)
    assert found["mib_per_second"] > 0
    assert found["sync_ms"] >= 0
    assert list(tmp_path.iterdir()) == []


def test_a_disk_that_is_nearly_full_is_not_written_to(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "open", None)
    monkeypatch.setattr(measure, "SPARED_BYTES", 2**62)
    assert measure.disk(tmp_path).keys() == {"free_bytes"}


def test_a_disk_that_can_not_be_written_says_why(tmp_path, monkeypatch):
    def refuse(*_):
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr(measure.os, "fdatasync", refuse)
    assert measure.disk(tmp_path)["error"] == "Read-only file system"


def test_a_disk_that_does_not_answer_keeps_nobody(tmp_path, monkeypatch):
    monkeypatch.setattr(measure, "DISK_PATIENCE_SECONDS", 0)
    answers = threading.Event()
    monkeypatch.setattr(measure.os, "fdatasync", lambda _: answers.wait(20))
    told = measure.disk_in_time(tmp_path)
    answers.set()
    assert told == {"error": "no answer within 0 s"}


def test_a_disk_without_its_folder_says_so(tmp_path):
    assert "No such file" in measure.disk_in_time(tmp_path / "none")["error"]


def line(address, state, user):
    return f"   0: {address} 00000000:0000 {state} 00000000:00000000 00:00000000 00000000 {user} 0 1 2\n"


def test_ports_are_told_with_their_users_and_without_those_of_the_device_itself(tmp_path):
    heading = "  sl  local_address rem_address   st\n"
    (tmp_path / "tcp").write_text(
        heading
        + line("00000000:01BB", "0A", 0)
        # A connection, and one that listens for the device itself.
        + line("00000000:0016", "01", 0)
        + line("0100007F:0019", "0A", 0)
    )
    (tmp_path / "tcp6").write_text(
        heading
        + line("00000000000000000000000001000000:0050", "0A", 0)
        + line("00000000000000000000000000000000:0051", "0A", 4_000_000)
    )
    (tmp_path / "udp").write_text(heading + line("0A00000A:4E20", "07", 0))
    found = measure.ports({"gateway": {"https_port": 443}, "janus": {}}, tmp_path)
    assert found["tcp"] == {"81": "4000000", "443": "root"}
    assert found["udp"] == {"20000": "root"}


def test_all_that_is_measured_can_be_judged_also_where_nothing_answers(config, monkeypatch):
    monkeypatch.setattr(measure, "FIRST_FRAMES_SECONDS", 0)
    monkeypatch.setattr(observations, "read", lambda name: {})
    found = json.loads(json.dumps(measure.measure({}, config)))
    assert {each.state for each in verdicts.judge(found, in_english)} <= {*verdicts.STATES}


# --- Who asks ---


def test_an_admin_tests_the_device_and_it_is_noted(logged_in, measuring, audited):
    answer = logged_in("admin").ask("POST", "/api/device-test", {})
    assert answer.status_code == 200
    told = answer.get_json()
    assert told["figures"] == FIGURES
    assert [each["part"] for each in told["parts"]][:2] == ["encoder 640x480", "encoder 1920x1080"]
    assert audited[-1][0] == "device_tested"
    assert audited[-1][1]["by"] == "ada"


def test_it_is_said_in_the_readers_language(logged_in, measuring):
    answer = logged_in("admin").ask(
        "POST", "/api/device-test", {}, headers={"Accept-Language": "de"}
    )
    assert "Netzwerkports" in [each["title"] for each in answer.get_json()["parts"]]


def test_one_test_at_a_time_and_a_pause_between_two(logged_in, measuring, monkeypatch):
    clock = SimpleNamespace(now=1000.0)
    monkeypatch.setattr(device_test, "time", SimpleNamespace(monotonic=lambda: clock.now))
    admin = logged_in("admin")
    measuring.go.clear()
    answers = []
    first = threading.Thread(
        target=lambda: answers.append(admin.ask("POST", "/api/device-test", {}))
    )
    first.start()
    while not measuring.asked:
        time.sleep(0.001)
    refused = admin.ask("POST", "/api/device-test", {})
    assert (refused.status_code, "is being tested" in refused.get_json()["error"]) == (409, True)
    measuring.go.set()
    first.join()
    assert answers[0].status_code == 200

    refused = admin.ask("POST", "/api/device-test", {})
    assert (refused.status_code, refused.headers["Retry-After"]) == (429, "31")
    clock.now += 30
    assert admin.ask("POST", "/api/device-test", {}).status_code == 200
    assert measuring.asked == 2


@pytest.mark.parametrize("answer", ["", "{"])
def test_a_program_that_says_nothing_is_named(logged_in, measuring, answer):
    measuring.answers[:] = [answer]
    refused = logged_in("admin").ask("POST", "/api/device-test", {})
    assert refused.status_code == 503
    assert "tinypilot-device-test@" in refused.get_json()["error"]


def test_the_doctor_asks_the_same_program(monkeypatch, measuring, config):
    monkeypatch.setattr(program, "configuration", lambda: config)
    found = {each.link: each for each in program.measured()}
    assert found["measured encoder 640x480"].state == report.GOOD
    poor = found["measured encoder 1920x1080"]
    assert (poor.state, "frame rate limit" in poor.do) == (report.POOR, True)
    findings = [*found.values()]
    assert report.is_well(findings)
    assert "frame rate limit" in report.as_text(findings, coloured=False)
    assert report.as_text(findings, coloured=False).endswith("All is well.")


def test_the_doctor_says_if_nobody_measures(monkeypatch, config):
    monkeypatch.setattr(program, "configuration", lambda: config)
    (found,) = program.measured()
    assert (found.state, "tinypilot-device-test@" in found.do) == (report.CAUSE, True)


# --- Once for each build ---

MEASURE_ENCODER = ROLES / "ustreamer/files/measure_encoder.py"
RATES = {(640, 480): 200.9, (1280, 720): 61.5, (1920, 1080): 27.7, (800, 600): 120.0}
SIZES = json.dumps(
    {
        "sizes": [
            {"width": width, "height": height, "frames_per_second": rate, "frame_ms": 1000 / rate}
            for (width, height), rate in RATES.items()
        ]
    }
)


@pytest.fixture
def build(tmp_path):
    """A build whose encoder counts how often it was run."""
    (tmp_path / "bin").mkdir()
    encoder = tmp_path / "bin/ustreamer-encoder"
    encoder.write_text(f"#!/bin/sh\necho \"$@\" >>{tmp_path}/runs\necho '{SIZES}'\n")
    encoder.chmod(0o755)
    return tmp_path


def say(build, size="1920x1080", fps="0", picture_format="UYVY"):
    # As root it gives its rights away, which nobody else can.
    source = MEASURE_ENCODER.read_text().replace('["nice", "-n", "19", *AS_NOBODY, ', "[")
    done = subprocess.run(
        [sys.executable, "-c", source, build, picture_format, size, fps],
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return done.stdout.strip()


def runs(build):
    return (build / "runs").read_text().splitlines()


def test_what_an_encoder_holds_is_measured_once_and_kept_with_its_build(build):
    cores = len(os.sched_getaffinity(0))
    said = say(build, "1280x720", "60")
    assert said == (
        f"software H.264 on {cores} core{'s' if cores > 1 else ''} holds 640x480 at 200, 1280x720 at 61, 1920x1080 at "
        "27, 800x600 at 120 frames per second (measured, UYVY)."
    )
    kept = build / "encoder-speed.UYVY.json"
    assert stat.S_IMODE(kept.stat().st_mode) == 0o644
    assert say(build, "1280x720", "60") == said
    assert len(runs(build)) == 1
    # A power cut may leave anything.
    kept.write_text("{")
    assert say(build, "1280x720", "60") == said
    assert len(runs(build)) == 2
    say(build, picture_format="MJPEG")
    assert len(runs(build)) == 3


@pytest.mark.parametrize(
    ("size", "fps", "limit"),
    [
        ("1920x1080", "0", "27"),
        ("1280x720", "62", "61"),
        ("1280x720", "61", None),
        ("800x600", "60", None),
    ],
)
def test_a_play_that_asks_for_more_is_told(build, size, fps, limit):
    said = say(build, size, fps)
    assert (f"set ustreamer_frame_rate to {limit}, or" in said) is bool(limit)
    assert size in runs(build)[0]
