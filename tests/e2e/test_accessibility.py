# SPDX-License-Identifier: MIT
"""The page is there for everybody: for a screen reader, without a mouse, on a small screen, in each language."""

import re
from collections.abc import Callable

import pytest

from tests.support.accessibility import (
    FINGER_PX,
    LOOKS,
    assert_accessible,
    assert_tab_reaches_everything,
    show,
    small_targets,
    tab_to,
    violations,
)
from tests.support.clients import Client, add_user, log_in
from tests.support.device import SINK, Device
from tests.support.remote_screen import RemoteScreen
from tests.support.simulated_computer import SimulatedComputer, wait_for_desk
from tests.support.waiting import wait_until

# The device made its certificate itself.
pytestmark = pytest.mark.filterwarnings("ignore:Unverified HTTPS request")

LANGUAGES = ["de", "ja", "en"]
CHORD = ["ControlLeft", "AltLeft", "ShiftLeft"]


def speak(screen: RemoteScreen, language: str) -> None:
    """As somebody who chose the language here before."""
    screen.page.context.add_cookies(
        [
            {
                "name": "__Host-tinypilot-language",
                "value": language,
                "url": screen.url,
                "secure": True,
            }
        ]
    )
    screen.page.reload()
    screen.wait_for(f"html[lang={language}]")


def leave_keyboard(screen: RemoteScreen) -> None:
    for code in CHORD:
        screen.page.keyboard.down(code)
    for code in CHORD:
        screen.page.keyboard.up(code)
    screen.wait_for("html[data-captured=false]")


def test_axe_finds_something(screen: RemoteScreen):
    """Or nothing below could fail."""
    screen.open("login")
    screen.page.evaluate("document.documentElement.removeAttribute('lang')")
    assert [line for line in violations(screen) if line.startswith("html-has-lang")]


def test_the_doors_pages(new_screen: Callable[..., RemoteScreen], ada: Client, device: Device):
    screen = new_screen(role=None)
    page = screen.page
    screen.open("setup")
    page.get_by_role("button", name="Set up", disabled=False).wait_for()
    assert_accessible(screen, "set-up")
    screen.open("login")
    for button, language in [("Deutsch", "de"), ("日本語", "ja"), ("English", "en")]:
        page.get_by_role("button", name=button).click()
        screen.wait_for(f"html[lang={language}]")
        page.locator("[type=submit]:enabled").wait_for()
        assert_accessible(screen, f"login in {language}")
    assert_tab_reaches_everything(screen)
    page.get_by_label("Name").fill("ada")
    page.get_by_label("Password").fill("wrong password")
    page.get_by_role("button", name="Log in").click()
    page.get_by_text("The name or the password is wrong.").wait_for()
    assert_accessible(screen, "login refused")
    log_in(screen, "ada")
    screen.wait_until_live()
    add_user(ada, "bob", "operator")
    screen.open("account")
    for language in LANGUAGES:
        speak(screen, language)
        page.locator("#users select").first.wait_for()
        assert_accessible(screen, f"an admin's account in {language}")
    assert_tab_reaches_everything(screen)
    screen.open("settings")
    for language in LANGUAGES:
        speak(screen, language)
        page.locator("#power button:enabled").first.wait_for()
        page.locator("#ice-way").select_option("secret")
        assert_accessible(screen, f"settings in {language}")
    assert_tab_reaches_everything(screen)


def test_the_account_of_each_role(
    new_screen: Callable[..., RemoteScreen], ada: Client, device: Device
):
    """Those that manage nobody; an admin's is above."""
    for role in ("viewer", "operator"):
        add_user(ada, role, role)
        screen = new_screen(role=None)
        screen.open("account")
        log_in(screen, role)
        screen.page.locator("#log-out:enabled").wait_for()
        assert_accessible(screen, f"account of a {role}")


def test_the_remote_screen_in_each_state(
    new_screen: Callable[..., RemoteScreen], computer: SimulatedComputer, device: Device
):
    screen = new_screen(role="operator")
    page = screen.page

    # Its scripts do nothing: so it stays as it begins.
    scripts = re.compile("/static/pages/(main|screen).js")
    page.route(scripts, lambda route: route.fulfill(content_type="text/javascript"))
    screen.open().wait_for_state("connecting")
    assert_accessible(screen, "connecting")
    page.unroute(scripts)

    device.sh(f"systemctl stop ustreamer.service && rm -f {SINK}")
    screen.open().wait_for_state("waiting")
    assert_accessible(screen, "waiting")
    device.sh("systemctl start ustreamer.service")
    screen.wait_until_live()

    for language in LANGUAGES:
        speak(screen, language)
        screen.wait_until_live()
        screen.wait_for_control("free")
        assert_accessible(screen, f"live in {language}")
    assert_tab_reaches_everything(screen)

    page.locator("#control-ask").click()
    screen.wait_for_control("mine")
    assert_accessible(screen, "with the controls")
    for menu in page.locator("summary").all():
        menu.click()
        if menu.get_attribute("title") == "Picture":
            page.locator("#show-stats").click()
            page.locator("#stats-list dd").first.wait_for()
        assert_accessible(screen, f"menu {menu.get_attribute('title')}")
        menu.click()
    page.locator("#open-keyboard").click()
    assert_accessible(screen, "on-screen keyboard")
    page.locator("#open-keyboard").click()
    page.locator("#open-paste").click()
    page.locator("#paste-layout").select_option("en-us")
    page.locator("#paste-text").fill("€")
    screen.wait_until(lambda: page.locator("#paste-missing").inner_text(), "€ can't be typed")
    assert_accessible(screen, "paste")
    page.locator("#paste-text").fill("x")
    page.locator("#paste-start:enabled").wait_for()
    assert_tab_reaches_everything(screen)
    page.keyboard.press("Escape")

    device.control(signal="lost")
    screen.wait_for_state("no-signal")
    assert_accessible(screen, "no signal")
    device.control()
    device.unplug()
    screen.wait_for_state("unreachable")
    assert_accessible(screen, "unreachable")


def test_everything_is_done_by_keyboard_alone(new_person, computer: SimulatedComputer):
    screen = new_person()
    page = screen.page

    def use(selector: str, key: str = "Tab") -> None:
        tab_to(screen, page.locator(selector), key)
        page.keyboard.press("Enter")

    use("#control-ask")
    screen.wait_for_control("mine")
    leave_keyboard(screen)

    use("summary[title='Key combinations']")
    use("#record-combination")
    for code in ("ControlLeft", "KeyB"):
        page.keyboard.down(code)
    for code in ("KeyB", "ControlLeft"):
        page.keyboard.up(code)
    use("#own-combinations button:first-child", "Shift+Tab")
    wait_until(
        lambda: any(n == 0 and report[2] == 5 for _, n, report in computer.reports()), "Ctrl+B"
    )
    use("#own-combinations button + button")
    page.locator("#own-combinations li").wait_for(state="detached")
    tab_to(screen, page.locator("#combinations button").first, "Shift+Tab")
    page.keyboard.press("Escape")
    assert page.locator("summary[title='Key combinations']").evaluate(
        "(each) => each === document.activeElement && !each.parentElement.open"
    )

    use("#open-paste")
    tab_to(screen, page.locator("#paste-text"))
    page.keyboard.insert_text("pasted ")
    page.locator("#paste-start:enabled").wait_for()
    use("#paste-start")
    wait_for_desk(screen, lambda desk: desk.tail == "pasted ", "the text is typed")
    use(".paste form button")
    page.locator("#paste").wait_for(state="hidden")
    assert page.evaluate("document.activeElement.id") == "open-paste"

    use("#open-keyboard")
    use(".keyboard-key[data-code=KeyQ]")
    wait_for_desk(screen, lambda desk: desk.tail == "pasted q", "Q of the on-screen keyboard")

    tab_to(screen, page.locator("#stage"))
    screen.wait_for("html[data-captured=true]")
    page.keyboard.press("Tab")
    page.keyboard.press("KeyA")
    wait_for_desk(screen, lambda desk: desk.tail.endswith("a"), "keys go to the computer")
    assert page.evaluate("document.activeElement.id") == "stage"
    leave_keyboard(screen)
    assert page.evaluate("document.activeElement.id") == "control-ask"

    use("#fullscreen")
    screen.wait_until(
        lambda: page.evaluate("document.fullscreenElement?.localName") == "main",
        "it fills the screen",
    )
    screen.wait_for("html[data-captured=true]")
    leave_keyboard(screen)
    screen.wait_until(
        lambda: page.evaluate("document.fullscreenElement === null"), "the bar is there again"
    )
    page.keyboard.press("Enter")  # on the button that gives the controls up
    screen.wait_for_control("free")


def test_fingers_find_large_targets(new_person):
    screen = new_person(has_touch=True, is_mobile=True, viewport={"width": 390, "height": 780})
    screen.page.locator("#control-ask").tap()
    screen.wait_for_control("mine")
    screen.page.locator("summary").first.tap()
    assert small_targets(screen, FINGER_PX) == []
    screen.page.locator("#open-keyboard").tap()
    assert small_targets(screen, FINGER_PX) == []
    screen.page.locator("#open-paste").tap()
    assert small_targets(screen, FINGER_PX) == []
    assert screen.page.locator("#lock-pointer").is_hidden()


def test_who_wants_no_motion_sees_none(screen: RemoteScreen, device: Device):
    device.sh(f"systemctl stop ustreamer.service && rm -f {SINK}")
    screen.open().wait_for_state("waiting")
    endless = """() => document.getAnimations()
      .filter((each) => each.effect.getComputedTiming().iterations === Infinity).length"""
    assert screen.page.evaluate(endless) > 0
    screen.page.emulate_media(reduced_motion="reduce")
    assert screen.page.evaluate(endless) == 0


def test_forced_colours_leave_states_to_be_seen(new_person):
    screen = new_person(forced_colors="active")
    page = screen.page
    show(screen, LOOKS[0])
    assert violations(screen) == []
    page.locator("#control-ask").click()
    screen.wait_for_control("mine")
    page.locator("#open-keyboard").click()
    key = page.locator(".keyboard-key[data-code=ShiftLeft]")
    background = "(each) => getComputedStyle(each).backgroundColor"
    before = key.evaluate(background)
    key.click()
    assert key.evaluate(background) != before
    assert violations(screen) == []
