# SPDX-License-Identifier: MIT
"""The web UI through a tunnel, and behind reverse proxies."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass

import pytest
import requests
from playwright.sync_api import Browser, Route

from tests.support.device import Device
from tests.support.remote_screen import RemoteScreen
from tests.support.remote_screen import new_screen as new_screen_in

# The device made its certificate itself.
pytestmark = pytest.mark.filterwarnings("ignore:Unverified HTTPS request")


def ask(device: Device, path: str, **headers: str) -> requests.Response:
    return requests.get(
        device.url + path, headers=headers, verify=False, allow_redirects=False, timeout=10
    )


# --- A tunnel, as `ssh -L 8443:localhost:443` makes one ---


@dataclass(frozen=True)
class DeviceThroughTunnel(Device):
    port: int = 0

    @property
    def url(self) -> str:
        return f"https://localhost:{self.port}/"


def _hand_on(source: socket.socket, drain: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(65536):
            drain.sendall(data)
    with suppress(OSError):
        drain.shutdown(socket.SHUT_WR)


@pytest.fixture
def tunnel(device: Device) -> Iterator[DeviceThroughTunnel]:
    listening = socket.create_server(("127.0.0.1", 0))
    ends: list[socket.socket] = []

    def serve() -> None:
        while True:
            try:
                here = listening.accept()[0]
            except OSError:
                return
            there = socket.create_connection((device.address, 443))
            ends.extend((here, there))
            for way in ((here, there), (there, here)):
                threading.Thread(target=_hand_on, args=way, daemon=True).start()

    thread = threading.Thread(target=serve)
    thread.start()
    yield DeviceThroughTunnel(device.name, listening.getsockname()[1])
    listening.shutdown(socket.SHUT_RDWR)
    listening.close()
    thread.join()
    for end in ends:
        end.close()


def test_the_page_works_through_a_tunnel(browser: Browser, tunnel: DeviceThroughTunnel):
    screen = new_screen_in(browser, tunnel, role="operator").open()
    try:
        screen.wait_until_live()
        screen.page.locator("#control-ask").click()
        screen.wait_for_control("mine")
    finally:
        screen.page.context.close()


# --- A reverse proxy ---


def test_a_proxys_name_is_refused_with_what_to_set(device: Device):
    answer = ask(device, "setup", Host="kvm.example.org")
    assert answer.status_code == 421
    assert "kvm.example.org is no name of this device. Put it into gateway_hosts" in answer.text


@pytest.mark.parametrize(
    ("port", "origin_port", "status"), [("", "", 401), (":443", "", 401), ("", ":8443", 403)]
)
def test_a_websocket_is_the_pages_own_whatever_port_a_proxy_names(
    device: Device, port: str, origin_port: str, status: int
):
    """401: nothing but the session is missing."""
    for path in ("janus/ws", "api/h264", "api/jpegs", "api/hid"):
        host = f"{device.address}{port}"
        origin = f"https://{device.address}{origin_port}"
        assert ask(device, path, Host=host, Origin=origin).status_code == status, path


@pytest.mark.parametrize("path", ["kvm/", "kvm/login", "kvm/static/common/base.css"])
def test_a_path_that_a_proxy_passes_on_is_refused_in_a_sentence(device: Device, path: str):
    answer = ask(device, path)
    assert answer.status_code == 404
    assert answer.text.startswith("Nothing is here. The web UI must be at the root of a host name")


def test_below_a_path_that_a_proxy_takes_away_the_login_says_why(
    new_screen: Callable[..., RemoteScreen], device: Device
):
    """The proxy is the browser's own: it knows one folder, and nothing beside it."""
    page = new_screen(role=None).page

    def proxy(route: Route) -> None:
        _, _, path = route.request.url.partition("https://proxy.example/kvm/")
        if route.request.url == f"https://proxy.example/kvm/{path}":
            answer = ask(device, path, Host=device.address)
            headers = {
                name: value for name, value in answer.headers.items() if name != "Content-Encoding"
            }
            route.fulfill(status=answer.status_code, headers=headers, body=answer.content)
        else:
            route.fulfill(status=404, body="another site")

    page.route("https://proxy.example/**", proxy)
    # Where the browser would go by itself: what a redirect of a test leads to is not the test's to answer.
    location = ""
    while answer := ask(device, location).headers.get("Location"):
        location = answer
        assert location.partition("?")[0] in ("login", "setup")
    page.goto(f"https://proxy.example/kvm/{location}")
    page.get_by_text("must be at the root of a host name").wait_for()
    page.goto(f"{device.url}{location}")
    page.get_by_role("heading").first.wait_for()
    assert not page.get_by_text("must be at the root of a host name").is_visible()
