# SPDX-License-Identifier: MIT
"""Keyboard events as other browsers and systems send them, by synthetic events on the picture."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.support.remote_screen import RemoteScreen
from tests.support.simulated_computer import SimulatedComputer, text_crc, wait_for_desk

# The device made its certificate itself.
pytestmark = pytest.mark.filterwarnings("ignore:Unverified HTTPS request")

DISPATCH = """([type, code, key, flags]) => document.getElementById('stage').dispatchEvent(
  new KeyboardEvent(type, { code, key, bubbles: true, cancelable: true, ...flags }))"""
SHIFT = {"shiftKey": True}


def happen(screen: RemoteScreen, kind: str, code: str, key: str, flags: dict | None = None) -> None:
    screen.page.evaluate(DISPATCH, [f"key{kind}", code, key, flags or {}])


def stroke(screen: RemoteScreen, code: str, key: str, flags: dict | None = None) -> None:
    for kind in ("down", "up"):
        happen(screen, kind, code, key, flags)


def assert_typed(screen: RemoteScreen, text: str) -> None:
    wait_for_desk(
        screen,
        lambda desk: (
            desk.text_crc == text_crc(text) and desk.modifiers == 0 and desk.keys == bytes(6)
        ),
        f"{text} is typed and nothing is down",
    )


def test_what_a_browser_hides_and_a_system_keeps_is_made_up_for(
    owner: RemoteScreen, computer: SimulatedComputer
):
    # Shift and AltGr of browsers that resist fingerprinting.
    computer.tell("layout de")
    stroke(owner, "KeyA", "A", SHIFT)
    stroke(owner, "Digit1", "!", SHIFT)
    stroke(owner, "KeyQ", "@")
    stroke(owner, "KeyQ", "@", {"modifierAltGraph": True})
    stroke(owner, "KeyQ", "@", {"ctrlKey": True, "altKey": True})
    stroke(owner, "KeyB", "b")
    assert_typed(owner, "A!@@@b")

    # Both Shift keys, with one release; and a Windows key that the system took.
    computer.tell("layout us", "clear")
    wait_for_desk(owner, lambda desk: desk.typed == 0, "nothing is typed yet")
    happen(owner, "down", "ShiftLeft", "Shift", SHIFT)
    happen(owner, "down", "ShiftRight", "Shift", SHIFT)
    happen(owner, "up", "ShiftRight", "Shift")
    stroke(owner, "KeyA", "a")
    happen(owner, "down", "MetaLeft", "Meta", {"metaKey": True})
    happen(owner, "down", "Space", " ", {"metaKey": True})
    stroke(owner, "KeyE", "e")
    wait_for_desk(owner, lambda desk: desk.tail.endswith("e"), "e is typed")
    wait_for_desk(owner, lambda desk: desk.modifiers == 0 and desk.keys == bytes(6), "all is up")

    # One event alone.
    happen(owner, "down", "Backquote", "Zenkaku")
    happen(owner, "down", "Backquote", "Hankaku")
    happen(owner, "up", "PrintScreen", "PrintScreen")
    owner.wait_until(
        lambda: (
            [report[2] for _, n, report in computer.reports() if n == 0 and any(report)][-3:]
            == [0x35, 0x35, 0x46]
        ),
        "two presses of the key left of 1, and one of PrintScreen",
    )
    wait_for_desk(owner, lambda desk: desk.keys == bytes(6), "nothing is down")


def test_who_takes_the_controls_types_on(new_person: Callable[..., RemoteScreen]):
    screen = new_person()
    screen.page.locator("#control-ask").click()
    # At once, as a person would who sees the picture already.
    for code in ("KeyA", "Space", "KeyB"):
        screen.page.keyboard.press(code)
    screen.wait_for_control("mine")
    assert_typed(screen, "a b")
    assert screen.page.evaluate("document.activeElement.id") == "stage"


BLOCKED = """for (const name of ['localStorage', 'sessionStorage'])
  Object.defineProperty(window, name, { get() { throw new DOMException('denied', 'SecurityError'); } });"""
DAMAGED = """for (const name of ['picture-view', 'picture-transport', 'paste-layout', 'paste-pace', 'combinations'])
  localStorage.setItem(name, name === 'combinations' ? 'null' : '{');"""


@pytest.mark.parametrize("script", [BLOCKED, DAMAGED], ids=["blocked", "damaged"])
def test_the_page_starts_whatever_became_of_its_site_data(
    new_screen: Callable[..., RemoteScreen], script: str
):
    screen = new_screen(role="operator")
    screen.page.add_init_script(script)
    screen.open().wait_until_live()
    screen.wait_for_control("free")
    assert screen.transport == "webrtc"
    assert [line for line in screen.console if line.startswith("error:")] == []


def test_a_line_of_a_web_page_is_pasted_slowly(owner: RemoteScreen, computer: SimulatedComputer):
    page = owner.page
    page.locator("#open-paste").click()
    page.locator("#paste-layout").select_option("en-us")
    page.locator("#paste-pace").select_option("slow")
    page.locator("#paste-text").fill("\ufeffgrep \u2018a\u2019 \u201cB\u201d \u2014\u00a0€")
    page.locator("#paste-replace").click()
    owner.wait_until(
        lambda: (
            page.locator("#paste-missing").inner_text() == "This layout can't type: €"
            and page.locator("#paste-replace").is_hidden()
        ),
        "what nothing replaces is left",
    )
    page.locator("#paste-leave-out").click()
    page.locator("#paste-start:enabled").wait_for()
    page.locator("#paste-start").click()
    assert_typed(owner, """grep 'a' "B" - """)


def test_firmware_that_looks_now_and_then_misses_nothing(
    owner: RemoteScreen, computer: SimulatedComputer
):
    computer.tell("usb bios", "leds caps")
    owner.page.locator("#led-caps").wait_for(state="visible")
    page = owner.page
    page.locator("#open-paste").click()
    page.locator("#paste-layout").select_option("en-us")
    page.locator("#paste-pace").select_option("slow")
    page.locator("#paste-text").fill("C:\\Program Files\\aaBB")
    page.locator("#paste-start:enabled").wait_for()
    page.locator("#paste-start").click()
    assert_typed(owner, "C:\\Program Files\\aaBB")
    page.locator(".paste form button").click()
    # A press of a button of the on-screen keyboard has no duration of its own.
    page.locator("#open-keyboard").click()
    for code in ("CapsLock", "KeyQ", "KeyQ", "ShiftLeft", "KeyQ"):
        page.locator(f".keyboard-key[data-code={code}]").click()
    assert_typed(owner, "C:\\Program Files\\aaBBqqQ")


def test_keys_without_a_place_and_a_phones_keyboard_type(
    new_person: Callable[..., RemoteScreen], computer: SimulatedComputer
):
    computer.tell("layout de")
    screen = new_person(has_touch=True, is_mobile=True, viewport={"width": 800, "height": 600})
    page = screen.page
    page.locator("#control-ask").tap()
    screen.wait_for_control("mine")
    page.locator("#open-paste").tap()
    page.locator("#paste-layout").select_option("de")
    page.locator(".paste form button").tap()
    page.locator("#stage").focus()
    screen.wait_for("html[data-captured=true]")
    # Stream decks and remote desktops.
    for key in ("z", "@", "\u00fc", "Z"):
        stroke(screen, "", key)
    stroke(screen, "", "Tab")
    wait_for_desk(screen, lambda desk: desk.text_crc == text_crc("z@\u00fcZ\t"), "all is typed")
    page.locator("#open-soft-keyboard").tap()
    screen.wait_until(
        lambda: page.evaluate("document.activeElement.dataset.ready") == "true",
        "the phone's keyboard is there",
    )
    page.keyboard.insert_text("qzh")
    for _ in range(2):
        page.keyboard.press("Backspace")
    page.keyboard.insert_text("hz Yak\n")
    assert_typed(screen, "z@\u00fcZ\tqhz Yak\n")


def test_full_screen_without_keyboard_lock_has_a_leader_key(
    new_screen: Callable[..., RemoteScreen], computer: SimulatedComputer
):
    screen = new_screen(role="operator")
    screen.page.add_init_script("delete Navigator.prototype.keyboard")
    screen.open().wait_until_live()
    screen.page.locator("#control-ask").click()
    screen.wait_for_control("mine")
    screen.page.locator("#fullscreen").click()
    hint = screen.page.locator("#leader-hint")
    hint.wait_for(state="visible")
    assert "1: Esc" in hint.inner_text()
    for code in ("ControlRight", "Digit1"):
        screen.page.keyboard.press(code)
    screen.wait_until(
        lambda: 0x29 in [report[2] for _, n, report in computer.reports() if n == 0],
        "Escape arrives",
    )
    assert screen.page.evaluate("document.fullscreenElement !== null")
    assert 0x1E not in [report[2] for _, n, report in computer.reports()[-10:] if n == 0]
