# SPDX-License-Identifier: MIT
"""Fixtures of the suites that look at a virtual Pi. A conftest.py imports them, and has `virtual_pi` or a `device` of
its own."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Playwright, sync_playwright

from . import remote_screen
from .device import Device
from .failures import failed, folder_of
from .remote_screen import RemoteScreen, launch_chromium

# Of what page and Janus said to each other, in the artifacts of a failed test.
MESSAGES_KEPT = 100


@pytest.fixture
def artifacts(request: pytest.FixtureRequest) -> Path:
    """The folder for what a failed test leaves behind."""
    return folder_of(request.node)


@pytest.fixture
def device(virtual_pi: Device) -> Iterator[Device]:
    """The virtual Pi; whatever the test does to it is undone, and that it came back is checked."""
    yield virtual_pi
    virtual_pi.restore()


@pytest.fixture
def encoder_chip(device: Device) -> None:
    """For tests of what a chip, which the emulator is, may do."""
    if device.encodes_in_software:
        pytest.skip("The emulated encoder chip is not used: this device encodes in software.")


@pytest.fixture
def software_encoder(device: Device) -> None:
    """For tests of what takes its place."""
    if not device.encodes_in_software:
        pytest.skip("This device has an encoder chip: `make test-software` tries one without.")


@pytest.fixture(scope="session")
def playwright() -> Iterator[Playwright]:
    with sync_playwright() as playwright:
        yield playwright


@pytest.fixture(scope="session")
def browser(playwright: Playwright) -> Iterator[Browser]:
    browser = launch_chromium(playwright)
    yield browser
    browser.close()


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
    observed["janus"] = {
        "sent": screen.sent[-MESSAGES_KEPT:],
        "received": screen.received[-MESSAGES_KEPT:],
    }
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
