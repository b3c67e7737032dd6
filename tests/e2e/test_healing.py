# SPDX-License-Identifier: MIT
"""Whatever hangs is noticed, ended and started anew, and the page goes on: nobody touches anything."""

import time

import pytest

from tests.support.device import PROCESSES, Device
from tests.support.remote_screen import RemoteScreen
from tests.support.simulated_computer import wait_for_desk
from tests.support.stuck_thread import stuck_threads
from tests.support.waiting import wait_until


def wait_until_healed(screen: RemoteScreen, device: Device, service: str, before: int) -> None:
    screen.wait_until(
        lambda: device.healings(service) > before and device.is_active(service),
        f"{service} is healed",
    )
    screen.wait_until_live(captured_after=time.time())
    assert device.healings(service) == before + 1
    assert f"Healed: {service}.service" in device.journal(60)


# One of each kind: who is asked by the supervisor, directly or by another, and who tells systemd that it lives.
PROCESSES_IN_SHORT = [("janus", "main"), ("tinypilot", "worker"), ("tinypilot-hid", "main")]
THREADS = [
    *(("ustreamer", "stream"), ("ustreamer", "http")),
    *(("janus", "ws thread"), ("janus", "janus")),
]
THREADS_IN_SHORT = THREADS[:1] + THREADS[-1:]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    is_long = metafunc.config.getoption("--each-hang")
    if "process" in metafunc.fixturenames:
        metafunc.parametrize(("service", "process"), PROCESSES if is_long else PROCESSES_IN_SHORT)
    if "thread" in metafunc.fixturenames:
        metafunc.parametrize(("service", "thread"), THREADS if is_long else THREADS_IN_SHORT)


def test_what_hangs_is_healed(live: RemoteScreen, device: Device, service: str, process: str):
    before = device.healings(service)
    with live.by_itself():
        device.hang(service, process)
        wait_until_healed(live, device, service, before)


def test_one_thread_that_hangs_is_enough(
    live: RemoteScreen, device: Device, service: str, thread: str
):
    """Janus calls its plugin's thread as itself."""
    before = device.healings(service)
    with live.by_itself(), stuck_threads(device, service, thread):
        wait_until_healed(live, device, service, before)


@pytest.mark.usefixtures("encoder_chip")
def test_an_encoder_that_answers_no_more_is_not_waited_for(live: RemoteScreen, device: Device):
    before = device.healings("ustreamer")
    device.control(encoder="hanging")
    wait_until(lambda: device.healings("ustreamer") > before, "uStreamer is healed")
    device.control()
    live.wait_until_live(captured_after=time.time())


@pytest.mark.parametrize("how", ["killed", "hangs"])
def test_the_controls_are_given_back_to_who_had_them(owner: RemoteScreen, device: Device, how: str):
    process = device.main_pid("tinypilot-hid")
    if how == "killed":
        device.kill("tinypilot-hid")
    else:
        device.hang("tinypilot-hid")
    owner.wait_until(
        lambda: device.main_pid("tinypilot-hid") not in (0, process), "the HID service is back"
    )
    owner.wait_for_control("mine")
    owner.page.locator("#stage").focus()
    owner.page.keyboard.type("again")
    wait_for_desk(owner, lambda desk: desk.tail.endswith("again"), "the computer gets the keys")


def test_a_lost_network_is_noticed_and_the_controls_are_taken_back(
    owner: RemoteScreen, device: Device
):
    text = owner.page.locator("#control-text")
    device.unplug()
    owner.wait_until(
        lambda: text.text_content() == "Keyboard and mouse: the device does not answer",
        "the page says that nobody answers",
    )
    owner.wait_for_control("offline")
    device.plug_in()
    owner.wait_for_control("mine")
