# SPDX-License-Identifier: MIT
"""What each service costs, with none and with many viewers."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import time
from collections.abc import Iterator

from playwright.sync_api import Browser

from tests.support.device import Device
from tests.support.waiting import wait_until

from .figures import table

VIEWERS = (0, 1, 8, 16)
VIEWERS_PER_PROCESS = 8
SECONDS = 20
# The plugin reads on for those who come back, and uStreamer waits a little longer.
QUIET_PATIENCE_SECONDS = 120

_CPU_SECONDS = """
import json, os, pathlib, sys
used = dict.fromkeys(sys.argv[1:], 0)
for process in pathlib.Path("/proc").glob("[0-9]*"):
    try:
        groups = (process / "cgroup").read_text()
        fields = (process / "stat").read_text().rpartition(")")[2].split()
    except OSError:
        continue
    for service in used:
        if f"/{service}.service" in groups:
            used[service] += (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
print(json.dumps(used))
"""


def cpu_seconds(device: Device) -> dict[str, float]:
    """Processor seconds that the processes of each service have used so far."""
    return json.loads(device.python(_CPU_SECONDS, *device.services))


@contextlib.contextmanager
def viewers(
    device: Device, count: int, module: str = "light_viewers", path: str = "janus/ws", *words: str
) -> Iterator[list[float]]:
    """`count` viewers watch meanwhile; afterwards the list has the frames per second of each."""
    rates: list[float] = []
    processes = [
        subprocess.Popen(
            [
                sys.executable,
                "-m",
                f"tests.bench.{module}",
                f"wss://{device.address}/{path}",
                str(part),
                *words,
            ],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for part in _parts(count)
    ]
    for process in processes:
        process.stdin.write(f"{device.cookie()}\n")
        process.stdin.flush()
        process.stdout.readline()  # says that all its viewers are there
    yield rates
    for process in processes:
        answer, _ = process.communicate("")
        rates.extend(json.loads(answer))


def _parts(count: int) -> list[int]:
    full, rest = divmod(count, VIEWERS_PER_PROCESS)
    return [VIEWERS_PER_PROCESS] * full + [rest] * bool(rest)


def measure(_: Browser, device: Device) -> str:
    rows = []
    for count in VIEWERS:
        if count == 0:
            wait_until(
                lambda: not device.is_encoding,
                "the last viewer is forgotten",
                QUIET_PATIENCE_SECONDS,
            )
        with viewers(device, count) as rates:
            before, began = cpu_seconds(device), time.monotonic()
            time.sleep(SECONDS)
            after, seconds = cpu_seconds(device), time.monotonic() - began
        shares = [100 * (after[service] - before[service]) / seconds for service in device.services]
        slowest = f"{min(rates):.1f}" if rates else "-"
        rows.append([count, *(f"{share:.1f} %" for share in shares), slowest])
    return (
        f"Share of one core over {SECONDS} s, 1280 \u00d7 720 at 30 frames per second. uStreamer's "
        "share has the emulated computer and the encoder in software in it, which a Pi has in "
        "hardware. The viewers take whole frames off the network and don't decode them; they "
        "run on the same machine, in processes of their own.\n\n"
        + table(["viewers", *device.services, "frames per second of the slowest"], rows)
    )
