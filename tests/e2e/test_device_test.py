# SPDX-License-Identifier: MIT
"""A device that is well says so when it is tested, to an admin in the page, and to root by the doctor's program."""

import json

from tests.support.accessibility import assert_accessible
from tests.support.device import Device
from tests.support.remote_screen import RemoteScreen


def test_an_admin_tests_the_device(new_screen, device: Device):
    screen: RemoteScreen = new_screen(role="admin").open("settings")
    page = screen.page
    page.get_by_role("button", name="Test this device", disabled=False).click()
    rows = page.locator("#test-verdicts li")
    rows.last.wait_for()
    encoder = ["H.264 encoder"]
    if device.encodes_in_software:
        encoder = [f"H.264 encoder, {size}" for size in ("640 × 480", "1280 × 720", "1920 × 1080")]
    parts = ["Video input", "H.264 picture", "Disk", "Network ports", "USB keyboard and mouse"]
    titles = [row.locator(".what").inner_text() for row in rows.all()]
    assert titles == [*encoder, *parts]
    # How fast a busy machine is, is another matter; but nothing of it is broken, or could not be measured.
    states = [row.get_attribute("data-state") for row in rows.all()]
    if not device.encodes_in_software:
        assert states.pop(0) == "unknown"
    assert {*states} <= {"good", "poor"}, page.locator("#test-verdicts").inner_text()
    assert page.locator("#test-done").inner_text().startswith("Tested.")
    assert_accessible(screen, "a tested device")
    # One after the other.
    page.get_by_role("button", name="Test this device").click()
    page.get_by_text("The device was tested a moment ago.").wait_for()
    # Whoever watches comes first.
    unit = "tinypilot-device-test@any.service"
    assert device.sh(f"systemctl show --property=Nice --value {unit}").strip() == "19"
    said = device.sh("journalctl --output=json TINYPILOT_EVENT=device_tested | tail -n 1")
    assert json.loads(said)["MESSAGE"].endswith("tested the device")
