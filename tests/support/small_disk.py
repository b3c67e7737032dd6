# SPDX-License-Identifier: MIT
"""A disk of its own for all that a virtual Pi keeps (/var/lib, the journal), which can be filled, and can go bad."""

from __future__ import annotations

import contextlib
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

from .device import Device, docker

SIZE_MIB = 48
MOUNTED = "/mnt/small"
FOLDERS = ("/var/lib/tinypilot", "/var/lib/kvm-settings", "/var/log/journal")
# Those that have these folders open. Others have mounts of their own, and see nothing of it.
SERVICES = "tinypilot tinypilot-relay tinypilot-hid"
# systemd starts its journal five times in ten seconds and no more: quick tests, one after the other, are no fault.
RESTART = f"systemctl reset-failed systemd-journald; systemctl restart {SERVICES} systemd-journald"


class SmallDisk:
    def __init__(self, device: Device):
        self._device = device

    def fill(self) -> None:
        """Not a block is free; nor in the reserve for a login, if that is gone."""
        # A large piece, and then all that is left.
        self._device.sh(
            f"for size in 1M 4k 1; do dd if=/dev/zero bs=$size 2>/dev/null >>{MOUNTED}/fill; done; sync; true"
        )

    def make_room(self) -> None:
        self._device.sh(f"rm -f {MOUNTED}/fill && sync")

    def go_bad(self) -> None:
        """As ext4 does after an error: it is read-only from now on, also for those who have files open."""
        self._device.sh(f"mount -o remount,abort {MOUNTED}", check=False)


@contextlib.contextmanager
def small_disk(device: Device) -> Iterator[SmallDisk]:
    """In place of what the device keeps, with a copy of that. What is changed meanwhile is gone afterwards."""
    process = docker("inspect", "-f", "{{.State.Pid}}", device.name).strip()

    def as_host(*command: str) -> None:
        subprocess.run(["nsenter", f"--target={process}", "--mount", *command], check=True)

    with tempfile.TemporaryDirectory() as folder:
        image = Path(folder) / "disk"
        with open(image, "wb") as opened:
            opened.truncate(SIZE_MIB << 20)
        subprocess.run(["mkfs.ext4", "-q", "-m", "0", image], check=True)
        loop = subprocess.run(
            ["losetup", "--find", "--show", image], check=True, capture_output=True, text=True
        ).stdout.strip()
        number = Path(f"/sys/class/block/{Path(loop).name}/dev").read_text().strip().split(":")
        as_host("mkdir", "-p", MOUNTED)
        as_host("sh", "-c", f"[ -e {loop} ] || mknod {loop} b {' '.join(number)}")
        as_host("mount", loop, MOUNTED)
        try:
            # Stopped, they leave a database in one piece. Their sockets start them again at once; what is mounted
            # counts from the next start on.
            device.sh(
                f"systemctl stop {SERVICES}; for folder in {' '.join(FOLDERS)}; do mkdir -p $folder && "
                f"cp -a $folder {MOUNTED}/ && mount --bind {MOUNTED}/${{folder##*/}} $folder || exit; done; "
                f"{RESTART}"
            )
            yield SmallDisk(device)
        finally:
            device.sh(
                f"umount {' '.join(FOLDERS)}; rm -f /run/tinypilot-auth/*; {RESTART}; "
                f"umount --lazy {MOUNTED}; rm -f {loop}",
                check=False,
            )
            subprocess.run(["losetup", "--detach", loop], check=True)
