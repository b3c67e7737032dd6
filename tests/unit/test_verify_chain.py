# SPDX-License-Identifier: MIT
"""What playbooks/files/verify_chain.py says of a uStreamer and a Janus that are not as they should be."""

import asyncio
import contextlib
import importlib.util
import json
import socket
import sys
import threading

import pytest
from aiohttp import web

from tests.support import ROOT

spec = importlib.util.spec_from_file_location(
    "verify_chain", ROOT / "playbooks/files/verify_chain.py"
)
chain = importlib.util.module_from_spec(spec)
spec.loader.exec_module(chain)

ATTACHED = {"janus": "success", "data": {"id": 8}}
OFFER = {"janus": "event", "jsep": {"type": "offer"}}


def refused(**data):
    return {"janus": "event", "plugindata": {"data": data}}


@contextlib.asynccontextmanager
async def serving(path, handler):
    app = web.Application()
    app.router.add_get("/{path:.*}", handler)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.UnixSite(runner, str(path)).start()
    try:
        yield
    finally:
        await runner.cleanup()


class Janus:
    """Answers what a test says, by request; None ends the conversation."""

    def __init__(self, **answers):
        kinds = {"create": ATTACHED, "attach": ATTACHED, "message": OFFER, "destroy": None}
        self.answers = {**kinds, **answers}
        self.heard = []
        self.is_watched = False

    async def talk(self, request):
        socket = web.WebSocketResponse(protocols=["janus-protocol"])
        await socket.prepare(request)
        self.is_watched = True
        async for message in socket:
            asked = message.json()
            self.heard.append(asked)
            answer = self.answers[asked["janus"]]
            if isinstance(answer, list):
                answer = answer.pop(0)
            if answer is None:
                break
            # What comes meanwhile and is no answer is passed over.
            await socket.send_json({"janus": "ack"})
            await socket.send_json(answer)
        self.is_watched = False
        return socket


@pytest.fixture
def wiring(tmp_path):
    token = tmp_path / "token.jcfg"
    token.write_text('token_auth_secret = "abc123"\n')
    return {
        "ustreamer_socket": str(tmp_path / "ustreamer.sock"),
        "janus_socket": str(tmp_path / "janus.sock"),
        "janus_token_file": str(token),
        "capture_device": None,
        "hdmi_socket": str(tmp_path / "hdmi.sock"),
        "signal_expected": False,
    }


def watch(wiring, janus):
    """What is wrong with this Janus, or None."""

    async def go():
        async with serving(wiring["janus_socket"], janus.talk):
            try:
                async with chain.watching(wiring):
                    assert janus.is_watched
            except chain.BrokenLink as broken:
                return str(broken)
        return None

    return asyncio.run(go())


def test_a_janus_that_makes_an_offer_is_well_and_is_watched_meanwhile(wiring):
    janus = Janus()
    assert watch(wiring, janus) is None
    assert [each["janus"] for each in janus.heard] == ["create", "attach", "message", "destroy"]
    assert all(each["token"].split(",")[1:2] == ["janus"] for each in janus.heard)
    assert janus.heard[2]["session_id"] == janus.heard[2]["handle_id"] == 8
    assert not janus.is_watched


def test_a_plugin_that_has_no_picture_yet_is_asked_again(wiring):
    janus = Janus(message=[refused(error_code=503, error="no picture yet"), OFFER])
    assert watch(wiring, janus) is None
    assert [each["janus"] for each in janus.heard][2:] == ["message", "message", "destroy"]


@pytest.mark.parametrize(
    ("answers", "said"),
    [
        (
            {"create": {"janus": "error", "error": {"reason": "no"}}},
            "refuses the device's own token",
        ),
        (
            {"attach": {"janus": "error", "error": {"reason": "no"}}},
            "Janus does not know janus.plugin",
        ),
        ({"message": refused(error_code=500, error="layout 7")}, "makes no offer (layout 7)"),
        ({"attach": None}, "Janus broke off the conversation ("),
    ],
)
def test_a_janus_that_is_not_well_is_named(wiring, answers, said):
    assert said in watch(wiring, Janus(**answers))


def test_a_janus_that_is_not_there_is_named(wiring):
    async def go():
        async with chain.watching(wiring):
            raise AssertionError("nobody is there")

    with pytest.raises(chain.BrokenLink, match=r"Janus does not answer on .*janus\.sock"):
        asyncio.run(go())


def test_a_server_that_is_no_janus_is_named(wiring):
    async def refuse(request):
        raise web.HTTPForbidden

    async def go():
        async with serving(wiring["janus_socket"], refuse), chain.watching(wiring):
            raise AssertionError("nobody is there")

    with pytest.raises(chain.BrokenLink, match=r"does not answer on .* \(403"):
        asyncio.run(go())


def ask_ustreamer(wiring, handler):
    async def go():
        async with serving(wiring["ustreamer_socket"], handler):
            return await chain.ask_ustreamer(wiring["ustreamer_socket"])

    return asyncio.run(go())


def test_ustreamer_tells_its_state(wiring):
    async def state(request):
        assert request.path == "/state"
        return web.json_response({"ok": True, "result": {"h264": {"online": True}}})

    assert ask_ustreamer(wiring, state) == {"h264": {"online": True}}


def test_a_ustreamer_that_hangs_or_talks_nonsense_is_named(wiring, monkeypatch):
    async def hang(request):
        await asyncio.Event().wait()

    async def nonsense(request):
        return web.Response(text="{", content_type="application/json")

    monkeypatch.setattr(chain, "ANSWER_SECONDS", 0.1)
    for handler, why in ((hang, r"\(nothing within 0.1 s\)"), (nonsense, r"\(.+\)")):
        with pytest.raises(chain.BrokenLink, match=f"uStreamer does not answer on .* {why}: "):
            ask_ustreamer(wiring, handler)


def test_a_device_without_aiohttp_is_told_what_to_do(monkeypatch):
    monkeypatch.setattr(chain, "aiohttp", None)
    found = asyncio.run(chain.follow({"units": []}))
    assert found["error"] == "Python has no aiohttp here: run the play again, which installs it."


def test_a_unit_that_does_not_run_is_named_before_all_else(monkeypatch):
    monkeypatch.setattr(chain, "aiohttp", None)
    monkeypatch.setattr(
        chain.subprocess, "run", lambda *_, **__: type("Done", (), {"stdout": "inactive\n"})
    )
    found = asyncio.run(chain.follow({"units": ["janus.service"]}))
    assert found["error"].startswith("janus.service is inactive")


@pytest.fixture
def software(wiring, tmp_path):
    """The wiring of a play, on a device whose role has told that it encodes in software."""
    facts = tmp_path / "ustreamer.json"
    facts.write_text('{"encoder_unit": "ustreamer-encoder.service"}')
    return {**wiring, "facts_file": str(facts)}


def test_a_software_encoder_is_one_of_the_units(software, monkeypatch):
    asked = []

    def run(command, **_):
        asked.append(command[-1])
        return type("Done", (), {"stdout": "active\n"})

    monkeypatch.setattr(chain.subprocess, "run", run)
    chain.check_units({**software, "units": ["janus.service"]})
    assert asked == ["janus.service", "ustreamer-encoder.service"]


@pytest.mark.parametrize(
    ("size", "held"),
    [
        ((640, 480), 200),
        ((1280, 720), 60),
        ((1024, 768), 60),
        ((1920, 1080), 27),
        ((3840, 2160), 6),
    ],
)
def test_what_the_encoder_holds_is_that_of_the_next_larger_size(software, tmp_path, size, held):
    speed = tmp_path / "encoder-speed.json"
    facts = {"encoder_unit": "ustreamer-encoder.service", "encoder_speed": str(speed)}
    (tmp_path / "ustreamer.json").write_text(json.dumps(facts))
    assert chain.held_fps(software, *size) is None
    sizes = [(1920, 1080, 27.9), (640, 480, 200.0), (1280, 720, 60.2)]
    names = ("width", "height", "frames_per_second")
    told = {"sizes": [dict(zip(names, each, strict=True)) for each in sizes]}
    speed.write_text(json.dumps(told))
    assert chain.held_fps(software, *size) == held
    # A chip was not measured, whatever an earlier build has left.
    assert chain.held_fps({**software, "encoder_unit": chain.USTREAMER}, *size) is None


@pytest.mark.parametrize("is_told", [True, False])
def test_a_ustreamer_without_h264_is_wrong_unless_another_program_encodes(software, is_told):
    async def state(_):
        return web.json_response({"ok": True, "result": {"source": {"online": True}}})

    wiring = {
        **software,
        **{"capture_device": None, "signal_expected": False},
        **({} if is_told else {"facts_file": "/nowhere"}),
    }

    async def go():
        async with serving(wiring["ustreamer_socket"], state):
            source = await chain.check_capture(wiring)
            await chain.check_encoder(wiring, 0)
            return source

    if is_told:
        assert asyncio.run(go()) == {"online": True}
    else:
        with pytest.raises(chain.BrokenLink, match="uStreamer encodes no"):
            asyncio.run(go())


# --- Why there is no picture ---

FACTS = {"state": "none", "power": False, "sends": None, "takes": None}


@pytest.fixture
def cable(wiring):
    """A kvm-hdmi that answers once."""
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(wiring["hdmi_socket"])
    listener.listen()

    def answer():
        client, _ = listener.accept()
        with client:
            client.sendall(json.dumps(FACTS).encode())

    thread = threading.Thread(target=answer)
    thread.start()
    yield
    thread.join()
    listener.close()


def app_says(monkeypatch, *more):
    """The product's own program, from the source."""
    program = [sys.executable, "-m", "tinypilot", "signal", *more]
    monkeypatch.setattr(chain, "TELL_SIGNAL", program)
    path = [ROOT / "roles/tinypilot/files/app", ROOT / "tests/unit/stand_ins"]
    monkeypatch.setenv("PYTHONPATH", ":".join(map(str, path)))


@pytest.mark.usefixtures("cable")
def test_the_chain_says_it_in_the_words_of_the_page(monkeypatch, wiring):
    app_says(monkeypatch)
    assert chain.why_no_picture(wiring) == (
        "Nothing comes over the video cable, not even its 5 volts: the cable is out at one end, or the computer is "
        "switched off."
    )


@pytest.mark.usefixtures("cable")
def test_a_program_of_another_version_keeps_nobody_from_an_answer(monkeypatch, wiring):
    app_says(monkeypatch, "--of-another-version")
    assert chain.why_no_picture(wiring) == chain.NO_SIGNAL


def test_nobody_to_ask_is_no_error(wiring):
    assert chain.why_no_picture(wiring) == chain.NO_SIGNAL


def test_the_journal_of_who_writes_the_sink_is_named():
    assert chain.journal_of_writers({}) == "journalctl -u ustreamer"
    wiring = {"encoder_unit": "ustreamer-encoder.service"}
    assert (
        chain.journal_of_writers(wiring) == "journalctl -u ustreamer -u ustreamer-encoder.service"
    )
