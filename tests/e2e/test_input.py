# SPDX-License-Identifier: MIT
"""Keyboard and mouse: what is done in a browser is read out of the decoded picture."""

from __future__ import annotations

import itertools
import shlex
from collections.abc import Callable

import pytest

from tests.support.remote_screen import RemoteScreen
from tests.support.simulated_computer import (
    SimulatedComputer,
    read_desk,
    text_crc,
    wait_for_desk,
)
from tests.support.waiting import wait_until

from .test_transport import choose_transport

# The device made its certificate itself.
pytestmark = pytest.mark.filterwarnings("ignore:Unverified HTTPS request")

FOX = "The quick brown fox jumps over the lazy dog"
# The positions on a US keyboard of what is no letter; @ is where German layouts have it.
POSITIONS = {" ": ["Space"], "#": ["ShiftLeft", "Digit3"], "@": ["AltRight", "KeyQ"]}


def press(screen: RemoteScreen, *codes: str) -> None:
    for code in codes:
        screen.page.keyboard.down(code)
    for code in reversed(codes):
        screen.page.keyboard.up(code)


def type_keys(screen: RemoteScreen, text: str) -> None:
    """By their positions on a US keyboard."""
    for letter in text:
        shift = ["ShiftLeft"] if letter.isupper() else []
        press(screen, *POSITIONS.get(letter, [*shift, f"Key{letter.upper()}"]))


SHOWN_BY_LAYOUT = {
    "us": "The quick brown fox jumps over the lazy dog#q",
    "gb": "The quick brown fox jumps over the lazy dog£@",
    "de": "The quick brown fox jumps over the layz dog§@",
    "cz": "The quick brown fox jumps over the layz dog3\\",
    "fr": "The auick brozn fox ju,ps over the lqwy dog3æ",
}


def test_what_is_typed_is_shown_as_the_computers_layout_has_it(owner, computer):
    for layout, shown in SHOWN_BY_LAYOUT.items():
        computer.tell(f"layout {layout}", "clear")
        wait_for_desk(owner, lambda desk: desk.typed == 0, "nothing is typed yet")
        type_keys(owner, f"{FOX}#@")
        wait_for_desk(
            owner,
            lambda desk, shown=shown: desk.text_crc == text_crc(shown),
            f"all is typed, with the layout {layout}",
        )
        desk = wait_for_desk(
            owner, lambda desk: desk.modifiers == 0 and desk.keys == bytes(6), "nothing is down"
        )
        assert desk.typed == len(shown) and desk.tail == shown[-len(desk.tail) :]


def test_modifiers_are_physical_and_shown(owner):
    bits = ["ControlLeft", "ShiftLeft", "AltLeft", "MetaLeft"]
    bits += [code.replace("Left", "Right") for code in bits]
    for bit, code in enumerate(bits):
        owner.page.keyboard.down(code)
        wait_for_desk(owner, lambda desk, bit=bit: desk.modifiers == 1 << bit, f"{code} is down")
        owner.page.keyboard.up(code)
    wait_for_desk(owner, lambda desk: desk.modifiers == 0, "nothing is down")


def test_leds_come_back_to_the_page(owner, computer):
    press(owner, "CapsLock")
    wait_for_desk(owner, lambda desk: desk.leds == 2, "Caps Lock is lit")
    owner.page.locator("#led-caps").wait_for(state="visible")
    computer.tell("leds num scroll")
    owner.page.locator("#led-caps").wait_for(state="hidden")
    owner.page.locator("#led-num").wait_for(state="visible")
    owner.page.locator("#led-scroll").wait_for(state="visible")


@pytest.mark.parametrize("mode", ["1280x720", "1024x768", "640x480"])
def test_the_pointer_is_where_the_mouse_is(owner, computer, mode):
    width, height = map(int, mode.split("x"))
    computer.tell(f"mode {mode}")
    owner.wait_until(
        lambda: owner.newest and (owner.newest.width, owner.newest.height) == (width, height),
        "the picture has the new size",
    )
    for window in ((1280, 800), (900, 1000), (1920, 600)):
        owner.page.set_viewport_size(dict(zip(("width", "height"), window, strict=True)))
        owner.wait_until_laid_out()
        box = owner.page.locator("#stage").bounding_box()
        scale = min(box["width"] / width, box["height"] / height)
        left = box["x"] + (box["width"] - width * scale) / 2
        top = box["y"] + (box["height"] - height * scale) / 2
        places = [(3, 200), (width // 2, height // 2), (width - 4, height - 4)]
        assert_pointer_follows(
            owner, {(x, y): (left + (x + 0.5) * scale, top + (y + 0.5) * scale) for x, y in places}
        )


def assert_pointer_follows(owner: RemoteScreen, places: dict[tuple[int, int], tuple[float, float]]):
    """A click at the page's place (value) is one at the computer's (key)."""
    owner.wait_until_laid_out()
    for (x, y), point in places.items():
        owner.page.mouse.move(*point)
        owner.page.mouse.down()
        desk = wait_for_desk(owner, lambda desk: desk.buttons == 1, "the button is down")
        assert abs(desk.pointer[0] - x) <= 2 and abs(desk.pointer[1] - y) <= 2
        owner.page.mouse.up()
        wait_for_desk(owner, lambda desk: desk.buttons == 0, "the button is up")


def use_picture_menu(owner: RemoteScreen, button: str) -> None:
    menu = owner.page.locator("summary[title=Picture]")
    menu.click()
    owner.page.get_by_role("button", name=button).click()
    menu.click()


@pytest.mark.parametrize(
    ("label", "transport"),
    [("H.264 over a WebSocket only", "webcodecs"), ("MJPEG only", "mjpeg")],
)
def test_over_a_websocket_too(owner, label: str, transport: str):
    choose_transport(owner, label)
    owner.wait_for(f"html[data-transport={transport}][data-state=live]")
    wait_for_desk(owner, lambda desk: True, "there is a desk")
    box = owner.page.locator("#stage").bounding_box()
    scale = min(box["width"] / 1280, box["height"] / 720)
    left = box["x"] + (box["width"] - 1280 * scale) / 2
    top = box["y"] + (box["height"] - 720 * scale) / 2
    assert_pointer_follows(owner, {(1000, 600): (left + 1000.5 * scale, top + 600.5 * scale)})
    type_keys(owner, FOX)
    wait_for_desk(owner, lambda desk: desk.text_crc == text_crc(FOX), "all is typed")


def test_the_pointer_is_right_between_bars_in_the_picture(owner, computer):
    """A dock shows a screen of 2560 x 1600 in 1080p."""
    bars = (96, 0)
    computer.tell("mode 1920x1080", "letterbox 2560x1600")
    owner.page.locator("#picture-facts", has_text="black bars left out").wait_for()
    box = owner.page.locator("#stage").bounding_box()
    scale = min(box["width"] / 1920, box["height"] / 1080)
    left = box["x"] + (box["width"] - 1920 * scale) / 2
    top = box["y"] + (box["height"] - 1080 * scale) / 2
    # Of the screen as it is in the picture, which is 1728 wide there.
    for x, y in [(3, 200), (864, 540), (1724, 1076)]:
        owner.page.mouse.move(left + (bars[0] + x + 0.5) * scale, top + (y + 0.5) * scale)
        owner.page.mouse.down()
        desk = wait_for_desk(owner, lambda desk: desk.buttons == 1, "the button is down", bars)
        assert abs(desk.pointer[0] - x) <= 3 and abs(desk.pointer[1] - y) <= 3
        owner.page.mouse.up()
        wait_for_desk(owner, lambda desk: desk.buttons == 0, "the button is up", bars)
    # What is no bar any more is not left out.
    computer.tell("letterbox off")
    owner.page.locator("#picture-facts", has_not_text="black bars left out").wait_for()
    point = {(1900, 500): (left + 1900.5 * scale, top + 500.5 * scale)}
    assert_pointer_follows(owner, point)


def test_the_pointer_follows_a_picture_that_is_scrolled_or_turned(owner):
    owner.page.set_viewport_size({"width": 900, "height": 600})
    use_picture_menu(owner, "1:1")
    box = owner.page.locator("#view").bounding_box()
    scrolled = owner.page.evaluate(
        """() => {
          const view = document.getElementById('view');
          view.scrollTo(200, 150);
          return [view.scrollLeft, view.scrollTop];
        }"""
    )
    assert scrolled == [200, 150]
    assert_pointer_follows(owner, {(400, 300): (box["x"] + 400.5 - 200, box["y"] + 300.5 - 150)})
    use_picture_menu(owner, "1:1")
    use_picture_menu(owner, "Rotate")
    # Fitted again, and turned by a quarter: 1280 pixels from top to bottom.
    scale = min(box["width"] / 720, box["height"] / 1280)
    right = box["x"] + (box["width"] + 720 * scale) / 2
    top = box["y"] + (box["height"] - 1280 * scale) / 2
    assert_pointer_follows(owner, {(1000, 600): (right - 600.5 * scale, top + 1000.5 * scale)})


def zoom_browser(owner: RemoteScreen, zoom: float) -> None:
    """As Ctrl and + do: the window keeps its 1920x1200 pixels of the screen, and the page's become larger."""
    session = owner.page.context.new_cdp_session(owner.page)
    size = {"width": round(1920 / zoom), "height": round(1200 / zoom)}
    session.send(
        "Emulation.setDeviceMetricsOverride", {**size, "deviceScaleFactor": zoom, "mobile": False}
    )
    owner.wait_until(
        lambda: owner.page.evaluate("[devicePixelRatio, innerWidth]") == [zoom, size["width"]],
        f"the page is zoomed to {zoom}",
    )
    owner.wait_until_laid_out()


def test_the_pointer_is_where_the_mouse_is_at_each_zoom_of_the_browser(owner):
    for zoom in (0.75, 1, 1.25, 1.5, 2):
        zoom_browser(owner, zoom)
        box = owner.page.locator("#stage").bounding_box()
        for actual in (False, True):
            if actual:
                use_picture_menu(owner, "1:1")
            # A pixel of the computer's screen in the page's own; pixel for pixel it is one of this screen.
            scale = 1 / zoom if actual else min(box["width"] / 1280, box["height"] / 720)
            left = box["x"] + (box["width"] - 1280 * scale) / 2
            top = box["y"] + (box["height"] - 720 * scale) / 2
            assert_pointer_follows(
                owner, {(1270, 710): (left + 1270.5 * scale, top + 710.5 * scale)}
            )
            if actual:
                use_picture_menu(owner, "1:1")


def test_each_button_is_pressed_also_where_the_mouse_is_relative(owner):
    stage = owner.page.locator("#stage").bounding_box()
    x, y = stage["x"] + stage["width"] / 2, stage["y"] + stage["height"] / 2
    owner.page.mouse.move(x, y)
    press_each_button(owner)
    lock_pointer(owner)
    owner.page.mouse.move(x, y)
    press_each_button(owner)
    assert_pointer_goes(owner, (50, -30), lambda: owner.page.mouse.move(x + 50, y - 30))


def lock_pointer(owner: RemoteScreen) -> None:
    owner.page.locator("#lock-pointer").click()
    owner.wait_until(
        lambda: owner.page.evaluate("document.pointerLockElement?.id") == "stage",
        "the browser gives the pointer to the page",
    )


def assert_pointer_goes(owner: RemoteScreen, way: tuple[int, int], move: Callable) -> None:
    """So many of the computer's pixels right and down when the mouse is moved."""
    before = read_desk(owner).pointer
    move()
    wait_for_desk(
        owner,
        lambda desk: (
            abs(desk.pointer[0] - before[0] - way[0]) <= 2
            and abs(desk.pointer[1] - before[1] - way[1]) <= 2
        ),
        f"the pointer is {way} pixels further",
    )


def press_each_button(owner: RemoteScreen) -> None:
    # As USB counts them.
    for name, bit in {"left": 1, "right": 2, "middle": 4}.items():
        owner.page.mouse.down(button=name)
        wait_for_desk(owner, lambda desk, bit=bit: desk.buttons == bit, f"{name} is down")
        owner.page.mouse.up(button=name)
        wait_for_desk(owner, lambda desk: desk.buttons == 0, f"{name} is up")


def test_the_wheel_turns_both_ways_and_sideways(owner):
    owner.page.locator("#stage").hover()
    owner.page.mouse.wheel(0, 300)
    wait_for_desk(owner, lambda desk: desk.wheel == -3, "the wheel turned down")
    owner.page.mouse.wheel(0, -500)
    wait_for_desk(owner, lambda desk: desk.wheel == 2, "the wheel turned up")
    owner.page.mouse.wheel(200, 0)
    wait_for_desk(owner, lambda desk: desk.pan == 2, "the wheel was tilted")


GERMAN = "Zwölf Boxkämpfer jagen Viktor quer über den Sylter Deich: @[{€}]~ ê! "


def assert_pasted(owner: RemoteScreen, computer: SimulatedComputer, german: str) -> None:
    computer.tell("layout de", "clear")
    owner.page.locator("#open-paste").click()
    owner.page.locator("#paste-layout").select_option("de")
    owner.page.locator("#paste-text").fill(german)
    owner.page.locator("#paste-start").click()
    owner.page.locator("#paste-progress").wait_for(state="visible")
    owner.wait_until(
        lambda: owner.page.locator("#paste-result").inner_text() == "Done.", "it is done", 120
    )
    desk = wait_for_desk(owner, lambda desk: desk.typed == len(german), "all is typed")
    assert desk.text_crc == text_crc(german)


def test_paste_of_2000_characters(owner, computer):
    assert_pasted(owner, computer, (GERMAN * 40)[:2000])


def test_what_cannot_be_typed_is_listed_and_nothing_is_typed(owner):
    owner.page.locator("#open-paste").click()
    owner.page.locator("#paste-layout").select_option("en-us")
    owner.page.locator("#paste-text").fill("10 € für日")
    missing = owner.page.locator("#paste-missing")
    owner.wait_until(lambda: missing.inner_text(), "the characters are listed")
    assert missing.inner_text() == "This layout can't type: € ü 日"
    assert owner.page.locator("#paste-start").is_disabled()
    assert read_desk(owner).typed == 0


def test_a_text_that_is_too_long_is_refused_and_not_cut_off(owner):
    owner.page.locator("#open-paste").click()
    owner.page.locator("#paste-text").fill("a" * 20_001)
    missing = owner.page.locator("#paste-missing")
    owner.wait_until(lambda: missing.inner_text(), "it is said")
    assert (
        missing.inner_text() == "The text has 20,001 characters: up to 20,000 can be typed at once."
    )
    assert owner.page.locator("#paste-start").is_disabled()
    owner.page.locator("#paste-text").fill("a" * 20_000)
    owner.wait_until(lambda: owner.page.locator("#paste-start").is_enabled(), "it can be typed")
    assert missing.inner_text() == ""
    assert read_desk(owner).typed == 0


@pytest.mark.parametrize("way", ["blur", "window", "leave", "crash", "chord", "killed"])
def test_no_key_stays_down(owner, new_person, device, way):
    watcher = new_person("viewer")
    owner.page.bring_to_front()
    owner.page.locator("#stage").focus()
    owner.wait_for("html[data-captured=true]")
    owner.page.keyboard.down("ShiftLeft")
    owner.page.keyboard.down("KeyA")
    wait_for_desk(watcher, lambda desk: desk.modifiers == 2 and desk.keys[0] == 4, "keys are down")
    match way:
        case "blur":
            owner.page.locator("#open-keyboard").focus()
        case "window":
            owner.page.evaluate("dispatchEvent(new Event('blur'))")
        case "leave":
            owner.leave()
        case "crash":
            owner.page.context.close()
        case "chord":
            owner.page.keyboard.up("KeyA")
            owner.page.keyboard.down("ControlLeft")
            owner.page.keyboard.down("AltLeft")
            owner.page.keyboard.up("AltLeft")
            owner.wait_for("html[data-captured=false]")
        case "killed":
            device.kill("tinypilot-hid")
    wait_for_desk(
        watcher, lambda desk: desk.modifiers == 0 and desk.keys == bytes(6), "nothing is down"
    )


def test_the_controls_go_from_one_browser_to_the_other(ada, owner, new_person, device):
    other = new_person(user="ada")
    other.wait_for_control("theirs")
    other.page.locator("#stage").click()
    press(other, "KeyX")
    other.page.locator("#control-ask").click()
    give = owner.page.get_by_role("button", name="Give", exact=True)
    give.wait_for(state="visible")
    assert read_desk(other).typed == 0
    owner.page.locator("#stage").focus()
    owner.page.keyboard.down("KeyA")
    # Perhaps more than once: where the page is kept from saying that the key is still held, it is pressed anew.
    wait_for_desk(
        other, lambda desk: desk.keys[0] == 4 and set(desk.tail) == {"a"}, "the owner types"
    )
    give.click()
    other.wait_for_control("mine")
    owner.wait_for_control("theirs")
    wait_for_desk(other, lambda desk: desk.keys == bytes(6), "nothing is down")
    before = read_desk(other).typed
    other.page.locator("#stage").focus()
    press(other, "KeyB")
    owner.page.locator("#stage").focus()
    press(owner, "KeyC")
    desk = wait_for_desk(other, lambda desk: desk.typed == before + 1, "the new owner types")
    assert desk.tail.endswith("b")
    other.page.locator("#control-ask").click()
    owner.wait_for_control("free")
    owner.page.locator("#stage").click()
    owner.wait_for_control("mine")
    audit = device.sh("journalctl --no-pager -o cat -t tinypilot-audit -n 20").splitlines()
    assert [line for line in audit if "the controls" in line][-4:] == [
        "provisioning took the controls",
        "provisioning gave the controls to ada",
        "ada gave the controls up",
        "provisioning took the controls",
    ]


def test_a_viewer_only_watches(new_person):
    viewer = new_person("viewer")
    viewer.wait_for_control("watching")
    assert viewer.page.locator("#control-ask").is_hidden()
    viewer.page.locator("#stage").click()
    press(viewer, "KeyA")
    assert viewer.page.evaluate(
        """() => new Promise((resolve) => {
          const socket = new WebSocket(`wss://${location.host}/api/hid`);
          socket.onopen = () => {
            socket.send(JSON.stringify({ type: 'ask' }));
            socket.send(JSON.stringify({ type: 'key', code: 'KeyA', down: true }));
            socket.send(JSON.stringify({ type: 'check', layout: 'de', text: 'x' }));
          };
          socket.onmessage = ({ data }) => JSON.parse(data).type === 'checked' && resolve(true);
        })"""
    )
    assert read_desk(viewer).typed == 0 and read_desk(viewer).keys == bytes(6)


def test_a_combination_and_the_on_screen_keyboard(owner, computer):
    menu = owner.page.locator("summary", has_text="Key combinations")
    menu.click()
    owner.page.get_by_role("button", name="Ctrl + Alt + Del", exact=True).click()
    keyboard = [bytes([5, 0, 0x4C]).ljust(8, b"\0"), bytes([5]).ljust(8, b"\0")]
    owner.wait_until(
        lambda: all(
            report in [r for _, n, r in computer.reports() if n == 0] for report in keyboard
        ),
        "Ctrl, Alt and Del arrive",
    )
    menu.click()
    owner.page.locator("#open-keyboard").click()
    owner.page.get_by_role("button", name="Left Shift").click()
    owner.page.locator(".keyboard-key[data-code=KeyQ]").click()
    owner.page.locator(".keyboard-key[data-code=KeyQ]").click()
    wait_for_desk(owner, lambda desk: desk.tail == "Qq", "Q and q are typed")

    # The numeric pad, whose lock is shown as the computer has it.
    num_lock = owner.page.locator(".keyboard-key[data-code=NumLock]")
    num_lock.click()
    wait_for_desk(owner, lambda desk: desk.leds == 1, "Num Lock is lit")
    owner.page.locator(".keyboard-key[data-code=NumLock][aria-pressed=true]").wait_for()
    owner.page.locator(".keyboard-key[data-code=Numpad7]").click()
    wait_for_desk(owner, lambda desk: desk.tail == "Qq7", "a number is typed")

    # Clicked twice a modifier is held, and with it the picture is clicked.
    control = owner.page.locator(".keyboard-key[data-code=ControlLeft]")
    control.click()
    control.click()
    wait_for_desk(owner, lambda desk: desk.modifiers == 1, "Ctrl is down")
    control.click()
    wait_for_desk(owner, lambda desk: desk.modifiers == 0, "Ctrl is up")


def test_the_page_says_when_the_computer_is_gone(owner, computer):
    computer.tell("usb disconnected")
    owner.wait_for("html[data-usb=disconnected]")
    assert "not connected by USB" in owner.page.locator("#control-problem").inner_text()
    computer.tell("usb connected")
    owner.wait_for("html[data-usb=connected]")
    owner.page.locator("#stage").focus()
    press(owner, "KeyA")
    wait_for_desk(owner, lambda desk: desk.tail == "a", "keys arrive again")
    computer.tell("usb stuck")
    owner.wait_for("html[data-usb=silent]")


WRITE_REPORTS = """
import os, sys
device = os.open("/dev/hidg1", os.O_RDWR)
for report in sys.argv[1:]:
    os.write(device, bytes.fromhex(report))
"""


def test_a_report_of_another_length_than_its_descriptor_says_is_not_taken(device, computer):
    short, right, long = (bytes(length - 1) + b"\1" for length in (6, 7, 8))
    device.sh(
        "LD_PRELOAD=/usr/local/lib/hid_gadget.so "
        + shlex.join(
            ["python3", "-c", WRITE_REPORTS, *(each.hex() for each in (short, long, right))]
        )
    )
    wait_until(
        lambda: (1, right) in [(n, report) for _, n, report in computer.reports()],
        "the report of the right length is taken",
    )
    assert not {short, long} & {report for _, _, report in computer.reports()}
    journal = device.sh("journalctl --unit=simulated-computer --output=cat --lines=20")
    assert "hidg1: 6 bytes, reports have 7" in journal
    assert "hidg1: 8 bytes, reports have 7" in journal


def test_a_reboot_is_followed_through_the_firmwares_resolutions(owner, computer):
    before, shown = read_desk(owner).starts, owner.newest.number

    def sizes() -> list[tuple[int, int]]:
        """One after the other, of the computer's pictures that the page has presented since."""
        frames = [frame for frame in owner.frames_since(shown) if frame.is_good]
        return [size for size, _ in itertools.groupby((each.width, each.height) for each in frames)]

    with owner.by_itself():
        computer.tell("reboot")
        desk = wait_for_desk(owner, lambda desk: desk.starts == before + 1, "it starts")
        assert desk.typed == 0
        owner.wait_until(
            lambda: sizes()[-3:] == [(640, 480), (1024, 768), (1280, 720)],
            "the firmware's, the loader's and the system's resolution are shown",
        )
        facts = owner.page.locator("#picture-facts")
        owner.wait_until(
            lambda: facts.inner_text().startswith("1280 \u00d7 720"), "the page tells the size"
        )
    owner.page.locator("#stage").focus()
    press(owner, "KeyA")
    wait_for_desk(owner, lambda desk: desk.tail == "a", "keys arrive")
