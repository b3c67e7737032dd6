# SPDX-License-Identifier: MIT
"""Keyboard, mouse and picture for programs: what the web app takes, asks for and answers."""

import socket
import struct
import threading
import zlib

import pytest
from tinypilot.hid import client
from tinypilot.video import png, screenshot

from .conftest import HOST, RED_JPEG
from .test_api import Program


@pytest.fixture
def program(app, logged_in):
    answer = logged_in("admin").ask("POST", "/api/tokens", {"name": "nightly", "role": "operator"})
    return Program(app, answer.get_json()["token"])


@pytest.mark.parametrize(
    ("path", "asked", "action"),
    [
        (
            "keyboard/text",
            {"text": "é\n"},
            {"type": "text", "text": "é\n", "layout": "en-us", "pace": "fast"},
        ),
        (
            "keyboard/text",
            {"text": "a", "layout": "de", "pace": "slow"},
            {"type": "text", "text": "a", "layout": "de", "pace": "slow"},
        ),
        ("keyboard/chord", {"keys": ["F2"]}, {"type": "chord", "keys": ["F2"], "hold_ms": 80}),
        ("mouse/move", {"x": 0, "y": 0.25}, {"type": "move", "x": 0, "y": 0.25}),
        ("mouse/step", {"x": -3, "y": 4}, {"type": "step", "x": -3, "y": 4}),
        (
            "mouse/click",
            {"button": "right"},
            {"type": "click", "button": "right", "clicks": 1, "relative": False},
        ),
        (
            "mouse/scroll",
            {"wheel": -2},
            {"type": "scroll", "wheel": -2, "pan": 0, "relative": False},
        ),
        ("controls", {"force": True}, {"type": "take", "force": True}),
        ("controls/release", None, {"type": "release"}),
    ],
)
def test_what_a_program_asks_for_is_done_by_the_hid_service(
    program, hid_service, path, asked, action
):
    assert program.ask("POST", f"/api/{path}", asked).status_code == 200
    token = program.headers["Authorization"].removeprefix("Bearer ")
    assert hid_service.asked == [{"token": token, "action": action}]


@pytest.mark.parametrize(
    ("path", "asked", "said"),
    [
        ("keyboard/text", {}, "must hold text, layout (may be left out)"),
        ("keyboard/text", {"text": "a", "more": 1}, "must hold text"),
        ("keyboard/text", {"text": ""}, "text must have 1 to 5000 characters"),
        ("keyboard/text", {"text": "a" * 5001}, "text must have 1 to 5000 characters"),
        ("keyboard/text", {"text": 7}, "text must be of the type str"),
        ("keyboard/text", {"text": "a", "layout": "../de"}, "layout must be one of"),
        ("keyboard/chord", {"keys": []}, "keys must have 1 to 14 entries"),
        ("keyboard/chord", {"keys": "F2"}, "keys must be of the type list"),
        ("keyboard/chord", {"keys": ["F2", "Enter", "F2"]}, "keys must have each entry once"),
        ("keyboard/chord", {"keys": ["F2", "AudioVolumeUp"]}, "keys[1] must be one of"),
        (
            "keyboard/chord",
            {"keys": ["F2"], "hold_ms": 5001},
            "hold_ms must be a number from 0 to 5000",
        ),
        ("keyboard/chord", {"keys": ["F2"], "hold_ms": 1.5}, "hold_ms must be of the type int"),
        ("mouse/move", {"x": 1.01, "y": 0}, "x must be a number from 0 to 1"),
        ("mouse/move", {"x": float("nan"), "y": 0}, "x must be a number from 0 to 1"),
        ("mouse/move", {"x": True, "y": 0}, "x must be of the type number"),
        ("mouse/move", {"x": 10**400, "y": 0}, "x must be a number from 0 to 1"),
        ("mouse/click", {"clicks": 4}, "clicks must be a number from 1 to 3"),
        ("mouse/click", {"relative": 1}, "relative must be of the type bool"),
        ("picture/wait", {"seconds": 51}, "seconds must be a number from 0 to 50"),
    ],
)
def test_what_is_wrong_is_refused_in_a_sentence(program, hid_service, path, asked, said):
    answer = program.ask("POST", f"/api/{path}", asked)
    assert answer.status_code == 400
    assert said in answer.get_json()["error"]
    assert answer.get_json()["error"].endswith(".")
    assert hid_service.asked == []


def test_a_person_uses_it_with_the_session_of_the_page(logged_in, hid_service):
    bob = logged_in("operator")
    assert bob.ask("DELETE", "/api/controls").status_code == 200
    assert hid_service.asked == [{"token": bob.token, "action": {"type": "give_up"}}]
    assert bob.ask("GET", "/api/controls").get_json()["usb"] == "connected"


def test_what_the_hid_service_refuses_is_said_in_the_readers_language(program, hid_service):
    told = {"sentence": "{name} has the controls.", "values": {"name": "bob"}, "retry_after": 3}
    hid_service.refusal = 409, told
    answer = program.ask("POST", "/api/controls", {}, **{"Accept-Language": "de"})
    assert (answer.status_code, answer.get_json()) == (409, {"error": "bob hat die Steuerung."})
    assert answer.headers["Retry-After"] == "3"


def test_without_the_hid_service_it_says_which(program):
    answer = program.ask("POST", "/api/controls", {})
    assert answer.status_code == 503
    assert "tinypilot-hid" in answer.get_json()["error"]


def test_an_action_ends_with_the_connection_that_asked_for_it(config, hid_service):
    hid_service.holds = ("text",)
    ours, theirs = socket.socketpair()
    ended = []

    def ask():
        with pytest.raises(client.Gone):
            client.act(config.hid_socket, "token", {"type": "text", "text": "a"}, ours)
        ended.append(True)

    asking = threading.Thread(target=ask)
    asking.start()
    # What a client says too early does not hide that it goes.
    theirs.send(b"GET")
    theirs.close()
    asking.join(10)
    assert ended
    assert hid_service.ended.wait(10)


# --- The picture ---


def test_a_screenshot_is_younger_than_the_question(program, ustreamer):
    ustreamer.frames = [(5.0, b"old"), (1.0, b"old, too"), (0.0, RED_JPEG)]
    answer = program.ask("GET", "/api/screenshot.jpg")
    assert (answer.status_code, answer.mimetype, answer.data) == (200, "image/jpeg", RED_JPEG)


def test_a_viewer_may_see_it(logged_in, ustreamer):
    assert logged_in("viewer").ask("GET", "/api/screenshot.jpg").data == RED_JPEG


def test_a_png_has_the_same_pixels(program, ustreamer):
    answer = program.ask("GET", "/api/screenshot.png")
    assert answer.mimetype == "image/png"
    chunks, at = {}, len(png.SIGNATURE)
    while at < len(answer.data):
        (length,) = struct.unpack_from(">I", answer.data, at)
        kind, content = answer.data[at + 4 : at + 8], answer.data[at + 8 : at + 8 + length]
        (checksum,) = struct.unpack_from(">I", answer.data, at + 8 + length)
        assert checksum == zlib.crc32(kind + content)
        chunks[kind] = content
        at += 12 + length
    assert chunks[b"IHDR"] == struct.pack(">IIBBBBB", 16, 16, 8, 2, 0, 0, 0)
    pixels = zlib.decompress(chunks[b"IDAT"])
    assert len(pixels) == 16 * (1 + 16 * 3)
    red, green, blue = pixels[1:4]
    assert abs(red - 200) < 5
    assert abs(green - 30) < 5
    assert abs(blue - 30) < 5


@pytest.mark.parametrize("jpeg", [b"", b"no JPEG", RED_JPEG[:300]])
def test_a_picture_that_is_none_is_no_png(program, ustreamer, jpeg):
    ustreamer.frames = [(0.0, jpeg)]
    answer = program.ask("GET", "/api/screenshot.png")
    assert answer.status_code == 503
    assert answer.get_json()["error"].endswith(".")


def test_without_a_picture_it_says_why(program, ustreamer):
    ustreamer.online = False
    answer = program.ask("GET", "/api/screenshot.jpg")
    assert answer.status_code == 409
    assert answer.get_json()["error"].startswith("There is no picture. The attached computer")


def test_without_ustreamer_it_says_so(program):
    answer = program.ask("GET", "/api/screenshot.jpg")
    assert answer.status_code == 503
    assert "journalctl -u ustreamer" in answer.get_json()["error"]


def test_old_pictures_alone_are_none(program, ustreamer, monkeypatch):
    monkeypatch.setattr(screenshot, "PATIENCE_SECONDS", 0.2)
    ustreamer.frames = [(5.0, RED_JPEG)]
    assert program.ask("GET", "/api/screenshot.jpg").status_code == 503


def test_a_program_waits_for_a_picture(program, ustreamer):
    ustreamer.online = False
    threading.Timer(0.1, lambda: setattr(ustreamer, "online", True)).start()
    answer = program.ask("POST", "/api/picture/wait", {"seconds": 20})
    assert answer.get_json()["has_picture"] is True


def test_a_wait_ends_with_what_there_is(program, ustreamer):
    ustreamer.online = False
    answer = program.ask("POST", "/api/picture/wait", {"seconds": 0}).get_json()
    assert answer["has_picture"] is False
    assert answer["signal"]["words"]


def test_one_wait_of_a_person_at_a_time(app, program, ustreamer):
    ustreamer.online = False
    answers = []
    waits = [
        threading.Thread(
            target=lambda: answers.append(
                app.test_client(use_cookies=False)
                .post(
                    "/api/picture/wait",
                    json={"seconds": 1},
                    base_url=f"https://{HOST}",
                    headers=program.headers,
                )
                .status_code
            )
        )
        for _ in range(2)
    ]
    for wait in waits:
        wait.start()
    for wait in waits:
        wait.join(20)
    assert sorted(answers) == [200, 429]
