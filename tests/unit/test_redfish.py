# SPDX-License-Identifier: MIT
"""Redfish: what is shown, who may, what is done, and the standard's messages for what is not. OpenStack's sushy is one
of the clients."""

import base64
import dataclasses
import importlib.resources
import json
import threading
from types import SimpleNamespace

import pytest
from tinypilot.app import create_app
from tinypilot.auth import passwords
from tinypilot.config import Atx, Config, ConfigError, Redfish
from tinypilot.errors import ApiError
from tinypilot.power.front_panel import FrontPanel
from tinypilot.power.hooks import Hooks
from tinypilot.power.machines import Machines
from tinypilot.redfish import messages
from tinypilot.routes import media
from werkzeug.serving import make_server

from .conftest import HOST, PASSWORD

ROOT = "/redfish/v1"
SYSTEM = f"{ROOT}/Systems/1"
RESET = f"{SYSTEM}/Actions/ComputerSystem.Reset"
DRIVES = f"{ROOT}/Managers/1/VirtualMedia"
SESSIONS = f"{ROOT}/SessionService/Sessions"
ALL_LINES = {"power_button": 17, "reset_button": 27, "power_led": 22, "disk_led": 23}


@pytest.fixture
def config(config):
    return dataclasses.replace(
        config, redfish=Redfish({}, ""), atx=Atx("/dev/gpiochip0", ALL_LINES, ())
    )


@pytest.fixture
def panel(monkeypatch):
    """The attached computer's buttons: `power` is what its LED shows."""
    told = SimpleNamespace(power=True, pressed=[], refusal=None)

    def ask(self, question):
        if told.refusal:
            raise told.refusal
        if "press" in question:
            told.pressed.append(question["press"])
            return {}
        return {"power": told.power, "disk": None, "pressing": None}

    monkeypatch.setattr(FrontPanel, "_ask", ask)
    return told


@pytest.fixture
def drives(monkeypatch):
    """The media service: a CD-ROM drive and a disk."""
    told = SimpleNamespace(
        drives=[
            {"number": 0, "kind": "cdrom", "image": "", "is_writable": False},
            {"number": 1, "kind": "disk", "image": "", "is_writable": False},
        ],
        asked=[],
    )

    def ask(method, path, asked=None):
        if method == "GET":
            return {"drives": told.drives, "problem": None}
        told.asked.append((method, path, asked))
        number = int(path.split("/")[4])
        if method == "PUT":
            if asked["image"] != "rescue disk.iso":
                raise ApiError(404, "There is no image of this name.")
            told.drives[number] |= {"image": asked["image"], "is_writable": asked["is_writable"]}
        else:
            told.drives[number] |= {"image": ""}
        return {}

    monkeypatch.setattr(media, "_ask", ask)
    return told


class Client:
    """Shows a header of its own with each request."""

    def __init__(self, app, **headers):
        self.client = app.test_client(use_cookies=False)
        self.headers = {"X-Forwarded-For": "192.0.2.9", **headers}

    def ask(self, method, path, json=None, **headers):
        return self.client.open(
            path,
            method=method,
            json=json,
            base_url=f"https://{HOST}",
            headers={**self.headers, **headers},
        )

    def get(self, path):
        answer = self.ask("GET", path)
        assert answer.status_code == 200, answer.get_data(as_text=True)
        return answer.get_json()


def basic(name, password):
    return {"Authorization": "Basic " + base64.b64encode(f"{name}:{password}".encode()).decode()}


@pytest.fixture
def token(logged_in):
    def make(role="operator"):
        answer = logged_in("admin").ask("POST", "/api/tokens", {"name": role, "role": role})
        return answer.get_json()["token"]

    return make


@pytest.fixture
def client(app, token):
    """Makes clients with a token of a role."""
    return lambda role="operator": Client(app, **{"X-Auth-Token": token(role)})


@pytest.fixture
def operator(client, panel, drives):
    return client()


def message_of(answer):
    """The standard's message, with its arguments, and what we say."""
    assert answer.headers["OData-Version"] == "4.0"
    error = answer.get_json()["error"]
    (extended,) = error["@Message.ExtendedInfo"]
    assert error["code"] == extended["MessageId"]
    assert error["message"] == extended["Resolution"]
    assert "%" not in extended["Message"]
    assert extended["Severity"] in ("Warning", "Critical")
    return (
        extended["MessageId"].removeprefix("Base.1.4."),
        extended["MessageArgs"],
        error["message"],
    )


# --- Off, unless asked for ---


def test_nothing_answers_where_the_inventory_does_not_ask_for_it(config, auth, ada):
    app = create_app(dataclasses.replace(config, redfish=None))
    assert not [rule for rule in app.url_map.iter_rules() if "redfish" in rule.rule]
    stranger = Client(app, **basic("ada", PASSWORD))
    assert stranger.ask("GET", f"{ROOT}/").status_code == 303
    assert (
        stranger.ask("POST", SESSIONS, {"UserName": "ada", "Password": PASSWORD}).status_code == 403
    )


@pytest.mark.parametrize(
    ("told", "known"),
    [
        (None, None),
        ({"hooks": {}, "machine": ""}, Redfish({}, "")),
        ({"hooks": {"On": "Plug"}, "machine": "rack"}, Redfish({"On": "Plug"}, "rack")),
    ],
)
def test_the_configuration_says_whether(told, known):
    assert Config.from_values({"redfish": told}).redfish == known


def test_a_configuration_that_is_half_is_refused():
    with pytest.raises(ConfigError, match="redfish"):
        Config.from_values({"redfish": {"hooks": []}})


# --- Who may ---


def test_strangers_see_the_root_and_nothing_else(app, panel, drives):
    stranger = Client(app)
    public = {"/redfish", f"{ROOT}/", ROOT, f"{ROOT}/odata", f"{ROOT}/$metadata"}
    for path in public:
        assert stranger.ask("GET", path).status_code == 200, path
    for rule in app.url_map.iter_rules():
        if not rule.rule.startswith("/redfish"):
            continue
        path = rule.rule.replace("<identity>", "7").replace("<int(max=7):number>", "0")
        for method in rule.methods - {"HEAD", "OPTIONS"}:
            if path in public or (method, path) == ("POST", SESSIONS):
                continue
            answer = stranger.ask(method, path)
            assert (answer.status_code, message_of(answer)[0]) == (401, "NoValidSession"), path
    assert stranger.ask("GET", "/redfish/v1/Chassis").status_code == 401


@pytest.mark.parametrize(
    "path",
    [
        ROOT,
        f"{ROOT}/Systems",
        SYSTEM,
        f"{ROOT}/Managers",
        f"{ROOT}/Managers/1",
        DRIVES,
        f"{DRIVES}/0",
        SESSIONS,
    ],
)
def test_each_resource_says_what_and_where_it_is(operator, path):
    found = operator.get(path)
    assert found["@odata.id"].rstrip("/") == path
    kind = found["@odata.type"].removeprefix("#").split(".")[0]
    version = {"Collection": ""}.get(kind, "")
    assert f'Namespace="{kind}{version}"' in operator.ask("GET", f"{ROOT}/$metadata").get_data(
        as_text=True
    )
    for member in found.get("Members", []):
        assert operator.get(member["@odata.id"])["Id"]
    assert operator.get(f"{path}/") == found


@pytest.mark.parametrize(
    ("method", "path", "asked"),
    [
        ("POST", RESET, {"ResetType": "ForceOff"}),
        ("GET", DRIVES, None),
        ("POST", f"{DRIVES}/0/Actions/VirtualMedia.InsertMedia", {"Image": "rescue disk.iso"}),
        ("POST", f"{DRIVES}/0/Actions/VirtualMedia.EjectMedia", {}),
    ],
)
def test_a_viewer_changes_nothing(client, panel, drives, method, path, asked):
    viewer = client("viewer")
    assert viewer.get(SYSTEM)["PowerState"] == "On"
    answer = viewer.ask(method, path, asked)
    assert (answer.status_code, message_of(answer)[0]) == (403, "InsufficientPrivilege")
    assert panel.pressed == drives.asked == []


def test_a_session_is_made_used_and_ended(app, bob, panel):
    stranger = Client(app)
    answer = stranger.ask("POST", SESSIONS, {"UserName": "bob", "Password": PASSWORD})
    assert answer.status_code == 201
    place = answer.headers["Location"]
    assert answer.get_json()["@odata.id"] == place
    here = Client(app, **{"X-Auth-Token": answer.headers["X-Auth-Token"]})
    assert here.get(place)["UserName"] == "bob"
    # The one of the page, which bob has as well, is not shown to it.
    assert [each["@odata.id"] for each in here.get(SESSIONS)["Members"]] == [place]
    assert here.ask("POST", RESET, {"ResetType": "PushPowerButton"}).status_code == 204
    assert here.ask("DELETE", place).status_code == 204
    assert here.ask("GET", SYSTEM).status_code == 401


def test_an_admin_ends_the_sessions_of_others_and_nobody_else_does(app, client, bob, panel):
    answer = Client(app).ask("POST", SESSIONS, {"UserName": "bob", "Password": PASSWORD})
    place = answer.headers["Location"]
    other = client("operator")
    refused = other.ask("DELETE", place)
    assert (refused.status_code, message_of(refused)[:2]) == (
        404,
        ("ResourceMissingAtURI", [place]),
    )
    assert other.ask("GET", place).status_code == 404
    assert client("admin").ask("DELETE", place).status_code == 204
    here = Client(app, **{"X-Auth-Token": answer.headers["X-Auth-Token"]})
    assert here.ask("GET", SYSTEM).status_code == 401


def test_a_token_is_good_wherever_a_password_is(app, token, panel):
    given = token()
    for headers in (
        {"X-Auth-Token": given},
        basic("whoever", given),
        {"Authorization": f"Bearer {given}"},
    ):
        assert Client(app, **headers).get(SYSTEM)["PowerState"] == "On"
    answer = Client(app).ask("POST", SESSIONS, {"UserName": "whoever", "Password": given})
    assert answer.headers["X-Auth-Token"] == given
    place = answer.headers["Location"]
    here = Client(app, **{"X-Auth-Token": given})
    assert here.get(place)["UserName"] == "token operator"
    assert here.ask("DELETE", place).status_code == 204
    # It ends with the token, and not before.
    assert here.ask("GET", SYSTEM).status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        basic("ada", "wrong password"),
        basic("ada", "kvm_wrong"),
        basic("", ""),
        {"Authorization": "Basic %%%"},
        {"Authorization": "Basic"},
        {"Authorization": "Basic " + base64.b64encode(b"\xff\xfe:\xff").decode()},
        {"Authorization": "Basic " + base64.b64encode(b"ada").decode()},
        {"Authorization": "Basic " + base64.b64encode(b"ada:" + b"a" * 300).decode()},
        {"Authorization": "Digest x"},
        {"X-Auth-Token": ""},
        {"X-Auth-Token": "wrong"},
    ],
)
def test_whoever_shows_something_else_is_nobody(app, ada, headers):
    answer = Client(app, **headers).ask("GET", SYSTEM)
    assert (answer.status_code, message_of(answer)[0]) == (401, "NoValidSession")
    # A browser that was asked for a password would send it for foreign pages, too.
    assert "WWW-Authenticate" not in answer.headers


@pytest.mark.parametrize(
    ("name", "password"),
    [("\ud800", "a"), ("ada", "\ud800"), ("ada", "kvm_\udfff"), ("ada\0", "a")],
)
def test_half_a_character_is_no_name_and_no_password(app, ada, name, password):
    asked = {"UserName": name, "Password": password}
    answer = Client(app).ask("POST", SESSIONS, asked)
    assert (answer.status_code, message_of(answer)[0]) == (400, "PropertyValueTypeError")


def test_blanks_around_name_and_password_count_for_nothing(app, bob, panel):
    """RFC 7235 has one or more of them after the scheme."""
    shown = basic("bob", PASSWORD)["Authorization"].replace(" ", "  ") + " "
    assert Client(app, Authorization=shown).ask("GET", SYSTEM).status_code == 200


def test_an_action_may_have_a_slash_at_its_end_as_all_else(operator, panel, drives):
    assert operator.ask("POST", f"{RESET}/", {"ResetType": "ForceRestart"}).status_code == 204
    path = f"{DRIVES}/0/Actions/VirtualMedia"
    asked = {"Image": "rescue disk.iso"}
    assert operator.ask("POST", f"{path}.InsertMedia/", asked).status_code == 204
    assert operator.ask("POST", f"{path}.EjectMedia/").status_code == 204
    for each in ("odata", "$metadata"):
        assert operator.ask("GET", f"{ROOT}/{each}/").status_code == 200


def test_what_was_asked_for_is_repeated_as_it_was(operator):
    answer = operator.ask("POST", RESET, {"ResetType": "%2 %3"})
    (extended,) = answer.get_json()["error"]["@Message.ExtendedInfo"]
    assert extended["Message"].startswith("The value %2 %3 for the parameter ResetType in")


def test_the_name_of_an_image_is_found_however_its_letters_are_written(operator, drives):
    answer = operator.ask(
        "POST", f"{DRIVES}/0/Actions/VirtualMedia.InsertMedia", {"Image": "e%CC%81"}
    )
    assert answer.status_code == 404
    assert drives.asked[0][2]["image"] == "\u00e9"


def test_a_wrong_token_is_not_made_good_by_a_password(app, bob):
    both = Client(app, **basic("bob", PASSWORD), **{"X-Auth-Token": "wrong"})
    assert both.ask("GET", SYSTEM).status_code == 401


def test_a_pages_session_counts_for_nothing(logged_in, panel):
    answer = logged_in("admin").ask("GET", SYSTEM)
    assert answer.status_code == 401


def test_a_password_is_compared_once_and_not_with_each_request(
    app, bob, panel, monkeypatch, audited
):
    compared = []
    compare = passwords.matches
    monkeypatch.setattr(
        passwords, "matches", lambda *given: compared.append(given) or compare(*given)
    )
    here = Client(app, **basic("bob", PASSWORD))
    for _ in range(5):
        assert here.get(SYSTEM)
    assert len(compared) == 1
    assert [event for event, _ in audited].count("login") == 1 + 1  # and the page's


def test_a_password_that_was_changed_is_good_no_longer(app, auth, bob, panel, client_info):
    here = Client(app, **basic("bob", PASSWORD))
    assert here.get(SYSTEM)
    session = auth.session_for(bob.session)
    auth.change_password(session, PASSWORD, "another horse battery", client_info("192.0.2.2"))
    assert here.ask("GET", SYSTEM).status_code == 401


def test_a_user_with_a_second_factor_uses_a_token(app, auth, bob, panel):
    here = Client(app, **basic("bob", PASSWORD))
    assert here.get(SYSTEM)
    auth.store.do("UPDATE users SET totp_key = ? WHERE name = 'bob'", b"0123456789abcdef")
    for answer in (
        here.ask("GET", SYSTEM),
        Client(app).ask("POST", SESSIONS, {"UserName": "bob", "Password": PASSWORD}),
    ):
        assert answer.status_code == 401
        assert "API token" in message_of(answer)[2]


def test_guesses_are_as_few_as_at_the_login(app, ada):
    statuses = [
        Client(app, **basic("ada", f"wrong {number}")).ask("GET", SYSTEM).status_code
        for number in range(25)
    ]
    assert statuses == [401] * 20 + [429] * 5
    answer = Client(app).ask("POST", SESSIONS, {"UserName": "ada", "Password": "wrong password"})
    assert int(answer.headers["Retry-After"]) > 0
    assert message_of(answer)[:2] == (
        "ServiceTemporarilyUnavailable",
        [answer.headers["Retry-After"]],
    )


def test_a_browser_that_knows_the_password_does_nothing_for_a_foreign_page(app, bob, panel):
    here = Client(app, **basic("bob", PASSWORD))
    asked = {"ResetType": "ForceOff"}
    for origin in ("https://other.example", "null", f"http://{HOST}"):
        answer = here.ask("POST", RESET, asked, Origin=origin)
        assert (answer.status_code, message_of(answer)[0]) == (403, "InsufficientPrivilege")
    assert panel.pressed == []
    assert here.ask("POST", RESET, asked, Origin=f"https://{HOST}").status_code == 204


# --- Power ---


@pytest.mark.parametrize(
    ("power", "asked", "pressed"),
    [
        (True, "PushPowerButton", ["power"]),
        (False, "PushPowerButton", ["power"]),
        (False, "On", ["power"]),
        (True, "On", []),
        (True, "GracefulShutdown", ["power"]),
        (False, "GracefulShutdown", []),
        (True, "ForceOff", ["force_off"]),
        (False, "ForceOff", []),
        (True, "ForceRestart", ["reset"]),
    ],
)
def test_a_reset_is_what_its_name_says(operator, panel, audited, power, asked, pressed):
    panel.power = power
    assert operator.get(SYSTEM)["PowerState"] == ("On" if power else "Off")
    assert operator.ask("POST", RESET, {"ResetType": asked}).status_code == 204
    assert panel.pressed == pressed
    noted = [facts["by"] for event, facts in audited if event == "button_pressed"]
    assert noted == ["token operator"] * len(pressed)


@pytest.mark.parametrize(
    ("lines", "offered"),
    [
        (
            ["power_button", "reset_button", "power_led"],
            ["On", "ForceOff", "GracefulShutdown", "ForceRestart", "PushPowerButton"],
        ),
        # Without the LED nobody knows what a short press does.
        (["power_button"], ["ForceOff", "PushPowerButton"]),
        (["reset_button"], ["ForceRestart"]),
        ([], []),
    ],
)
def test_what_is_not_connected_is_not_offered(config, auth, ada, panel, lines, offered):
    panel.power = True if "power_led" in lines else None
    connected = {name: ALL_LINES[name] for name in lines}
    atx = Atx("/dev/gpiochip0", connected, ()) if lines else None
    here = Client(create_app(dataclasses.replace(config, atx=atx)), **basic("ada", PASSWORD))
    system = here.get(SYSTEM)
    actions = system["Actions"].get("#ComputerSystem.Reset", {})
    assert actions.get("ResetType@Redfish.AllowableValues", []) == offered
    assert system["PowerState"] == ("On" if "power_led" in lines else None)
    refused = next(each for each in ("Nmi", "On") if each not in offered)
    answer = here.ask("POST", RESET, {"ResetType": refused})
    message, arguments, sentence = message_of(answer)
    assert (answer.status_code, message) == (400, "ActionParameterValueFormatError")
    assert arguments == [refused, "ResetType", "#ComputerSystem.Reset"]
    assert (", ".join(offered) or "none of it") in sentence
    assert panel.pressed == []


def test_commands_of_the_inventory_and_wake_on_lan_do_it_too(config, auth, admin, monkeypatch, ada):
    done = []
    monkeypatch.setattr(Hooks, "run", lambda self, name, by: done.append((name, by.user)))
    monkeypatch.setattr(Machines, "wake", lambda self, number, by: done.append((number, by.user)))
    known = dataclasses.replace(
        config,
        atx=None,
        power_hooks=(("Plug off", 5),),
        redfish=Redfish({"ForceOff": "Plug off"}, "rack"),
    )
    here = Client(create_app(known), **basic("ada", PASSWORD))

    def offered():
        return here.get(SYSTEM)["Actions"]["#ComputerSystem.Reset"][
            "ResetType@Redfish.AllowableValues"
        ]

    # Nobody has entered that machine yet.
    assert offered() == ["ForceOff"]
    number = Machines(auth.store, config.wake_socket).add(
        admin, "rack", "00:1b:63:84:45:e6", "", ""
    )
    assert offered() == ["On", "ForceOff"]
    for asked in offered():
        assert here.ask("POST", RESET, {"ResetType": asked}).status_code == 204
    assert done == [(number, "ada"), ("Plug off", "ada")]


@pytest.mark.parametrize(
    ("asked", "message", "arguments"),
    [
        ({}, "ActionParameterMissing", ["#ComputerSystem.Reset", "ResetType"]),
        (None, "ActionParameterMissing", ["#ComputerSystem.Reset", "ResetType"]),
        (
            {"ResetType": "On", "Delay": 3},
            "ActionParameterUnknown",
            ["#ComputerSystem.Reset", "Delay"],
        ),
        (
            {"ResetType": 7},
            "ActionParameterValueTypeError",
            ["7", "ResetType", "#ComputerSystem.Reset"],
        ),
        ({"ResetType": "%1"}, None, None),
        ([], "MalformedJSON", []),
    ],
)
def test_a_request_that_is_wrong_is_told_by_the_standards_messages(
    operator, panel, asked, message, arguments
):
    answer = operator.ask("POST", RESET, asked)
    assert answer.status_code == 400
    if message:
        assert message_of(answer)[:2] == (message, arguments)
    assert panel.pressed == []


@pytest.mark.parametrize("body", [b"{", b"\xff", b"[" * 60000, b"7"])
def test_what_is_no_json_is_called_that(operator, panel, body):
    answer = operator.client.post(
        RESET,
        data=body,
        base_url=f"https://{HOST}",
        headers={**operator.headers, "Content-Type": "application/json"},
    )
    assert (answer.status_code, message_of(answer)[0]) == (400, "MalformedJSON")


def test_what_the_buttons_service_refuses_is_told(operator, panel):
    panel.refusal = ApiError(409, "A button is being pressed. Try again in a moment.")
    answer = operator.ask("POST", RESET, {"ResetType": "PushPowerButton"})
    assert (answer.status_code, message_of(answer)) == (
        409,
        ("ResourceInUse", [], "A button is being pressed. Try again in a moment."),
    )
    panel.refusal = ApiError(503, "The ATX service does not answer.")
    assert message_of(operator.ask("GET", SYSTEM))[0] == "ServiceTemporarilyUnavailable"


def test_what_is_not_there_and_what_is_not_allowed(operator):
    answer = operator.ask("GET", f"{ROOT}/Chassis")
    assert (answer.status_code, message_of(answer)[:2]) == (
        404,
        ("ResourceMissingAtURI", [f"{ROOT}/Chassis"]),
    )
    answer = operator.ask("PATCH", SYSTEM, {"AssetTag": "x"})
    assert (answer.status_code, message_of(answer)[0]) == (405, "GeneralError")
    assert "GET" in answer.headers["Allow"]
    answer = operator.ask("GET", SYSTEM, **{"OData-Version": "3.0"})
    assert (answer.status_code, message_of(answer)[0]) == (412, "GeneralError")


# --- Virtual media ---


def test_an_image_is_put_in_and_taken_out(operator, drives):
    drive = f"{DRIVES}/0"
    found = operator.get(drive)
    assert (found["Inserted"], found["Image"], found["MediaTypes"]) == (False, None, ["CD", "DVD"])
    insert = found["Actions"]["#VirtualMedia.InsertMedia"]["target"]
    assert operator.ask("POST", insert, {"Image": "rescue%20disk.iso"}).status_code == 204
    found = operator.get(drive)
    assert (found["Inserted"], found["Image"], found["ImageName"], found["WriteProtected"]) == (
        *(True, "rescue%20disk.iso"),
        *("rescue disk.iso", True),
    )
    answer = operator.ask("POST", insert, {"Image": "rescue disk.iso"})
    assert (answer.status_code, message_of(answer)[0]) == (409, "ResourceInUse")
    eject = found["Actions"]["#VirtualMedia.EjectMedia"]["target"]
    for _ in range(2):
        assert operator.ask("POST", eject).status_code == 204
    assert [method for method, _, _ in drives.asked] == ["PUT", "POST"]
    assert operator.get(drive)["Inserted"] is False


def test_a_disk_that_may_be_written_to(operator, drives):
    asked = {"Image": "rescue disk.iso", "Inserted": True, "WriteProtected": False}
    path = f"{DRIVES}/1/Actions/VirtualMedia.InsertMedia"
    assert operator.ask("POST", path, asked).status_code == 204
    assert operator.get(f"{DRIVES}/1")["WriteProtected"] is False


@pytest.mark.parametrize(
    ("number", "asked", "status", "message"),
    [
        (0, {}, 400, "ActionParameterMissing"),
        (0, {"Image": 7}, 400, "ActionParameterValueTypeError"),
        (0, {"Image": "https://mirror.example/rescue.iso"}, 400, "ActionParameterValueFormatError"),
        (0, {"Image": "rescue disk.iso", "Inserted": False}, 400, "ActionParameterNotSupported"),
        (0, {"Image": "rescue disk.iso", "UserName": "ada"}, 400, "ActionParameterUnknown"),
        (0, {"Image": "nothing.iso"}, 404, "ResourceMissingAtURI"),
        (5, {"Image": "rescue disk.iso"}, 404, "ResourceMissingAtURI"),
    ],
)
def test_what_can_not_be_put_in_is_refused(operator, drives, number, asked, status, message):
    answer = operator.ask("POST", f"{DRIVES}/{number}/Actions/VirtualMedia.InsertMedia", asked)
    assert (answer.status_code, message_of(answer)[0]) == (status, message)
    assert not any(drive["image"] for drive in drives.drives)


# --- A client that others wrote ---


@pytest.fixture(scope="module")
def sushy():
    """It looks for its plug-ins in all packages of the environment: not for the other tests."""
    import sushy

    return sushy


@pytest.fixture
def address(app):
    """Of the app, served over HTTP."""
    server = make_server("127.0.0.1", 0, app, threaded=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/redfish/v1"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.parametrize("way", ["SessionAuth", "BasicAuth"])
def test_sushy_drives_power_and_media(sushy, address, bob, panel, drives, way):
    auth = getattr(sushy.auth, way)("bob", PASSWORD)
    root = sushy.Sushy(address, auth=auth)
    system = root.get_system()
    assert system.power_state is sushy.PowerState.ON
    assert system.get_allowed_reset_system_values() == {
        *(sushy.ResetType.ON, sushy.ResetType.FORCE_OFF, sushy.ResetType.GRACEFUL_SHUTDOWN),
        *(sushy.ResetType.FORCE_RESTART, sushy.ResetType.PUSH_POWER_BUTTON),
    }
    system.reset_system(sushy.ResetType.FORCE_OFF)
    panel.power = False
    system.refresh(force=True)
    assert system.power_state is sushy.PowerState.OFF
    system.reset_system(sushy.ResetType.ON)
    assert panel.pressed == ["force_off", "power"]
    (manager,) = root.get_manager_collection().get_members()
    assert manager.manager_type is sushy.ManagerType.BMC
    (drive,) = [
        each
        for each in manager.virtual_media.get_members()
        if sushy.VirtualMediaType.CD in each.media_types
    ]
    drive.insert_media("rescue disk.iso")
    drive.refresh(force=True)
    assert (drive.inserted, drive.image_name) == (True, "rescue disk.iso")
    drive.eject_media()
    drive.refresh(force=True)
    assert drive.inserted is False
    with pytest.raises(sushy.exceptions.HTTPError) as refusal:
        drive.insert_media("nothing.iso")
    assert "no image of this name" in json.dumps(refusal.value.body)
    with pytest.raises(sushy.exceptions.BadRequestError, match="different format"):
        drive.insert_media("https://mirror.example/rescue.iso")


def test_sushy_is_told_that_the_password_is_wrong(sushy, address, bob):
    with pytest.raises(sushy.exceptions.AccessError):
        sushy.Sushy(address, auth=sushy.auth.SessionAuth("bob", "wrong password"))


def test_the_messages_are_those_of_the_registry_that_sushy_has(sushy):
    """It carries the standard's registries."""
    file = importlib.resources.files(sushy) / "standard_registries/Base.1.4.0.json"
    registry = json.loads(file.read_text())["Messages"]
    for name, (text, severity) in messages.MESSAGES.items():
        assert (text, severity) == (registry[name]["Message"], registry[name]["Severity"]), name
