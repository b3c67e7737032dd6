# SPDX-License-Identifier: MIT
"""All that can be told of the device at one moment, from where it is known. What is not known is None or not there."""

from __future__ import annotations

import asyncio
import contextlib
import platform
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field

from tinypilot import healing
from tinypilot.monitoring import machine, observations
from tinypilot.monitoring.machine import Disk
from tinypilot.monitoring.sampler import Verdict
from tinypilot.version import page_version
from tinypilot.video import hdmi

SYSTEMCTL = "/usr/bin/systemctl"
ANSWER_SECONDS = 3
NOT_CAPTURED = "uStreamer shows no picture of the signal that there is"


@dataclass(frozen=True)
class Unit:
    restarts: int
    is_active: bool


@dataclass(frozen=True)
class Facts:
    """source: what uStreamer says of it; supervisor and relay: what these have seen; units: by name; video: the proof,
    if a picture is expected."""

    supervisor: dict = field(default_factory=dict)
    relay: dict = field(default_factory=dict)
    units: dict[str, Unit] = field(default_factory=dict)
    healings: dict[str, healing.Healings] = field(default_factory=dict)
    video: Verdict | None = None
    disks: dict[str, Disk] = field(default_factory=dict)
    temperatures_celsius: dict[str, float] = field(default_factory=dict)
    throttling: dict[str, tuple[bool, bool]] = field(default_factory=dict)
    certificate_ends: float | None = None
    versions: dict[str, str] = field(default_factory=dict)
    now: float = field(default_factory=time.time)

    @property
    def signal(self) -> str | None:
        """One of hdmi.STATES; None: nobody tells."""
        return signal_of(self.supervisor)

    @property
    def has_signal(self) -> bool | None:
        return has_signal(self.supervisor)

    @property
    def source(self) -> dict:
        return self.supervisor.get("source") or {}

    def told(self) -> dict:
        """For the web app."""
        return {
            "signal": self.supervisor.get("signal"),
            "has_signal": self.has_signal,
            "troubles": self.supervisor.get("troubles"),
            "units": {name: unit.is_active for name, unit in self.units.items()},
            "is_picture_proven": self.video.is_ok if self.video else None,
            "disks": {name: asdict(disk) for name, disk in self.disks.items()},
            "certificate_ends": self.certificate_ends,
        }


def signal_of(supervisor: dict) -> str | None:
    state = (supervisor.get("signal") or {}).get("state")
    return state if state in hdmi.STATES else None


def has_signal(supervisor: dict) -> bool | None:
    """Whether there is one that this device can show. A dongle does not tell: what uStreamer says counts then."""
    state = signal_of(supervisor)
    if state in (None, hdmi.UNKNOWN):
        return (supervisor.get("source") or {}).get("online")
    return state == hdmi.PRESENT


def problem_of_source() -> str:
    """Why there can be no picture though there is a signal."""
    seen = observations.read("supervisor")
    source = seen.get("source")
    return "" if source and source.get("online") else NOT_CAPTURED


async def units(names: Sequence[str]) -> dict[str, Unit]:
    """{}: systemd does not tell, as on a device without D-Bus."""
    command = [SYSTEMCTL, "show", "--property=Id,NRestarts,ActiveState,LoadState", *names]
    try:
        asked = await asyncio.create_subprocess_exec(
            *command, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL
        )
    except OSError:
        return {}
    try:
        async with asyncio.timeout(ANSWER_SECONDS):
            told, _ = await asked.communicate()
    except TimeoutError:
        with contextlib.suppress(ProcessLookupError):
            asked.kill()
        await asked.wait()
        return {}
    found = {}
    for block in told.decode(errors="replace").split("\n\n"):
        said = dict(line.partition("=")[::2] for line in block.splitlines())
        if said.get("Id") in names and said.get("LoadState") == "loaded":
            found[said["Id"]] = Unit(
                int(said.get("NRestarts") or 0), said.get("ActiveState") == "active"
            )
    return found


def versions(supervisor: dict) -> dict[str, str]:
    found = {"version": page_version()}
    with contextlib.suppress(OSError):
        release = platform.freedesktop_os_release()
        found["debian"] = release.get("VERSION_ID", "")
    if janus := supervisor.get("janus_version"):
        found["janus"] = str(janus)[: machine.LONGEST_NAME]
    return found


async def gather(names: Sequence[str], video: Verdict | None) -> Facts:
    supervisor = observations.read("supervisor")
    certificate = supervisor.get("certificate")
    return Facts(
        supervisor=supervisor,
        relay=observations.read("relay"),
        units=await units(names),
        healings={unit: each for unit, each in healing.of_all().items() if unit in names},
        video=video,
        disks=machine.disks(),
        temperatures_celsius=machine.temperatures_celsius(),
        throttling=machine.throttling(),
        certificate_ends=(
            await asyncio.to_thread(machine.end_of_certificate, certificate)
            if certificate
            else None
        ),
        versions=versions(supervisor),
    )
