# SPDX-License-Identifier: MIT
"""How long it takes to make an appliance out of a bare virtual Pi, and to find nothing to do."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

from .figures import table

ROOT = Path(__file__).parents[2]
HOST = "kvm-bench"
INVENTORY = f"kvm: {{children: {{virtual: {{hosts: {{{HOST}: }}}}}}}}\n"
# A line of ansible.posix.profile_roles: name, dashes, seconds.
ROLE_TIME = re.compile(r"^(\S+) -+ ([\d.]+)s$", re.MULTILINE)


@dataclass
class Run:
    seconds: float = 0.0
    roles: dict[str, float] = field(default_factory=dict)


def play(inventory: Path, playbook: str, *arguments: str) -> Run:
    """Runs a playbook; raises CalledProcessError if it fails."""
    program = Path(sys.executable).with_name("ansible-playbook")
    environment = {**os.environ, "ANSIBLE_CALLBACKS_ENABLED": "ansible.posix.profile_roles"}
    began = time.monotonic()
    done = subprocess.run(
        [program, "-i", inventory, f"playbooks/{playbook}", *arguments],
        cwd=ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        text=True,
    )
    seconds = time.monotonic() - began
    if done.returncode:
        sys.stderr.write(done.stdout)
        done.check_returncode()
    times = {name: float(spent) for name, spent in ROLE_TIME.findall(done.stdout)}
    return Run(seconds, times)


def measure() -> str:
    with tempfile.TemporaryDirectory() as folder:
        inventory = Path(folder)
        (inventory / "hosts.yml").write_text(INVENTORY)
        (inventory / "group_vars").symlink_to(ROOT / "inventory" / "group_vars")
        try:
            container = play(inventory, "virtual.yml")
            fresh = play(inventory, "site.yml")
            again = play(inventory, "site.yml")
        finally:
            play(inventory, "virtual.yml", "-e", "virtual_state=absent")
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
