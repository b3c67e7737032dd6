# SPDX-License-Identifier: MIT
"""Settings of the page: checked twice, applied whole or not at all, and what the play fixes is not touched."""

import errno
import io
import json
import os
import re
import subprocess
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace

import pytest
from tinypilot.settings import apply
from tinypilot.settings.model import Settings, conforms

from .auth_helpers import run_command
from .conftest import ROLES, SERVICES

BITRATE, GOP, RATE = (
    "ustreamer_h264_bitrate_kbps",
    "ustreamer_h264_gop_frames",
    "ustreamer_frame_rate",
)

SERVERS, SECRET, USER, PASSWORD = (
    "tinypilot_ice_servers",
    "tinypilot_turn_secret",
    "tinypilot_turn_user",
    "tinypilot_turn_password",
)
TURN = ["turn:turn.example:65535", "turns:[2001:db8::1]:5349?transport=tcp"]
PATIENCE_SECONDS = 10
NORTH_WIND = "north wind and sun"

EDID = "ustreamer_edid"
EDIDS = sorted((ROLES / "ustreamer/files").glob("edid_*.hex"))


def fix(config, *names):
    """As the play does with tinypilot_settings_fixed."""
    declare(config, "tinypilot", fixed=names)


def declare(config, role, **values):
    """As the play does."""
    file = config.settings_declarations / f"{role}.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), **values}))


# --- As programs see it ---


def test_settings_say_what_the_play_has_and_within_which_bounds(logged_in):
    settings = logged_in("admin").ask("GET", "/api/settings").get_json()["settings"]
    assert settings[BITRATE] == {
        "value": 5000,
        "default": 5000,
        "is_set": False,
        "fixed": False,
        "secret": False,
        "group": {"en": "Video", "de": "Video", "ja": "映像"},
        "label": {"en": "Bitrate", "de": "Bitrate", "ja": "ビットレート"},
        "hint": "",
        "unit": "kbit/s",
        "choices": {},
        "schema": {"type": "integer", "minimum": 25, "maximum": 20000},
    }


def test_what_is_set_is_applied_by_root_and_kept(logged_in, root, systemd, config, audited):
    admin = logged_in("admin")
    answer = admin.ask("PATCH", "/api/settings", {BITRATE: 8000, RATE: 15})
    assert answer.status_code == 200
    assert answer.get_json()["settings"][BITRATE]["value"] == 8000
    assert systemd.environment() == [f"{BITRATE}=8000", f"{RATE}=15"]
    assert systemd.restarts == ["ustreamer.service"]
    assert audited[-1][0] == "settings_changed"
    assert config.settings_dir.joinpath("settings.json").exists()

    assert admin.ask("PATCH", "/api/settings", {BITRATE: None}).status_code == 200
    assert systemd.environment() == [f"{RATE}=15"]


def test_what_is_set_already_restarts_nothing(logged_in, root, systemd):
    for _ in range(2):
        assert logged_in("admin").ask("PATCH", "/api/settings", {BITRATE: 8000}).status_code == 200
    assert systemd.restarts == ["ustreamer.service"]


def test_what_somebody_stopped_stays_so(logged_in, root, systemd):
    systemd.stopped = {"ustreamer.service"}
    assert logged_in("admin").ask("PATCH", "/api/settings", {BITRATE: 8000}).status_code == 200
    assert systemd.restarts == []


@pytest.mark.parametrize(
    ("stopped", "other"),
    [("kvm-edid.service", "ustreamer.service"), ("ustreamer.service", "kvm-edid.service")],
)
def test_what_somebody_stopped_keeps_no_other_service_from_its_settings(
    logged_in, root, systemd, stopped, other
):
    systemd.stopped = {stopped}
    changes = {EDID: "".join(EDIDS[0].read_text().split()), BITRATE: 8000}
    assert logged_in("admin").ask("PATCH", "/api/settings", changes).status_code == 200
    assert systemd.restarts == [other]


def test_a_service_that_does_not_come_back_gets_the_previous_settings(
    logged_in, root, systemd, audited
):
    admin = logged_in("admin")
    admin.ask("PATCH", "/api/settings", {BITRATE: 8000})
    systemd.poisons = {f"{BITRATE}=9000"}
    answer = admin.ask("PATCH", "/api/settings", {BITRATE: 9000, GOP: 10})
    assert answer.status_code == 409
    assert "The previous settings were restored." in answer.get_json()["error"]
    assert systemd.environment() == [f"{BITRATE}=8000"]
    event, facts = audited[-1]
    assert (event, facts["refused"]) == ("settings_refused", True)
    settings = admin.ask("GET", "/api/settings").get_json()["settings"]
    assert (settings[BITRATE]["value"], settings[GOP]["is_set"]) == (8000, False)


def test_a_service_that_systemd_restarts_again_and_again_is_not_up(logged_in, root, systemd):
    systemd.revives = {f"{BITRATE}=9000"}
    answer = logged_in("admin").ask("PATCH", "/api/settings", {BITRATE: 9000})
    assert answer.status_code == 409
    assert systemd.environment() == []


def test_who_sets_something_waits_for_who_sets_something_else(applier, systemd, monkeypatch):
    """Whoever comes second must see what the first has set, and not write over it."""
    entered, go_on = threading.Event(), threading.Event()

    def restart(*arguments):
        if "restart" in arguments and not entered.is_set():
            entered.set()
            assert go_on.wait(PATIENCE_SECONDS)
            systemd.poisons = {f"{BITRATE}=9000"}
        return systemd(*arguments)

    monkeypatch.setattr(apply, "_systemctl", restart)
    with ThreadPoolExecutor() as pool:
        first = pool.submit(applier.change, {BITRATE: 9000})
        assert entered.wait(PATIENCE_SECONDS)
        second = pool.submit(applier.change, {GOP: 10})
        with pytest.raises(TimeoutError):
            second.result(timeout=0.3)
        go_on.set()
        with pytest.raises(apply.UnitFailed):
            first.result(PATIENCE_SECONDS)
        second.result(PATIENCE_SECONDS)
    # The first was undone, the second was not.
    assert systemd.environment() == [f"{GOP}=10"]


def test_if_the_previous_settings_do_not_help_either_it_says_so(logged_in, root, systemd):
    admin = logged_in("admin")
    admin.ask("PATCH", "/api/settings", {BITRATE: 8000})
    systemd.poisons = {f"{BITRATE}=8000", f"{BITRATE}=9000"}
    answer = admin.ask("PATCH", "/api/settings", {BITRATE: 9000})
    assert "neither with these settings nor with the previous ones" in answer.get_json()["error"]


def test_without_root_nothing_changes(logged_in, config):
    answer = logged_in("admin").ask("PATCH", "/api/settings", {BITRATE: 8000})
    assert (answer.status_code, answer.get_json()["error"][-1]) == (503, ".")
    assert not Settings.from_config(config).overrides()


@pytest.mark.parametrize("value", [25, 20000])
def test_the_bounds_of_a_number_are_good_values(logged_in, root, systemd, value):
    assert logged_in("admin").ask("PATCH", "/api/settings", {BITRATE: value}).status_code == 200
    assert systemd.environment() == [f"{BITRATE}={value}"]


def test_schemas_tell_texts_lists_and_secrets_apart(logged_in):
    settings = logged_in("admin").ask("GET", "/api/settings").get_json()["settings"]
    schemas = {name: settings[name]["schema"] for name in (SERVERS, SECRET, USER)}
    assert schemas[SERVERS]["type"] == "array" and schemas[SERVERS]["items"]["type"] == "string"
    assert schemas[SECRET]["type"] == schemas[USER]["type"] == "string"
    assert schemas[SECRET]["writeOnly"] is True and schemas[SECRET]["format"] == "password"
    assert not {"writeOnly", "format"} & schemas[USER].keys()


WRONG = [
    ({}, "name a setting"),
    ({"nonsense": 1}, "no such setting"),
    ({BITRATE: 24}, "a whole number from 25 to 20000"),
    ({BITRATE: 20001}, "a whole number from 25 to 20000"),
    ({BITRATE: 5000.5}, "a whole number"),
    ({BITRATE: True}, "a whole number"),
    # True is 1 to Python.
    ({GOP: True}, f"{GOP} must be a whole number from 0 to 60"),
    ({BITRATE: "5000"}, "a whole number"),
    ({BITRATE: [5000]}, "a whole number"),
    ({BITRATE: 10**400}, "a whole number"),
    ({BITRATE: 8000, GOP: -1}, f"{GOP} must be a whole number from 0 to 60"),
    ({SERVERS: TURN[0]}, "a list of URLs"),
    ({SERVERS: [TURN]}, "a list of URLs"),
    ({SERVERS: [7]}, "a list of URLs"),
    ({SERVERS: [f"{TURN[0]}\n"]}, "a list of URLs"),
    ({SERVERS: ["turn.example:3478"]}, "a list of URLs"),
    ({SERVERS: ["stun:stun.example?transport=udp"]}, "a list of URLs"),
    ({SERVERS: ["turn:ada:secret@turn.example"]}, "a list of URLs"),
    ({SERVERS: ["stun:stun.example:0"]}, "with ports from 1 to 65535"),
    ({SERVERS: ["stun:stun.example:65536"]}, "with ports from 1 to 65535"),
    ({SERVERS: ["turns:[2001:db8::1]:99999?transport=tcp"]}, "with ports from 1 to 65535"),
    ({SECRET: "too short"}, f"{SECRET} must be text of 16 to 256 ASCII characters"),
    ({USER: "\ud800"}, f"{USER} must be text of at most 256 ASCII characters"),
]


@pytest.mark.parametrize(("changes", "sentence"), WRONG)
def test_wrong_settings_are_refused_in_a_sentence_and_change_nothing(
    logged_in, root, systemd, config, changes, sentence
):
    answer = logged_in("admin").ask("PATCH", "/api/settings", changes)
    assert answer.status_code == 400
    assert sentence in answer.get_json()["error"]
    assert not Settings.from_config(config).overrides()
    assert systemd.restarts == []


def test_what_answers_is_restarted_after_its_answer_and_only_for_a_change(
    logged_in, root, systemd, config
):
    declared = {
        "group": "Name",
        "order": 1,
        "service": "gateway-host-name.service",
        "environment_file": str(config.settings_dir / "host-name.env"),
        "restart_after": ["tinypilot.service"],
        "defaults": {"gateway_host_name": ""},
        "settings": {
            "gateway_host_name": {
                "label": "Name",
                "schema": {"type": "string", "pattern": "^[a-z]*$", "description": "a name"},
            }
        },
    }
    (config.settings_declarations / "host-name.json").write_text(json.dumps(declared))
    for _ in range(2):
        answer = logged_in("admin").ask("PATCH", "/api/settings", {"gateway_host_name": "rack"})
        assert answer.status_code == 200
    assert systemd.commands == [["restart", "tinypilot.service"], ()]


def test_the_page_is_made_of_what_strangers_declare(logged_in, config):
    """Of a role that the app knows nothing of: a group in the reader's language, and a field of each kind."""
    text = {"type": "string", "pattern": "^[a-z ]*$", "description": "small letters"}
    declared = {
        "group": {"en": "Fan", "de": "Lüfter", "ja": "ファン"},
        "order": 1,
        "defaults": {"fan_speed": 3, "fan_name": "aft", "fan_days": ["mon"], "fan_mode": "slow"},
        "settings": {
            "fan_speed": {
                "label": {"en": "Speed", "de": "Drehzahl", "ja": "速度"},
                "unit": "rpm",
                "hint": {"en": "0: off.", "de": "0: aus.", "ja": "0で停止。"},
                "schema": {"type": "integer", "minimum": 0, "maximum": 9},
            },
            "fan_name": {"label": "Name", "schema": text},
            "fan_days": {"label": "Days", "schema": {"type": "array", "items": text}},
            "fan_mode": {"label": "Mode", "choices": {"Quiet": "slow"}, "schema": text},
        },
    }
    (config.settings_declarations / "fan.json").write_text(json.dumps(declared))
    page = logged_in("admin").ask("GET", "/settings", headers={"Accept-Language": "de"}).text
    first = page.index('<h2 id="fan-title">Lüfter</h2>')
    assert first < page.index('<h2 id="ustreamer-title">')
    assert '<label for="fan_speed">Drehzahl (rpm)</label>' in page
    assert "0: aus. 0 bis 9. Leer: 3, die Vorgabe der Provisionierung." in page
    kinds = re.findall(r'<(\w+)[^>]* data-kind="(\w+)"[^>]* id="(fan_\w+)"', page) or re.findall(
        r'<(\w+)[^>]* id="(fan_\w+)"[^>]* data-kind="(\w+)"', page
    )
    assert kinds == [
        ("input", "fan_speed", "integer"),
        ("input", "fan_name", "string"),
        ("textarea", "fan_days", "array"),
        ("select", "fan_mode", "string"),
    ]
    assert '<option value="slow">Quiet</option>' in page


def test_a_schema_of_an_unknown_type_is_an_error():
    with pytest.raises(ValueError, match="number"):
        conforms(1.5, {"type": "number"})


# --- STUN and TURN ---


def ice_servers(browser):
    return browser.ask("GET", "/api/ice-servers").get_json()["ice_servers"]


def test_turn_is_in_the_next_answer_and_nothing_is_restarted(logged_in, root, systemd):
    admin, viewer = logged_in("admin"), logged_in()
    changes = {SERVERS: ["stun:stun.example", *TURN], SECRET: NORTH_WIND}
    assert admin.ask("PATCH", "/api/settings", changes).status_code == 200
    stun, turn = ice_servers(viewer)
    assert (stun, turn["urls"]) == ({"urls": ["stun:stun.example"]}, TURN)
    login = {SECRET: "", USER: "kvm", PASSWORD: "sesame"}
    assert admin.ask("PATCH", "/api/settings", login).status_code == 200
    assert ice_servers(viewer)[1] == {"urls": TURN, "username": "kvm", "credential": "sesame"}
    as_the_play = dict.fromkeys([SERVERS, SECRET, USER, PASSWORD])
    assert admin.ask("PATCH", "/api/settings", as_the_play).status_code == 200
    assert ice_servers(viewer) == []
    assert systemd.restarts == []
    assert not any(systemd.commands)


@pytest.mark.parametrize(
    ("servers", "status"),
    [
        (["stun:stun.example"] * 16, 200),
        (["stun:stun.example"] * 17, 400),
        (["stun:" + "s" * 253], 200),
        (["stun:" + "s" * 254], 400),
        (["stun:[" + "1:" * 23 + "]"], 400),
    ],
)
def test_a_page_is_told_of_so_many_servers(logged_in, root, servers, status):
    assert (
        logged_in("admin").ask("PATCH", "/api/settings", {SERVERS: servers}).status_code == status
    )


def test_secrets_are_told_to_nobody(logged_in, root, config, audited, monkeypatch, capsys):
    sesame = "open, sesame, as in the play"
    declare(config, "tinypilot", defaults={SERVERS: [], SECRET: "", USER: "", PASSWORD: sesame})
    admin = logged_in("admin")
    refused = admin.ask("PATCH", "/api/settings", {SERVERS: TURN, SECRET: NORTH_WIND})
    assert (refused.status_code, "not both." in refused.get_json()["error"]) == (400, True)
    taken = admin.ask("PATCH", "/api/settings", {SERVERS: TURN, SECRET: NORTH_WIND, PASSWORD: ""})
    settings = taken.get_json()["settings"]
    facts = {name: settings[name] for name in (SECRET, PASSWORD)}
    assert [(each["secret"], each["value"], each["default"]) for each in facts.values()] == [
        (True, True, False),
        (True, False, True),
    ]
    paths = ("/settings", "/api/settings", "/api/openapi.json", "/api/ice-servers")
    pages = [admin.ask("GET", path).get_data(as_text=True) for path in paths]
    assert '<p class="quiet" id="turn-secret-hint">A value is set.' in pages[0]
    told = run_command(monkeypatch, capsys, config, "", "settings")
    assert f"{SECRET} is another secret, not empty\n" in told
    assert f"{PASSWORD} is empty, not the secret" in told
    everything = json.dumps([*pages, refused.text, taken.text, told, audited])
    assert NORTH_WIND not in everything
    assert sesame not in everything


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({SERVERS: TURN}, f"The TURN server {TURN[0]} needs a secret"),
        ({SERVERS: TURN, USER: "kvm"}, "needs a secret, or a user name and a password."),
        ({SERVERS: TURN, SECRET: NORTH_WIND, USER: "kvm"}, "either the shared secret"),
        ({SECRET: NORTH_WIND}, "but no TURN server"),
        ({SERVERS: ["stun:stun.example"], PASSWORD: "sesame"}, "but no TURN server"),
    ],
)
def test_addresses_and_credentials_belong_together(logged_in, root, config, changes, sentence):
    answer = logged_in("admin").ask("PATCH", "/api/settings", changes)
    assert (answer.status_code, sentence in answer.get_json()["error"]) == (400, True)
    assert not Settings.from_config(config).overrides()


def test_without_its_credentials_a_turn_server_is_left_out(logged_in, root, config):
    """As when the play has fixed them since."""
    changes = {SERVERS: ["stun:stun.example", *TURN], SECRET: NORTH_WIND}
    assert logged_in("admin").ask("PATCH", "/api/settings", changes).status_code == 200
    fix(config, SECRET)
    root.reconcile()
    assert ice_servers(logged_in()) == [{"urls": ["stun:stun.example"]}]
    # And no other setting is held up by it.
    assert logged_in("admin").ask("PATCH", "/api/settings", {BITRATE: 8000}).status_code == 200


# --- Power ---


@pytest.mark.parametrize(
    ("action", "command"),
    [
        ("restart", ["restart", "janus.service"]),
        ("reboot", ["reboot"]),
        ("poweroff", ["poweroff"]),
    ],
)
def test_power(logged_in, root, systemd, audited, action, command):
    assert logged_in("admin").ask("POST", "/api/power", {"action": action}).status_code == 200
    assert systemd.commands == [command]
    assert audited[-1][0] == "power"


@pytest.mark.parametrize("action", ["", "halt", "reboot; reboot"])
def test_another_action_is_refused_in_a_sentence(logged_in, root, systemd, action):
    answer = logged_in("admin").ask("POST", "/api/power", {"action": action})
    assert (answer.status_code, "must be one of" in answer.get_json()["error"]) == (400, True)
    assert systemd.commands == []


def test_the_log_is_a_file_for_admins(logged_in, root, audited):
    answer = logged_in("admin").ask("GET", "/api/log")
    assert (answer.status_code, answer.text) == (200, "janus.service gateway-* came up\n")
    assert answer.headers["Content-Type"].startswith("text/plain")
    assert "attachment" in answer.headers["Content-Disposition"]
    assert audited[-1][0] == "log_read"


# --- EDID ---


def test_an_edid_is_for_the_unit_that_writes_it(logged_in, root, systemd, config):
    good = "".join(EDIDS[0].read_text().split())
    assert logged_in("admin").ask("PATCH", "/api/settings", {EDID: good}).status_code == 200
    assert systemd.restarts == ["kvm-edid.service"]
    assert (config.settings_dir / "edid.env").read_text() == f"{EDID}={good}\n"


def broken(digits):
    return f"{digits[:-2]}{int(digits[-2:], 16) ^ 1:02x}"


@pytest.mark.parametrize(
    ("value", "sentence"),
    [
        ("", "one to four blocks"),
        ("00ffffffffffff00", "one to four blocks"),
        ("zz" * 128, "one to four blocks"),
        ("00" * 128, "one to four blocks"),
        ("00FFFFFFFFFFFF00" + "00" * 120, "one to four blocks"),
        (7, "one to four blocks"),
        ("00ffffffffffff00" + "00" * 120, "This can't be used: The checksum of block 0 is wrong"),
        (broken("".join(EDIDS[0].read_text().split())), "hecksum"),
        ("00ffffffffffff00" + "00" * 20_000, "one to four blocks"),
    ],
)
def test_a_wrong_edid_changes_nothing(logged_in, root, systemd, config, value, sentence):
    answer = logged_in("admin").ask("PATCH", "/api/settings", {EDID: value})
    assert answer.status_code == 400
    assert sentence in answer.get_json()["error"]
    assert not Settings.from_config(config).overrides()
    assert systemd.restarts == []


@pytest.mark.parametrize("program", ["/nowhere/kvm-edid", "/bin/false"])
def test_an_edid_that_can_not_be_checked_changes_nothing(logged_in, root, config, program):
    declare(config, "edid", check=[program])
    answer = logged_in("admin").ask(
        "PATCH", "/api/settings", {EDID: "".join(EDIDS[0].read_text().split())}
    )
    assert answer.status_code == 503
    assert f"{program} does not run on this device" in answer.get_json()["error"]
    assert not Settings.from_config(config).overrides()


# --- As root sees it ---


@pytest.mark.parametrize("changes", [changes for changes, _ in WRONG if changes])
def test_root_checks_again(applier, systemd, changes):
    line = json.dumps({"set": changes, "by": "somebody"}).encode()
    told, command = apply.answer(applier, SERVICES, line)
    assert (list(told), command) == (["error"], ())
    assert systemd.restarts == []


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"{",
        b"[]",
        b"7",
        b"{}",
        b'{"set": 7, "by": ""}',
        b'{"power": "rm -rf /", "by": ""}',
        b'{"power": ["reboot"], "by": ""}',
        b"[" * 60_000,
        b"\xff",
    ],
)
def test_root_answers_nonsense_with_a_sentence(applier, line):
    assert apply.answer(applier, SERVICES, line) == ({"error": "Malformed request."}, ())


def test_what_is_written_is_on_the_disk_before_its_name_is_and_its_name_before_anybody_is_told(
    applier, config, monkeypatch
):
    synced, replaced = [], []
    fsync, replace = os.fsync, os.replace

    def note_sync(descriptor):
        synced.append(os.readlink(f"/proc/self/fd/{descriptor}"))
        if os.path.isfile(synced[-1]):
            assert BITRATE in Path(synced[-1]).read_text()
        fsync(descriptor)

    def note_rename(source, target):
        assert str(source) in synced
        replaced.append(str(target))
        replace(source, target)

    monkeypatch.setattr("os.fsync", note_sync)
    monkeypatch.setattr("os.replace", note_rename)
    before = os.listdir("/proc/self/fd")
    applier.change({BITRATE: 8000})
    folder = str(config.settings_dir)
    # All of it before anything is replaced: a disk that is full by then changes nothing.
    assert synced == [f"{folder}/settings.new", f"{folder}/ustreamer.new", folder]
    assert replaced == [f"{folder}/settings.json", f"{folder}/ustreamer.env"]
    assert os.listdir("/proc/self/fd") == before


@pytest.mark.parametrize("reason", [errno.ENOSPC, errno.EROFS])
def test_on_a_disk_that_can_not_be_written_nothing_is_changed_and_this_is_said(
    applier, systemd, config, monkeypatch, reason
):
    applier.change({BITRATE: 8000})
    before = {file: file.read_bytes() for file in config.settings_dir.glob("*.*") if file.is_file()}
    synced = []

    def fail_at_the_second(descriptor):
        synced.append(descriptor)
        if len(synced) == 2:
            raise OSError(reason, os.strerror(reason))

    monkeypatch.setattr("os.fsync", fail_at_the_second)
    request = json.dumps({"by": "ada", "set": {BITRATE: 9000}}).encode()
    told, then = apply.answer(applier, SERVICES, request)
    assert "disk is full, defective or read-only" in told["error"] and then == ()
    assert {
        file: file.read_bytes() for file in config.settings_dir.glob("*.*") if file.is_file()
    } == before
    assert len(systemd.restarts) == 1


def test_a_power_cut_in_the_middle_is_made_good(applier, systemd, config):
    applier.change({BITRATE: 8000})
    config.settings_dir.joinpath("settings.json").write_text(json.dumps({BITRATE: 9000}))
    applier.reconcile()
    assert systemd.environment() == [f"{BITRATE}=9000"]
    assert len(systemd.restarts) == 2
    applier.reconcile()
    assert len(systemd.restarts) == 2


def test_what_was_set_under_a_former_name_stays_set(applier, systemd, config):
    former = {"kvm_bitrate": 8000, "kvm_gop": 10, GOP: 20}
    config.settings_dir.joinpath("settings.json").write_text(json.dumps(former))
    declare(config, "ustreamer", renamed={"kvm_bitrate": BITRATE, "kvm_gop": GOP})
    applier.reconcile()
    # Of two names the new one's value counts.
    assert applier.settings.overrides() == {BITRATE: 8000, GOP: 20}
    assert systemd.environment() == [f"{BITRATE}=8000", f"{GOP}=20"]
    applier.reconcile()
    assert systemd.restarts == ["ustreamer.service"]


def test_a_service_that_does_not_run_with_what_is_set_fails_reconcile(applier, systemd, config):
    config.settings_dir.joinpath("settings.json").write_text(json.dumps({BITRATE: 9000}))
    systemd.poisons = {f"{BITRATE}=9000"}
    with pytest.raises(SystemExit, match=r"ustreamer\.service does not run with what was set"):
        applier.reconcile()


def test_what_reconcile_forgets_is_audited_and_what_has_to_restart_does(
    applier, systemd, config, audited
):
    config.settings_dir.joinpath("settings.json").write_text(json.dumps({BITRATE: 9000, GOP: 10}))
    declare(config, "ustreamer", restart_after=["janus.service"])
    fix(config, BITRATE)
    applier.reconcile()
    assert [(event, facts["setting"]) for event, facts in audited] == [
        ("setting_forgotten", BITRATE)
    ]
    assert systemd.restarts == ["ustreamer.service", "janus.service"]


@pytest.fixture
def run_as_root(monkeypatch, tmp_path, config, systemd, capsys):
    """Runs the program; returns what it says before it waits for that to arrive, what it says without waiting, and
    what is restarted at the end."""

    def run(command, line=b""):
        file = tmp_path / "web.json"
        paths = ("settings_declarations", "settings_dir")
        file.write_text(json.dumps({name: str(getattr(config, name)) for name in paths}))
        monkeypatch.setenv("TINYPILOT_CONFIG", str(file))
        monkeypatch.setattr("sys.argv", ["apply", command])
        monkeypatch.setattr("sys.stdin", SimpleNamespace(buffer=io.BytesIO(line)))
        # With the time that its tests need no more.
        told, then = [], []
        monkeypatch.setattr(
            apply.time, "sleep", lambda seconds: seconds and told.append(capsys.readouterr().out)
        )

        def systemctl(*arguments):
            if "--no-block" in arguments:
                then.append(arguments)
            return systemd(*arguments)

        monkeypatch.setattr(apply, "_systemctl", systemctl)
        mask = os.umask(0o077)
        try:
            apply.main()
        finally:
            os.umask(mask)
        return "".join(told), capsys.readouterr().out, then

    return run


def test_whoever_asks_is_told_before_what_told_it_ends(run_as_root):
    line = json.dumps({"power": "reboot", "by": "ada"}).encode() + b"\n"
    assert run_as_root("answer", line) == ("{}\n", "", [("--no-block", "reboot")])


def test_what_needs_no_restart_gets_none(run_as_root, config):
    line = json.dumps({"set": {BITRATE: 8000}, "by": "ada"}).encode() + b"\n"
    assert run_as_root("answer", line) == ("", "{}\n", [])
    # The web app's group reads it, whatever systemd's own umask is.
    assert Settings.from_config(config).file.stat().st_mode & 0o777 == 0o640


@pytest.mark.parametrize(
    ("size_bytes", "answer"), [(65536, "{}\n"), (65537, '{"error": "Malformed request."}\n')]
)
def test_a_request_is_read_up_to_a_limit(run_as_root, size_bytes, answer):
    request = {"set": {BITRATE: 8000}, "by": "ada", "more": ""}
    request["more"] = " " * (size_bytes - len(json.dumps(request)))
    assert run_as_root("answer", json.dumps(request).encode()) == ("", answer, [])


def test_the_play_and_each_start_reconcile(run_as_root, systemd, config):
    config.settings_dir.joinpath("settings.json").write_text(json.dumps({BITRATE: 9000}))
    assert run_as_root("reconcile") == ("", "", [])
    assert systemd.environment() == [f"{BITRATE}=9000"]


def test_before_anything_is_set_there_is_nothing_to_reconcile(applier, systemd):
    applier.reconcile()
    assert systemd.restarts == []


def test_what_the_operator_fixes_is_as_the_play_has_it(logged_in, root, systemd, config):
    admin = logged_in("admin")
    admin.ask("PATCH", "/api/settings", {BITRATE: 8000, GOP: 10})
    fix(config, BITRATE)
    root.reconcile()
    assert systemd.environment() == [f"{GOP}=10"]
    answer = admin.ask("PATCH", "/api/settings", {BITRATE: 8000})
    assert (answer.status_code, "is fixed by provisioning" in answer.get_json()["error"]) == (
        400,
        True,
    )
    assert admin.ask("GET", "/api/settings").get_json()["settings"][BITRATE]["fixed"]
    page = admin.ask("GET", "/settings").get_data(as_text=True)
    assert "Fixed by provisioning." in page


def test_settings_are_for_root_and_the_web_app_alone(applier, config):
    before = os.umask(0o027)
    try:
        applier.change({BITRATE: 8000})
    finally:
        os.umask(before)
    assert Settings.from_config(config).file.stat().st_mode & 0o777 == 0o640


def test_the_command_line_tells_what_differs_from_the_play(monkeypatch, capsys, config, applier):
    applier.change({BITRATE: 8000, GOP: 30})
    told = run_command(monkeypatch, capsys, config, "", "settings")
    assert told == f"{BITRATE} is 8000, not 5000"


def test_what_systemd_is_asked_and_how_its_answer_is_read(monkeypatch):
    run, asked = subprocess.Popen, []

    def answer(command, **options):
        asked.append([*command[1:]])
        return run(["printf", r" a\377\n"], **options)

    monkeypatch.setattr(apply.subprocess, "Popen", answer)
    # What a service has written may be anything.
    assert apply._journal(["a.service"]) == " a\N{REPLACEMENT CHARACTER}\n"
    assert asked.pop() == [
        "--quiet",
        "--output=short-iso",
        "--lines=10000",
        "--unit=a.service",
        "--unit=tinypilot*",
    ]
    monkeypatch.setattr(
        apply.subprocess,
        "Popen",
        lambda command, **options: (
            asked.append([*command[1:]]) or run(["echo", "active"], **options)
        ),
    )
    assert (apply._state("a.service"), apply._main_process("a.service")) == ("active", "active")
    assert asked == [
        ["show", "--property=ActiveState", "--value", "a.service"],
        ["show", "--property=MainPID", "--value", "a.service"],
    ]
