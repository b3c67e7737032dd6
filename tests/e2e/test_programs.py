# SPDX-License-Identifier: MIT
"""Programs type, click and look by the API, with a token: what they do is read out of the picture that a viewer sees,
and of the reports that the attached computer got."""

import contextlib
import struct
import threading
from collections.abc import Callable, Iterator

import pytest
import requests

from tests.support.accessibility import assert_accessible
from tests.support.clients import Client
from tests.support.device import Device
from tests.support.remote_screen import RemoteScreen
from tests.support.simulated_computer import SimulatedComputer, wait_for_desk
from tests.support.waiting import wait_until

# The device made its certificate itself.
pytestmark = pytest.mark.filterwarnings("ignore:Unverified HTTPS request")

KEYBOARD = 0
SHIFT = 2


@contextlib.contextmanager
def token_of(device: Device, role: str) -> Iterator[tuple[Client, Callable[[], None]]]:
    """A program with a token, and what takes the token away."""
    admin = Client(device, device.cookie("admin"))
    name = f"test-{role}"
    answer = admin.change("POST", "/api/tokens", {"name": name, "role": role})
    assert answer.status_code == 200, answer.text
    program = Client(device)
    program.http.headers["Authorization"] = f"Bearer {answer.json()['token']}"

    def remove() -> None:
        for each in admin.ask("GET", "/api/tokens").json()["tokens"]:
            if each["name"] == name:
                admin.change("DELETE", f"/api/tokens/{each['number']}")

    yield program, remove
    remove()


@pytest.fixture
def program(device: Device) -> Iterator[Client]:
    with token_of(device, "operator") as (program, _):
        yield program
        program.ask("DELETE", "/api/controls")


def done(answer: requests.Response) -> dict:
    assert answer.status_code == 200, answer.text
    return answer.json()


def is_shift_down(computer: SimulatedComputer) -> bool:
    keyboard = [report for _, number, report in computer.reports() if number == KEYBOARD]
    return bool(keyboard) and keyboard[-1][0] == SHIFT


def test_a_program_types_and_clicks(
    computer: SimulatedComputer, new_person: Callable[..., RemoteScreen], program: Client
):
    watcher = new_person("viewer")
    computer.tell("layout de", "clear")
    wait_for_desk(watcher, lambda desk: desk.typed == 0, "nothing is typed yet")
    text = "Zoy: ~/ä & 50 % @ home"
    told = done(program.ask("POST", "/api/keyboard/text", {"text": text, "layout": "de"}))
    assert told == {"typed": len(text)}
    wait_for_desk(watcher, lambda desk: desk.tail == text, "the text is typed")
    done(program.ask("POST", "/api/mouse/move", {"x": 0.25, "y": 0.75}))
    done(program.ask("POST", "/api/mouse/scroll", {"wheel": -3}))
    desk = wait_for_desk(watcher, lambda desk: desk.wheel == -3, "the wheel was turned")
    assert abs(desk.pointer[0] / 1280 - 0.25) < 0.01
    assert abs(desk.pointer[1] / 720 - 0.75) < 0.01
    done(program.ask("POST", "/api/mouse/click", {"button": "right", "clicks": 2}))

    def buttons() -> list[int]:
        return [report[0] for _, number, report in computer.reports() if number == 1]

    wait_until(lambda: buttons()[-4:] == [2, 0, 2, 0], "the clicks came in their order")
    wait_for_desk(watcher, lambda desk: (desk.keys, desk.buttons) == (bytes(6), 0), "all is up")


def test_a_person_who_has_the_controls_keeps_them(owner: RemoteScreen, program: Client):
    answer = program.ask("POST", "/api/keyboard/text", {"text": "a"})
    assert answer.status_code == 409
    assert answer.json()["error"].endswith("has the controls.")
    owner.page.keyboard.press("KeyB")
    wait_for_desk(owner, lambda desk: desk.tail == "b", "the person's key is typed alone")


@pytest.mark.parametrize(
    "end", ["the connection breaks", "the token is removed", "the web app is killed"]
)
def test_no_key_stays_down(device: Device, computer: SimulatedComputer, end: str):
    with token_of(device, "operator") as (program, remove):
        url = f"{device.url}api/keyboard/chord"
        asked = {"keys": ["ShiftLeft", "KeyA"], "hold_ms": 5000}
        answers: list[int] = []

        def hold() -> None:
            timeout = 1 if end == "the connection breaks" else 20
            with contextlib.suppress(requests.RequestException):
                answers.append(
                    program.http.post(url, json=asked, verify=False, timeout=timeout).status_code
                )

        holding = threading.Thread(target=hold)
        holding.start()
        wait_until(lambda: is_shift_down(computer), "the keys are down")
        pressed_at = computer.reports()[-1][0]
        if end == "the token is removed":
            remove()
        elif end == "the web app is killed":
            device.kill("tinypilot")
        wait_until(lambda: not is_shift_down(computer), "all is up")
        released_at = next(
            at for at, number, report in reversed(computer.reports()) if number == KEYBOARD
        )
        # Not the end of the chord itself.
        assert released_at - pressed_at < 5
        holding.join()
        if end == "the token is removed":
            assert answers == [401]
        wait_until(lambda: device.is_active("tinypilot"), "the web app is back")


def test_a_screenshot_is_what_a_viewer_sees(
    device: Device,
    computer: SimulatedComputer,
    new_person: Callable[..., RemoteScreen],
    program: Client,
):
    watcher = new_person("viewer")
    # While the computer starts, its boot loader has another resolution.
    watcher.wait_until(
        lambda: watcher.newest and (watcher.newest.width, watcher.newest.height) == (1280, 720),
        "the picture is in the computer's default mode",
    )
    jpeg = program.ask("GET", "/api/screenshot.jpg")
    assert (jpeg.status_code, jpeg.headers["Content-Type"]) == (200, "image/jpeg")
    png = program.ask("GET", "/api/screenshot.png")
    assert png.headers["Content-Type"] == "image/png"
    assert struct.unpack_from(">II", png.content, 16) == (1280, 720)
    sizes = watcher.page.evaluate(
        """async (images) => {
          const found = [];
          for (const [type, bytes] of images) {
            const image = await createImageBitmap(new Blob([new Uint8Array(bytes)], { type }));
            found.push([image.width, image.height]);
          }
          return found;
        }""",
        [["image/jpeg", list(jpeg.content)], ["image/png", list(png.content)]],
    )
    assert sizes == [[1280, 720], [1280, 720]]


def test_a_program_waits_for_the_picture(
    device: Device, computer: SimulatedComputer, program: Client
):
    computer.tell("power off")
    wait_until(
        lambda: program.ask("GET", "/api/screenshot.jpg").status_code == 409, "there is no picture"
    )
    told = done(program.ask("POST", "/api/picture/wait", {"seconds": 0}))
    assert told["has_picture"] is False
    assert told["signal"]["words"]
    waited: list[dict] = []
    waiting = threading.Thread(
        target=lambda: waited.append(
            done(program.ask("POST", "/api/picture/wait", {"seconds": 15}))
        )
    )
    waiting.start()
    computer.tell("power on")
    waiting.join()
    assert waited[0]["has_picture"] is True


def test_a_sequence_switches_the_computer_on_and_presses_a_key(
    device: Device, computer: SimulatedComputer, new_person: Callable[..., RemoteScreen]
):
    screen = new_person("admin")
    computer.tell("power off", "clear")
    screen.wait_for_state("no-signal")
    screen.page.on("dialog", lambda question: question.accept())
    screen.page.locator("#open-power").click()
    dialog = screen.page.locator("dialog.power")
    dialog.get_by_label("The sequence's name").fill("Boot menu")
    steps = dialog.locator(".power-steps > li")
    for number, (kind, values) in enumerate(
        [
            ("Press a button of the computer", {}),
            ("Wait for the picture", {}),
            (
                "Press keys again and again",
                {"Keys, such as ControlLeft AltLeft Delete": "KeyX", "Seconds": "2"},
            ),
        ]
    ):
        dialog.get_by_role("button", name="Add a step").click()
        step = steps.nth(number)
        step.get_by_label("Step", exact=True).select_option(label=kind)
        for label, value in values.items():
            step.get_by_label(label, exact=True).fill(value)
    assert_accessible(screen, "sequences")
    dialog.get_by_role("button", name="Add the sequence").click()
    dialog.get_by_role("button", name="Run Boot menu").click()
    dialog.get_by_text("Boot menu is running").wait_for()
    dialog.get_by_text("Boot menu has run.").wait_for()
    desk = wait_for_desk(
        screen, lambda desk: desk.tail.endswith("xx"), "the key was pressed again and again"
    )
    assert desk.keys == bytes(6)
    dialog.get_by_role("button", name="Remove Boot menu").click()
    dialog.get_by_text("No sequence has been entered by an admin yet.").wait_for()
