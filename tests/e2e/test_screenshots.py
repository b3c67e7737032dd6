# SPDX-License-Identifier: MIT
"""What a person sees, kept as pictures in build/screenshots for people to look at."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from .conftest import BUILD
from .device import SINK, Device
from .remote_screen import RemoteScreen

SIZES = {"narrow": {"width": 390, "height": 780}, "wide": {"width": 1280, "height": 800}}
README_SCREENSHOT = Path(__file__).parents[2] / "docs" / "screenshot.png"


def take(screen: RemoteScreen, name: str) -> Path:
    path = BUILD / "screenshots" / f"{name}.png"
    # Transitions have an end that can be waited for.
    screen.page.evaluate(
        """() => Promise.allSettled(document.getAnimations()
          .filter((animation) => animation.effect.getComputedTiming().iterations < Infinity)
          .map((animation) => animation.finished))"""
    )
    screen.page.screenshot(path=path)
    return path


def assert_fits(screen: RemoteScreen) -> None:
    """Nothing is wider or higher than the window."""
    overflow = screen.page.evaluate(
        """() => [document.documentElement.scrollWidth - innerWidth,
                  document.documentElement.scrollHeight - innerHeight]"""
    )
    assert max(overflow) <= 0


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", SIZES)
def test_live(
    new_screen: Callable[..., RemoteScreen],
    pytestconfig: pytest.Config,
    scheme: str,
    size: str,
):
    screen = new_screen(color_scheme=scheme, viewport=SIZES[size])
    screen.open().wait_until_live()
    facts = screen.page.locator("#picture-facts")
    screen.wait_until(lambda: "fps" in facts.inner_text(), "the frame rate is shown")
    assert_fits(screen)
    path = take(screen, f"live-{scheme}-{size}")
    if pytestconfig.getoption("--refresh-screenshot") and (scheme, size) == ("light", "wide"):
        shutil.copyfile(path, README_SCREENSHOT)


def stop_video_service(device: Device) -> None:
    device.sh(f"systemctl stop ustreamer.service && rm -f {SINK}")


def lose_signal(device: Device) -> None:
    device.control(signal="lost")


@pytest.mark.parametrize(
    ("state", "fault"),
    [("waiting", stop_video_service), ("no-signal", lose_signal), ("unreachable", Device.unplug)],
    ids=["waiting", "no-signal", "unreachable"],
)
def test_without_a_picture(
    new_screen: Callable[..., RemoteScreen],
    device: Device,
    state: str,
    fault: Callable[[Device], None],
):
    """All at once in both widths: after the first picture of one, before the first of the other."""
    wide = new_screen(viewport=SIZES["wide"])
    narrow = new_screen(viewport=SIZES["narrow"], color_scheme="dark")
    for screen in (wide, narrow):
        screen.open().wait_until_live()
    fault(device)
    for name, screen in (("wide", wide), ("narrow", narrow)):
        screen.wait_for_state(state)
        assert screen.notice()
        assert_fits(screen)
        take(screen, f"{state}-{name}")
