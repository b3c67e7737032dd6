# SPDX-License-Identifier: MIT
"""When uStreamer is started anew for its encoder's sake, and when it is left alone."""

import http.server
import importlib.util
import json
import os
import signal
import socketserver
import threading

import pytest

from .conftest import ROLES

USTREAMER = 4242


@pytest.fixture
def watch():
    file = ROLES / "ustreamer/files/encoder_watch.py"
    spec = importlib.util.spec_from_file_location("encoder_watch", file)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class Over(Exception):
    pass


@pytest.fixture
def kills_within(watch, monkeypatch):
    """The seconds at which uStreamer is killed: kills_within(seconds, look), with look(second) as watch.look()."""

    def run(seconds, look):
        now, kills = 0, []

        def sleep(pause):
            nonlocal now
            now += pause
            if now > seconds:
                raise Over

        def kill(process, number):
            assert (process, number) == (USTREAMER, signal.SIGKILL)
            kills.append(now)

        monkeypatch.setattr("sys.argv", ["encoder_watch.py", "/socket"])
        monkeypatch.setattr(watch.time, "sleep", sleep)
        monkeypatch.setattr(watch.time, "monotonic", lambda: 1000.0 + now)
        monkeypatch.setattr(watch.os, "kill", kill)
        monkeypatch.setattr(watch, "look", lambda path: look(now))
        with pytest.raises(Over):
            watch.main()
        return kills

    return run


def test_an_encoder_that_brings_nothing_ends_ustreamer_ever_more_rarely(kills_within):
    assert kills_within(100, lambda now: (USTREAMER, False, True)) == [6, 17, 38, 79]


def test_one_that_works_again_is_soon_looked_after_as_before(kills_within):
    def look(now):
        return USTREAMER, 20 <= now < 30, True

    assert kills_within(40, look) == [6, 17, 35]


@pytest.mark.parametrize(
    "look",
    [
        pytest.param(lambda now: (USTREAMER, True, True), id="it-encodes"),
        pytest.param(lambda now: (USTREAMER, False, False), id="nobody-watches-or-no-signal"),
        # Each begins within a second, and is never given up.
        pytest.param(lambda now: (USTREAMER, now % 5 == 0, True), id="slow"),
    ],
)
def test_ustreamer_is_left_alone(kills_within, look):
    assert kills_within(1000, look) == []


def test_a_ustreamer_that_does_not_answer_is_somebody_elses_business(kills_within):
    def look(now):
        raise ConnectionRefusedError

    assert kills_within(100, look) == []


@pytest.mark.parametrize(
    ("h264", "source", "clients", "found"),
    [
        (True, True, True, (True, True)),
        (False, True, True, (False, True)),
        (False, False, True, (False, False)),
        (False, True, False, (False, False)),
    ],
)
def test_it_reads_what_ustreamer_says_of_itself(watch, tmp_path, h264, source, clients, found):
    state = {
        "h264": {"online": h264},
        "source": {"online": source},
        "sinks": {"h264": {"has_clients": clients}},
    }

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            assert self.path == "/state"
            self.send_response(200)
            self.end_headers()
            self.wfile.write(json.dumps({"result": state}).encode())

        def log_message(self, *arguments):
            pass

    path = str(tmp_path / "http.sock")
    with socketserver.UnixStreamServer(path, Handler) as server:
        thread = threading.Thread(target=server.handle_request, daemon=True)
        thread.start()
        assert watch.look(path) == (os.getpid(), *found)
        thread.join()
