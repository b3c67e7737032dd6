# SPDX-License-Identifier: MIT
"""Authentication over HTTP: nothing without login, no change from a foreign page, cookies, wrong input."""

import contextlib
import re

import pytest
from tinypilot.auth import passwords
from tinypilot.auth.sessions import ROLES, ClientInfo

from .conftest import PASSWORD

PUBLIC = {"/login", "/setup", "/api/login", "/api/setup", "/api/session", "/api/health"}
# What needs more than to be logged in.
NEEDED_ROLES = {
    ("GET", "/api/users"): "admin",
    ("POST", "/api/users"): "admin",
    ("PATCH", "/api/users/<name>"): "admin",
    ("DELETE", "/api/users/<name>"): "admin",
    ("GET", "/api/sessions"): "admin",
    ("GET", "/api/tokens"): "admin",
    ("POST", "/api/tokens"): "admin",
    ("DELETE", "/api/tokens/<int(max=2147483647):number>"): "admin",
    ("GET", "/settings"): "admin",
    ("GET", "/api/settings"): "admin",
    ("PATCH", "/api/settings"): "admin",
    ("GET", "/api/edid"): "admin",
    ("GET", "/api/log"): "admin",
    ("POST", "/api/device-test"): "admin",
    ("POST", "/api/power"): "admin",
    ("GET", "/api/power-hooks"): "operator",
    ("POST", "/api/power-hooks"): "operator",
    ("GET", "/api/atx"): "operator",
    ("POST", "/api/atx"): "operator",
    ("POST", "/api/controls"): "operator",
    ("DELETE", "/api/controls"): "operator",
    ("POST", "/api/controls/release"): "operator",
    ("POST", "/api/keyboard/text"): "operator",
    ("POST", "/api/keyboard/chord"): "operator",
    ("POST", "/api/mouse/move"): "operator",
    ("POST", "/api/mouse/step"): "operator",
    ("POST", "/api/mouse/click"): "operator",
    ("POST", "/api/mouse/scroll"): "operator",
    ("POST", "/api/picture/wait"): "operator",
    ("GET", "/api/sequences"): "operator",
    ("POST", "/api/sequences"): "admin",
    ("PATCH", "/api/sequences/<int(max=2147483647):number>"): "admin",
    ("DELETE", "/api/sequences/<int(max=2147483647):number>"): "admin",
    ("POST", "/api/sequences/<int(max=2147483647):number>/run"): "operator",
    ("POST", "/api/sequences/stop"): "operator",
    ("GET", "/api/wake-on-lan"): "operator",
    ("POST", "/api/wake-on-lan"): "admin",
    ("PATCH", "/api/wake-on-lan/<int(max=2147483647):number>"): "admin",
    ("DELETE", "/api/wake-on-lan/<int(max=2147483647):number>"): "admin",
    ("POST", "/api/wake-on-lan/<int(max=2147483647):number>/wake"): "operator",
    ("DELETE", "/api/sessions/<int(max=2147483647):number>"): "admin",
    ("GET", "/words/<dialog>"): "operator",
    ("GET", "/api/media"): "operator",
    ("POST", "/api/media/uploads"): "admin",
    ("PUT", "/api/media/uploads/<name>/<int(max=999999999999999999):offset>"): "admin",
    ("DELETE", "/api/media/uploads/<name>"): "admin",
    ("POST", "/api/media/downloads"): "admin",
    ("POST", "/api/media/disks"): "admin",
    ("DELETE", "/api/media/images/<name>"): "admin",
    ("PUT", "/api/media/drives/<int(max=7):number>"): "operator",
    ("POST", "/api/media/drives/<int(max=7):number>/eject"): "operator",
}


def routes(app):
    """All as (method, rule), with something that fits in place of what is variable."""
    return [
        (
            method,
            rule.rule,
            re.sub(r"<int[^>]*>", "7", rule.rule.replace("<name>", "bob")),
        )
        for rule in app.url_map.iter_rules()
        for method in rule.methods - {"OPTIONS", "HEAD"}
    ]


def test_nothing_but_the_login_answers_without_login(app, browser, ada):
    stranger = browser()
    for method, rule, path in routes(app):
        answer = stranger.ask(method, path, json={} if method != "GET" else None)
        if rule in PUBLIC:
            assert answer.status_code in (200, 400), path
        elif method == "GET" and not rule.startswith("/api/"):
            assert answer.status_code == 303, path
            assert answer.headers["Location"].partition("?")[0] == "/login", path
        else:
            assert (answer.status_code, answer.get_json()) == (401, {"error": "Log in first."}), (
                path
            )


@pytest.mark.parametrize(
    ("path", "location"),
    [
        ("/", "/login"),
        ("/settings", "/login?next=%2Fsettings"),
        (f"/settings?{'x' * 2000}", "/login"),
        ("/account?a=1&b=%2F", "/login?next=%2Faccount%3Fa%3D1%26b%3D%252F"),
    ],
)
def test_a_link_survives_the_login(browser, ada, path, location):
    answer = browser().ask("GET", path)
    assert (answer.status_code, answer.headers["Location"]) == (303, location)


def test_a_link_survives_the_set_up(browser):
    answer = browser().ask("GET", "/login?next=%2Fsettings")
    assert (answer.status_code, answer.headers["Location"]) == (303, "/setup?next=%2Fsettings")


def test_a_person_who_opens_a_document_of_the_api_is_sent_to_the_login(browser, ada):
    answer = browser().ask("GET", "/api/openapi.json", headers={"Sec-Fetch-Dest": "document"})
    assert answer.headers["Location"] == "/login?next=%2Fapi%2Fopenapi.json"
    answer = browser().ask("POST", "/api/logout", {}, headers={"Sec-Fetch-Dest": "document"})
    assert answer.status_code == 401


def test_the_login_is_not_shown_at_once_to_whoever_comes_by_a_link_of_another_site(browser, ada):
    """The browser keeps the cookie back; the page asks again by itself."""
    shown = browser().ask("GET", "/login", headers={"Sec-Fetch-Site": "none"})
    hidden = browser().ask("GET", "/login", headers={"Sec-Fetch-Site": "cross-site"})
    form = '<main class="form-page"'
    assert f"{form}>" in shown.get_data(as_text=True)
    assert f"{form} hidden>" in hidden.get_data(as_text=True)


def test_strangers_do_not_learn_which_routes_there_are(browser, ada):
    assert browser().ask("GET", "/api/nothing").status_code == 401
    assert browser().ask("GET", "/nothing").status_code == 303


@pytest.mark.parametrize("role", ROLES)
def test_each_route_is_for_its_role(app, logged_in, role):
    for method, rule, path in routes(app):
        if rule in PUBLIC or rule == "/api/logout":
            continue
        answer = logged_in(role).ask(method, path, json={} if method != "GET" else None)
        needed = NEEDED_ROLES.get((method, rule), "viewer")
        is_allowed = ROLES.index(role) >= ROLES.index(needed)
        refused = answer.status_code == 403 and "needs the role" in answer.get_json()["error"]
        assert refused != is_allowed, (method, rule)


def test_the_login_leads_to_the_set_up_while_there_is_no_user(browser):
    answer = browser().ask("GET", "/login")
    assert (answer.status_code, answer.headers["Location"]) == (303, "/setup")


def test_who_is_set_up_and_logs_in_is_in(browser, auth):
    ada = browser()
    code = auth.new_setup_code()
    answer = ada.ask("POST", "/api/setup", {"code": code, "name": "ada", "password": PASSWORD})
    assert answer.status_code == 200
    assert ada.ask("GET", "/").status_code == 200
    other = browser()
    assert other.log_in("ada").status_code == 200
    assert other.ask("GET", "/api/session").get_json()["user"] == "ada"


def test_a_code_is_taken_with_the_spaces_of_what_it_was_copied_from(browser, auth):
    code = auth.new_setup_code().replace("-", "\N{NO-BREAK SPACE}")
    ada = browser()
    wanted = {"code": f"{code}\t", "name": "ada", "password": PASSWORD}
    assert ada.ask("POST", "/api/setup", wanted).status_code == 200
    wanted = {"code": f"{code}\0", "name": "ada", "password": PASSWORD}
    assert ada.ask("POST", "/api/setup", wanted).status_code == 400


def test_the_cookie_is_for_this_host_and_no_script(browser, ada):
    cookies = browser().log_in("ada").headers.getlist("Set-Cookie")
    assert len(cookies) == 2
    for cookie in cookies:
        name, *attributes = cookie.split("; ")
        assert name.startswith("__Host-")
        assert {"Secure", "HttpOnly", "Path=/", "SameSite=Strict"} <= set(attributes)
        assert not any(attribute.startswith("Domain") for attribute in attributes)


def test_a_login_ends_the_session_that_was_there(browser, ada, auth):
    person = browser()
    person.log_in("ada")
    before = person.token
    person.log_in("ada")
    assert auth.session_for(before) is None


def test_logging_out_ends_the_session_on_the_device(browser, ada, auth):
    person = browser()
    person.log_in("ada")
    token = person.token
    assert person.ask("POST", "/api/logout", {}).status_code == 200
    assert auth.session_for(token) is None
    assert person.ask("GET", "/").status_code == 303


def test_a_revoked_session_is_out_at_once(browser, ada, auth):
    person = browser()
    person.log_in("ada")
    (number,) = [row["number"] for row in auth.sessions.all() if row["agent"]]
    admin = browser()
    admin.log_in("ada")
    assert admin.ask("DELETE", f"/api/sessions/{number}").status_code == 200
    assert person.ask("GET", "/api/auth").status_code == 401
    assert admin.ask("GET", "/api/auth").status_code == 204


# --- Changes come from the device's own page ---


@pytest.mark.parametrize(
    "origin", [None, "https://other.example", "http://kvm.example", "null", ""]
)
@pytest.mark.parametrize("path", ["/api/login", "/api/setup", "/api/logout", "/nothing"])
def test_a_foreign_page_changes_nothing(logged_in, audited, origin, path):
    answer = logged_in("admin").ask("POST", path, {}, headers={"Origin": origin})
    assert answer.status_code == 403
    assert audited[-1][0] == "request_refused"


@pytest.mark.parametrize("token", [None, "", "0" * 64, "\N{SNOWMAN}".encode().decode("latin-1")])
def test_a_change_needs_the_token_of_the_session(app, logged_in, token):
    for method, rule, path in routes(app):
        if method == "GET" or rule in PUBLIC:
            continue
        answer = logged_in("admin").ask(method, path, {}, headers={"X-CSRF-Token": token})
        assert (answer.status_code, "CSRF" in answer.get_json()["error"]) == (403, True), path


def test_the_token_of_another_session_is_none(logged_in):
    one, other = logged_in("admin"), logged_in("viewer")
    assert one.csrf != other.csrf
    assert (
        one.ask("POST", "/api/logout", {}, headers={"X-CSRF-Token": other.csrf}).status_code == 403
    )


# --- Wrong input ---


@pytest.mark.parametrize(
    ("data", "content_type", "status"),
    [
        ("", "application/json", 400),
        ("{", "application/json", 400),
        ("[]", "application/json", 400),
        ('"text"', "application/json", 400),
        ("{}", "application/json", 400),
        ("[" * 30_000, "application/json", 400),
        ('{"name": "a", "password": "b"}', "application/json", 400),
        ('{"name": "a", "password": "b", "code": "", "more": 1}', "application/json", 400),
        ('{"name": 1, "password": "b", "code": ""}', "application/json", 400),
        ('{"name": ["a"], "password": "b", "code": ""}', "application/json", 400),
        ('{"name": "a", "password": "b\\u0000", "code": ""}', "application/json", 400),
        ('{"name": "a", "password": "\\ud800", "code": ""}', "application/json", 400),
        ('{"name": "a", "password": "%s", "code": ""}' % ("b" * 257), "application/json", 400),
        ("name=a&password=b&code=", "application/x-www-form-urlencoded", 415),
        ('{"name": "a", "password": "b", "code": ""}', "text/plain", 415),
        ("x" * 70_000, "application/json", 413),
    ],
)
def test_a_malformed_login_is_refused_in_a_sentence(browser, ada, data, content_type, status):
    answer = browser().ask("POST", "/api/login", data=data, content_type=content_type)
    assert answer.status_code == status
    assert answer.get_json()["error"].endswith(".")
    assert "bbb" not in answer.get_data(as_text=True)


def test_too_many_tries_are_told_when_to_try_again(browser, ada):
    eve = browser("203.0.113.1")
    answers = [eve.log_in("ada", "wrong password") for _ in range(21)]
    assert [answer.status_code for answer in answers] == [401] * 20 + [429]
    assert 0 < int(answers[-1].headers["Retry-After"]) <= 181
    assert "Try again in 4 min." in answers[-1].get_json()["error"]
    assert browser().log_in("ada").status_code == 200


def test_a_flood_of_logins_leaves_threads_to_those_who_are_in(browser, logged_in, ada):
    person = logged_in()
    with contextlib.ExitStack() as flood:
        for _ in range(3):
            flood.enter_context(passwords._turns)
        answer = browser().log_in("ada")
        assert (answer.status_code, answer.headers["Retry-After"]) == (503, "1")
        assert person.ask("GET", "/api/auth").status_code == 204
    assert browser().log_in("ada").status_code == 200


@pytest.mark.parametrize(
    ("method", "path", "json", "status"),
    [
        ("POST", "/api/users", {"name": "Bob B", "role": "viewer", "password": PASSWORD}, 400),
        ("POST", "/api/users", {"name": "bob", "role": "root", "password": PASSWORD}, 400),
        ("POST", "/api/users", {"name": "bob", "role": "viewer", "password": "short"}, 400),
        ("POST", "/api/users", {"name": "ada", "role": "viewer", "password": PASSWORD}, 409),
        ("PATCH", "/api/users/nobody", {"role": "viewer"}, 404),
        ("PATCH", "/api/users/ada", {"role": "viewer"}, 409),
        ("DELETE", "/api/users/ada", None, 409),
        ("DELETE", "/api/users/nobody", None, 404),
        ("DELETE", "/api/sessions/999", None, 404),
        ("DELETE", "/api/sessions/abc", None, 404),
        ("DELETE", "/api/sessions/" + "9" * 30, None, 404),
        ("POST", "/api/account/password", {"old": "wrong", "new": PASSWORD}, 403),
        ("POST", "/api/account/totp", {"key": "??", "code": "1", "password": PASSWORD}, 400),
        ("POST", "/api/account/totp/off", {"password": "wrong"}, 403),
    ],
)
def test_a_wrong_change_changes_nothing(logged_in, auth, method, path, json, status):
    admin = logged_in("admin")
    before = auth.users.all(), auth.sessions.all()
    answer = admin.ask(method, path, json)
    assert answer.status_code == status
    assert answer.get_json()["error"].endswith(".")
    assert (auth.users.all(), auth.sessions.all()) == before


# --- What an admin does ---


def test_an_admin_manages_users(logged_in, browser, auth):
    admin = logged_in("admin")
    new = {"name": "bob", "role": "viewer", "password": PASSWORD}
    assert admin.ask("POST", "/api/users", new).status_code == 200
    bob = browser()
    assert bob.log_in("bob").status_code == 200
    assert admin.ask("PATCH", "/api/users/bob", {"role": "operator"}).status_code == 200
    assert bob.ask("GET", "/api/auth").status_code == 401
    assert [user["name"] for user in admin.ask("GET", "/api/users").get_json()["users"]] == [
        "ada",
        "bob",
    ]
    assert admin.ask("DELETE", "/api/users/bob").status_code == 200
    assert bob.log_in("bob").status_code == 401


def test_sessions_are_listed_with_where_they_are(logged_in, auth, ada):
    auth.log_in("ada", PASSWORD, "", ClientInfo("2001:db8::1", "Tool/1"))
    admin = logged_in("admin")
    (other,) = [
        row
        for row in admin.ask("GET", "/api/sessions").get_json()["sessions"]
        if row["agent"] == "Tool/1"
    ]
    assert (other["user"], other["network"], other["own"]) == ("ada", "2001:db8::/64", False)
    assert "hash" not in other
