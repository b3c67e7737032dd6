# SPDX-License-Identifier: MIT
"""What the web server lets in and out."""

from urllib.parse import urlsplit

import pytest
import requests

from .device import Device
from .remote_screen import RemoteScreen

# The device made its certificate itself.
pytestmark = pytest.mark.filterwarnings("ignore:Unverified HTTPS request")

SECURITY_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}


def ask(url: str, **options) -> requests.Response:
    return requests.get(url, verify=False, allow_redirects=False, timeout=10, **options)


def ask_for_socket(device: Device, origin: str | None) -> int:
    """The status with which a page of this origin is answered when it opens Janus' WebSocket."""
    headers = {
        "Connection": "Upgrade",
        "Cookie": device.cookie(),
        "Upgrade": "websocket",
        "Origin": origin,
        "Sec-WebSocket-Key": "c2l4dGVlbiBieXRlcyAhIQ==",
        "Sec-WebSocket-Protocol": "janus-protocol",
        "Sec-WebSocket-Version": "13",
    }
    with ask(f"{device.url}janus/ws", headers=headers, stream=True) as answer:
        return answer.status_code


@pytest.mark.parametrize(
    "origin",
    ["https://other.example", "http://{address}", "https://{address}.example", "null", None],
)
def test_socket_refuses_foreign_pages(device: Device, origin: str | None):
    """And whoever does not say from where he comes."""
    assert ask_for_socket(device, origin and origin.format(address=device.address)) == 403


def test_socket_accepts_the_devices_own_page(device: Device):
    assert ask_for_socket(device, f"https://{device.address}") == 101


def test_http_only_redirects(device: Device):
    answer = ask(f"http://{device.address}/some/path?x=1")
    assert answer.status_code == 308
    assert answer.headers["Location"] == f"https://{device.address}/some/path?x=1"


@pytest.mark.parametrize("path", ["", "static/js/main.js", "api/health", "nothing/here"])
def test_every_answer_has_the_security_headers(device: Device, path: str):
    headers = ask(device.url + path).headers
    assert {name: headers.get(name) for name in SECURITY_HEADERS} == SECURITY_HEADERS
    policy = dict(
        [*directive.split(), ""][:2] for directive in headers["Content-Security-Policy"].split(";")
    )
    assert policy["default-src"] == "'none'"
    assert policy["script-src"] == "'self'"
    assert "unsafe" not in headers["Content-Security-Policy"]


def test_page_asks_nobody_else(live: RemoteScreen, device: Device):
    live.collect(10)
    assert {urlsplit(url).hostname for url in live.requests} == {device.address}
    assert live.page.evaluate("observer.peers.at(-1).configuration.iceServers") == []


def test_page_has_nothing_to_complain_about(live: RemoteScreen):
    live.collect(10)
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
