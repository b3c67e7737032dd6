# SPDX-License-Identifier: MIT
"""Lets people watch a virtual Pi for hours, one of them with the controls, and asks whether memory, open files and
latency stay as they were. Meanwhile RTP's timestamps wrap once. Writes the table into docs/reliability.md.

python -m tests.soak --device NAME [--hours 2] [--print]
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager

from playwright.sync_api import Browser

from tests.bench import document, machine
from tests.bench.figures import table
from tests.chaos.__main__ import RELIABILITY, TRANSPORTS, watch
from tests.soak.slopes import Sample, Slope, settled, slope
from tests.support.device import PROCESSES, Device
from tests.support.remote_screen import RemoteScreen, launch_browser, new_screen

UNITS = list(dict.fromkeys(unit for unit, _ in PROCESSES))
SAMPLES = 240
LEAST_SECONDS_BETWEEN = 5.0
# Of what is flat. What a process grows by in a run of minutes is a page or two of its allocator.
MEMORY_PERCENT, MEMORY_MIB = 2.0, 1.0
FILES = 1.0
LATENCY_MS = 5.0
WRAP_SECONDS = 2**32 / 90_000
PLUGIN_CONFIG = "/etc/janus/janus.plugin.ustreamer.jcfg"

# Of all processes of each unit: memory that is their own (MiB), and open files.
_LOOK = """
import json, os, sys
from pathlib import Path
found = {}
for unit in sys.argv[1:]:
    pids = []
    for root in ("/sys/fs/cgroup/systemd", "/sys/fs/cgroup", "/sys/fs/cgroup/unified"):
        for file in Path(root).glob(f"**/{unit}.service/**/cgroup.procs"):
            pids += file.read_text().split()
    kib = files = 0
    for pid in set(pids):
        try:
            rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
            kib += sum(int(line.split()[1]) for line in rollup.splitlines() if line.startswith("Private_"))
            files += len(os.listdir(f"/proc/{pid}/fd"))
        except OSError:
            pass
    found[unit] = [kib / 1024, files, sorted(set(pids))]
print(json.dumps(found))
"""


@contextmanager
def wrap_near(device: Device, seconds: float) -> Iterator[None]:
    """RTP's timestamps wrap so many seconds from now."""
    uptime = float(device.sh("cut -d' ' -f1 /proc/uptime"))
    ahead = int((WRAP_SECONDS - seconds - uptime) % WRAP_SECONDS)
    restart = "systemctl restart janus"
    device.sh(
        f"cp {PLUGIN_CONFIG} /run/plugin.jcfg && "
        f"printf 'video: {{ rtp_ahead_seconds = \"{ahead}\" }}\\n' >>{PLUGIN_CONFIG} && {restart}"
    )
    try:
        device.wait_until_ready()
        yield
    finally:
        device.sh(f"cat /run/plugin.jcfg >{PLUGIN_CONFIG} && rm /run/plugin.jcfg && {restart}")


def soak(browser: Browser, device: Device, seconds: float) -> tuple[dict, list[str]]:
    """Samples by what they are of, and what went wrong."""
    device.restore()
    with wrap_near(device, seconds / 2):
        screens = [watch(browser, device, transport) for transport in TRANSPORTS]
        owner = new_screen(browser, device, role="operator").open()
        owner.wait_until_live()
        owner.page.locator("#control-ask").click()
        owner.wait_for_control("mine")
        return _sample([*screens, owner], owner, device, seconds)


def _sample(
    screens: list[RemoteScreen], owner: RemoteScreen, device: Device, seconds: float
) -> tuple[dict, list[str]]:
    samples: dict[tuple[str, str], list[Sample]] = defaultdict(list)
    wrong: list[str] = []
    before = json.loads(device.python(_LOOK, *UNITS))
    began = time.monotonic()
    pause = max(LEAST_SECONDS_BETWEEN, seconds / SAMPLES)
    while (now := time.monotonic() - began) < seconds:
        starts = [screen.newest.number for screen in screens]
        # Something to do for the way of a key, too.
        owner.page.mouse.move(300 + now % 100, 300)
        owner.page.keyboard.press("a")
        owner.page.wait_for_timeout(pause * 1000)
        for screen, start, name in zip(screens, starts, (*TRANSPORTS, "owner"), strict=True):
            frames = [each for each in screen.frames_since(start) if each.is_good]
            if not frames:
                wrong.append(f"{name} had no frame for {pause:.0f} s, after {now:.0f} s")
            elif name != "owner":
                late = statistics.median(each.at - each.stamp for each in frames)
                samples["latency, ms", name].append((now, 1000 * late))
        found = json.loads(device.python(_LOOK, *UNITS))
        for unit, (mib, files, pids) in found.items():
            samples["memory, MiB", unit].append((now, mib))
            samples["open files", unit].append((now, files))
            if pids != before[unit][2] and unit != "tinypilot":
                wrong.append(f"{unit} was started anew, after {now:.0f} s")
        before = found
    return samples, wrong


def is_flat(kind: str, line: Slope) -> bool:
    match kind:
        case "memory, MiB":
            return line.change <= MEMORY_MIB or line.percent <= MEMORY_PERCENT
        case "open files":
            return line.change <= FILES
    return line.change <= LATENCY_MS


def describe(samples: dict, wrong: list[str], seconds: float, where: str) -> tuple[str, bool]:
    lines, all_flat = [], True
    for (kind, name), points in samples.items():
        line = slope(settled(points))
        flat = is_flat(kind, line)
        all_flat &= flat
        change = f"{line.change:+.1f} ({line.percent:+.1f} %)"
        lines.append([f"{kind}: {name}", f"{line.level:.1f}", change, "flat" if flat else "grows"])
    text = (
        f"`make soak HOURS={seconds / 3600:.2g}`, {seconds / 60:.0f} minutes: four pages watch by all transports, one "
        "of them types and moves the mouse; RTP's timestamps wrap in the middle. A line through the samples after the "
        "first ten minutes (or the first quarter, if that is less): where it begins, and by how much it rises or falls "
        f"to its end. Flat: memory rises by at most {MEMORY_PERCENT:.0f} % or {MEMORY_MIB:.0f} MiB, files by "
        f"{FILES:.0f}, latency by {LATENCY_MS:.0f} ms.\n\n"
        + table(["what", "at the beginning", "change", "verdict"], lines)
        + f"\n\nWhat went wrong: {'; '.join(wrong) or 'nothing'}.\n\n{where}"
    )
    return text, all_flat and not wrong


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.soak", description=__doc__)
    parser.add_argument("--device", required=True, help="container of a virtual Pi")
    parser.add_argument("--hours", type=float, default=2)
    parser.add_argument("--print", action="store_true", help="do not write the document")
    arguments = parser.parse_args()
    seconds = 3600 * arguments.hours
    where = machine.describe()
    with launch_browser() as browser:
        samples, wrong = soak(browser, Device(arguments.device), seconds)
    text, is_good = describe(samples, wrong, seconds, where)
    print(text)
    if not arguments.print:
        document.write("soak", text, RELIABILITY)
    sys.exit(not is_good)


if __name__ == "__main__":
    main()
