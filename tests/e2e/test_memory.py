# SPDX-License-Identifier: MIT
"""A service whose memory is used up is ended and started anew by itself; the others go on, and so does the page."""

from __future__ import annotations

import pytest

from tests.support.device import Device
from tests.support.remote_screen import RemoteScreen
from tests.support.waiting import wait_until

# Each that runs all the time, with less memory than it needs to start, in MiB.
UNITS = {
    **dict.fromkeys(("tinypilot", "tinypilot-relay", "tinypilot-hid", "tinypilot-supervisor"), 6),
    **{
        "tinypilot-metrics": 6,
        "tinypilot-media": 6,
        "tinypilot-atx": 6,
        "nginx": 6,
        "ustreamer": 6,
        "ustreamer-encoder": 1,
        "janus": 3,
        "kvm-hdmi": 1,
    },
}
UNITS_IN_SHORT = ("tinypilot-relay",)
MOST_MIB = 512


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    is_long = metafunc.config.getoption("--each-hang")
    metafunc.parametrize("unit", UNITS if is_long else UNITS_IN_SHORT)


def ends(device: Device, unit: str) -> int:
    return int(device.sh(f"systemctl show -P NRestarts {unit}"))


def test_a_service_without_memory_takes_nobody_with_it(
    request: pytest.FixtureRequest, device: Device, live: RemoteScreen, unit: str
):
    """It ends again and again while there is too little, as one that leaks would once."""
    if unit == "ustreamer-encoder":
        request.getfixturevalue("software_encoder")
    bound = int(device.sh(f"systemctl show -P MemoryMax {unit}"))
    assert bound <= MOST_MIB << 20
    others = [each for each in UNITS if each != unit]
    if unit == "ustreamer":
        # Its unit is a part of uStreamer's, and is started anew with it.
        others.remove("ustreamer-encoder")
    pids = {each: device.main_pid(each) for each in others}
    before = ends(device, unit)
    folder = f"/run/systemd/system/{unit}.service.d"
    device.sh(
        f"mkdir -p {folder} && printf '[Service]\\nMemoryMax={UNITS[unit]}M\\n' >{folder}/memory.conf && "
        f"systemctl daemon-reload && systemctl kill --signal=KILL --kill-whom=all {unit}"
    )
    try:
        wait_until(lambda: ends(device, unit) > before + 2, f"{unit} ends again and again")
    finally:
        device.sh(f"rm {folder}/memory.conf && systemctl daemon-reload && systemctl restart {unit}")
    device.wait_until_ready()
    live.wait_until_live()
    assert {each: device.main_pid(each) for each in others} == pids
    assert int(device.sh(f"systemctl show -P MemoryMax {unit}")) == bound
