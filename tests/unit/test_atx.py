# SPDX-License-Identifier: MIT
"""The attached computer's buttons and lights: which lines change when, who may press, and what is said if not."""

import asyncio
import contextlib
import errno
import fcntl
import json
import os
import signal
import socket
import struct
import subprocess
import threading
import time

import pytest
from tinypilot.config import Atx, Config, ConfigError
from tinypilot.power import atx, gpio

CONNECTED = {"power_button": 17, "reset_button": 27, "power_led": 22, "disk_led": 23}
PANEL = Atx("/dev/gpiochip0", CONNECTED, ("power_led",))


class FakeLines:
    """What gpio.Lines does with a chip is seen here: the moments of all changes."""

    def __init__(self):
        self.changes = []
        self.active = set()
        self.released = False

    def set(self, line, is_active):
        self.changes.append((line, is_active, time.monotonic()))

    def get(self, line):
        return line in self.active

    def release(self):
        self.released = True

    @property
    def edges(self):
        return [change[:2] for change in self.changes]


@pytest.fixture
def lines():
    return FakeLines()


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    """Presses are as long as it takes to see two of them at once."""
    monkeypatch.setattr(
        atx,
        "PRESSES",
        {press: (button, seconds / 10) for press, (button, seconds) in atx.PRESSES.items()},
    )


def panel(lines, connected=PANEL):
    return atx.Panel(connected, lambda _: lines)


@pytest.mark.parametrize(("press", "line"), [("power", 17), ("reset", 27), ("force_off", 17)])
def test_a_press_is_one_pulse_of_its_length(lines, press, line):
    assert asyncio.run(panel(lines).answer({"press": press})) == {}
    assert lines.edges == [(line, True), (line, False)]
    (_, _, pressed), (_, _, let_go) = lines.changes
    assert let_go - pressed >= atx.PRESSES[press][1]


def test_presses_are_as_long_as_everybody_has_them(monkeypatch):
    monkeypatch.undo()
    assert {press: seconds for press, (_, seconds) in atx.PRESSES.items()} == {
        "power": 0.2,
        "reset": 0.2,
        "force_off": 5.0,
    }


def test_one_button_is_pressed_at_a_time(lines):
    async def both():
        front = panel(lines)
        first = asyncio.create_task(front.answer({"press": "force_off"}))
        await asyncio.sleep(0)
        seen = await front.answer({}), await front.answer({"press": "reset"})
        await first
        return *seen, await front.answer({})

    during, second, after = asyncio.run(both())
    assert (during["pressing"], second, after["pressing"]) == (
        "force_off",
        {"error": "busy"},
        None,
    )
    assert lines.edges == [(17, True), (17, False)]


def test_what_is_asked_for_in_the_middle_of_a_press_that_is_cancelled_lets_go(lines):
    async def cancel():
        press = asyncio.create_task(panel(lines).answer({"press": "force_off"}))
        await asyncio.sleep(0)
        press.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await press

    asyncio.run(cancel())
    assert lines.edges == [(17, True), (17, False)]


def test_a_press_that_would_not_end_is_ended_by_the_kernel(lines):
    """This program is killed by its alarm, and the kernel takes its lines back."""
    child = os.fork()
    if child == 0:
        with contextlib.suppress(BaseException):
            atx.GRACE_SECONDS = 0.1
            # It blocks the whole program, as a hanging one does.
            asyncio.sleep = lambda seconds: time.sleep(60)
            asyncio.run(panel(lines).answer({"press": "power"}))
        os._exit(0)
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status)
    assert os.WTERMSIG(status) == signal.SIGALRM


def test_a_button_that_can_not_be_let_go_ends_the_service(lines):
    def set_line(line, is_active):
        if not is_active:
            raise OSError(errno.EIO, "x")

    lines.set = set_line
    told = asyncio.run(panel(lines).answer({"press": "power"}))
    left_seconds, _ = signal.setitimer(signal.ITIMER_REAL, 0)
    assert told["error"] == "gpio"
    assert left_seconds > 0


def test_no_alarm_is_left_after_a_press(lines):
    asyncio.run(panel(lines).answer({"press": "power"}))
    assert signal.getitimer(signal.ITIMER_REAL) == (0, 0)


@pytest.mark.parametrize(
    ("connected", "active", "told"),
    [
        (CONNECTED, {22}, {"power": True, "disk": False}),
        (CONNECTED, {23}, {"power": False, "disk": True}),
        ({"power_button": 17}, {22, 23}, {"power": None, "disk": None}),
    ],
)
def test_lights_are_told(lines, connected, active, told):
    lines.active = active
    front = panel(lines, Atx("/dev/gpiochip0", connected, ()))
    assert asyncio.run(front.answer({})) == {"pressing": None, **told}
    assert lines.changes == []


def test_a_chip_that_is_not_there_yet_is_tried_again(lines):
    tries = [OSError(errno.ENOENT, "x"), OSError(errno.EBUSY, "x"), None]

    def request(_):
        if refusal := tries.pop(0):
            raise refusal
        return lines

    front = atx.Panel(PANEL, request)
    told = [asyncio.run(front.answer({})) for _ in range(3)]
    reasons = [answer.get("reason") for answer in told]
    assert reasons == [
        "/dev/gpiochip0: No such file or directory",
        "/dev/gpiochip0: Device or resource busy",
        None,
    ]


def test_a_chip_that_went_and_came_back_is_requested_anew(lines):
    gone = FakeLines()

    def get(line):
        raise OSError(errno.ENODEV, "x")

    gone.get = get
    chips = [gone, lines]
    front = atx.Panel(PANEL, lambda _: chips.pop(0))
    assert asyncio.run(front.answer({}))["reason"] == "/dev/gpiochip0: No such device"
    assert gone.released
    assert asyncio.run(front.answer({})) == {"pressing": None, "power": False, "disk": False}


def test_a_look_that_fails_takes_no_line_from_who_presses(lines):
    def get(line):
        raise OSError(errno.EIO, "x")

    async def both():
        front = panel(lines)
        press = asyncio.create_task(front.answer({"press": "power"}))
        await asyncio.sleep(0)
        lines.get = get
        told = await front.answer({})
        assert not lines.released
        return told, await press

    told, pressed = asyncio.run(both())
    assert (told["error"], pressed) == ("gpio", {})
    assert lines.edges == [(17, True), (17, False)]


def test_after_the_service_another_program_lets_go_of_all_buttons(lines, monkeypatch):
    """It requests the lines, which are inactive then, and gives them back."""
    monkeypatch.setattr(atx.Config, "from_environment", lambda: Config("x", atx=PANEL))
    monkeypatch.setattr(atx, "request_lines", lambda of: lines if of == PANEL else None)
    monkeypatch.setattr(atx.sys, "argv", ["atx", "let-go"])
    atx.main()
    assert lines.released
    assert lines.changes == []


# --- The service ---


@pytest.fixture
def service(lines, tmp_path, monkeypatch):
    """Runs in this process; ask(bytes) is what it answers."""
    monkeypatch.setattr(atx.healing.SignOfLife, "keep_giving", lambda self: asyncio.sleep(3600))
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(tmp_path / "atx.sock"))
    ready, stop = threading.Event(), []

    async def run():
        loop = asyncio.get_running_loop()
        # Signals belong to the main thread.
        monkeypatch.setattr(loop, "add_signal_handler", lambda _, action: stop.append(action))
        monkeypatch.setattr(signal, "setitimer", lambda *_: None)
        loop.call_soon(ready.set)
        await atx.serve(listener, panel(lines))

    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_until_complete, args=(run(),))
    thread.start()
    assert ready.wait(10)

    def ask(line):
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(10)
            client.connect(str(tmp_path / "atx.sock"))
            client.sendall(line)
            with client.makefile("rb") as answer:
                return answer.readline()

    ask.stop = lambda: loop.call_soon_threadsafe(stop[0])
    ask.path = tmp_path / "atx.sock"
    yield ask
    ask.stop()
    thread.join(10)
    assert not thread.is_alive()
    loop.close()


def test_the_service_answers_a_question(service, lines):
    lines.active = {22}
    assert json.loads(service(b"{}\n")) == {"pressing": None, "power": True, "disk": False}
    assert json.loads(service(b'{"press": "reset"}\n')) == {}
    assert lines.edges == [(27, True), (27, False)]


@pytest.mark.parametrize(
    "line",
    [b"\n", b"{\n", b"7\n", b'{"press": "x"}\n', b'{"press": []}\n', b"x" * 5000 + b"\n"],
)
def test_what_it_does_not_understand_presses_nothing(service, lines, line):
    assert service(line) == b""
    assert lines.edges == []
    assert json.loads(service(b"{}\n"))["pressing"] is None


def test_a_service_that_is_stopped_lets_go_and_gives_the_lines_back(service, lines, monkeypatch):
    monkeypatch.setitem(atx.PRESSES, "force_off", ("power_button", 60))
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(str(service.path))
        client.sendall(b'{"press": "force_off"}\n')
        while not lines.edges:
            time.sleep(0.01)
        service.stop()
        client.settimeout(10)
        assert client.recv(1) == b""
    assert lines.edges == [(17, True), (17, False)]
    while not lines.released:
        time.sleep(0.01)


def test_who_goes_in_the_middle_of_a_press_does_not_shorten_it(service, lines):
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(str(service.path))
        client.sendall(b'{"press": "force_off"}\n')
        while not lines.edges:
            time.sleep(0.01)
    while len(lines.edges) < 2:
        time.sleep(0.01)
    (_, _, pressed), (_, _, let_go) = lines.changes
    assert let_go - pressed >= atx.PRESSES["force_off"][1]


# --- The web app ---


@pytest.fixture
def connected(config, service):
    object.__setattr__(config, "atx", PANEL)
    object.__setattr__(config, "atx_socket", service.path)
    return config


def test_an_operator_sees_the_lights_and_presses(logged_in, connected, lines, audited):
    lines.active = {22}
    operator = logged_in("operator")
    assert operator.ask("GET", "/api/atx").get_json() == {
        "power": True,
        "disk": False,
        "pressing": None,
        "presses": ["power", "reset", "force_off"],
    }
    assert operator.ask("POST", "/api/atx", {"press": "power"}).status_code == 200
    assert lines.edges == [(17, True), (17, False)]
    event, facts = audited[-1]
    assert (event, facts["press"]) == ("button_pressed", "power")


@pytest.mark.parametrize(
    ("press", "status"), [("off", 400), ("", 400), ("reset", 404), ("power", 200)]
)
def test_only_what_is_connected_can_be_pressed(logged_in, connected, lines, audited, press, status):
    without = {name: line for name, line in CONNECTED.items() if name != "reset_button"}
    object.__setattr__(connected, "atx", Atx("/dev/gpiochip0", without, ()))
    operator = logged_in("operator")
    assert operator.ask("GET", "/api/atx").get_json()["presses"] == ["power", "force_off"]
    answer = operator.ask("POST", "/api/atx", {"press": press})
    assert answer.status_code == status
    assert bool(lines.edges) == (status == 200)
    assert ("button_pressed" in [event for event, _ in audited]) == (status == 200)


def test_a_second_press_is_refused_in_a_sentence(logged_in, connected, lines, monkeypatch):
    monkeypatch.setitem(atx.PRESSES, "force_off", ("power_button", 60))
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(str(connected.atx_socket))
        client.sendall(b'{"press": "force_off"}\n')
        while not lines.edges:
            time.sleep(0.01)
        answer = logged_in("operator").ask("POST", "/api/atx", {"press": "power"})
    assert (answer.status_code, answer.get_json()["error"]) == (
        409,
        "A button is being pressed. Try again in a moment.",
    )


def test_without_a_chip_or_a_service_the_reason_is_said(logged_in, config, tmp_path):
    operator = logged_in("operator")
    for method, body in (("GET", None), ("POST", {"press": "power"})):
        answer = operator.ask(method, "/api/atx", body)
        assert answer.status_code == 404
        assert "tinypilot_atx_chip" in answer.get_json()["error"]
    object.__setattr__(config, "atx", PANEL)
    object.__setattr__(config, "atx_socket", tmp_path / "nobody.sock")
    answer = operator.ask("POST", "/api/atx", {"press": "power"})
    assert (answer.status_code, "tinypilot-atx" in answer.get_json()["error"]) == (503, True)


def test_the_reason_of_the_chip_is_said(logged_in, connected, lines, monkeypatch):
    def get(line):
        raise OSError(errno.ENODEV, "x")

    monkeypatch.setattr(lines, "get", get)
    answer = logged_in("operator").ask("GET", "/api/atx")
    assert answer.status_code == 503
    assert "/dev/gpiochip0: No such device" in answer.get_json()["error"]


@pytest.mark.parametrize("role", ["viewer", "operator"])
def test_the_page_offers_it_to_whom_it_is_for(logged_in, connected, role):
    page = logged_in(role).ask("GET", "/").get_data(as_text=True)
    assert ('id="open-power"' in page, "data-atx" in page) == ((role == "operator"),) * 2


def test_without_a_chip_the_page_does_not_show_it(logged_in):
    page = logged_in("operator").ask("GET", "/").get_data(as_text=True)
    assert 'id="open-power"' in page
    assert "data-atx" not in page


@pytest.mark.parametrize("broken", [{"chip": "x"}, {"chip": "x", "lines": 7, "active_low": []}, 7])
def test_a_configuration_that_is_none_is_refused(broken):
    with pytest.raises(ConfigError, match="atx must have"):
        Config.from_values({"atx": broken})


def test_a_configuration_is_read():
    values = {"chip": "/dev/gpiochip0", "lines": {"power_button": 17}, "active_low": []}
    assert Config.from_values({"atx": values}).atx == Atx(
        "/dev/gpiochip0", {"power_button": 17}, ()
    )
    assert Config.from_values({"atx": None}).atx is None


# --- The kernel's interface ---


KERNEL = """
#include <linux/gpio.h>
#include <stddef.h>
#include <stdio.h>
int main(void) {
    printf("%zu %zu %zu %zu %zu\\n", sizeof(struct gpiochip_info), sizeof(struct gpio_v2_line_info),
           sizeof(struct gpio_v2_line_config_attribute), sizeof(struct gpio_v2_line_request),
           sizeof(struct gpio_v2_line_values));
    printf("%u %u %u %u %u\\n", (unsigned)GPIO_GET_CHIPINFO_IOCTL, (unsigned)GPIO_V2_GET_LINEINFO_IOCTL,
           (unsigned)GPIO_V2_GET_LINE_IOCTL, (unsigned)GPIO_V2_LINE_GET_VALUES_IOCTL,
           (unsigned)GPIO_V2_LINE_SET_VALUES_IOCTL);
    printf("%u %u %u %u %u\\n", (unsigned)GPIO_V2_LINE_FLAG_USED, (unsigned)GPIO_V2_LINE_FLAG_ACTIVE_LOW,
           (unsigned)GPIO_V2_LINE_FLAG_INPUT, (unsigned)GPIO_V2_LINE_FLAG_OUTPUT,
           (unsigned)GPIO_V2_LINE_ATTR_ID_FLAGS);
    printf("%zu %zu %zu %zu\\n", offsetof(struct gpio_v2_line_request, config.attrs),
           offsetof(struct gpio_v2_line_request, num_lines), offsetof(struct gpio_v2_line_request, fd),
           offsetof(struct gpio_v2_line_info, flags));
}
"""


def test_numbers_and_layouts_are_the_kernels(tmp_path):
    (tmp_path / "kernel.c").write_text(KERNEL)
    program = tmp_path / "kernel"
    subprocess.run(["gcc", "-o", program, tmp_path / "kernel.c"], check=True)
    told = subprocess.run([program], capture_output=True, text=True, check=True).stdout
    sizes, numbers, flags, offsets = ([*map(int, line.split())] for line in told.splitlines())
    structures = (
        gpio.CHIP_INFO,
        gpio.LINE_INFO,
        gpio.ATTRIBUTE,
        gpio.LINE_REQUEST,
        gpio.LINE_VALUES,
    )
    assert [each.size for each in structures] == sizes
    assert numbers == [
        gpio.GET_CHIP_INFO,
        gpio.GET_LINE_INFO,
        gpio.GET_LINE,
        gpio.GET_VALUES,
        gpio.SET_VALUES,
    ]
    assert flags == [
        gpio.USED,
        gpio.ACTIVE_LOW,
        gpio.INPUT,
        gpio.OUTPUT,
        gpio.ATTRIBUTE_FLAGS,
    ]
    request = struct.Struct("=64I32sQI20x")
    assert offsets == [
        request.size,
        request.size + 10 * gpio.ATTRIBUTE.size,
        gpio.LINE_REQUEST.size - 4,
        struct.calcsize("=32s32sII"),
    ]


class Chip:
    """Answers the ioctls of a chip with 54 lines, of which the kernel has 2 and `sound` has 5."""

    def __init__(self):
        self.requests = []
        self.values = 0

    def __call__(self, file, number, argument):
        if number == gpio.GET_CHIP_INFO:
            argument[:] = gpio.CHIP_INFO.pack(b"gpiochip0", b"pinctrl-bcm2711", 54)
        elif number == gpio.GET_LINE_INFO:
            line = gpio.LINE_INFO.unpack(argument)[2]
            name, flags = {2: (b"", gpio.USED), 5: (b"sound", gpio.USED)}.get(line, (b"", 0))
            argument[:] = gpio.LINE_INFO.pack(b"", name, line, 0, flags)
        elif number == gpio.GET_LINE:
            self.requests.append(bytes(argument))
            argument[-4:] = struct.pack("=i", os.open("/dev/null", os.O_RDONLY))
        elif number == gpio.SET_VALUES:
            bits, mask = gpio.LINE_VALUES.unpack(argument)
            self.values = self.values & ~mask | bits & mask
        elif number == gpio.GET_VALUES:
            _, mask = gpio.LINE_VALUES.unpack(argument)
            argument[:] = gpio.LINE_VALUES.pack(self.values & mask, mask)


@pytest.fixture
def chip(monkeypatch):
    chip = Chip()
    monkeypatch.setattr(fcntl, "ioctl", chip)
    return chip


def test_lines_are_requested_inactive_with_their_flags(chip):
    lines = gpio.Lines("/dev/null", "tinypilot-atx", [17, 27], [22, 23], [27, 22])
    *head, flags, count, attributes, number, events, _ = gpio.LINE_REQUEST.unpack(chip.requests[0])
    assert head[:5] == [17, 27, 22, 23, 0]
    assert head[gpio.LINES_MAX].rstrip(b"\0") == b"tinypilot-atx"
    assert (flags, count, number, events) == (gpio.INPUT, 4, 4, 0)
    said = [gpio.ATTRIBUTE.unpack_from(attributes, place * 24) for place in range(4)]
    assert said == [
        (1, gpio.OUTPUT, 0b0001),
        (1, gpio.OUTPUT | gpio.ACTIVE_LOW, 0b0010),
        (1, gpio.INPUT | gpio.ACTIVE_LOW, 0b0100),
        (1, gpio.INPUT, 0b1000),
    ]
    lines.set(27, True)
    assert chip.values == 0b0010
    assert (lines.get(27), lines.get(22)) == (True, False)
    lines.set(27, False)
    assert chip.values == 0
    lines.release()


def test_who_holds_a_line_is_told(chip):
    told = gpio.facts("/dev/null", [2, 5, 17, 54])
    assert told == {"lines": 54, "holders": {2: "the kernel", 5: "sound"}, "reason": ""}


@pytest.mark.parametrize(
    ("path", "reason"),
    [("/nowhere", "No such file or directory"), ("/dev/null", "Inappropriate ioctl for device")],
)
def test_what_is_no_chip_has_no_lines(path, reason):
    assert gpio.facts(path, [1]) == {"lines": None, "holders": {}, "reason": reason}
