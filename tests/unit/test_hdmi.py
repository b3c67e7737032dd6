# SPDX-License-Identifier: MIT
"""What comes over the video cable: as the driver tells it, and in words."""

import contextlib
import errno
import importlib.util
import json
import re
import socket
import struct
import threading
import time
from dataclasses import replace

import pytest
from tinypilot.video import hdmi

from .auth_helpers import run_command
from .conftest import ROLES

spec = importlib.util.spec_from_file_location("kvm_hdmi", ROLES / "ustreamer/files/hdmi_signal.py")
driver = importlib.util.module_from_spec(spec)
spec.loader.exec_module(driver)

LEAST = {"width": 640, "height": 350, "pixel_clock_hz": 13_000_000}
BRIDGE = {
    **{"width": 1920, "height": 1200, "pixel_clock_hz": 165_000_000},
    **{"least": LEAST, "interlaced": False},
}
TWO_LANES = 121_500_000


def sent(width, height, rate, interlaced=False):
    return {
        **{"width": width, "height": height, "rate_hz": rate, "interlaced": interlaced},
        "pixel_clock_hz": width * height * rate,
    }


def facts(state="present", sends=None, power=True, takes=BRIDGE, most=TWO_LANES):
    return {
        **{"state": state, "power": power, "sends": sends},
        **{"takes": takes, "most_pixels_per_second": most},
    }


def words(found):
    return hdmi.describe(hdmi.judge(found), hdmi.in_english)


# --- What the computer sends, what the device takes, and what to do ---

SMALLER = (
    "Choose a smaller resolution on the computer, or apply an EDID that offers only what fits."
)
SLOWER = "Choose a lower refresh rate on the computer, or apply an EDID that offers only what fits."


@pytest.mark.parametrize(
    ("state", "sends", "advice"),
    [
        ("out_of_range", (3840, 2160, 30), SMALLER),
        ("out_of_range", (4096, 2160, 24), SMALLER),
        # The driver takes them, and two lanes do not.
        ("present", (1920, 1200, 60), SMALLER),
        ("present", (1920, 1080, 60), SLOWER),
        ("out_of_range", (1280, 1024, 120), SLOWER),
    ],
)
def test_what_is_too_large_is_said_with_both_modes_and_what_to_do(state, sends, advice):
    width, height, rate = sends
    assert words(facts(state, sent(*sends))) == (
        "Mode not supported",
        f"The computer sends {width} x {height} at {rate} Hz, "
        f"and this device takes at most 1920 x 1080 at 50 Hz. {advice}",
    )


@pytest.mark.parametrize(
    ("sends", "most"),
    [
        ((1920, 1080, 50), TWO_LANES),
        ((800, 600, 75), TWO_LANES),
        ((640, 480, 75), TWO_LANES),
        ((1920, 1080, 60), None),
    ],
)
def test_what_is_no_larger_and_refused_all_the_same_is_refused_for_its_timings(sends, most):
    width, height, rate = sends
    assert words(facts("out_of_range", sent(*sends), most=most)) == (
        "Mode not supported",
        f"The computer sends {width} x {height} at {rate} Hz, with timings that this device does not take. "
        "Choose another resolution on the computer, or apply an EDID that offers only what fits.",
    )


@pytest.mark.parametrize(
    ("sends", "least", "more"),
    [
        ((320, 240, 60), "640 x 350", "a larger resolution"),
        ((512, 768, 60), "640 x 350", "a larger resolution"),
        ((1024, 300, 60), "640 x 350", "a larger resolution"),
        (
            (1920, 1080, 5),
            "13 million pixels a second, with those between the pictures",
            "a higher refresh rate",
        ),
    ],
)
def test_what_is_too_small_is_said_with_both_sizes_and_what_to_do(sends, least, more):
    width, height, rate = sends
    found = facts("out_of_range", sent(*sends))
    assert words(found) == (
        "Mode not supported",
        f"The computer sends {width} x {height} at {rate} Hz, and this device takes no less than {least}. "
        f"Choose {more} on the computer, or apply an EDID that offers only what fits.",
    )
    assert (hdmi.judge(found).state, hdmi.judge(found).least) == (hdmi.TOO_SMALL, LEAST)


@pytest.mark.parametrize(("width", "height"), [(720, 576), (1920, 1080)])
def test_an_interlaced_picture_that_is_refused_for_something_else_has_half_of_the_pixels(
    width, height
):
    takes = {**BRIDGE, "interlaced": True}
    found = facts("out_of_range", sent(width, height, 60, interlaced=True), takes=takes)
    assert "with timings that this device does not take" in words(found)[1]


@pytest.mark.parametrize(
    ("state", "title"),
    [("out_of_range", "No stable signal"), ("present", "The computer sends a picture")],
)
def test_a_mode_without_a_rate_is_not_said(state, title):
    """It was measured while the mode changed."""
    found = words(facts(state, sent(1920, 1080, 0)))
    assert found[0] == title
    assert "Hz" not in found[1]


@pytest.mark.parametrize(
    ("width", "height", "rate"),
    [(1920, 1080, 50), (1920, 1080, 30), (1366, 768, 60), (1440, 900, 60), (640, 480, 60)],
)
def test_what_fits_is_taken(width, height, rate):
    signal = hdmi.judge(facts("present", sent(width, height, rate)))
    assert (signal.state, signal.sends["width"]) == (hdmi.PRESENT, width)


# --- What the input takes, and the encoder does not ---

ENCODES = {"most_encoded_pixels": 1920}


def size(width, height):
    return {"width": width, "height": height}


@pytest.mark.parametrize("picture", [(2560, 1440), (3840, 2160), (1080, 1922), (1922, 1080)])
@pytest.mark.parametrize("is_dongle", [True, False])
def test_a_picture_that_is_too_large_for_the_encoder_is_said_with_what_to_do(picture, is_dongle):
    if is_dongle:
        found = {**facts("unknown", takes=None, most=None), "hands_out": size(*picture)}
    else:
        found = facts("present", sent(*picture, 30), takes=None, most=None)
    title, said = words({**found, **ENCODES})
    assert title == "Mode not supported"
    assert said.startswith(
        f"The picture is {picture[0]} x {picture[1]}, and this device encodes at most 1920 pixels in each direction. "
        "Choose a smaller resolution on the computer, such as 1920 x 1080."
    )


@pytest.mark.parametrize("picture", [(1920, 1080), (1920, 1200), (1200, 1920), (1280, 720)])
def test_one_that_it_takes_is_not(picture):
    found = {**facts("unknown", takes=None, most=None), **ENCODES, "hands_out": size(*picture)}
    assert hdmi.judge(found).state == hdmi.UNKNOWN
    found = {**facts("present", sent(*picture, 30), takes=None, most=None), **ENCODES}
    assert hdmi.judge(found).state == hdmi.PRESENT


def test_what_the_input_does_not_take_is_said_first():
    found = {**facts("out_of_range", sent(3840, 2160, 30)), **ENCODES}
    assert hdmi.judge(found).state == hdmi.TOO_LARGE
    found = {**facts("none", power=True), **ENCODES, "hands_out": size(2560, 1440)}
    assert hdmi.judge(found).state == hdmi.ASLEEP


def test_three_bytes_a_pixel_leave_room_for_less():
    signal = hdmi.judge(facts("present", sent(1920, 1080, 50), most=81_000_000))
    assert (signal.state, signal.takes) == (
        hdmi.TOO_LARGE,
        {"width": 1920, "height": 1080, "rate_hz": 30},
    )


@pytest.mark.parametrize("takes", [BRIDGE, None])
def test_an_interlaced_picture_is_named_as_such(takes):
    _, sentence = words(facts("out_of_range", sent(720, 576, 50, interlaced=True), takes=takes))
    assert "720 x 576, which is interlaced" in sentence
    assert "progressive mode" in sentence


@pytest.mark.parametrize(
    ("found", "state", "said"),
    [
        (facts("none", power=False), hdmi.DISCONNECTED, "the cable is out .+ or the computer is"),
        (facts("none", power=True), hdmi.ASLEEP, "asleep, .+HDCP.+Press a key to wake it"),
        (facts("none", power=None), hdmi.NO_SIGNAL, "off or asleep, or its video cable"),
        (facts("unlocked"), hdmi.UNLOCKED, "can't lock to it"),
        (facts("no_device"), hdmi.NO_DEVICE, "does not find its video input"),
        (facts("unknown", takes=None, most=None), hdmi.UNKNOWN, "off or asleep, or its video"),
        (facts("of another version"), hdmi.UNKNOWN, "off or asleep, or its video"),
        ({}, hdmi.UNKNOWN, "off or asleep, or its video"),
    ],
    ids=lambda value: value if isinstance(value, str) else None,
)
def test_each_kind_of_no_signal_has_its_own_words(found, state, said):
    assert hdmi.judge(found).state == state
    assert re.search(said, words(found)[1])


def test_each_state_is_said_of_a_signal_of_which_nothing_else_is_known():
    for state in hdmi.STATES:
        assert all(hdmi.describe(hdmi.Signal(state), hdmi.in_english)), state


# --- What the driver tells ---


class Input:
    """A driver that answers these calls; what is not among them it does not know."""

    def __init__(self, **answers):
        self.answers = answers
        self.refused = set()

    def ioctl(self, device, number, request):
        names = {
            driver.QUERY_TIMINGS: "timings",
            driver.TIMINGS_CAP: "capabilities",
            driver.GET_CONTROL: "power",
            driver.GET_FORMAT: "format",
        }
        error, content = self.answers.get(names[number], (errno.ENOTTY, b""))
        request[: len(content)] = content
        if error:
            raise OSError(error, "refused")


def timings(width, height, clock, blanking=(88, 44, 148, 4, 5, 36, 0, 0, 0), interlaced=0):
    return struct.pack("=5IQ9I", 0, width, height, interlaced, 0, clock, *blanking)


def capabilities():
    return struct.pack("=8I2Q2I", 0, 0, 0, 0, 640, 1920, 350, 1200, 13_000_000, 165_000_000, 0, 2)


@pytest.fixture
def look(monkeypatch, tmp_path):
    path = tmp_path / "video0"
    path.touch()

    def look(**answers):
        monkeypatch.setattr(driver.fcntl, "ioctl", Input(**answers).ioctl)
        return driver.look(str(path))

    return look


def test_the_driver_is_understood(look):
    found = look(
        timings=(0, timings(1920, 1080, 148_500_000)),
        capabilities=(0, capabilities()),
        power=(0, driver.CONTROL.pack(driver.POWER_PRESENT, 1)),
    )
    assert found == {
        "state": "present",
        "power": True,
        "sends": {
            **{"width": 1920, "height": 1080, "rate_hz": 60, "interlaced": False},
            "pixel_clock_hz": 148_500_000,
        },
        "takes": BRIDGE,
        "hands_out": None,
    }


def test_a_dongle_tells_the_size_of_what_it_hands_out(look):
    picture = struct.pack("=I4x2I", 1, 2560, 1440).ljust(driver.FORMAT_BYTES, b"\0")
    found = look(format=(0, picture))
    assert (found["state"], found["hands_out"]) == ("unknown", size(2560, 1440))
    assert look(format=(0, bytes(driver.FORMAT_BYTES)))["hands_out"] is None
    assert look()["hands_out"] is None


def test_timings_that_are_out_of_range_are_read_all_the_same(look):
    found = look(timings=(errno.ERANGE, timings(3840, 2160, 272_538_000)))
    assert (found["state"], found["sends"]["height"], found["sends"]["rate_hz"]) == (
        *("out_of_range", 2160),
        30,
    )


def test_an_interlaced_picture_has_two_fields(look):
    interlaced = timings(720, 576, 15_525_000, (88, 44, 148, 4, 5, 36, 0, 0, 0), interlaced=1)
    found = look(timings=(errno.ERANGE, interlaced))
    assert (found["sends"]["rate_hz"], found["sends"]["interlaced"]) == (50, True)


@pytest.mark.parametrize(
    ("error", "state"),
    [
        (errno.ENOLINK, "none"),
        (errno.ENOLCK, "unlocked"),
        (errno.ENODEV, "no_device"),
        (errno.EBUSY, "unknown"),
        # A dongle has no timings.
        (errno.ENOTTY, "unknown"),
    ],
)
def test_what_can_not_be_measured_has_its_reason(look, error, state):
    found = look(timings=(error, timings(1, 1, 1)))
    assert (found["state"], found["sends"], found["power"], found["takes"]) == (
        *(state, None),
        *(None, None),
    )


def test_nothing_measured_is_nothing_sent(look):
    found = look(timings=(0, timings(0, 0, 0, (0,) * 9)))
    assert (found["state"], found["sends"]) == ("present", None)


def test_an_input_that_is_gone_is_no_computer_that_sleeps(tmp_path):
    assert driver.look(str(tmp_path / "nowhere"))["state"] == "no_device"


def test_the_question_sets_nothing_and_asks_for_no_buffer():
    """uStreamer captures from the same device meanwhile."""
    reading = {(2, 99), (3, 100), (3, 27), (3, 4)}
    asked = {driver.QUERY_TIMINGS, driver.TIMINGS_CAP, driver.GET_CONTROL, driver.GET_FORMAT}
    assert {(number >> 30, number & 255) for number in asked} == reading


# --- To whom it is told ---


@pytest.fixture
def tells(config, tmp_path):
    """A kvm-hdmi that says what a test wants, once for each connection."""
    listener = socket.socket(socket.AF_UNIX)
    path = tmp_path / "hdmi.sock"
    listener.bind(str(path))
    listener.listen()
    said = {}

    def serve():
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            # Who has heard enough goes.
            with client, contextlib.suppress(OSError):
                for part in said["parts"]:
                    client.sendall(part)
                    time.sleep(said["pause_seconds"])

    threading.Thread(target=serve, daemon=True).start()

    def tell(answer, *more, pause_seconds=0):
        first = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
        said.update(parts=[first, *more], pause_seconds=pause_seconds)
        return path

    yield tell
    listener.shutdown(socket.SHUT_RDWR)
    listener.close()


@pytest.fixture
def config(config, tmp_path):
    return replace(config, hdmi_socket=tmp_path / "hdmi.sock")


def test_the_api_says_what_is_too_large_for_the_encoder(logged_in, tells):
    tells({**facts("unknown", takes=None, most=None), **ENCODES, "hands_out": size(2560, 1440)})
    answer = logged_in("viewer").ask("GET", "/api/signal").get_json()
    assert (answer["state"], answer["picture"]) == ("not_encoded", size(2560, 1440))
    assert answer["most_encoded_pixels"] == 1920


def test_the_api_says_it_in_the_readers_language(logged_in, tells):
    tells(facts("out_of_range", sent(3840, 2160, 30)))
    viewer = logged_in("viewer")
    answer = viewer.ask("GET", "/api/signal")
    assert answer.get_json() == {
        "state": "too_large",
        "title": "Mode not supported",
        "words": "The computer sends 3840 x 2160 at 30 Hz, and this device takes at most 1920 x 1080 at 50 Hz. "
        + SMALLER,
        "sends": {"width": 3840, "height": 2160, "rate_hz": 30, "interlaced": False},
        "takes": {"width": 1920, "height": 1080, "rate_hz": 50},
        **{"least": None, "picture": None, "most_encoded_pixels": None},
    }
    tells(facts("out_of_range", sent(320, 200, 60)))
    assert viewer.ask("GET", "/api/signal").get_json()["least"] == LEAST
    tells(facts("out_of_range", sent(3840, 2160, 30)))
    german = viewer.ask("GET", "/api/signal", headers={"Accept-Language": "de"}).get_json()
    assert german["words"].startswith("Der Rechner sendet 3840 x 2160 mit 30 Hz")


NONE = json.dumps(facts("none", power=False)).encode()


@pytest.mark.parametrize(
    "answer",
    [
        *(b"", b"nonsense", b"[1]", b"\xff"),
        pytest.param(b"[" * 4000, id="nested"),
        pytest.param(b" " * 1_000_000 + NONE, id="long"),
        *({"state": "none", "power": []}, {"state": "present", "sends": [1]}),
        *({"state": "present", "sends": {"width": 1}}, {"state": "present", "takes": [1]}),
        facts("out_of_range", sent(1, 1, 60), takes={**BRIDGE, "least": [1]}),
        pytest.param(facts(sends=sent(10**300, 10**300, 60)), id="large"),
        facts(sends=sent(1920, 1080, 60), most="x"),
    ],
)
def test_an_answer_that_is_none_is_not_known(logged_in, tells, answer):
    tells(answer)
    assert logged_in("viewer").ask("GET", "/api/signal").get_json()["state"] == "unknown"


def test_an_answer_that_does_not_end_is_not_waited_for(logged_in, tells):
    tells(*[b" "] * 8, NONE, pause_seconds=0.3)
    assert logged_in("viewer").ask("GET", "/api/signal").get_json()["state"] == "unknown"


def test_nobody_who_answers_is_not_known(logged_in):
    assert logged_in("viewer").ask("GET", "/api/signal").get_json()["state"] == "unknown"


def test_the_command_line_says_the_same(monkeypatch, capsys, config):
    typed = json.dumps(facts("none", power=False))
    said = run_command(monkeypatch, capsys, config, typed, "signal")
    assert said.splitlines() == list(words(facts("none", power=False)))
