# SPDX-License-Identifier: MIT
"""STUN and TURN servers, and the credentials that a page gets for them."""

import base64
import hmac
import json
import re

import pytest
from tinypilot.errors import ApiError
from tinypilot.video.ice import IceServers

STUN = "stun:stun.example:3478"
TURN = ["turn:turn.example:3478", "turns:turn.example:5349?transport=tcp"]


@pytest.fixture
def ask(config, logged_in):
    """Asks the route as somebody with a session would, of a device whose play has these values."""

    def ask(**values):
        file = config.settings_declarations / "tinypilot.json"
        declared = json.loads(file.read_text())
        declared["defaults"].update({f"tinypilot_{name}": value for name, value in values.items()})
        file.write_text(json.dumps(declared))
        answer = logged_in().ask("GET", "/api/ice-servers")
        assert answer.status_code == 200
        assert answer.headers["Cache-Control"] == "no-store"
        return answer.get_json()["ice_servers"]

    return ask


def test_on_a_lan_there_are_none(ask):
    assert ask() == []


def test_where_nothing_is_said_there_are_none(logged_in, config):
    (config.settings_declarations / "tinypilot.json").unlink()
    assert logged_in().ask("GET", "/api/ice-servers").get_json() == {"ice_servers": []}


def test_they_are_for_whoever_has_a_session_alone(browser):
    assert browser().ask("GET", "/api/ice-servers").status_code == 401


def test_stun_needs_no_credentials(ask):
    assert ask(ice_servers=[STUN], turn_secret="not for STUN") == [{"urls": [STUN]}]


def test_the_page_knows_them_unless_there_is_a_secret(ask, logged_in):
    """It is sent compressed, and the size of that tells of its content."""

    def in_page():
        page = logged_in().ask("GET", "/").get_data(as_text=True)
        found = re.search("data-ice-servers='(.*?)'", page)
        return json.loads(found[1]) if found else None

    assert in_page() == []
    ask(ice_servers=[STUN])
    assert in_page() == [{"urls": [STUN]}]
    ask(ice_servers=[STUN, *TURN], turn_secret="north wind and sun")
    assert in_page() is None
    ask(turn_secret="", turn_user="kvm", turn_password="north wind")
    assert in_page() is None


def test_a_user_name_and_a_password_are_handed_on(ask):
    assert ask(ice_servers=[STUN, *TURN], turn_user="kvm", turn_password='a b"c') == [
        {"urls": [STUN]},
        {"urls": TURN, "username": "kvm", "credential": 'a b"c'},
    ]


def test_a_shared_secret_makes_credentials_for_an_hour(ask, clock):
    secret = "north wind and sun"
    [first] = ask(ice_servers=TURN, turn_secret=secret)
    assert first["urls"] == TURN
    expiry, _, name = first["username"].partition(":")
    assert int(expiry) == clock.now + 3600
    mac = hmac.digest(secret.encode(), first["username"].encode(), "sha1")
    assert base64.b64decode(first["credential"]) == mac
    assert secret not in json.dumps(first)
    # Another session is somebody else, and later ones are good for longer.
    clock.pass_by(60)
    [second] = ask(ice_servers=TURN, turn_secret=secret)
    later, _, other = second["username"].partition(":")
    assert int(later) == clock.now + 3600
    assert other != name


def test_the_credentials_are_those_that_coturn_wants(clock):
    """The password was computed with openssl."""
    servers = IceServers(urls=tuple(TURN), turn_secret="0123456789abcdef")
    [server] = servers.for_session(7)
    assert server["username"] == "1800003600:7"
    assert server["credential"] == "eKido6ziXhHxvlfnSXK3A+La1Pw="


NEEDS = "needs a secret, or a user name and a password"
NOT_BOTH = "not both"
NO_SERVER = "no TURN server"


@pytest.mark.parametrize(
    ("urls", "secret", "user", "password", "sentence"),
    [
        ([], "", "", "", None),
        ([STUN], "", "", "", None),
        ([STUN, *TURN], "s", "", "", None),
        (TURN, "", "u", "p", None),
        (TURN, "", "", "", NEEDS),
        (TURN, "", "u", "", NEEDS),
        (TURN, "", "", "p", NEEDS),
        (TURN, "s", "u", "p", NOT_BOTH),
        (TURN, "s", "u", "", NOT_BOTH),
        (TURN, "s", "", "p", NOT_BOTH),
        ([STUN], "s", "", "", NO_SERVER),
        ([STUN], "", "u", "", NO_SERVER),
        ([], "", "", "p", NO_SERVER),
    ],
)
def test_addresses_and_credentials_belong_together(urls, secret, user, password, sentence):
    servers = IceServers(tuple(urls), secret, user, password)
    if sentence is None:
        servers.check()
        return
    with pytest.raises(ApiError, match=sentence) as refusal:
        servers.check()
    assert refusal.value.status == 400


@pytest.mark.parametrize(("user", "password"), [("kvm", ""), ("", "p")])
def test_half_a_login_is_none(user, password):
    servers = IceServers((STUN, *TURN), turn_user=user, turn_password=password)
    assert servers.for_session(1) == [{"urls": [STUN]}]


def test_the_server_that_lacks_credentials_is_named():
    with pytest.raises(ApiError, match=r"turn:turn\.example:3478 needs"):
        IceServers((STUN, *TURN)).check()
