# SPDX-License-Identifier: MIT
"""Ansible's programs, as an operator runs them: with a checkout's own ansible.cfg, on one virtual Pi."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from . import ROOT
from .device import Device

SITE = ROOT / "playbooks/site.yml"


@dataclass(frozen=True)
class Played:
    """How a run ended. printed: all of its output; totals: see callback `calm`, {} if it ended before them."""

    code: int
    printed: str
    totals: dict

    @property
    def output(self) -> str:
        """As one line: sentences are found in it wherever they were wrapped."""
        return re.sub(r"\s+", " ", self.printed)

    def assert_good(self) -> Played:
        assert self.code == 0, self.printed
        return self

    @property
    def changed(self) -> int:
        """How many tasks changed something."""
        assert self.totals, f"it ended before it could say what it changed:\n{self.printed}"
        return self.totals["changed"]


class Run:
    """A run that goes on."""

    def __init__(self, process: subprocess.Popen, totals: Path):
        self._process = process
        self._totals = totals

    def is_over(self) -> bool:
        return self._process.poll() is not None

    def end(self) -> Played:
        """Waits for its end."""
        printed = self._process.communicate()[0]
        totals = json.loads(self._totals.read_text()) if self._totals.exists() else {}
        return Played(self._process.returncode, printed, totals)

    def kill(self) -> None:
        """As a power cut would."""
        # Ansible's workers lead sessions of their own, and outlive their master.
        workers = subprocess.run(
            ["ps", "-o", "pid=", "--ppid", str(self._process.pid)], capture_output=True, text=True
        ).stdout.split()
        for leader in (self._process.pid, *map(int, workers)):
            with suppress(ProcessLookupError):
                os.killpg(leader, signal.SIGKILL)
        self._process.communicate()


@contextmanager
def _begun(
    program: str,
    device: Device,
    *arguments: str | Path,
    variables: dict | None = None,
    environment: dict[str, str] | None = None,
    checkout: Path = ROOT,
) -> Iterator[Run]:
    inventory = device.inventory if checkout == ROOT else checkout / "inventory/virtual.yml"
    with tempfile.TemporaryDirectory() as folder:
        # Also one that no inventory of this repository names.
        hosts, totals = Path(folder, "hosts.json"), Path(folder, "totals.json")
        # What it was made with: make appliance ENCODER=software
        encoder = {"ustreamer_h264_encoder": "software"} if device.encodes_in_software else {}
        hosts.write_text(
            json.dumps({"kvm": {"children": {"virtual": {"hosts": {device.name: encoder}}}}})
        )
        command = [
            Path(sys.executable).with_name(program),
            f"--inventory={inventory}",
            f"--inventory={hosts}",
            f"--limit={device.name}",
            *([f"--vault-password-file={vault}"] if (vault := device.vault_password_file) else []),
            *([f"--extra-vars={json.dumps(variables)}"] if variables else []),
            *arguments,
        ]
        process = subprocess.Popen(
            command,
            cwd=checkout,
            env={
                **os.environ,
                # molecule names another.
                "ANSIBLE_CONFIG": str(checkout / "ansible.cfg"),
                "KVM_RUN_FILE": str(totals),
                "TERM": "dumb",
                "COLUMNS": "1000",
                **(environment or {}),
            },
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        run = Run(process, totals)
        try:
            yield run
        finally:
            if not run.is_over():
                run.kill()


@contextmanager
def begun(
    device: Device, *arguments: str, playbook: Path = SITE, **options: dict | None
) -> Iterator[Run]:
    """A play on this device, by this checkout or another, with `variables` and in an `environment`; killed if it goes
    on at the end of the block."""
    with _begun("ansible-playbook", device, *arguments, playbook, **options) as run:
        yield run


def play(device: Device, *arguments: str, playbook: Path = SITE, **options: dict | None) -> Played:
    """Runs a play to its end, see begun()."""
    with begun(device, *arguments, playbook=playbook, **options) as run:
        return run.end()


def run_module(
    device: Device, name: str, parameters: dict, *arguments: str, **options: dict | None
) -> Played:
    """Runs one module or action on this device."""
    module = (device.name, f"--module-name={name}", f"--args={json.dumps(parameters)}")
    with _begun("ansible", device, *module, *arguments, **options) as run:
        return run.end()
