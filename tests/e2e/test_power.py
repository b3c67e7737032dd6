# SPDX-License-Identifier: MIT
"""Machines are switched on and off: magic packets on the wire, sent from the page and by a program."""

import contextlib
import json
import socket
import subprocess
from collections.abc import Callable, Iterator

import pytest

from tests.support.accessibility import assert_accessible
from tests.support.clients import Client
from tests.support.device import Device
from tests.support.remote_screen import RemoteScreen
from tests.support.waiting import PATIENCE_SECONDS

# The device made its certificate itself.
pytestmark = pytest.mark.filterwarnings("ignore:Unverified HTTPS request")

# No manufacturer's.
MAC = "02:00:5e:00:53:07"
PACKET = b"\xff" * 6 + bytes.fromhex(MAC.replace(":", "")) * 16
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
    page = screen.page
    page.locator("#open-power").click()
    dialog = page.locator("dialog.power")
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
    other.page.locator("#open-power").click()
    buttons = other.page.locator("dialog.power").get_by_role("button")
    other.page.get_by_role("button", name="Switch rack 3 on").click()
    wait_for_packet(listener, device)
    assert buttons.all_inner_texts() == ["Switch on", "Close"]


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
