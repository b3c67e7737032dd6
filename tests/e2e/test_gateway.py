# SPDX-License-Identifier: MIT
"""What the web server lets in and out."""

import re
from urllib.parse import urlsplit

import pytest
import requests

from tests.support.device import Device
from tests.support.remote_screen import RemoteScreen

# The device made its certificate itself.
pytestmark = pytest.mark.filterwarnings("ignore:Unverified HTTPS request")

SOCKETS = ("janus/ws", "api/hid", "api/h264", "api/jpegs")
ROLES = ("viewer", "operator", "admin")
SECURITY_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}


def ask(url: str, **options) -> requests.Response:
    return requests.get(url, verify=False, allow_redirects=False, timeout=10, **options)


@pytest.fixture(scope="module")
def cookies(virtual_pi: Device) -> dict[str, str | None]:
    """Of a session of each role, and of nobody."""
    return {"nobody": None, **{role: virtual_pi.cookie(role) for role in ROLES}}


def ask_for_socket(url: str, origin: str | None, cookie: str | None) -> int:
    """The status with which somebody on a page of this origin is answered who opens the WebSocket."""
    headers = {
        "Connection": "Upgrade",
        "Cookie": cookie,
        "Upgrade": "websocket",
        "Origin": origin,
        "Sec-WebSocket-Key": "c2l4dGVlbiBieXRlcyAhIQ==",
        "Sec-WebSocket-Version": "13",
    }
    if url.endswith("/janus/ws"):
        headers["Sec-WebSocket-Protocol"] = "janus-protocol"
    with ask(url, headers=headers, stream=True) as answer:
        return answer.status_code


def test_all_sockets_are_tried_here(virtual_pi: Device):
    """What nginx lets become a WebSocket."""
    locations = virtual_pi.sh("cat /etc/kvm-gateway/nginx.conf").split("location ")
    upgraded = [location for location in locations if "Upgrade $http_upgrade" in location]
    assert {location.split()[1].removeprefix("/") for location in upgraded} == set(SOCKETS)


@pytest.mark.parametrize("path", SOCKETS)
@pytest.mark.parametrize(
    "origin",
    ["https://other.example", "http://{address}", "https://{address}.example", "null", None],
)
def test_sockets_refuse_foreign_pages(
    virtual_pi: Device, cookies: dict[str, str | None], path: str, origin: str | None
):
    """And whoever does not say from which page he comes. nginx decides it, which knows no roles: an admin asks."""
    address = virtual_pi.address
    origin = origin and origin.format(address=address)
    assert ask_for_socket(f"https://{address}/{path}", origin, cookies["admin"]) == 403


@pytest.mark.parametrize("path", SOCKETS)
@pytest.mark.parametrize("who", ["nobody", *ROLES])
def test_sockets_open_for_the_devices_own_page_and_whoever_has_logged_in(
    virtual_pi: Device, cookies: dict[str, str | None], path: str, who: str
):
    """What a viewer may say on that of keyboard and mouse is another matter, see test_input.py."""
    origin = f"https://{virtual_pi.address}"
    answer = ask_for_socket(f"{origin}/{path}", origin, cookies[who])
    assert answer == (401 if who == "nobody" else 101)


def test_http_only_redirects(device: Device):
    answer = ask(f"http://{device.address}/some/path?x=1")
    assert answer.status_code == 308
    assert answer.headers["Location"] == f"https://{device.address}/some/path?x=1"


@pytest.mark.parametrize("path", ["", "static/pages/main.js", "api/health", "nothing/here"])
def test_every_answer_has_the_security_headers(device: Device, path: str):
    headers = ask(device.url + path).headers
    assert {name: headers.get(name) for name in SECURITY_HEADERS} == SECURITY_HEADERS
    policy = dict(
        [*directive.split(maxsplit=1), ""][:2]
        for directive in headers["Content-Security-Policy"].split(";")
    )
    assert policy["default-src"] == "'none'"
    # Of a page there is one script more: the one that stands in it.
    inline = " 'sha256-[A-Za-z0-9+/]{43}='" if path == "" else ""
    assert re.fullmatch(f"'self'{inline}", policy["script-src"])
    assert policy["frame-ancestors"] == policy["base-uri"] == policy["form-action"] == "'none'"
    assert "unsafe" not in headers["Content-Security-Policy"]


def test_page_asks_nobody_else_and_has_nothing_to_complain_about(
    live: RemoteScreen, device: Device
):
    live.collect(10)
    assert {urlsplit(url).hostname for url in live.requests} == {device.address}
    assert live.page.evaluate("observer.peers.at(-1).configuration.iceServers") == []
    assert [line for line in live.console if line.startswith(("error", "warning"))] == []
    assert live.page.evaluate("observer.violations") == []


def test_page_runs_no_inline_script(live: RemoteScreen):
    """The policy is not only announced: the browser enforces it."""
    live.page.evaluate(
        """() => {
          const script = document.createElement('script');
          try {
            script.textContent = 'globalThis.intruder = true';
          } catch {
            return; // refused already by Trusted Types
          }
          document.head.append(script);
        }"""
    )
    assert live.page.evaluate("globalThis.intruder") is None
    assert live.page.evaluate("observer.violations")
