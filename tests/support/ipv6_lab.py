# SPDX-License-Identifier: MIT
"""A viewer to whom IPv6 alone leads, or both: a network namespace with a cable of its own to the device."""

from __future__ import annotations

import contextlib
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass

from .device import Device, docker
from .nat_lab import Namespace, connect, new_namespace

DEVICE_ADDRESS, VIEWER_ADDRESS = "fd00:6::1", "fd00:6::2"


@dataclass(frozen=True)
class DeviceOverIpv6(Device):
    """The same device, under its IPv6 address."""

    @property
    def address(self) -> str:
        return f"[{DEVICE_ADDRESS}]"


@contextlib.contextmanager
def viewer_over_ipv6(device: Device, with_ipv4: bool = False) -> Iterator[Namespace]:
    holders: list[subprocess.Popen] = []
    try:
        pid = docker("inspect", "-f", "{{.State.Pid}}", device.name).strip()
        carrier, viewer = Namespace(f"/proc/{pid}/ns/net"), new_namespace(holders)
        connect(carrier, "six", "192.0.2.1/24", viewer, "eth0", "192.0.2.2/24")
        for end, link, address in (
            (carrier, "six", DEVICE_ADDRESS),
            (viewer, "eth0", VIEWER_ADDRESS),
        ):
            # Docker has switched it off for what it makes itself.
            end.run(f"sysctl -q -w net.ipv6.conf.{link}.disable_ipv6=0")
            if not with_ipv4:
                end.run(f"ip -4 address flush dev {link}")
            end.run(f"ip address add {address}/64 dev {link} nodad")
        if not with_ipv4:
            # Self-assigned, as on many networks, and leads nowhere. On Linux Chromium needs one: its multicast DNS
            # comes up with IPv4 alone, and without that it offers no address of its own.
            viewer.run("ip address add 169.254.7.7/16 dev eth0")
        # By its default route a browser finds out which of its addresses it may tell.
        viewer.run(f"ip -6 route add default via {DEVICE_ADDRESS}")
        yield viewer
    finally:
        # The cable goes with its end.
        for holder in holders:
            holder.kill()
            holder.wait()
