# SPDX-License-Identifier: MIT
"""Who may come in: from the set-up code to the live picture, and out again."""

import contextlib
import re
import time
from collections.abc import Callable

import aiohttp
import pytest
import requests

from tests.support.clients import PASSWORD, Client, add_user, log_in
from tests.support.device import Device
from tests.support.remote_screen import RemoteScreen
from tests.support.viewers import ChainError, Viewer, run, undamaged_frames
from tests.support.waiting import wait_until

# The device made its certificate itself.
pytestmark = pytest.mark.filterwarnings("ignore:Unverified HTTPS request")

RIGHTS_END_WITHIN_SECONDS = 1.0
# Anything else asks for a session first.
PUBLIC = {
    ("GET", "/login"): {200, 303},
    ("GET", "/setup"): {200},
    ("GET", "/api/session"): {200},
    ("GET", "/api/health"): {200, 503},
    ("POST", "/api/login"): {400},
    ("POST", "/api/setup"): {400},
    ("GET", "/static/common/"): {403},
    ("GET", "/static/login/"): {403},
    ("GET", "/ca.pem"): {200},
}
# Who is not logged in is led to the login.
PAGES = ("/", "/account", "/settings", "/words/<dialog>", "/nginx", "/web")
_ROUTES = """
import json, sys
from pathlib import Path
sys.path.insert(0, "/opt/tinypilot")
from tinypilot.app import create_app
from tinypilot.config import Config
rules = create_app(Config(name="", auth_file=Path("/tmp/routes.sqlite"))).url_map.iter_rules()
print(json.dumps([[m, r.rule] for r in rules for m in r.methods - {"HEAD", "OPTIONS"}]))
"""


def test_from_the_code_to_the_picture(new_screen: Callable[..., RemoteScreen], no_users: Device):
    code = no_users.sh("tinypilot setup-code").strip()
    screen = new_screen(role=None).open()
    page = screen.page
    assert page.url == f"{no_users.url}setup"
    page.get_by_label("Set-up code").fill(code)
    page.get_by_label("Name", exact=True).fill("ada")
    page.get_by_label("Password, at least 10 characters").fill(PASSWORD)
    page.get_by_label("The same password again").fill("another")
    page.get_by_role("button", name="Set up").click()
    page.get_by_text("The two passwords differ.").wait_for()
    page.get_by_label("The same password again").fill(PASSWORD)
    page.get_by_role("button", name="Set up").click()
    screen.wait_until_live()

    page.get_by_role("link", name="ada").click()
    page.get_by_role("button", name="Log out", exact=True).click()
    page.get_by_role("button", name="Log in").wait_for()
    page.get_by_label("Name").fill("ada")
    page.get_by_label("Password").fill("wrong password")
    page.get_by_role("button", name="Log in").click()
    page.get_by_text("The name or the password is wrong.").wait_for()
    log_in(screen, "ada")
    screen.wait_until_live()
    assert not [line for line in screen.console if "Content Security Policy" in line]


def test_nothing_answers_without_login(ada: Client, device: Device):
    """Every route of the web app, and every location of nginx."""
    stranger = Client(device)
    routes = [tuple(route) for route in device.python_json(_ROUTES)]
    locations = device.sh("grep -oP 'location =? ?\\K/[^ ]*(?= \\{)' /etc/kvm-gateway/nginx.conf")
    routes += [("GET", location) for location in locations.split()]
    assert {"/janus/ws", "/api/jpegs", "/api/source", "/api/gateway", "/vendor/janus.js"} <= {
        r for _, r in routes
    }
    for method, rule in routes:
        path = re.sub("<[^>]+>", "7", rule)
        answer = stranger.ask(method, path, json={} if method != "GET" else None)
        if (method, rule) in PUBLIC:
            expected = PUBLIC[method, rule]
        elif rule in ("/session-holds", "/session-held", "/may-send-piece"):
            expected = {404}
        # At the supervisor's own socket there are /nginx and /web. From outside, as for any page that there is not:
        elif method == "GET" and rule in PAGES:
            expected = {303}
        else:
            expected = {401}
        assert answer.status_code in expected, (method, path)


@pytest.mark.parametrize(
    "path", ["", "static/pages/main.js", "static/common/base.css", "api/session", "janus/ws"]
)
@pytest.mark.parametrize("scheme", ["https", "http"])
def test_a_foreign_name_is_answered_with_nothing(device: Device, path: str, scheme: str):
    cookie = device.cookie()
    for name in (
        "attacker.example",
        f"{device.address}.attacker.example",
        "kvm-login.attacker.example",
    ):
        answer = requests.get(
            f"{scheme}://{device.address}/{path}",
            headers={"Host": name, "Cookie": cookie},
            verify=False,
            allow_redirects=False,
            timeout=10,
        )
        assert answer.status_code == 421
        assert answer.text == (
            f"{name} is no name of this device. Put it into gateway_hosts, or open the device by its address.\n"
        )
    noted = device.sh("journalctl --no-pager -t tinypilot_audit --since=-20s")
    assert "refused with 421" in noted


def test_the_devices_own_names_are_known(device: Device):
    for name in (device.name, f"{device.name}.local", device.address, "localhost"):
        answer = requests.get(
            f"https://{device.address}/setup", headers={"Host": name}, verify=False, timeout=10
        )
        assert answer.status_code == 200


@pytest.mark.parametrize("way", ["revoked", "role", "removed", "password"])
def test_who_may_no_longer_watch_is_out(
    new_screen: Callable[..., RemoteScreen], ada: Client, device: Device, way: str
):
    add_user(ada, "bob", "operator")
    screen = new_screen(role=None).open()
    log_in(screen, "bob")
    screen.wait_until_live()
    if way == "revoked":
        sessions = ada.ask("GET", "/api/sessions").json()["sessions"]
        (number,) = [session["number"] for session in sessions if session["user"] == "bob"]
        end = ("DELETE", f"/api/sessions/{number}", None)
    elif way == "role":
        end = ("PATCH", "/api/users/bob", {"role": "viewer"})
    elif way == "removed":
        end = ("DELETE", "/api/users/bob", None)
    else:
        bob = Client(device)
        bob.log_in("bob")
        end = ("POST", "/api/account/password", {"old": PASSWORD, "new": "another password"})
    assert (bob if way == "password" else ada).change(*end).status_code == 200
    screen.page.wait_for_url("**/login*")
    cookie = "; ".join(f"{c['name']}={c['value']}" for c in screen.page.context.cookies())
    for path in ("/", "/api/source", "/static/pages/main.js", "/janus/ws", "/api/jpegs"):
        assert Client(device, cookie).ask("GET", path).status_code in (303, 401)
    # Janus was told, so that media ends for whoever pays no heed to the page.
    wait_until(lambda: "a WebSocket was ended" in device.journal(20), "the relay ends the socket")


def test_the_pages_files_are_for_whoever_has_a_session(device: Device):
    """nginx does not ask again for each of them; the connection stays the same here."""
    script = "/static/pages/main.js"
    client = Client(device, device.cookie())
    assert [client.ask("GET", path).status_code for path in ("/", script, script)] == [200] * 3
    cookie = client.http.headers.pop("Cookie")
    assert client.ask("GET", script).status_code == 401
    client.http.headers["Cookie"] = cookie
    assert client.ask("GET", script).status_code == 200
    assert client.change("POST", "/api/logout", {}).status_code == 200
    assert client.ask("GET", "/api/source").status_code == 401
    wait_until(lambda: client.ask("GET", script).status_code == 401, "the answer is forgotten")


@pytest.mark.parametrize("keeps_socket", [True, False])
def test_media_ends_for_a_viewer_that_pays_no_heed(ada: Client, device: Device, keeps_socket: bool):
    """Without its socket Janus alone would go on sending for half a minute."""
    add_user(ada, "bob", "viewer")
    bob = Client(device)
    bob.log_in("bob")
    cookie = "; ".join(f"{name}={value}" for name, value in bob.http.cookies.items())

    async def watch_until_the_end() -> None:
        async with Viewer(device.socket_url, cookie) as viewer:
            await viewer.watch()
            await undamaged_frames(viewer, 10)
            if not keeps_socket:
                await viewer.drop_socket()
                await undamaged_frames(viewer, 30)
            assert ada.change("DELETE", "/api/users/bob").status_code == 200
            ended = time.time()
            with contextlib.suppress(ChainError):
                while True:
                    frame = await viewer.next_frame(3)
                    assert frame.at < ended + RIGHTS_END_WITHIN_SECONDS

    run(watch_until_the_end())


@pytest.mark.parametrize(
    ("path", "header_bytes", "beginning"),
    [
        pytest.param("jpegs", 4, b"\xff\xd8", id="jpegs"),
        pytest.param("h264", 5, b"\0\0", id="h264"),
    ],
)
def test_a_picture_ends_for_a_viewer_that_pays_no_heed(
    ada: Client, device: Device, path: str, header_bytes: int, beginning: bytes
):
    add_user(ada, "bob", "viewer")
    bob = Client(device)
    bob.log_in("bob")
    cookie = "; ".join(f"{name}={value}" for name, value in bob.http.cookies.items())
    headers = {"Cookie": cookie, "Origin": device.url.rstrip("/")}

    async def watch_until_the_end() -> None:
        async with (
            aiohttp.ClientSession() as http,
            http.ws_connect(
                f"wss://{device.address}/api/{path}", headers=headers, ssl=False, max_msg_size=0
            ) as socket,
        ):
            shown = 0
            while shown < 10:
                message = await socket.receive_bytes()
                # The H.264 one may say first that it lives.
                if len(message) > header_bytes:
                    assert message[header_bytes:].startswith(beginning)
                    await socket.send_str("shown")
                    shown += 1
            assert ada.change("DELETE", "/api/users/bob").status_code == 200
            ended = time.time()
            while (await socket.receive()).type is aiohttp.WSMsgType.BINARY:
                assert time.time() < ended + RIGHTS_END_WITHIN_SECONDS
                with contextlib.suppress(ConnectionError):
                    await socket.send_str("shown")

    run(watch_until_the_end())


def test_guessing_is_slowed_and_locks_nobody_out(ada: Client, device: Device):
    guesser = Client(device)
    answers = [guesser.log_in("ada", "wrong password") for _ in range(21)]
    assert [answer.status_code for answer in answers] == [401] * 20 + [429]
    assert 0 < int(answers[-1].headers["Retry-After"]) <= 181
    # The right password does not help on the network of the guesser...
    assert Client(device).log_in("ada").status_code == 429
    # ... but it does on another, and in a browser that was let in before.
    other = (
        "import http.client, json, ssl\n"
        "tls = ssl.create_default_context(); tls.check_hostname = False; tls.verify_mode = ssl.CERT_NONE\n"
        "c = http.client.HTTPSConnection('127.0.0.1', context=tls)\n"
        f"body = json.dumps(dict(name='ada', password={PASSWORD!r}, code=''))\n"
        "c.request('POST', '/api/login', body, {'Content-Type': 'application/json', 'Origin': 'https://127.0.0.1'})\n"
        "print(c.getresponse().status)\n"
    )
    assert device.python(other).strip() == "200"
    assert ada.log_in("ada").status_code == 200


@pytest.mark.parametrize("role", ["viewer", "operator", "admin"])
def test_each_role_watches_and_only_admins_manage(
    new_screen: Callable[..., RemoteScreen], device: Device, role: str
):
    screen = new_screen(role=role)
    screen.open().wait_until_live()
    screen.open("account")
    screen.page.get_by_role("button", name="Log out", exact=True).wait_for()
    assert screen.page.get_by_role("heading", name="Users").is_visible() == (role == "admin")
    status = Client(device, device.cookie(role)).ask("GET", "/api/users").status_code
    assert status == (200 if role == "admin" else 403)


def test_an_admin_adds_and_removes_users_on_the_page(
    new_screen: Callable[..., RemoteScreen], ada: Client, device: Device
):
    screen = new_screen(role=None).open()
    log_in(screen, "ada")
    screen.wait_until_live()
    page = screen.page
    screen.open("account")
    page.get_by_label("Name of a new user").fill("bob")
    page.get_by_label("Role", exact=True).select_option("operator")
    page.locator("#user-password").fill(PASSWORD)
    page.get_by_role("button", name="Add the user").click()
    page.get_by_label("Role of bob").wait_for()
    assert Client(device).log_in("bob").status_code == 200
    page.on("dialog", lambda dialog: dialog.accept())
    page.get_by_role("button", name="Remove bob").click()
    page.get_by_label("Role of bob").wait_for(state="detached")
    assert Client(device).log_in("bob").status_code == 401


def test_the_login_works_by_keyboard_alone(
    new_screen: Callable[..., RemoteScreen], ada: Client, device: Device
):
    screen = new_screen(role=None).open()
    page = screen.page
    page.get_by_role("button", name="Log in", disabled=False).wait_for()
    for key in ("ada", "Tab", PASSWORD, "Enter"):
        page.keyboard.press(key) if key in ("Tab", "Enter") else page.keyboard.type(key)
    screen.wait_until_live()


def test_codes_of_an_app(new_screen: Callable[..., RemoteScreen], ada: Client, device: Device):
    screen = new_screen(role=None).open()
    log_in(screen, "ada")
    screen.wait_until_live()
    page = screen.page
    screen.open("account")
    key = page.locator("#totp-key")
    screen.wait_until(key.inner_text, "a key is proposed")
    code = device.python(
        "import base64, sys, time; sys.path.insert(0, '/opt/tinypilot'); from tinypilot.auth import second_factor; "
        "print(second_factor.code(base64.b32decode(sys.argv[1]), int(time.time()) // 30))",
        key.inner_text().replace(" ", ""),
    ).strip()
    page.get_by_label("Code from the app").fill(code)
    page.locator("#totp-password").fill(PASSWORD)
    page.get_by_role("button", name="Turn two-factor authentication on").click()
    page.locator("#recovery-codes li").first.wait_for()
    recovery = page.locator("#recovery-codes li").all_inner_texts()
    assert len(recovery) == 10
    page.get_by_role("button", name="Log out", exact=True).click()
    log_in(screen, "ada")
    page.get_by_text("Enter the code from your authenticator app.").wait_for()
    page.get_by_label("Code from your authenticator app, or a recovery code").fill(recovery[0])
    page.get_by_role("button", name="Log in").click()
    screen.wait_until_live()


def test_the_audit_log_tells_and_holds_no_secret(ada: Client, device: Device):
    Client(device).log_in("ada", "a wrong password")
    entries = device.sh("journalctl --no-pager -o json -t tinypilot-audit --since=-20s")
    assert '"TINYPILOT_EVENT":"setup"' in entries
    assert '"TINYPILOT_EVENT":"login_refused"' in entries
    everything = device.journal(60)
    for secret in (PASSWORD, "a wrong password", *ada.http.cookies.values()):
        assert secret not in everything
