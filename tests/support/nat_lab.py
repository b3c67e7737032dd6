# SPDX-License-Identifier: MIT
"""A place that UDP does not reach the device from: a viewer behind a symmetric NAT, and a TURN server on its way.

    device ── its network ── container with coturn ── nat ── viewer
                             192.0.2.1        192.0.2.2  198.51.100.1   198.51.100.2

`nat` and `viewer` are network namespaces of their own. The NAT gives each destination another port, as a symmetric one
does, and lets pass what the test wants. The container is made from the device's own image, coturn is Debian's package.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from .device import Device, docker
from .waiting import wait_until

TURN_ADDRESS = "192.0.2.1"
PORT, TLS_PORT = 3478, 5349
SECRET = "north wind and sun"
_CERTIFICATE = """
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=turn \
  -addext subjectAltName=IP:{address} -keyout /root/key.pem -out /root/certificate.pem 2>/dev/null
openssl x509 -in /root/certificate.pem -pubkey -noout | openssl pkey -pubin -outform der | base64 -w0
"""
_TURNSERVER = """
listening-ip={address}
relay-ip={relay}
listening-port={port}
tls-listening-port={tls_port}
use-auth-secret
static-auth-secret={secret}
realm=kvm.example
cert=/root/certificate.pem
pkey=/root/key.pem
no-cli
log-file=/root/turn.log
simple-log
"""


@dataclass(frozen=True)
class Namespace:
    """A network namespace, by a path that leads to it."""

    path: str

    def run(self, command: str) -> str:
        return subprocess.run(
            ["nsenter", f"--net={self.path}", *command.split()],
            check=True,
            capture_output=True,
            text=True,
        ).stdout

    def browser_program(self, folder: Path) -> Path:
        """Runs Chromium in it."""
        program = folder / "chromium"
        program.write_text(f'#!/bin/sh\nexec nsenter --net={self.path} /usr/bin/chromium "$@"\n')
        program.chmod(0o755)
        return program


@dataclass(frozen=True)
class NatLab:
    name: str
    device: Device
    nat: Namespace
    viewer: Namespace
    key_hash: str

    def urls(self, form: str) -> list[str]:
        """form: udp, tcp or tls."""
        if form == "tls":
            return [f"turns:{TURN_ADDRESS}:{TLS_PORT}?transport=tcp"]
        return [f"turn:{TURN_ADDRESS}:{PORT}?transport={form}"]

    def let_pass(self, *, udp_to_turn: bool) -> None:
        """No UDP leads to the device. Whether any leads to the TURN server is the test's choice."""
        self.nat.run("iptables -F FORWARD")
        if udp_to_turn:
            self.nat.run(f"iptables -A FORWARD -p udp -d {TURN_ADDRESS} --dport {PORT} -j ACCEPT")
            self.nat.run(f"iptables -A FORWARD -p udp -s {TURN_ADDRESS} --sport {PORT} -j ACCEPT")
        self.nat.run("iptables -A FORWARD -p udp -j DROP")


@contextlib.contextmanager
def nat_lab(device: Device) -> Iterator[NatLab]:
    name = f"{device.name}-nat-lab"
    image = docker("inspect", "-f", "{{.Config.Image}}", device.name).strip()
    network = docker("inspect", "-f", "{{.HostConfig.NetworkMode}}", device.name).strip()
    docker("rm", "--force", name, check=False)
    docker(
        *("run", "--detach", "--name", name, "--network", network),
        *("--cap-add", "NET_ADMIN", "--sysctl", "net.ipv4.ip_forward=1"),
        *(image, "sleep", "infinity"),
    )
    holders: list[subprocess.Popen] = []
    try:
        yield _build(device, name, holders)
    finally:
        docker("rm", "--force", name)
        for holder in holders:
            holder.kill()
            holder.wait()


def _build(device: Device, name: str, holders: list[subprocess.Popen]) -> NatLab:
    def sh(command: str) -> str:
        return docker("exec", name, "sh", "-c", command)

    sh(
        "apt-get update -qq && DEBIAN_FRONTEND=noninteractive "
        "apt-get install -qq --no-install-recommends coturn openssl >/dev/null"
    )
    pid = docker("inspect", "-f", "{{.State.Pid}}", name).strip()
    carrier = Namespace(f"/proc/{pid}/ns/net")
    nat, viewer = new_namespace(holders), new_namespace(holders)
    # The carrier, who lets the viewer reach the device's network.
    connect(carrier, "street", f"{TURN_ADDRESS}/24", nat, "wan", "192.0.2.2/24")
    connect(nat, "lan", "198.51.100.1/24", viewer, "eth0", "198.51.100.2/24")
    nat.run(f"ip route add default via {TURN_ADDRESS}")
    viewer.run("ip route add default via 198.51.100.1")
    carrier.run("iptables -t nat -A POSTROUTING -s 192.0.2.0/24 -o eth0 -j MASQUERADE")
    nat.run("sysctl -q -w net.ipv4.ip_forward=1")
    nat.run("iptables -t nat -A POSTROUTING -o wan -j MASQUERADE --random-fully")

    key = base64.b64decode(sh(_CERTIFICATE.format(address=TURN_ADDRESS)))
    relay = docker(
        "inspect", "-f", "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}", name
    )
    configuration = _TURNSERVER.format(
        address=TURN_ADDRESS, relay=relay.strip(), port=PORT, tls_port=TLS_PORT, secret=SECRET
    )
    sh(f"cat > /root/turnserver.conf <<'EOF'{configuration}EOF")
    docker("exec", "--detach", name, "turnserver", "-c", "/root/turnserver.conf")
    for port in (PORT, TLS_PORT):
        wait_until(
            lambda port=port: f"{TURN_ADDRESS}:{port}" in carrier.run("ss -ltn"), "coturn listens"
        )
    key_hash = base64.b64encode(hashlib.sha256(key).digest()).decode()
    return NatLab(name, device, nat, viewer, key_hash)


def new_namespace(holders: list[subprocess.Popen]) -> Namespace:
    """It lives as long as a process in it does."""
    holder = subprocess.Popen(
        ["unshare", "--net", "sh", "-c", "echo ready; exec sleep infinity"],
        stdout=subprocess.PIPE,
        text=True,
    )
    holders.append(holder)
    assert holder.stdout.readline() == "ready\n"
    namespace = Namespace(f"/proc/{holder.pid}/ns/net")
    namespace.run("ip link set lo up")
    return namespace


def connect(
    one: Namespace, name: str, address: str, other: Namespace, other_name: str, other_address: str
) -> None:
    """A cable between two namespaces."""
    pid = other.path.split("/")[2]
    one.run(f"ip link add {name} type veth peer name {other_name} netns {pid}")
    for end, link, its_address in ((one, name, address), (other, other_name, other_address)):
        end.run(f"ip address add {its_address} dev {link}")
        end.run(f"ip link set {link} up")
