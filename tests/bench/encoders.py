# SPDX-License-Identifier: MIT
"""The encoder chip beside the software encoder: one device, provisioned for one and for the other in turn."""

from __future__ import annotations

import time
from collections import defaultdict

from playwright.sync_api import Browser

from tests.support.ansible import play
from tests.support.device import Device
from tests.support.remote_screen import new_screen
from tests.support.waiting import wait_until

from . import latency, load, recovery
from .figures import median, milliseconds, percentile, table

# What ustreamer_h264_encoder is for each, and what is killed. A virtual Pi's own encoder is the emulated chip.
ENCODERS = {"chip": ("auto", "ustreamer"), "software": ("software", "ustreamer-encoder")}
ROUNDS, RUN_SECONDS, LOAD_SECONDS, KILLS = 2, 10, 15, 3
IDLE = "nobody watches"

# By picture, encoder and what was measured: a figure of each round.
Figures = defaultdict[tuple[str, str, str], list[float]]


def shares(device: Device, seconds: float) -> dict[str, float]:
    """Of one core: of all processes of the device, and of those that make the picture."""
    before, began = load.cpu_seconds(device), time.monotonic()
    time.sleep(seconds)
    after, passed = load.cpu_seconds(device), time.monotonic() - began
    used = {name: 100 * (after[name] - before[name]) / passed for name in after}
    return {
        "all": used[load.ALL],
        "picture": used["ustreamer"] + used.get("ustreamer-encoder", 0),
    }


def measure_watched(browser: Browser, device: Device, size: tuple[int, int]) -> dict[str, float]:
    screen = new_screen(browser, device)
    screen.open().wait_for_frame(captured_after=time.time(), size=size)
    frames = latency.watch(screen, RUN_SECONDS)
    screen.page.close()
    ages = [frame.at - frame.stamp for frame in frames if frame.is_good]
    # Somebody who decodes nothing: a browser on this machine would take the processor from the encoder.
    with load.viewers(device, 1) as rates:
        used = shares(device, LOAD_SECONDS)
    return {"p50": percentile(ages, 50), "p95": percentile(ages, 95), "rate": rates[0], **used}


def measure_round(browser: Browser, device: Device, encoder: str, figures: Figures) -> None:
    variable, killed = ENCODERS[encoder]
    play(device, variables={"ustreamer_h264_encoder": variable}).assert_good()
    # What the other remembers of its encoder is of before.
    device = Device(device.name)
    device.restore()
    for mode, size in latency.MODES.items():
        device.control(mode=mode)
        for name, figure in measure_watched(browser, device, size).items():
            figures[mode, encoder, name].append(figure)
    device.control()
    screen = new_screen(browser, device)
    screen.open().wait_until_live()
    for _ in range(KILLS):
        gap = recovery.gap_during(screen, device, lambda: device.kill(killed))
        figures[IDLE, encoder, "gap"].append(gap)
    screen.page.close()
    wait_until(
        lambda: not device.is_encoding, "the last viewer is forgotten", load.QUIET_PATIENCE_SECONDS
    )
    for name, figure in shares(device, LOAD_SECONDS).items():
        figures[IDLE, encoder, name].append(figure)


def measure(browser: Browser, device: Device) -> str:
    as_it_was = "software" if device.encodes_in_software else "chip"
    figures: Figures = defaultdict(list)
    try:
        for _ in range(ROUNDS):
            for encoder in ENCODERS:
                measure_round(browser, device, encoder, figures)
    finally:
        variable, _ = ENCODERS[as_it_was]
        play(device, variables={"ustreamer_h264_encoder": variable}).assert_good()

    def figure(mode: str, encoder: str, name: str) -> float:
        return median(figures[mode, encoder, name])

    pictures = {f"{width} \u00d7 {height}": mode for mode, (width, height) in latency.MODES.items()}
    rows = [
        [
            picture,
            encoder,
            *(milliseconds(figure(mode, encoder, name)) for name in ("p50", "p95")),
            f"{figure(mode, encoder, 'rate'):.1f}",
            *(f"{figure(mode, encoder, name):.1f} %" for name in ("all", "picture")),
        ]
        for picture, mode in pictures.items()
        for encoder in ENCODERS
    ]
    rows += [
        [
            IDLE,
            encoder,
            *("-", "-", "-"),
            *(f"{figure(IDLE, encoder, name):.1f} %" for name in ("all", "picture")),
        ]
        for encoder in ENCODERS
    ]
    gaps = {
        encoder: f"{milliseconds(figure(IDLE, encoder, 'gap'))} ms (at the most "
        f"{milliseconds(max(figures[IDLE, encoder, 'gap']))})"
        for encoder in ENCODERS
    }
    header = ["at 30 frames/s", "encoder", "p50 ms", "p95 ms", "frames/s"]
    header += ["CPU, all processes", "of it uStreamer and encoder"]
    return (
        f"Medians of {ROUNDS} rounds, the encoders in turn. Capture to presented frame in Chromium, over "
        f"{RUN_SECONDS} s; then for {LOAD_SECONDS} s one viewer who decodes nothing, for frames per second and CPU "
        "(% of a core). The chip is emulated, by the same libx264 in uStreamer's process.\n\n"
        + table(header, rows)
        + "\n\nWithout a fresh picture in an open page after SIGKILL of what encodes: "
        + f"{gaps['chip']} with the chip, {gaps['software']} with the software encoder, of {ROUNDS * KILLS} each."
    )
