# SPDX-License-Identifier: MIT
"""Fixtures. Each test gets a device in its default state and must be able to give it back so."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from tests.support.clients import PASSWORD, Client, log_in, without_users
from tests.support.device import CONTROL_FILE, Device
from tests.support.failures import pytest_runtest_makereport
from tests.support.fixtures import (
    artifacts,
    browser,
    device,
    encoder_chip,
    live,
    new_screen,
    playwright,
    screen,
    software_encoder,
)
from tests.support.remote_screen import RemoteScreen
from tests.support.simulated_computer import SimulatedComputer, read_desk

__all__ = [
    "artifacts",
    "browser",
    "device",
    "encoder_chip",
    "live",
    "new_screen",
    "playwright",
    "pytest_runtest_makereport",
    "screen",
    "software_encoder",
]


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("appliance")
    group.addoption(
        "--device", help="name of a virtual Pi's container; the tests break its services"
    )
    group.addoption(
        "--stalled-keys", type=int, default=100, help="how many are typed over a line that stalls"
    )
    group.addoption(
        "--each-hang", action="store_true", help="all that may hang, not one of each kind"
    )
    group.addoption(
        "--each-defect", action="store_true", help="all that an encoder may do, not one of it"
    )
    group.addoption(
        "--each-fault", action="store_true", help="all that the doctor must name, not a quarter"
    )
    group.addoption(
        "--refresh-screenshot", action="store_true", help="write the pictures of the README anew"
    )


@pytest.fixture(scope="session")
def virtual_pi(pytestconfig: pytest.Config) -> Iterator[Device]:
    name = pytestconfig.getoption("--device")
    if not name:
        pytest.exit("--device=NAME must name the container of a virtual Pi", returncode=4)
    device = Device(name)
    device.restore()
    yield device
    device.sh(f"rm -f {CONTROL_FILE}")


@pytest.fixture
def no_users(device: Device) -> Iterator[Device]:
    """The device before its first user."""
    with without_users(device):
        yield device


@pytest.fixture
def ada(no_users: Device) -> Client:
    """The first user, an admin, logged in."""
    client = Client(no_users)
    code = no_users.sh("tinypilot setup-code").strip()
    answer = client.ask("POST", "/api/setup", {"code": code, "name": "ada", "password": PASSWORD})
    assert answer.status_code == 200
    return client


@pytest.fixture
def computer(device: Device) -> Iterator[SimulatedComputer]:
    """The attached computer, on whose desk nothing is; its screen is the picture.

    No key repeats itself: how long a test takes to let go of one depends on the machine.
    """
    computer = SimulatedComputer(device)
    computer.restore()
    computer.tell("repeat off")
    device.control(content="computer")
    yield computer
    computer.restore()


@pytest.fixture
def new_person(computer, new_screen) -> Callable[..., RemoteScreen]:
    """Opens the page as somebody of this role, or logs in as a user, and sees the desk."""

    def make(role: str = "operator", user: str | None = None, **options) -> RemoteScreen:
        screen = new_screen(role=None if user else role, **options).open()
        if user:
            log_in(screen, user)
        screen.wait_until_live()
        read_desk(screen)
        return screen

    return make


@pytest.fixture
def owner(new_person) -> RemoteScreen:
    """Somebody who has the controls, and whose keys go to the computer."""
    screen = new_person()
    # The test before may have left it in another.
    screen.wait_until(
        lambda: screen.newest and (screen.newest.width, screen.newest.height) == (1280, 720),
        "the picture is in the computer's default mode",
    )
    screen.page.locator("#control-ask").click()
    screen.wait_for_control("mine")
    screen.page.locator("#stage").focus()
    screen.wait_for("html[data-captured=true]")
    return screen


class _EmptyPage(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.end_headers()
        self.wfile.write(b"<!doctype html><title>Foreign</title><body></body>")

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def foreign_page() -> Iterator[str]:
    """The address of a page of another site."""
    with ThreadingHTTPServer(("127.0.0.1", 0), _EmptyPage) as server:
        threading.Thread(target=server.serve_forever).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()
