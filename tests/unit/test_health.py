# SPDX-License-Identifier: MIT
"""Whether the device is well: for load balancers a status, for who is logged in a sentence for each part."""

import socket
import threading

import pytest
from tinypilot.monitoring import health
from tinypilot.monitoring.health import Informant
from tinypilot.video import hdmi

REAL_ASK = Informant._ask


@pytest.fixture
def asked(logged_in):
    """What somebody who is logged in is told: the status, and words by part."""

    def ask(language="en"):
        answer = logged_in().ask("GET", "/api/health", headers={"Accept-Language": language})
        told = answer.get_json()
        assert (told["status"] == "ok") == (answer.status_code == 200)
        ask.error = told.get("error")
        return answer.status_code, {part["part"]: part for part in told["parts"]}

    return ask


def test_a_device_that_is_well_says_so_of_each_part(asked):
    status, parts = asked()
    assert status == 200
    assert [*parts] == ["janus.service", "picture", "disk /", "certificate"]
    assert all(part["ok"] for part in parts.values())
    assert parts["certificate"]["words"] == "The certificate is valid until 2030-03-17."


def test_a_stranger_learns_whether_it_is_well_and_nothing_else(browser, ada, facts):
    answer = browser().ask("GET", "/api/health")
    assert (answer.status_code, answer.get_json()) == (200, {"status": "ok"})
    facts["units"]["janus.service"] = False
    stranger = browser()
    stranger.client.application.extensions.pop("informant")
    answer = stranger.ask("GET", "/api/health")
    assert answer.status_code == 503
    assert answer.get_json() == {"status": "not ok", "error": "The device is not well."}


@pytest.mark.parametrize(
    ("part", "change", "words"),
    [
        ("janus.service", {"units": {"janus.service": False}}, "does not run"),
        ("janus.service", {"troubles": {"janus.service": "does not answer"}}, "started anew soon"),
        ("picture", {"is_picture_proven": False}, "no frames could be decoded"),
        (
            "picture",
            {"has_signal": False, "signal": {"state": hdmi.NO_DEVICE}},
            "does not find its video input",
        ),
        (
            "disk /",
            {"disks": {"/": {"free_bytes": 2**20, "size_bytes": 2**30, "is_read_only": False}}},
            "is full: 1 MiB",
        ),
        (
            "disk /",
            {"disks": {"/": {"free_bytes": 2**30, "size_bytes": 2**30, "is_read_only": True}}},
            "read-only",
        ),
        ("certificate", {"certificate_ends": 1_700_000_000.0}, "ended on 2023-11-14"),
    ],
)
def test_what_is_wrong_is_said_of_its_part_alone(asked, facts, part, change, words):
    facts.update(change)
    status, parts = asked()
    assert status == 503
    assert words in parts[part]["words"]
    assert asked.error == parts[part]["words"]
    assert [name for name, told in parts.items() if told["ok"] is False] == [part]


@pytest.mark.parametrize(
    "change",
    [
        # The computer is off.
        {"has_signal": False, "signal": {"state": hdmi.DISCONNECTED}, "is_picture_proven": None},
        {"has_signal": False, "signal": {"state": hdmi.UNKNOWN}},
        {"has_signal": None, "signal": None},
        # The first sample is being taken.
        {"is_picture_proven": None},
        # A device without D-Bus, and one whose supervisor has just been started.
        {"units": {}, "troubles": None},
        {"certificate_ends": None},
    ],
)
def test_what_lies_outside_or_is_not_known_is_no_fault(asked, facts, change):
    facts.update(change)
    assert asked()[0] == 200


def test_words_are_in_the_readers_language(asked):
    assert asked("de")[1]["janus.service"]["words"] == "janus.service läuft."


def test_who_tells_nothing_is_not_well(asked, facts):
    facts.clear()
    status, parts = asked()
    assert status == 503
    assert "tinypilot-metrics.service does not answer" in parts["monitoring"]["words"]


# --- The question itself ---


@pytest.fixture
def serving(tmp_path):
    """A program at the socket that answers so: serving(text); `serving.asked` counts."""
    path = tmp_path / "metrics.sock"
    listening = socket.socket(socket.AF_UNIX)
    listening.bind(str(path))
    listening.listen()
    threads = []

    def serve(answer):
        serve.asked = 0

        def run():
            while True:
                try:
                    connection, _ = listening.accept()
                except OSError:
                    return
                serve.asked += 1
                with connection:
                    connection.recv(65536)
                    connection.sendall(answer)

        threads.append(threading.Thread(target=run, daemon=True))
        threads[-1].start()
        return Informant(path)

    yield serve
    listening.shutdown(socket.SHUT_RDWR)
    for thread in threads:
        thread.join()
    listening.close()


@pytest.fixture
def really(monkeypatch):
    monkeypatch.setattr(Informant, "_ask", REAL_ASK)
    monkeypatch.setattr(health, "PATIENCE_SECONDS", 0.3)


def http(body):
    return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)


def test_it_is_asked_once_for_all_who_ask_at_a_time(really, serving):
    informant = serving(http(b'{"has_signal": true}'))
    told = []
    threads = [threading.Thread(target=lambda: told.append(informant.facts())) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert told == [{"has_signal": True}] * 20
    assert serving.asked == 1


def test_who_asks_meanwhile_is_told_what_was_so_before(monkeypatch, tmp_path):
    """A program that hangs must not keep all threads of the web app."""
    monkeypatch.setattr(health, "FRESH_SECONDS", 0)
    informant, asked, goes_on = Informant(tmp_path), threading.Event(), threading.Event()
    monkeypatch.setattr(Informant, "_ask", lambda self: {"has_signal": True})
    assert informant.facts() == {"has_signal": True}

    def hang(self):
        asked.set()
        goes_on.wait(30)
        return {}

    monkeypatch.setattr(Informant, "_ask", hang)
    thread = threading.Thread(target=informant.facts)
    thread.start()
    assert asked.wait(30)
    assert informant.facts() == {"has_signal": True}
    goes_on.set()
    thread.join()


@pytest.mark.parametrize("answer", [http(b"{"), http(b"[]"), b"", b"nonsense\r\n", http(b"")])
def test_what_is_no_answer_is_none(really, serving, answer):
    assert serving(answer).facts() == {}


def test_who_does_not_listen_or_answer_is_not_waited_for(really, tmp_path):
    assert Informant(tmp_path / "absent").facts() == {}
    path = tmp_path / "silent"
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(path))
        listening.listen()
        assert Informant(path).facts() == {}
