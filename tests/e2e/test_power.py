# SPDX-License-Identifier: MIT
"""Machines are switched on and off: magic packets on the wire, and levels at the attached computer's buttons."""

import contextlib
import json
import socket
import subprocess
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from playwright.sync_api import Dialog, Locator

from tests.support.accessibility import assert_accessible
from tests.support.clients import Client
from tests.support.device import Device
from tests.support.remote_screen import RemoteScreen
from tests.support.simulated_computer import SimulatedComputer, edges, read_desk, wait_for_desk
from tests.support.waiting import PATIENCE_SECONDS, wait_until

# The device made its certificate itself.
pytestmark = pytest.mark.filterwarnings("ignore:Unverified HTTPS request")

# No manufacturer's.
MAC = "02:00:5e:00:53:07"
PACKET = b"\xff" * 6 + bytes.fromhex(MAC.replace(":", "")) * 16
POWER_BUTTON, RESET_BUTTON = 17, 27  # lines of the GPIO chip
# Hears what comes out of the other end of a cable, in the device's own network namespace, as root.
_HEAR = """
import socket, sys
wire = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(0x0800))
wire.bind((sys.argv[1], 0))
wire.settimeout(20)
print("listening", flush=True)
while True:
    frame = wire.recv(2048)
    if bytes.fromhex(sys.argv[2]) in frame:
        print(frame[:6].hex(), flush=True)
        break
"""


@pytest.fixture
def admin(device: Device) -> Iterator[Client]:
    """An admin of a device that knows no machine, before and after."""
    client = Client(device, device.cookie("admin"))
    yield client
    for machine in client.ask("GET", "/api/wake-on-lan").json()["machines"]:
        path = f"/api/wake-on-lan/{machine['number']}"
        assert client.change("DELETE", path).status_code == 200


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    """In the network that the device is in, and in another network namespace: this machine's."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
        udp.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        udp.bind(("", 9))
        udp.settimeout(PATIENCE_SECONDS)
        yield udp


@pytest.fixture
def second_interface(device: Device) -> Iterator[str]:
    """A cable without an address at its ends, wake0 and wake1."""
    device.sh(
        "ip link add wake0 type veth peer name wake1 && ip link set wake0 up && ip link set wake1 up"
    )
    yield "wake0"
    device.sh("ip link del wake0")


def open_power(screen: RemoteScreen) -> Locator:
    """The dialog, with what the device has told it."""
    dialog = screen.page.locator("dialog.power")

    def click() -> None:
        if dialog.is_visible():
            dialog.get_by_role("button", name="Close").click()
        screen.page.locator("#open-power").click()
        dialog.locator("li, [role=alert]:not(:empty)").first.wait_for()

    screen.navigate(click)
    return dialog


def wait_for_packet(listener: socket.socket, device: Device) -> None:
    """Another device may send, too."""
    while True:
        packet, (sender, _) = listener.recvfrom(2048)
        if packet == PACKET and sender == device.address:
            return


@contextlib.contextmanager
def hearing(device: Device, interface: str) -> Iterator[Callable[[], str]]:
    """What is yielded waits for a magic packet there, and returns whom the frame was for."""
    command = ["docker", "exec", device.name, "python3", "-B", "-c", _HEAR, interface, PACKET.hex()]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as ear:
        assert ear.stdout
        assert ear.stdout.readline() == "listening\n"
        yield lambda: ear.stdout.readline().strip() if ear.stdout else ""


def test_a_machine_is_switched_on_in_the_page(
    device: Device,
    admin: Client,
    listener: socket.socket,
    new_screen: Callable[..., RemoteScreen],
):
    screen = new_screen(role="admin").open()
    dialog = open_power(screen)
    dialog.get_by_label("Name", exact=True).fill("rack 3")
    dialog.get_by_label("MAC address").fill(f" {MAC.upper().replace(':', '-')} ")
    dialog.get_by_role("button", name="Add the machine").click()
    dialog.get_by_role("button", name="Switch rack 3 on").wait_for()
    assert_accessible(screen, "power")
    dialog.get_by_role("button", name="Switch rack 3 on").click()
    wait_for_packet(listener, device)
    screen.wait_until(
        lambda: "rack 3 (" in dialog.get_by_role("status").inner_text(), "the page says so"
    )
    # An operator, too, who edits nothing.
    other = new_screen(role="operator").open()
    dialog = open_power(other)
    assert dialog.get_by_role("button", name="rack 3").all_inner_texts() == ["Switch on"]
    assert dialog.get_by_label("MAC address").is_hidden()
    dialog.get_by_role("button", name="Switch rack 3 on").click()
    wait_for_packet(listener, device)


def test_who_may_only_watch_switches_nothing_on(
    device: Device, admin: Client, new_screen: Callable[..., RemoteScreen]
):
    machine = {"name": "rack 3", "mac": MAC, "broadcast": "", "interface": ""}
    number = admin.change("POST", "/api/wake-on-lan", machine).json()["number"]
    viewer = Client(device, device.cookie("viewer"))
    assert viewer.change("POST", f"/api/wake-on-lan/{number}/wake", {}).status_code == 403
    screen = new_screen(role="viewer").open()
    assert screen.page.locator("#open-power").count() == 0


def test_the_packet_goes_out_on_each_interface_or_the_one_that_is_named(
    device: Device, admin: Client, listener: socket.socket, second_interface: str
):
    def wake(**other: str) -> dict:
        machine = {"name": json.dumps(other), "mac": MAC, "broadcast": "", "interface": "", **other}
        added = admin.change("POST", "/api/wake-on-lan", machine)
        assert added.status_code == 200, added.text
        answer = admin.change("POST", f"/api/wake-on-lan/{added.json()['number']}/wake", {})
        return answer.json()

    with hearing(device, "wake1") as heard:
        assert {second_interface, "eth0"} <= {*wake()["sent"]}
        assert heard() == "ff" * 6
    wait_for_packet(listener, device)
    with hearing(device, "wake1") as heard:
        assert wake(interface=second_interface) == {"sent": [second_interface]}
        assert heard() == "ff" * 6
    # By the routes: the network's own broadcast address.
    (network,) = json.loads(device.sh("ip -4 -json address show eth0"))[0]["addr_info"]
    assert wake(broadcast=network["broadcast"])["sent"] == ["route"]
    wait_for_packet(listener, device)
    assert "wake9 is not there" in wake(interface="wake9")["error"]


# --- Commands of the inventory ---


def test_a_command_that_fails_says_why(device: Device, new_screen: Callable[..., RemoteScreen]):
    """It runs as a user of its own; see inventory/group_vars/virtual.yml."""
    screen = new_screen(role="operator").open()
    screen.page.on("dialog", lambda question: question.accept())
    dialog = open_power(screen)
    dialog.get_by_role("button", name="A plug that is not there").click()
    dialog.get_by_text("A plug that is not there failed (3). It wrote: kvm-hooks").wait_for()


# --- The attached computer's buttons ---


def pulse(device: Device, before: int) -> tuple[int, float]:
    """The one since then: its line, and for how many seconds it was high."""
    up, down = edges(device)[before:]
    assert (up.line, up.is_high, down.is_high) == (down.line, True, False)
    return up.line, down.at - up.at


@pytest.fixture
def operator(device: Device) -> Client:
    return Client(device, device.cookie("operator"))


def test_the_computer_is_switched_off_and_on_in_the_page(
    device: Device, computer: SimulatedComputer, new_person: Callable[..., RemoteScreen]
):
    screen = new_person()
    starts = read_desk(screen).starts
    dialog = open_power(screen)
    dialog.get_by_text("It is on.").wait_for()
    before = len(edges(device))
    dialog.get_by_role("button", name="Power button").click()
    dialog.get_by_text("It is off.").wait_for()
    screen.wait_for_state("no-signal")
    line, seconds = pulse(device, before)
    assert line == POWER_BUTTON
    assert seconds >= 0.199
    dialog.get_by_role("button", name="Power button").click()
    dialog.get_by_text("It is on.").wait_for()
    wait_for_desk(screen, lambda desk: desk.starts == starts + 1, "the computer has started")
    # What loses something is asked for first.
    questions: list[str] = []

    def agree(question: Dialog) -> None:
        questions.append(question.message)
        question.accept()

    screen.page.on("dialog", agree)
    dialog.get_by_role("button", name="Reset").click()
    wait_for_desk(screen, lambda desk: desk.starts == starts + 2, "the computer has started anew")
    assert len(questions) == 1
    assert edges(device)[-1].line == RESET_BUTTON


def test_a_button_that_is_down_when_the_service_is_killed_comes_up(
    device: Device, computer: SimulatedComputer, operator: Client
):
    before = len(edges(device))
    with ThreadPoolExecutor() as others:
        press = others.submit(operator.change, "POST", "/api/atx", {"press": "force_off"})
        wait_until(lambda: len(edges(device)) > before, "the button is down")
        second = Client(device, device.cookie("operator"))
        assert second.change("POST", "/api/atx", {"press": "power"}).status_code == 409
        device.kill("tinypilot-atx")
        wait_until(lambda: len(edges(device)) > before + 1, "the button is up")
        assert press.result().status_code == 503
    line, seconds = pulse(device, before)
    assert line == POWER_BUTTON
    assert seconds < 5
    wait_until(lambda: operator.ask("GET", "/api/atx").ok, "the service is back")
    assert len(edges(device)) == before + 2


def test_no_line_moves_when_the_service_ends_and_starts(
    device: Device, computer: SimulatedComputer, operator: Client
):
    before = edges(device)
    for end in ("restart", "kill --signal=KILL --kill-whom=all"):
        process = device.main_pid("tinypilot-atx")
        device.sh(f"systemctl {end} tinypilot-atx")
        wait_until(
            lambda process=process: device.main_pid("tinypilot-atx") not in (0, process),
            "the service is another process",
        )
        wait_until(lambda: operator.ask("GET", "/api/atx").ok, "the service answers")
    assert edges(device) == before
    assert operator.ask("GET", "/api/atx").json()["power"] is True
