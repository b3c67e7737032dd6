# SPDX-License-Identifier: MIT
"""The session's cookie among others: of another device behind the same address, of an earlier version, of programs that
have nothing to do with this one."""

import dataclasses

import pytest
from tinypilot.app import create_app
from tinypilot.auth.auth import Auth
from tinypilot.auth.sessions import ClientInfo, cookie_in
from tinypilot.auth.store import Store, make_database

from .conftest import HOST, PASSWORD, Browser


@pytest.fixture
def other_app(config, tmp_path, clock):
    """Another device, whose user has the same name and password."""
    (tmp_path / "other").mkdir()
    other = dataclasses.replace(config, auth_file=tmp_path / "other/auth.sqlite3")
    make_database(other.auth_file)
    auth = Auth.from_config(other)
    auth.set_up(auth.new_setup_code(), "ada", PASSWORD, ClientInfo("192.0.2.1"))
    return create_app(other)


def test_two_devices_behind_one_address_do_not_log_each_other_out(app, other_app, ada):
    """One browser, one jar of cookies: it knows no ports."""
    here, there = Browser(app, "192.0.2.1"), Browser(other_app, "192.0.2.1")
    assert here.session_cookie != there.session_cookie
    there.client._cookies = here.client._cookies
    for person in (here, there):
        assert person.log_in("ada").status_code == 200
    for person in (here, there):
        assert person.ask("GET", "/api/session").get_json()["user"] == "ada"
    assert here.ask("POST", "/api/logout", {}).status_code == 200
    assert there.ask("GET", "/api/session").get_json()["user"] == "ada"


def test_each_device_remembers_the_browser(app, other_app, auth, ada):
    here, there = Browser(app, "192.0.2.1"), Browser(other_app, "192.0.2.1")
    there.client._cookies = here.client._cookies
    for person in (here, there):
        assert person.log_in("ada").status_code == 200
    remembered = here.client.get_cookie(f"{here.session_cookie}-browser", domain=HOST).value
    assert auth.sessions.remembers(remembered, "ada")


def test_the_name_stays(config, auth):
    before = auth.session_cookie
    make_database(config.auth_file)
    assert Auth.from_config(config).session_cookie == before


def test_an_earlier_versions_session_goes_on(browser, ada):
    """Its cookies had the same name on each device."""
    person = browser()
    person.client.set_cookie("__Host-tinypilot", ada.session, domain=HOST, secure=True)
    assert person.ask("GET", "/api/session").get_json()["user"] == "ada"


def test_an_earlier_versions_sign_of_a_known_browser_counts(browser, ada):
    stranger, known = browser("203.0.113.1"), browser("203.0.113.1")
    known.client.set_cookie("__Host-tinypilot-browser", ada.browser, domain=HOST, secure=True)
    while stranger.log_in("ada", "wrong password").status_code != 429:
        pass
    assert known.log_in("ada").status_code == 200


def test_a_program_waits_for_a_database_of_this_version(config, auth, monkeypatch):
    """The web app makes it; relay and HID service may be sooner."""
    auth.store.do("PRAGMA user_version = 0")
    slept = []

    def sleep(seconds):
        slept.append(seconds)
        make_database(config.auth_file)

    monkeypatch.setattr("tinypilot.auth.store.time.sleep", sleep)
    Store(config.auth_file)
    assert len(slept) == 1


@pytest.mark.parametrize(
    "header",
    [
        "mine=token",
        "mine = token ",
        ";; mine=token;",
        'other={"a": 1, "b": [2]}; mine=token',
        'mine=token; other={"a": 1}',
        "without a value; mine=token",
        "a b=c d; mine=token",
        'open="a; mine=token',
        "\xe9=\udcfc; mine=token",
        "mine=token; mine=another",
        "mine2=another; xmine=another; mine=token",
    ],
)
def test_other_cookies_do_not_hide_it(header):
    """Those of other programs at this host come with it."""
    assert cookie_in(header, "mine", "former") == "token"


@pytest.mark.parametrize(
    "header", ["", "mine", "mine=", "mine=\udc80", "mine=a b", 'mine="token"', "mine=é", "=token"]
)
def test_what_is_no_token_counts_for_nothing(header):
    assert cookie_in(header, "mine") == ""


def test_junk_in_every_cookie_leads_to_the_login(app, browser):
    person = browser()
    junk = "; ".join(
        f'{name}=\xff{{"' for name in (person.session_cookie, "__Host-tinypilot-language", "x")
    )
    answer = person.client.get("/account", base_url=f"https://{HOST}", headers={"Cookie": junk})
    assert answer.status_code == 303
