# SPDX-License-Identifier: MIT
"""This project's plugin beside uStreamer's own, on an old and on the newest uStreamer: all in one run on one machine.

Needs upstream's sources: KVM_JANUS_REPOSITORY and KVM_USTREAMER_REPOSITORY name them, as for tools/test_upstream.sh.
"""

from __future__ import annotations

import time

from playwright.sync_api import Browser

from tests.support import ROOT
from tests.support.ansible import play
from tests.support.device import SINK, Device
from tests.support.remote_screen import new_screen
from tests.support.waiting import PATIENCE_SECONDS, NeverHappened

from . import first_picture, latency, load, recovery
from .figures import median, milliseconds, percentile, table

HOST = "kvm-upstream"
VIRTUAL = ROOT / "playbooks/virtual.yml"
USTREAMERS = {
    "v5.4": "3d4e9fbb1aada922330c3519f3633189210ed647",
    "v6.62": "b5e12a841270fedea75aa03b05de8fda15a3745e",
}
MODES = {"1280x720@30": (1280, 720), "1920x1080@30": (1920, 1080)}
RUNS, RUN_SECONDS = 3, 8
FIRST_PICTURES, COMEBACKS = 10, 3
VIEWERS, LOAD_SECONDS = (1, 8, 16, 32), 10
# As fast as the others, but for what rounding and the beginning of a run take.
HELD_FPS = 29.0


def provision(device: Device, ustreamer: str, plugin: str) -> None:
    variables = {
        "ustreamer_upstream_version": ustreamer,
        "ustreamer_upstream_commit": USTREAMERS[ustreamer],
        "ustreamer_plugin": plugin,
        "ustreamer_h264_gop_frames": 60,
    }
    play(device, variables=variables).assert_good()


def latencies(browser: Browser, device: Device) -> list[str]:
    """p50/p95/p99 for each mode, medians of some runs."""
    cells = []
    for mode, size in MODES.items():
        device.control(mode=mode)
        runs = []
        for _ in range(RUNS):
            screen = new_screen(browser, device)
            screen.open().wait_for_frame(captured_after=time.time(), size=size)
            frames = latency.watch(screen, RUN_SECONDS)
            screen.page.close()
            runs.append([frame.at - frame.stamp for frame in frames if frame.is_good])
        cells.append(
            "/".join(
                milliseconds(median(percentile(run, percent) for run in runs))
                for percent in latency.PERCENTS
            )
        )
    device.restore()
    return cells


def first_pictures(browser: Browser, device: Device) -> str:
    screen = new_screen(browser, device)
    screen.open().wait_until_live()
    waits = []
    for _ in range(FIRST_PICTURES):
        screen.open().wait_until_live()
        at = first_picture.moments(screen)
        waits.append(at["first frame"] - at["signaling stable"])
    screen.page.close()
    return "/".join(milliseconds(percentile(waits, percent)) for percent in (50, 95))


def recoveries(browser: Browser, device: Device) -> list[str]:
    """Longest gap in the picture: uStreamer killed; uStreamer restarted with a new sink."""
    cells = []
    for happen in (
        lambda: device.kill("ustreamer"),
        lambda: device.sh(f"systemctl stop ustreamer && rm -f {SINK} && systemctl start ustreamer"),
    ):
        screen = new_screen(browser, device)
        screen.open().wait_until_live()
        try:
            gaps = [recovery.gap_during(screen, device, happen) for _ in range(COMEBACKS)]
            cells.append(milliseconds(median(gaps)))
        except NeverHappened:
            # A plugin that keeps to a sink which is no more shows nothing until Janus is restarted.
            cells.append(f"not within {PATIENCE_SECONDS:.0f} s")
            device.sh("systemctl restart janus")
        screen.page.close()
    return cells


def loads(device: Device) -> list[str]:
    """Janus' share of one core for each number of viewers, and how many of the most were held at 30 fps."""
    shares, held = [], 0
    for count in VIEWERS:
        with load.viewers(device, count) as rates:
            before, began = load.cpu_seconds(device), time.monotonic()
            time.sleep(LOAD_SECONDS)
            after, seconds = load.cpu_seconds(device), time.monotonic() - began
        shares.append(f"{100 * (after['janus'] - before['janus']) / seconds:.0f}")
        held = sum(rate >= HELD_FPS for rate in rates)
    return ["/".join(shares), f"{held} of {VIEWERS[-1]}"]


def measure(browser: Browser) -> str:
    device = Device(HOST)
    play(device, playbook=VIRTUAL).assert_good()
    rows = []
    try:
        for ustreamer in USTREAMERS:
            for plugin in ("upstream", "bundled"):
                provision(device, ustreamer, plugin)
                device.restore()
                rows.append(
                    [
                        f"{ustreamer[1:]}, {plugin}",
                        first_pictures(browser, device),
                        *latencies(browser, device),
                        *recoveries(browser, device),
                        *loads(device),
                    ]
                )
                print(rows[-1], flush=True)
    finally:
        play(device, playbook=VIRTUAL, variables={"virtual_state": "absent"}).assert_good()
    header = [
        "uStreamer, plugin",
        "first picture p50/p95",
        "720p p50/p95/p99",
        "1080p p50/p95/p99",
        "uStreamer killed",
        "new sink",
        f"Janus' CPU, {'/'.join(map(str, VIEWERS))} viewers",
        "held 30 fps",
    ]
    return (
        "Milliseconds, but for CPU (% of a core) and viewers. One run, one machine, Janus 1.4.1 for "
        f"all, GOP 60; Chromium for latencies (medians of {RUNS} runs of {RUN_SECONDS} s), "
        f"{FIRST_PICTURES} page loads, medians of {COMEBACKS} "
        "recoveries; viewers that do not decode for the load.\n\n" + table(header, rows)
    )
