# SPDX-License-Identifier: MIT
"""Kills and stops the services of a virtual Pi while people watch by all transports and one has the controls, prints
how long they were without a fresh picture and what was lost, and writes the table into docs/reliability.md.

python -m tests.chaos --device NAME [--seed N] [--rounds N] [--kill SERVICE] [--print]

The same seed breaks the same in the same order. --kill: nothing but this service, each time; the document is left as it
is then, and with --print.
"""

from __future__ import annotations

import argparse
import random
import sys
import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from playwright.sync_api import Browser

from tests.bench import document, machine
from tests.bench.figures import median, table
from tests.bench.recovery import AFTER_SECONDS, BEFORE_SECONDS, longest_gap
from tests.support.device import PROCESSES, SERVICES, Device
from tests.support.remote_screen import RemoteScreen, launch_browser, new_screen
from tests.support.waiting import NeverHappened

RELIABILITY = Path(__file__).parents[2] / "docs" / "reliability.md"
MOST_AT_ONCE = 3
TRANSPORTS = ("webrtc", "webcodecs", "mjpeg")


@dataclass(frozen=True)
class Round:
    """title: its row in the table; happen: breaks something; is_over: whether that is mended."""

    title: str
    what: str
    happen: Callable[[Device], None]
    is_over: Callable[[Device, dict[str, int]], bool]


@dataclass
class Row:
    gaps: list[float] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)


def rounds(seed: int, count: int) -> list[Round]:
    """Every second one stops a process, each in turn."""
    chance = random.Random(seed)
    made = []
    for number in range(count):
        if number % 2:
            made.append(_stop(*PROCESSES[number // 2 % len(PROCESSES)]))
        else:
            made.append(_kill(chance.sample(SERVICES, chance.randint(1, MOST_AT_ONCE))))
    return made


def _kill(services: list[str]) -> Round:
    def happen(device: Device) -> None:
        units = " ".join(f"{service}.service" for service in services)
        device.sh(f"systemctl kill --kill-whom=all --signal=KILL {units}")

    def is_over(device: Device, before: dict[str, int]) -> bool:
        return device.is_active(*services)

    return Round(
        f"SIGKILL of {len(services)} at once", f"SIGKILL {' '.join(services)}", happen, is_over
    )


def _stop(service: str, process: str) -> Round:
    def is_over(device: Device, before: dict[str, int]) -> bool:
        return device.healings(service) > before[service] and device.is_active(service)

    title = f"SIGSTOP of {service}" + (", its worker" if process == "worker" else "")
    return Round(title, title, lambda device: device.hang(service, process), is_over)


def run(browser: Browser, device: Device, turns: list[Round]) -> dict[str, Row]:
    device.restore()
    watchers = [watch(browser, device, transport) for transport in TRANSPORTS]
    owner = new_screen(browser, device, role="operator").open()
    owner.wait_until_live()
    owner.page.locator("#control-ask").click()
    owner.wait_for_control("mine")
    screens = [*watchers, owner]
    rows: dict[str, Row] = defaultdict(Row)
    for number, turn in enumerate(turns, 1):
        lost, gaps = _play(screens, owner, device, turn)
        row = rows[turn.title]
        row.gaps.append(max(gaps.values()))
        row.lost += lost
        seconds = ", ".join(f"{name} {gap:.1f} s" for name, gap in gaps.items())
        print(
            f"{number}: {turn.what}: {seconds}{''.join(f'; {each}' for each in lost)}", flush=True
        )
    return rows


def watch(browser: Browser, device: Device, transport: str) -> RemoteScreen:
    screen = new_screen(browser, device)
    screen.page.add_init_script(f"localStorage.setItem('picture-transport', '{transport}')")
    screen.open().wait_until_live()
    return screen


def _play(
    screens: list[RemoteScreen], owner: RemoteScreen, device: Device, turn: Round
) -> tuple[list[str], dict[str, float]]:
    """What was lost, and the longest time that each page was without a fresh picture."""
    device.wait_until_ready()
    for screen in screens:
        screen.wait_until_live()
    before = {service: device.healings(service) for service, _ in PROCESSES}
    starts = [screen.newest.number for screen in screens]
    owner.page.wait_for_timeout(BEFORE_SECONDS * 1000)
    turn.happen(device)
    lost = []
    try:
        owner.wait_until(lambda: turn.is_over(device, before), f"{turn.what} is mended")
        mended = time.time()
        for screen in screens:
            screen.wait_for_frame(captured_after=mended)
        owner.wait_for_control("mine")
    except NeverHappened as error:
        lost.append(str(error))
    owner.page.wait_for_timeout(AFTER_SECONDS * 1000)
    if failed := device.sh("systemctl --failed --plain --no-legend").split():
        lost.append(f"failed: {failed[0]}")
    if gone := [screen for screen in screens if "login" in screen.page.url]:
        lost.append(f"{len(gone)} sessions")
    gaps = {
        name: longest_gap(screen.frames_since(start))
        for name, screen, start in zip((*TRANSPORTS, "owner"), screens, starts, strict=True)
    }
    return lost, gaps


def describe(rows: dict[str, Row], seed: int) -> str:
    count = sum(len(row.gaps) for row in rows.values())
    lines = [
        [
            title,
            len(row.gaps),
            f"{median(row.gaps):.1f}",
            f"{max(row.gaps):.1f}",
            "; ".join(row.lost) or "nothing",
        ]
        for title, row in sorted(rows.items())
    ]
    return (
        f"{count} rounds, `python -m tests.chaos --seed {seed}`. Four pages watch: WebRTC, H.264 over a WebSocket, "
        "MJPEG, and one that has the controls. The gap is the longest time that any of them was without a fresh "
        "picture.\n\n"
        + table(["what was done", "rounds", "median gap, s", "longest gap, s", "lost"], lines)
        + f"\n\n{machine.describe()}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("--device", required=True, help="container of a virtual Pi")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=100)
    parser.add_argument(
        "--kill", choices=SERVICES, help="only this, and the document is left alone"
    )
    parser.add_argument("--print", action="store_true", help="do not write the document")
    arguments = parser.parse_args()
    device = Device(arguments.device)
    turns = rounds(arguments.seed, arguments.rounds)
    if arguments.kill:
        turns = [_kill([arguments.kill])] * arguments.rounds
    with launch_browser() as browser:
        rows = run(browser, device, turns)
    text = describe(rows, arguments.seed)
    print(f"\n{text}")
    if not arguments.print and not arguments.kill:
        document.write("chaos", text, RELIABILITY)
    sys.exit(any(row.lost for row in rows.values()))


if __name__ == "__main__":
    main()
