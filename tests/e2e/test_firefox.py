# SPDX-License-Identifier: MIT
"""The product in Firefox: what the tests of keyboard and mouse show in Chromium, the same tests show here.

Not all of them, because each costs its time. And these can't be shown here:
- the lights of the locks: WebDriver has no Caps Lock;
- the browser's zoom: WebDriver BiDi has none.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Browser, Playwright

from tests.support.accessibility import LOOKS, assert_accessible, show
from tests.support.clients import Client, log_in
from tests.support.device import Device
from tests.support.remote_screen import RemoteScreen, launch_firefox

from .test_input import (
    FOX,
    assert_pointer_follows,
    test_each_button_is_pressed_also_where_the_mouse_is_relative,
    test_modifiers_are_physical_and_shown,
    test_the_wheel_turns_both_ways_and_sideways,
    type_keys,
)
from .test_settings import BITRATE, admin

__all__ = [
    "admin",
    "test_each_button_is_pressed_also_where_the_mouse_is_relative",
    "test_modifiers_are_physical_and_shown",
    "test_the_wheel_turns_both_ways_and_sideways",
]

# The device made its certificate itself.
pytestmark = pytest.mark.filterwarnings("ignore:Unverified HTTPS request")

# Debian's Firefox has no H.264 in WebRTC: Mozilla's builds download Cisco's.
TRANSPORT = "mjpeg"


@pytest.fixture(scope="session")
def browser(playwright: Playwright) -> Iterator[Browser]:
    """Instead of Chromium, for each fixture and test here."""
    browser = launch_firefox(playwright)
    yield browser
    browser.close()


def errors(screen: RemoteScreen) -> list[str]:
    return [line for line in screen.console if line.startswith("error:")]


def test_from_the_login_to_the_picture(
    new_screen: Callable[..., RemoteScreen], ada: Client, device: Device
):
    screen = new_screen(role=None).open()
    log_in(screen, "ada")
    screen.wait_until_shown(TRANSPORT)
    before = screen.shown.counter
    screen.wait_until(
        lambda: screen.shown.is_good and screen.shown.counter > before + 10, "the picture moves on"
    )
    assert screen.transport == TRANSPORT
    assert errors(screen) == []
    assert screen.page.evaluate("observer.violations") == []


def test_a_setting_is_applied_and_shown(
    new_screen: Callable[..., RemoteScreen], admin: Client, device: Device
):
    screen = new_screen(role="admin")
    page = screen.page
    page.goto(f"{device.url}settings")
    bitrate = page.get_by_label("Bitrate (kbit/s)")
    apply = page.locator("#ustreamer").get_by_role("button", name="Apply", disabled=False)
    bitrate.fill("20001")
    apply.click()
    page.get_by_text("Bitrate (kbit/s) must be a whole number from 25 to 20000.").wait_for()
    bitrate.fill("2500")
    apply.click()
    page.get_by_text("Applied.").wait_for()
    assert admin.ask("GET", "/api/settings").json()["settings"][BITRATE]["value"] == 2500
    page.reload()
    page.locator("#power button:enabled").first.wait_for()
    assert bitrate.input_value() == "2500"
    assert errors(screen) == []


def test_axe_finds_nothing(new_screen: Callable[..., RemoteScreen], device: Device):
    screen = new_screen(role=None)
    screen.page.goto(f"{device.url}login")
    screen.page.locator("[type=submit]:enabled").wait_for()
    show(screen, next(look for look in LOOKS if look.scheme == "dark"))
    assert screen.page.evaluate("matchMedia('(prefers-color-scheme: dark)').matches")
    assert_accessible(screen, "login in Firefox")
    screen.page.context.add_cookies([device.browser_cookie("admin")])
    screen.open().wait_until_shown(TRANSPORT)
    assert_accessible(screen, "live in Firefox")
    screen.page.goto(f"{device.url}settings")
    screen.page.locator("#power button:enabled").first.wait_for()
    assert_accessible(screen, "settings in Firefox")
