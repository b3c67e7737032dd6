# SPDX-License-Identifier: MIT
"""What a person sees, kept as pictures in build/screenshots for people to look at."""

import shutil
from collections.abc import Callable, Iterable
from pathlib import Path

import av
import pytest

from tests.support import BUILD
from tests.support.device import SINK, Device
from tests.support.remote_screen import RemoteScreen
from tests.support.simulated_computer import wait_for_desk

SIZES = {"narrow": {"width": 390, "height": 780}, "wide": {"width": 1280, "height": 800}}
DOCS = Path(__file__).parents[2] / "docs"
# What the README shows is fetched by everybody who reads it.
MOST_BYTES = 400 * 1024
TYPED = "hello from the browser"
ANIMATION = {"width": 960, "height": 600, "pix_fmt": "bgra"}
FRAMES_PER_SECOND = 6
PAUSE_FRAMES = 12


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


def put_into_readme(path: Path, pytestconfig: pytest.Config) -> None:
    assert path.stat().st_size < MOST_BYTES
    if pytestconfig.getoption("--refresh-screenshot"):
        shutil.copyfile(path, DOCS / path.name)


def write_animation(pictures: Iterable[bytes], path: Path) -> None:
    """PNGs as a WebP that runs for ever."""
    with av.open(str(path), "w", format="webp", options={"loop": "0"}) as file:
        stream = file.add_stream(
            "libwebp_anim", FRAMES_PER_SECOND, options={"quality": "60", "compression_level": "6"}
        )
        for name, value in ANIMATION.items():
            setattr(stream, name, value)
        for number, picture in enumerate(pictures):
            decoder = av.CodecContext.create("png", "r")
            [frame] = [*decoder.decode(av.Packet(picture)), *decoder.decode(None)]
            frame = frame.reformat(ANIMATION["width"], ANIMATION["height"], ANIMATION["pix_fmt"])
            frame.pts, frame.time_base = number, 1 / stream.average_rate
            file.mux(stream.encode(frame))
        file.mux(stream.encode())


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", SIZES)
def test_live(new_screen: Callable[..., RemoteScreen], scheme: str, size: str):
    screen = new_screen(color_scheme=scheme, viewport=SIZES[size])
    screen.open().wait_until_live()
    facts = screen.page.locator("#picture-facts")
    screen.wait_until(lambda: "fps" in facts.inner_text(), "the frame rate is shown")
    assert_fits(screen)
    take(screen, f"live-{scheme}-{size}")


def test_typing_into_the_computer(owner: RemoteScreen, pytestconfig: pytest.Config):
    """What the README shows: a picture, and an animation of somebody who types."""
    owner.page.set_viewport_size(SIZES["wide"])
    pictures = [owner.page.screenshot()]
    for count, letter in enumerate(TYPED, start=1):
        owner.page.keyboard.press("Space" if letter == " " else f"Key{letter.upper()}")
        wait_for_desk(owner, lambda desk, count=count: desk.typed == count, "the letter is there")
        pictures.append(owner.page.screenshot())
    put_into_readme(take(owner, "screenshot"), pytestconfig)
    animation = BUILD / "screenshots" / "typing.webp"
    write_animation([*pictures, *[pictures[-1]] * PAUSE_FRAMES], animation)
    put_into_readme(animation, pytestconfig)


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
