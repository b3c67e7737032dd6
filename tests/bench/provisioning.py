# SPDX-License-Identifier: MIT
"""How long it takes to make an appliance out of a bare virtual Pi, and to find nothing to do."""

from __future__ import annotations

import re
import time
from dataclasses import dataclass, field

from tests.support import ROOT
from tests.support.ansible import play
from tests.support.device import Device

from .figures import table

HOST = "kvm-bench"
# A line of ansible.posix.profile_roles: name, dashes, seconds.
ROLE_TIME = re.compile(r"^(\S+) -+ ([\d.]+)s$", re.MULTILINE)


@dataclass
class Run:
    seconds: float = 0.0
    roles: dict[str, float] = field(default_factory=dict)


def run(device: Device, playbook: str, *arguments: str) -> Run:
    """Runs a playbook to a good end."""
    began = time.monotonic()
    played = play(
        device,
        *arguments,
        playbook=ROOT / "playbooks" / playbook,
        environment={"ANSIBLE_CALLBACKS_ENABLED": "ansible.posix.profile_roles"},
    ).assert_good()
    seconds = time.monotonic() - began
    times = {name: float(spent) for name, spent in ROLE_TIME.findall(played.printed)}
    return Run(seconds, times)


def measure() -> str:
    device = Device(HOST)
    try:
        container = run(device, "virtual.yml")
        fresh = run(device, "site.yml")
        again = run(device, "site.yml")
    finally:
        run(device, "virtual.yml", "-e", "virtual_state=absent")
    roles = [name for name in fresh.roles if (ROOT / "roles" / name).is_dir()]
    rows = [
        ["container (its base image was there)", f"{container.seconds:.0f}", ""],
        *([f"role {name}", *_seconds(name, fresh, again)] for name in sorted(roles)),
        ["playbooks/site.yml, all of it", f"{fresh.seconds:.0f}", f"{again.seconds:.0f}"],
    ]
    return (
        "A fresh container becomes an appliance, and the same play again finds nothing to do. "
        "\u201cAll of it\u201d has the proof that video flows in it. Packages come from the "
        "network.\n\n" + table(["part", "fresh, s", "again, s"], rows)
    )


def _seconds(role: str, *runs: Run) -> list[str]:
    return [f"{run.roles.get(role, 0):.0f}" for run in runs]
