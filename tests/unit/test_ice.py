# SPDX-License-Identifier: MIT
"""STUN and TURN servers, and the credentials that a page gets for them."""

import base64
import hmac
import json

import pytest
from tinypilot.video.ice import IceServers

STUN = "stun:stun.example:3478"
TURN = ["turn:turn.example:3478", "turns:turn.example:5349?transport=tcp"]


@pytest.fixture
def ask(config, logged_in):
    """Asks the route as somebody with a session would, of a device whose play has these values."""

    def ask(**values):
        file = config.settings_declarations / "tinypilot.json"
        declared = json.loads(file.read_text())
        declared["play"].update({f"tinypilot_{name}": value for name, value in values.items()})
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
