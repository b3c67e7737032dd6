# SPDX-License-Identifier: MIT
"""Sequences: what is stored, what a step does, that one runs at a time, and how one ends."""

import dataclasses
import sqlite3
import time

import pytest
from tinypilot.config import Atx
from tinypilot.hid.programs import NO_INPUT
from tinypilot.power import sequences as module
from tinypilot.power.front_panel import FrontPanel
from tinypilot.power.hooks import Hooks
from tinypilot.power.machines import Machines

from .conftest import Browser

SETUP = [
    {"do": "power", "press": "power"},
    {"do": "wait_for_picture", "seconds": 60},
    {"do": "repeat", "keys": ["Delete"], "every_ms": 200, "seconds": 1},
    {"do": "text", "text": "boot\n"},
]
HOLD = [{"do": "wait", "seconds": 600}]
PATIENCE_SECONDS = 20


@pytest.fixture
def config(config):
    return dataclasses.replace(
        config, atx=Atx("/dev/gpiochip0", {"power_button": 17}, ()), power_hooks=(("Plug", 5),)
    )


@pytest.fixture
def done(monkeypatch, hid_service):
    """What was done, in its order, but for the keys: those are in hid_service.asked."""
    did = []
    monkeypatch.setattr(FrontPanel, "press", lambda self, press, by: did.append((press, by.user)))
    monkeypatch.setattr(Hooks, "run", lambda self, name, by: did.append((name, by.user)))
    monkeypatch.setattr(Machines, "wake", lambda self, number, by: did.append((number, by.user)))
    return did


@pytest.fixture
def stored(logged_in):
    """Stores a sequence as the admin: its number."""

    def store(steps, name="Firmware set-up"):
        answer = logged_in("admin").ask("POST", "/api/sequences", {"name": name, "steps": steps})
        assert answer.status_code == 200, answer.get_json()
        return answer.get_json()["number"]

    return store


@pytest.fixture
def operator(logged_in):
    return logged_in("operator")


def last(somebody):
    return somebody.ask("GET", "/api/sequences").get_json()["last"]


def run(somebody, number):
    answer = somebody.ask("POST", f"/api/sequences/{number}/run", {})
    assert answer.status_code == 200, answer.get_json()


def wait_until(look):
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not look():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def end_of(somebody):
    """What is told of it when it is over."""
    wait_until(lambda: not last(somebody)["is_running"])
    return last(somebody)


def acts(hid_service, *but):
    kinds = [each["action"]["type"] for each in hid_service.asked]
    return [kind for kind in kinds if kind not in but]


# --- What is stored ---


def test_an_admin_stores_them_for_all(logged_in, stored, operator, audited):
    number = stored(SETUP, "  Firmware   set-up ")
    (found,) = operator.ask("GET", "/api/sequences").get_json()["sequences"]
    assert (found["number"], found["name"]) == (number, "Firmware set-up")
    assert found["steps"][:3] == SETUP[:3]
    assert found["steps"][3] == {**SETUP[3], "layout": "en-us", "pace": "fast"}
    admin = logged_in("admin")
    changed = {"name": "Boot menu", "steps": HOLD}
    assert admin.ask("PATCH", f"/api/sequences/{number}", changed).status_code == 200
    (found,) = operator.ask("GET", "/api/sequences").get_json()["sequences"]
    assert (found["name"], found["steps"]) == ("Boot menu", HOLD)
    assert admin.ask("DELETE", f"/api/sequences/{number}").status_code == 200
    assert operator.ask("GET", "/api/sequences").get_json()["sequences"] == []
    events = [event for event, _ in audited]
    assert [event for event in events if event.startswith("sequence_")] == [
        *("sequence_added", "sequence_changed", "sequence_removed")
    ]


@pytest.mark.parametrize(
    ("sequence", "said"),
    [
        ({"name": "a", "steps": []}, "steps must have 1 to 50 entries"),
        ({"name": "a", "steps": HOLD * 51}, "steps must have 1 to 50 entries"),
        ({"name": "", "steps": HOLD}, "name must have 1 to 64 characters"),
        ({"name": " \n", "steps": HOLD}, "The sequence's name must have"),
        ({"name": "a\ud800", "steps": HOLD}, "name must have at most 64"),
        ({"name": "a", "steps": [{"do": "dance"}]}, "steps[0].do must be one of power, wake"),
        ({"name": "a", "steps": [{}]}, "steps[0].do must be one of"),
        ({"name": "a", "steps": ["wait"]}, "steps[0].do must be one of"),
        ({"name": "a", "steps": [{"do": "wait"}]}, "steps[0] must hold do, seconds, and nothing"),
        (
            {"name": "a", "steps": [{"do": "wait", "seconds": 601}]},
            "steps[0].seconds must be a number",
        ),
        (
            {"name": "a", "steps": [{"do": "power", "press": "hard"}]},
            "steps[0].press must be one of",
        ),
        (
            {"name": "a", "steps": [*HOLD, {**SETUP[2], "keys": ["Any"]}]},
            "steps[1].keys[0] must be one of",
        ),
        (
            {"name": "a", "steps": [{**SETUP[2], "every_ms": 99}]},
            "steps[0].every_ms must be a number",
        ),
    ],
)
def test_what_is_wrong_is_refused_in_a_sentence(logged_in, sequence, said):
    answer = logged_in("admin").ask("POST", "/api/sequences", sequence)
    assert answer.status_code == 400
    assert said in answer.get_json()["error"]


def test_a_name_is_there_once_and_what_is_not_there_is_told(logged_in, stored, operator):
    stored(HOLD, "Boot menu")
    admin = logged_in("admin")
    assert (
        admin.ask("POST", "/api/sequences", {"name": "BOOT MENU", "steps": HOLD}).status_code == 409
    )
    assert admin.ask("PATCH", "/api/sequences/9", {"name": "a", "steps": HOLD}).status_code == 404
    assert admin.ask("DELETE", "/api/sequences/9").status_code == 404
    assert operator.ask("POST", "/api/sequences/9/run", {}).status_code == 404


def test_there_are_so_many_and_no_more(logged_in, stored, monkeypatch):
    monkeypatch.setattr(module, "SEQUENCES_MAX", 1)
    stored(HOLD)
    answer = logged_in("admin").ask("POST", "/api/sequences", {"name": "b", "steps": HOLD})
    assert answer.status_code == 409


# --- Running one ---


def test_the_firmwares_screen_is_reached(stored, operator, done, hid_service, ustreamer, audited):
    ustreamer.online = False
    number = stored(SETUP)
    run(operator, number)
    wait_until(lambda: last(operator)["step"] == 2)
    # No key is pressed before there is a picture.
    assert acts(hid_service, "take") == []
    assert done == [("power", None)]
    ustreamer.online = True
    told = end_of(operator)
    assert told == {
        **{"number": number, "name": "Firmware set-up", "by": "provisioning"},
        **{"is_running": False, "is_stopped": False, "step": 4, "steps": 4, "error": ""},
    }
    kinds = acts(hid_service, "take")
    assert kinds[-2:] == ["text", "give_up"]
    assert 2 <= kinds.count("chord") <= 6
    presses = [each["action"] for each in hid_service.asked if each["action"]["type"] == "chord"]
    assert presses[0] == {"type": "chord", "keys": ["Delete"], "hold_ms": 50}
    # By whom it was begun.
    assert {each["token"] for each in hid_service.asked} == {operator.token}
    assert ("sequence_run", "provisioning ran the sequence Firmware set-up") in [
        (event, facts["sentence"]) for event, facts in audited
    ]


def test_machines_and_commands_are_steps_too(
    auth, admin, config, stored, operator, done, hid_service
):
    machines = Machines(auth.store, config.wake_socket)
    number = machines.add(admin, "rack", "00:1b:63:84:45:e6", "", "")
    run(operator, stored([{"do": "wake", "machine": "rack"}, {"do": "hook", "hook": "Plug"}]))
    assert end_of(operator)["error"] == ""
    assert done == [(number, None), ("Plug", None)]
    # Nobody's controls are taken for that.
    assert hid_service.asked == []
    run(operator, stored([{"do": "wake", "machine": "nobody"}, *SETUP], "b"))
    assert end_of(operator)["error"] == "There is no such machine."
    assert ("power", None) not in done


@pytest.mark.parametrize(
    "step",
    [
        {"do": "wake", "machine": "\ud800"},
        {"do": "hook", "hook": "\udfff"},
        {"do": "text", "text": "a\ud800"},
    ],
)
def test_half_a_character_is_no_text(logged_in, step):
    """The database does not take it: such a step would end the sequence without a word."""
    answer = logged_in("admin").ask("POST", "/api/sequences", {"name": "a", "steps": [step]})
    assert (answer.status_code, "characters" in answer.get_json()["error"]) == (400, True)


def test_a_name_is_the_same_however_its_letters_are_written(logged_in):
    steps = [{"do": "wait", "seconds": 0}]
    admin = logged_in("admin")
    for name, status in (("Ger\u00e4t", 200), ("Gera\u0308t", 409)):
        answer = admin.ask("POST", "/api/sequences", {"name": name, "steps": steps})
        assert answer.status_code == status


def test_one_runs_at_a_time_and_anybody_who_may_stops_it(stored, operator, logged_in, audited):
    number = stored(HOLD)
    run(operator, number)
    answer = operator.ask("POST", f"/api/sequences/{number}/run", {})
    assert (answer.status_code, "is running" in answer.get_json()["error"]) == (409, True)
    assert logged_in("operator").ask("POST", "/api/sequences/stop", {}).status_code == 200
    told = end_of(operator)
    assert (told["is_stopped"], told["error"]) == (True, "")
    assert operator.ask("POST", "/api/sequences/stop", {}).status_code == 409
    run(operator, number)
    operator.ask("POST", "/api/sequences/stop", {})
    assert end_of(operator)["is_stopped"]


def test_a_key_that_is_held_comes_up_when_it_is_stopped(stored, operator, hid_service):
    """The HID service lets go when its client is gone."""
    hid_service.holds = ("chord",)
    run(operator, stored([{"do": "chord", "keys": ["F2"], "hold_ms": 5000}]))
    wait_until(lambda: "chord" in acts(hid_service))
    assert operator.ask("POST", "/api/sequences/stop", {}).status_code == 200
    assert hid_service.ended.wait(PATIENCE_SECONDS)
    assert end_of(operator)["is_stopped"]
    assert acts(hid_service)[-1] == "give_up"


def test_it_ends_with_the_session_that_began_it(auth, stored, bob, app, logged_in, monkeypatch):
    monkeypatch.setattr(module, "ASK_SECONDS", 0.0)
    here = Browser(app, "192.0.2.2").has(bob.session)
    run(here, stored(HOLD))
    admin = logged_in("operator")
    assert last(admin)["by"] == "bob"
    assert here.ask("POST", "/api/logout", {}).status_code == 200
    assert end_of(admin)["error"] == "Log in first."


def test_what_is_refused_ends_it_with_the_reason(stored, operator, done, hid_service):
    told = {"sentence": "{name} has the controls.", "values": {"name": "ann"}, "retry_after": None}
    hid_service.refusal = 409, told
    run(operator, stored(SETUP))
    found = end_of(operator)
    # Before the button was pressed.
    assert (found["error"], found["step"], done) == ("ann has the controls.", 1, [])


def test_a_fault_of_the_device_is_told_and_the_next_one_runs(
    stored, operator, hid_service, monkeypatch
):
    def fail(*_):
        raise sqlite3.OperationalError("disk I/O error")

    number = stored([{"do": "wait", "seconds": 1}])
    with monkeypatch.context() as broken:
        broken.setattr(module._Step, "do", fail)
        run(operator, number)
        assert "ended by a fault of this device" in end_of(operator)["error"]
    run(operator, number)
    assert end_of(operator)["error"] == ""


def test_keys_that_a_starting_computer_does_not_take_are_pressed_again(
    stored, operator, hid_service
):
    told = [(409, {"sentence": said, "values": {}, "retry_after": None}) for said in NO_INPUT]
    hid_service.refusals["chord"] = told
    run(operator, stored([{"do": "repeat", "keys": ["F12"], "every_ms": 100, "seconds": 1}]))
    assert end_of(operator)["error"] == ""
    assert told == []
    assert acts(hid_service).count("chord") > 2


def test_without_a_picture_it_ends(stored, operator, ustreamer):
    ustreamer.online = False
    run(operator, stored([{"do": "wait_for_picture", "seconds": 1}, *HOLD]))
    assert end_of(operator)["error"] == "No picture came within 1 s."
    assert last(operator)["step"] == 1


def test_the_controls_are_kept_while_it_waits(stored, operator, hid_service, monkeypatch):
    monkeypatch.setattr(module, "KEEP_SECONDS", 0.3)
    run(operator, stored([{"do": "wait", "seconds": 1}, {"do": "chord", "keys": ["F2"]}]))
    assert end_of(operator)["error"] == ""
    assert acts(hid_service).count("take") > 2
