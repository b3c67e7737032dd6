# SPDX-License-Identifier: MIT
"""A viewer to whom IPv6 alone leads gets the picture by WebRTC, and one with both gets one."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser

from tests.support.device import Device
from tests.support.ipv6_lab import DEVICE_ADDRESS, DeviceOverIpv6, viewer_over_ipv6
from tests.support.nat_lab import Namespace
from tests.support.remote_screen import CHROMIUM_FLAGS, RemoteScreen, new_screen

# Where the newest peer connection's packets come from.
_REMOTE_ADDRESS = """async () => {
  const report = await observer.peers.at(-1).connection.getStats();
  const transport = [...report.values()].find((s) => s.type === 'transport');
  const pair = report.get(transport?.selectedCandidatePairId);
  return report.get(pair?.remoteCandidateId)?.address ?? null;
}"""


@pytest.fixture
def place(device: Device, request: pytest.FixtureRequest) -> Iterator[Namespace]:
    with viewer_over_ipv6(device, with_ipv4=request.param == "both") as viewer:
        yield viewer


@pytest.fixture
def screen(
    browser: Browser, device: Device, place: Namespace, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RemoteScreen]:
    program = place.browser_program(tmp_path_factory.mktemp("ipv6"))
    there = browser.browser_type.launch(
        executable_path=program, headless=False, args=CHROMIUM_FLAGS
    )
    yield new_screen(there, DeviceOverIpv6(device.name))
    there.close()


@pytest.mark.parametrize("place", ["IPv6 alone", "both"], indirect=True)
def test_the_picture_comes_by_webrtc(screen: RemoteScreen, place: Namespace):
    screen.open()
    screen.wait_until_live()
    screen.wait_until(lambda: screen.transport == "webrtc", "the picture comes by WebRTC")
    assert all(frame.is_good for frame in screen.collect(30))
    addresses = {DEVICE_ADDRESS}
    if "inet 192.0.2.2" in place.run("ip -4 address"):
        addresses.add("192.0.2.1")
    assert screen.page.evaluate(_REMOTE_ADDRESS) in addresses


@pytest.mark.parametrize("place", ["IPv6 alone"], indirect=True)
def test_one_viewer_takes_one_port_of_each_address(
    screen: RemoteScreen, place: Namespace, device: Device
):
    """So IPv6 takes nothing from the number of viewers."""

    def bound() -> set[str]:
        ends = {line.split()[3] for line in device.sh("ss -Huln").splitlines()}
        return {end for end in ends if 20000 <= int(end.rpartition(":")[2]) <= 20063}

    # A viewer of the test before whose network is gone keeps its ports for a while.
    before = bound()
    screen.open()
    screen.wait_until_live()
    screen.wait_until(lambda: bound() - before, "the viewer has its ports")
    addresses = [end.rpartition(":")[0] for end in bound() - before]
    assert f"[{DEVICE_ADDRESS}]" in addresses
    assert len(addresses) == len(set(addresses))
    # A link-local address leads nowhere without its zone, which no candidate has.
    assert not any("fe80" in address for address in addresses)
