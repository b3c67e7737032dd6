# SPDX-License-Identifier: MIT
"""When a service is taken to hang, when it is left alone, and that nothing is restarted in a storm."""

import asyncio
import itertools
import json
import os

import pytest
from aiohttp import web
from tinypilot import healing, supervisor
from tinypilot.healing import Healings
from tinypilot.settings import apply
from tinypilot.supervisor import Probe, ProbedUnit, Process, Trouble, UStreamer
from tinypilot.video import hdmi, memsink

UNIT = "janus.service"
REAL_SLOWNESS = healing.slowness
RUNS = [Process("S", 3600)]


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.setattr(healing, "FOLDER", tmp_path)
    monkeypatch.setattr(healing, "slowness", lambda: 1)
    monkeypatch.setattr(healing.of, "__defaults__", (tmp_path,))
    monkeypatch.setattr(healing.note, "__defaults__", (tmp_path,))
    return tmp_path


# --- What is noted ---


def test_a_healing_is_one_line_and_a_number(folder, capsys):
    for _ in range(3):
        healing.note(UNIT, "does not answer for 4 s")
    lines = capsys.readouterr().err.splitlines()
    assert lines[-1] == (
        "Healed: janus.service does not answer for 4 s, and is started anew. Times since the start of the device: 3."
    )
    assert len(lines) == 3
    assert healing.of(UNIT).count == 3
    assert healing.of(UNIT).reason == "does not answer for 4 s"
    assert {unit: each.count for unit, each in healing.of_all(folder).items()} == {UNIT: 3}


def test_whoever_noted_it_all_may_read_it(folder, capsys):
    """A unit's own ExecStopPost= does so with the unit's UMask=."""
    before = os.umask(0o077)
    try:
        healing.note(UNIT, "does not answer")
    finally:
        os.umask(before)
    assert (folder / UNIT).stat().st_mode & 0o777 == 0o644


@pytest.mark.parametrize(
    "text", ["", "{", "[]", '{"count": 1, "other": 2}', '{"count": 1, "kinds": 5}']
)
def test_a_damaged_note_keeps_nothing_from_being_healed(folder, text, capsys):
    (folder / UNIT).write_text(text)
    healing.note(UNIT, "does not answer")
    assert healing.of(UNIT).count == 1


def test_without_room_it_is_still_said(tmp_path, capsys):
    healing.note(UNIT, "does not answer", tmp_path / "absent")
    assert "does not answer" in capsys.readouterr().err


def test_what_hangs_again_and_again_gets_ever_more_patience_and_what_was_well_begins_anew():
    healings, now, pauses = Healings(), 1000.0, []
    for _ in range(30):
        pauses.append(healings.patience_seconds(5, now))
        now += pauses[-1]
        healings = healings.and_another(now, "")
    assert pauses[:11] == [5] * 11
    assert pauses[11:14] == [10, 20, 40]
    assert pauses[-1] == 300
    assert healings.patience_seconds(5, now + 400) == 5
    assert healings.and_another(now + 400, "").patience_seconds(5, now + 400) == 5


# --- systemd's watchdog ---


def test_a_program_tells_systemd_from_its_loop(monkeypatch):
    told = []
    monkeypatch.setattr(healing.daemon, "notify", told.append)
    monkeypatch.setattr(healing, "SIGN_OF_LIFE_SECONDS", 0.01)

    async def scenario():
        task = asyncio.create_task(healing.SignOfLife(UNIT).keep_giving())
        while len(told) < 3:
            await asyncio.sleep(0)
        task.cancel()

    asyncio.run(asyncio.wait_for(scenario(), 10))
    assert told[0] == "READY=1\nWATCHDOG_USEC=5000000\nWATCHDOG=1"
    assert {*told[1:]} == {"WATCHDOG_USEC=5000000\nWATCHDOG=1"}


def test_a_program_that_hangs_again_and_again_has_systemd_wait_longer(folder, monkeypatch):
    told = []
    monkeypatch.setattr(healing.daemon, "notify", told.append)
    healed = {"count": 40, "in_row": 40, "at": 1000, "reason": ""}
    (folder / UNIT).write_text(json.dumps(healed))
    monkeypatch.setattr(healing.time, "monotonic", lambda: 1001)
    sign_of_life = healing.SignOfLife(UNIT)
    sign_of_life.is_ready()
    assert "WATCHDOG_USEC=300000000\n" in told[-1]
    # Who has lived for longer since is well again.
    monkeypatch.setattr(healing.time, "monotonic", lambda: 1400)
    sign_of_life.give()
    assert "WATCHDOG_USEC=5000000\n" in told[-1]


# --- The supervisor ---


class Supervision:
    """One unit that is looked after, by a clock that only looks move. `ask(second)` raises what is wrong."""

    def __init__(self, ask, processes=lambda second: RUNS, refusals=0):
        self.now, self.healed = 0.0, []
        self.asked_to_heal, self.refusals = 0, refusals

        async def asked():
            try:
                return ask(self.now) or set()
            except TimeoutError:
                self.now += supervisor.ANSWER_SECONDS
                raise

        async def heal(unit, reason):
            assert unit == UNIT
            self.asked_to_heal += 1
            if self.asked_to_heal <= self.refusals:
                return False
            self.healed.append(round(self.now))
            self.reason = reason
            return True

        self.unit = ProbedUnit(
            Probe(UNIT, asked), heal, lambda unit: processes(self.now), lambda: 1000 + self.now
        )

    def run(self, seconds):
        async def scenario():
            while self.now < seconds:
                is_well = await self.unit.look()
                self.now += supervisor.LOOK_SECONDS if is_well else supervisor.LOOK_AGAIN_SECONDS

        asyncio.run(scenario())
        return self.healed


def hangs_from(second, until=10**9, trouble=TimeoutError):
    def ask(now):
        if second <= now < until:
            raise trouble() if isinstance(trouble, type) else trouble

    return ask


def test_who_does_not_answer_is_healed_within_seconds():
    supervision = Supervision(hangs_from(10, until=14))
    assert supervision.run(100) == [14]
    assert supervision.reason == "does not answer for 6 s"


def test_where_it_can_not_be_ended_that_is_asked_for_again():
    supervision = Supervision(hangs_from(10, until=22), refusals=2)
    assert supervision.run(100) == [22]
    assert supervision.asked_to_heal == 3


@pytest.mark.parametrize(
    "ask",
    [
        pytest.param(hangs_from(10, until=12), id="late-once"),
        pytest.param(lambda now: hangs_from(0)(now) if now % 4 < 2 else None, id="slow"),
    ],
)
def test_who_answers_late_is_left_alone(ask):
    supervision = Supervision(ask)
    assert supervision.run(300) == []


def test_an_overloaded_machine_gets_more_patience(monkeypatch):
    monkeypatch.setattr(healing, "slowness", lambda: 3)
    assert Supervision(hangs_from(10, until=16)).run(100) == []
    assert 20 <= Supervision(hangs_from(10)).run(30)[0] <= 24


def test_slowness_is_that_of_the_machine():
    assert 1 <= REAL_SLOWNESS() <= healing.LONGEST_SLOWNESS


def test_who_does_not_run_is_systemds_business():
    assert Supervision(hangs_from(0), lambda now: []).run(1000) == []


def test_a_program_that_is_just_starting_gets_its_time():
    def ask(now):
        # Restarted by somebody at 100, and slow.
        hangs_from(100, until=115)(now)

    assert (
        Supervision(ask, lambda now: [Process("S", now - 100 if now >= 100 else now)]).run(300)
        == []
    )
    # Not for ever.
    hanging = Supervision(
        hangs_from(100), lambda now: [Process("S", now - 100 if now >= 100 else now)]
    )
    assert hanging.run(123) == [120]


def test_at_the_start_of_the_device_nothing_is_hurried():
    assert Supervision(hangs_from(0, until=18)).run(100) == []


def test_a_process_that_no_signal_ends_makes_no_storm():
    """In state D: the healing has no effect for a minute."""
    healed = Supervision(hangs_from(10, until=80)).run(200)
    assert healed[0] == 14
    assert len(healed) <= 3


def test_what_is_healed_in_vain_is_healed_ever_more_rarely():
    healed = Supervision(hangs_from(10)).run(3600)
    gaps = [later - earlier for earlier, later in itertools.pairwise(healed)]
    assert gaps == sorted(gaps)
    assert 299 <= gaps[-1] <= 301
    assert len(healed) < 20


def test_a_trouble_that_only_time_can_disprove_is_not_forgotten():
    """An encoder that works no more: right after the restart all looks well."""

    def ask(now):
        if now % 20 < 4:
            return {supervisor.NO_H264}
        raise Trouble(supervisor.NO_H264, supervisor.ENCODER_PATIENCE_SECONDS)

    healed = Supervision(ask).run(1000)
    assert len(healed) <= 4


@pytest.mark.parametrize("error", [ConnectionRefusedError, FileNotFoundError, LookupError])
def test_who_opens_no_socket_gets_a_minute(error):
    assert Supervision(hangs_from(10, until=65, trouble=error)).run(200) == []
    assert Supervision(hangs_from(10, trouble=error)).run(75)


def test_a_trouble_is_told_when_it_lasts():
    """Not what may be over with the next look, nor what is over."""
    supervision = Supervision(hangs_from(10, until=30, trouble=ConnectionRefusedError))
    told = []
    for second in range(1, 40):
        supervision.run(second)
        told.append(supervision.unit.trouble)
    assert {*told[:12]} == {""}
    assert {*told[20:29]} == {"takes no connection"}
    assert {*told[33:]} == {""}


# --- uStreamer ---


class Sink:
    """number: of the newest frame; is_read: whether somebody reads."""

    def __init__(self):
        self.number, self.is_read = 1, True

    def refresh(self):
        pass

    def glance(self):
        return self.number, memsink.now() - (0.2 if self.is_read else 60)


@pytest.fixture
def ustreamer(tmp_path):
    """Asks a uStreamer: ustreamer(online, signal, frames=..., is_read=...) is the trouble of the second look."""

    def run(online, signal, new_frames, is_read=True, h264=True):
        path, sink = tmp_path / "http.sock", Sink()
        sink.is_read = is_read
        if not h264:
            sink.glance = lambda: None

        async def state(request):
            return web.json_response({"result": {"source": {"online": online}}})

        async def scenario():
            application = web.Application()
            application.router.add_get("/state", state)
            runner = web.AppRunner(application)
            await runner.setup()
            await web.UnixSite(runner, str(path)).start()
            asked = UStreamer(path, sink, lambda: hdmi.Signal(signal))
            try:
                await asked.ask()
                sink.number += new_frames
                try:
                    return await asked.ask()
                except Trouble as trouble:
                    return str(trouble)
            except Trouble as trouble:
                return str(trouble)
            finally:
                await runner.cleanup()

        return asyncio.run(asyncio.wait_for(scenario(), 10))

    return run


def test_frames_that_stand_still_while_somebody_watches_are_a_trouble(ustreamer):
    assert ustreamer(True, hdmi.PRESENT, 0) == supervisor.NO_H264
    # A dongle tells nothing of its signal.
    assert ustreamer(True, hdmi.UNKNOWN, 0) == supervisor.NO_H264
    assert ustreamer(True, hdmi.PRESENT, 1) == set()


@pytest.mark.parametrize("signal", sorted({*hdmi.STATES} - {hdmi.PRESENT, hdmi.UNKNOWN}))
@pytest.mark.parametrize("online", [True, False])
def test_what_lies_outside_is_no_trouble_of_ustreamer(ustreamer, online, signal):
    """Some drivers let uStreamer believe that it is online."""
    assert ustreamer(online, signal, 0) == {supervisor.NO_H264}


def test_nobody_watches_or_there_is_no_h264(ustreamer):
    assert ustreamer(True, hdmi.PRESENT, 0, is_read=False) == {supervisor.NO_H264}
    assert ustreamer(True, hdmi.PRESENT, 0, h264=False) == {supervisor.NO_H264}


def test_a_signal_that_ustreamer_does_not_show_is_a_trouble(ustreamer):
    assert ustreamer(False, hdmi.PRESENT, 0) == supervisor.NO_SIGNAL


# --- Janus ---


def janus(tmp_path, reader_late_ms=0, plugin_answers=True):
    """The trouble of two looks at a Janus, and how many sessions were made."""
    path, sessions = tmp_path / "ws.sock", []

    async def serve(request):
        socket = web.WebSocketResponse(protocols=["janus-protocol"])
        await socket.prepare(request)
        async for message in socket:
            asked = json.loads(message.data)
            assert asked["token"]
            answer = {"transaction": asked["transaction"], "janus": "success", "data": {"id": 7}}
            if asked["janus"] == "info":
                answer["janus"] = "server_info"
            if asked["janus"] == "create":
                sessions.append(socket)
            if asked["janus"] == "message":
                assert (asked["session_id"], asked["handle_id"]) == (7, 7)
                await socket.send_json({"janus": "ack", "transaction": asked["transaction"]})
                features = {"reader_late_ms": reader_late_ms}
                answer["janus"] = "event"
                answer["plugindata"] = {"data": {"result": {"features": features}}}
                if not plugin_answers:
                    continue
            await socket.send_json(answer)
        return socket

    async def scenario():
        application = web.Application()
        application.router.add_get("/", serve)
        runner = web.AppRunner(application)
        await runner.setup()
        await web.UnixSite(runner, str(path)).start()
        asked = supervisor.Janus(path, b"secret")
        try:
            for _ in range(2):
                async with asyncio.timeout(0.5):
                    await asked.ask()
        except (Trouble, TimeoutError) as error:
            return error
        finally:
            await asked.close()
            await runner.cleanup()
        return len(sessions)

    return asyncio.run(asyncio.wait_for(scenario(), 10))


def test_janus_is_asked_within_one_session(tmp_path):
    assert janus(tmp_path) == 1


def test_a_plugin_that_does_not_answer_is_noticed(tmp_path):
    assert isinstance(janus(tmp_path, plugin_answers=False), TimeoutError)


def test_a_thread_that_does_not_read_is_noticed(tmp_path):
    assert str(janus(tmp_path, reader_late_ms=5000)) == "does not read the sink"


@pytest.mark.parametrize(
    ("info", "is_watched", "pauses", "healed"),
    [
        pytest.param({"name": "x"}, False, 3, 3, id="its-servers-did-not-answer"),
        pytest.param({"name": "x", "stun-server": "192.0.2.1:3478"}, False, 3, 0, id="has-one"),
        pytest.param({"name": "x"}, True, 3, 0, id="somebody-watches"),
        pytest.param({}, False, 3, 0, id="janus-is-away"),
    ],
)
def test_a_router_that_boots_later_leaves_no_server_off(
    monkeypatch, info, is_watched, pauses, healed
):
    done, slept = [], []
    asked = supervisor.Janus(None, b"")
    asked.info = info

    class Over(Exception):
        pass

    async def sleep(seconds):
        if len(slept) == pauses:
            raise Over
        slept.append(seconds)

    async def heal(unit, reason):
        done.append((unit, reason))
        return True

    monkeypatch.setattr(supervisor.asyncio, "sleep", sleep)
    with pytest.raises(Over):
        asyncio.run(supervisor.renew_ice_servers(["stun-server"], asked, lambda: is_watched, heal))
    reason = "could not ask its stun-server when it started"
    assert done == [("janus.service", reason)] * healed
    assert slept == ([60, 120, 240] if healed else [60] * 3)


# --- Root's part ---


@pytest.fixture
def systemctl(monkeypatch):
    told = []
    monkeypatch.setattr(apply, "_systemctl", lambda *arguments: told.append(arguments) or "")
    return told


def ask_root(**request):
    line = json.dumps({"by": "supervisor", **request}).encode()
    return apply.answer(None, (), line)


def test_root_ends_what_the_supervisor_names(systemctl, capsys):
    assert ask_root(heal=UNIT, reason="does not answer for 4 s") == ({}, ())
    assert systemctl == [("kill", "--kill-whom=all", "--signal=KILL", UNIT)]
    assert healing.of(UNIT).count == 1


@pytest.mark.parametrize(
    "request_",
    [
        {"heal": "ssh.service", "reason": "does not answer"},
        {"heal": ["janus.service"], "reason": "does not answer"},
        {"heal": UNIT},
        {"heal": UNIT, "reason": "a\nforged line"},
        {"heal": UNIT, "reason": "x" * 1000},
        {"heal": UNIT, "reason": 5},
    ],
)
def test_root_ends_nothing_else(systemctl, request_, folder):
    assert "error" in ask_root(**request_)[0]
    assert systemctl == []
    assert os.listdir(folder) == []


def test_the_health_route_names_what_was_healed(logged_in, folder, monkeypatch, capsys):
    monkeypatch.setattr(healing.of_all, "__defaults__", (folder,))
    healing.note(UNIT, "does not answer")
    answer = logged_in().ask("GET", "/api/health").get_json()
    assert answer["healings"] == {UNIT: 1}
