# SPDX-License-Identifier: MIT
"""A viewer that no UDP leads to the device from gets the picture through TURN, in a real browser."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Browser

from tests.support.device import Device
from tests.support.nat_lab import SECRET, NatLab, nat_lab
from tests.support.remote_screen import CHROMIUM_FLAGS, RemoteScreen
from tests.support.remote_screen import new_screen as new_screen_in

# How the newest peer connection's packets come: the local candidate of the pair in use.
_CANDIDATE = """async () => {
  const report = await observer.peers.at(-1).connection.getStats();
  const transport = [...report.values()].find((s) => s.type === 'transport');
  const pair = report.get(transport?.selectedCandidatePairId);
  return report.get(pair?.localCandidateId) ?? null;
}"""


@pytest.fixture(scope="module")
def far_away(virtual_pi: Device) -> Iterator[NatLab]:
    with nat_lab(virtual_pi) as place:
        yield place


@pytest.fixture(scope="module")
def far_browser(
    browser: Browser, far_away: NatLab, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Browser]:
    """Chromium as the viewer. It trusts the TURN server's key, and that of no other."""
    program = far_away.viewer.browser_program(tmp_path_factory.mktemp("far"))
    flags = [*CHROMIUM_FLAGS, f"--ignore-certificate-errors-spki-list={far_away.key_hash}"]
    far = browser.browser_type.launch(executable_path=program, headless=False, args=flags)
    yield far
    far.close()


@pytest.fixture
def told(new_screen: Callable[..., RemoteScreen], device: Device) -> Iterator[Callable[..., None]]:
    """Tells the device of TURN servers, as an admin does in the page."""
    screen = new_screen(role="admin")
    page = screen.page
    ways = page.get_by_label("Servers that the browser may use")

    def apply() -> None:
        page.locator("#ice").get_by_role("button", name="Apply", disabled=False).click()
        page.locator("#ice").get_by_text("Applied.").wait_for()

    def tell(urls: list[str], secret: str) -> None:
        screen.open("settings")
        ways.select_option("TURN with a shared secret")
        page.get_by_label("Addresses, one per line").fill("\n".join(urls))
        page.get_by_label("Shared secret").fill(secret)
        apply()

    yield tell
    ways.select_option("Default from provisioning")
    apply()


def open_from_far(far_browser: Browser, device: Device) -> RemoteScreen:
    return new_screen_in(far_browser, device).open()


@pytest.mark.parametrize("form", ["udp", "tcp", "tls"])
def test_the_picture_comes_through_turn(
    far_browser: Browser, far_away: NatLab, device: Device, told: Callable[..., None], form: str
):
    # A STUN server that nobody reaches stops nothing.
    told(["stun:192.0.2.77:3478", *far_away.urls(form)], SECRET)
    far_away.let_pass(udp_to_turn=form == "udp")
    screen = open_from_far(far_browser, device)
    try:
        screen.wait_until_live()
        screen.wait_until(lambda: screen.transport == "webrtc", "the picture comes by WebRTC")
        decoded = screen.frames_decoded()
        assert all(frame.is_good for frame in screen.collect(30))
        assert screen.frames_decoded() > decoded
        candidate = screen.page.evaluate(_CANDIDATE)
        assert candidate["candidateType"] == "relay"
        assert candidate["relayProtocol"] == form
    finally:
        screen.page.context.close()


def test_without_turn_that_viewer_sees_the_second_transport(
    far_browser: Browser, far_away: NatLab, device: Device
):
    far_away.let_pass(udp_to_turn=True)
    screen = open_from_far(far_browser, device)
    try:
        screen.wait_for_transport("webcodecs", "No UDP packet")
        # The page goes on trying, and no frame was ever decoded.
        connections = screen.peer_connections
        screen.wait_until(lambda: screen.peer_connections > connections, "WebRTC is tried again")
        assert screen.frames_decoded() == 0
    finally:
        screen.page.context.close()


def test_the_turn_server_takes_nobody_without_the_secret(
    far_browser: Browser, far_away: NatLab, device: Device, told: Callable[..., None]
):
    """So the picture above came by credentials that the device made."""
    told(far_away.urls("udp"), "another secret than that")
    far_away.let_pass(udp_to_turn=True)
    screen = open_from_far(far_browser, device)
    try:
        screen.wait_for_transport("webcodecs", "over a WebSocket")
        assert screen.frames_decoded() == 0
    finally:
        screen.page.context.close()
