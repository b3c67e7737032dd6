# SPDX-License-Identifier: MIT
"""Fixtures. Each test gets a device in its default state and must be able to give it back so."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from tests.support import remote_screen
from tests.support.clients import PASSWORD, Client, log_in, without_users
from tests.support.device import Device
from tests.support.remote_screen import RemoteScreen, launch_browser
from tests.support.simulated_computer import SimulatedComputer, read_desk

BUILD = Path(__file__).parents[2] / "build"
JOURNAL_SECONDS = 60

failed = pytest.StashKey[bool]()


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("appliance")
    group.addoption(
        "--device", help="name of a virtual Pi's container; the tests break its services"
    )
    group.addoption(
        "--refresh-screenshot", action="store_true", help="write the pictures of the README anew"
    )


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo):
    report = yield
    if report.failed:
        item.stash[failed] = True
    return report


@pytest.fixture(scope="session")
def virtual_pi(pytestconfig: pytest.Config) -> Device:
    name = pytestconfig.getoption("--device")
    if not name:
        pytest.exit("--device=NAME must name the container of a virtual Pi", returncode=4)
    device = Device(name)
    device.restore()
    return device


@pytest.fixture
def artifacts(request: pytest.FixtureRequest) -> Path:
    """The folder for what a failed test leaves behind."""
    return BUILD / "failures" / re.sub(r"\W+", "-", request.node.name).strip("-")


@pytest.fixture
def device(request: pytest.FixtureRequest, virtual_pi: Device, artifacts: Path) -> Iterator[Device]:
    """The virtual Pi; whatever the test does to it is undone, and that it came back is checked."""
    yield virtual_pi
    if request.node.stash.get(failed, False):
        artifacts.mkdir(parents=True, exist_ok=True)
        (artifacts / "journal.txt").write_text(virtual_pi.journal(JOURNAL_SECONDS))
    virtual_pi.restore()


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    with launch_browser() as browser:
        yield browser


@pytest.fixture
def new_screen(
    request: pytest.FixtureRequest, browser: Browser, device: Device, artifacts: Path
) -> Iterator[Callable[..., RemoteScreen]]:
    """Makes pages, see remote_screen.new_screen()."""
    # They are closed before their users go: Chromium may never close one that is just being sent to the login.
    if "no_users" in request.fixturenames:
        request.getfixturevalue("no_users")
    screens: list[RemoteScreen] = []

    def make(**options) -> RemoteScreen:
        screens.append(remote_screen.new_screen(browser, device, **options))
        return screens[-1]

    yield make
    for number, screen in enumerate(screens):
        if request.node.stash.get(failed, False) and not screen.page.is_closed():
            keep_artifacts(screen, artifacts, number)
        screen.page.context.close()


def keep_artifacts(screen: RemoteScreen, folder: Path, number: int) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    screen.page.screenshot(path=folder / f"page-{number}.png")
    (folder / f"page-{number}.txt").write_text("\n".join(screen.console) + "\n")
    observed = screen.page.evaluate("({...globalThis.observer})")
    (folder / f"page-{number}.json").write_text(json.dumps(observed, indent=1))


@pytest.fixture
def screen(new_screen: Callable[..., RemoteScreen]) -> RemoteScreen:
    """A page that was not opened yet."""
    return new_screen()


@pytest.fixture
def live(screen: RemoteScreen) -> RemoteScreen:
    """A page that shows the live picture."""
    screen.open().wait_until_live()
    return screen


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
    """The attached computer, on whose desk nothing is; its screen is the picture."""
    computer = SimulatedComputer(device)
    computer.restore()
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
