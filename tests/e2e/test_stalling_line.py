# SPDX-License-Identifier: MIT
"""Typing over a line that stalls, at a computer that repeats what is held. `make test-stalls` types a thousand keys."""

from __future__ import annotations

import pytest

from tests.support.device import Device
from tests.support.remote_screen import CHROMIUM, CHROMIUM_FLAGS, RemoteScreen, new_screen
from tests.support.simulated_computer import (
    SimulatedComputer,
    read_desk,
    text_crc,
    wait_for_desk,
)
from tests.support.stalling_line import stalling_line

# The device made its certificate itself.
pytestmark = pytest.mark.filterwarnings("ignore:Unverified HTTPS request")

SEED = 12
LONGEST_STALL_SECONDS = 1.2
EACH_MS, HELD_MS = 100, 60
# As a person types: by the page's own clock, for each event from here would wait for this machine.
TYPE = """([text, each, held]) => {
  const stage = document.getElementById('stage');
  const began = performance.now();
  globalThis.typed = 0;
  const happen = (type, key) =>
    stage.dispatchEvent(new KeyboardEvent(type, { code: `Key${key.toUpperCase()}`, key, cancelable: true }));
  const next = () => {
    const key = text[typed];
    happen('keydown', key);
    setTimeout(() => {
      happen('keyup', key);
      typed += 1;
      if (typed < text.length) setTimeout(next, began + typed * each - performance.now());
    }, held);
  };
  next();
}"""


@pytest.fixture
def far_owner(browser, device: Device, computer: SimulatedComputer, artifacts):
    """Somebody who has the controls, and the line between."""
    with stalling_line(device.address, 443, SEED) as line:
        rules = f"--host-resolver-rules=MAP {device.address}:443 127.0.0.1:{line.port}"
        far = browser.browser_type.launch(
            executable_path=CHROMIUM, headless=False, args=[*CHROMIUM_FLAGS, rules]
        )
        screen = new_screen(far, device, role="operator").open()
        screen.wait_until_live()
        read_desk(screen)
        screen.page.locator("#control-ask").click()
        screen.wait_for_control("mine")
        screen.wait_for("html[data-captured=true]")
        yield screen, line
        far.close()


def test_what_is_typed_over_a_line_that_stalls_arrives_once(
    far_owner, computer: SimulatedComputer, request: pytest.FixtureRequest
):
    screen: RemoteScreen
    screen, line = far_owner
    count = request.config.getoption("--stalled-keys")
    text = "".join(chr(ord("a") + number * number % 26) for number in range(count))
    computer.tell("repeat on")
    line.stall(LONGEST_STALL_SECONDS)
    screen.page.evaluate(TYPE, [text, EACH_MS, HELD_MS])
    screen.wait_until(
        lambda: screen.page.evaluate("typed") == count,
        "all is typed in the browser",
        seconds=count * EACH_MS / 1000 * 2 + 30,
    )
    desk = wait_for_desk(
        screen, lambda desk: desk.typed >= count and desk.keys == bytes(6), "all has arrived"
    )
    assert desk.typed == count, f"after {line.stalls} stalls"
    assert desk.text_crc == text_crc(text)
    assert line.stalls > count / 20
