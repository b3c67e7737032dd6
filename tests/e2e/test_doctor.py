# SPDX-License-Identifier: MIT
"""The doctor on a device: each fault is named, with what to do, and nothing else is blamed."""

import json
import subprocess

import pytest

from tests.support.device import Device
from tests.support.remote_screen import RemoteScreen

from .doctor_faults import FAULTS, Fault, both, stopped, usb


def examine(device: Device) -> dict[str, dict]:
    """What is to be blamed, by link."""
    told = json.loads(device.sh("tinypilot doctor --json", check=False))
    causes = {each["link"]: each for each in told["links"] if each["state"] == "cause"}
    assert told["well"] is not bool(causes)
    # Each link is looked at, whatever is broken.
    assert not [each for each in told["links"] if each["state"] == "unknown"]
    return causes


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "fault" in metafunc.fixturenames:
        is_long = metafunc.config.getoption("--each-fault")
        faults = [each for each in FAULTS if each.is_short or is_long]
        metafunc.parametrize("fault", faults, ids=[each.name for each in faults])


def test_there_are_at_least_forty_faults():
    assert len({fault.name for fault in FAULTS}) >= 40


def test_nothing_is_blamed_where_all_is_well(device: Device):
    assert examine(device) == {}


def test_a_fault_is_named_with_what_to_do_and_nothing_else_is_blamed(
    request: pytest.FixtureRequest, device: Device, fault: Fault
):
    if fault.needs:
        request.getfixturevalue(fault.needs)
    with fault.happen(device):
        causes = examine(device)
    assert list(causes) == [fault.link], causes
    assert fault.says in causes[fault.link]["what"]
    assert causes[fault.link]["do"]


def test_two_faults_are_both_named(device: Device):
    with both(stopped("janus"), usb("disconnected", "disconnected"))(device):
        assert list(examine(device)) == ["janus", "computer"]


@pytest.mark.usefixtures("live")
def test_a_device_that_is_busy_is_not_blamed(
    live: RemoteScreen, device: Device, pytestconfig: pytest.Config
):
    """Programs that take all the processor they get, and somebody watches. With others beside it there is one."""
    numbers = "1 2 3 4" if pytestconfig.getoption("--each-fault") else "1"
    device.sh(
        f"for number in {numbers}; do systemd-run --quiet --collect --unit=busy-$number "
        "python3 -c 'while True: pass'; done"
    )
    try:
        with live.by_itself():
            for _ in range(3):
                assert examine(device) == {}
    finally:
        device.sh("systemctl stop 'busy-*'")


def run(device: Device, *options: str, user: str = "root") -> subprocess.CompletedProcess:
    command = ["docker", "exec", f"--user={user}", *options, device.name]
    return subprocess.run(
        [*command, "/usr/local/sbin/tinypilot", "doctor"],
        capture_output=True,
        text=True,
        check=False,
    )


def test_people_are_told_in_plain_sentences(device: Device):
    assert run(device).stdout.endswith("All is well.\n")
    with stopped("janus")(device):
        told = run(device)
    assert told.returncode == 1
    assert "\033" not in told.stdout
    assert "janus.service is stopped." in told.stdout
    assert "`systemctl start janus.service`." in told.stdout
    assert "follows from: Janus (WebRTC)" in told.stdout


def test_who_is_not_root_is_told_so(device: Device):
    told = run(device, user="nobody")
    assert told.returncode == 2
    assert (
        told.stderr == "The doctor looks at what only root may see: run `sudo tinypilot doctor`.\n"
    )


def test_no_secret_is_told(device: Device):
    secret = device.sh("cat /etc/kvm-signalling/token.jcfg").split('"')[1]
    told = device.sh("tinypilot doctor --json", check=False)
    assert secret not in told
    assert "PRIVATE KEY" not in told
