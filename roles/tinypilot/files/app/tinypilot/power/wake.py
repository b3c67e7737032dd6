# SPDX-License-Identifier: MIT
"""Sends a magic packet, which a sleeping or switched-off machine's network card waits for.

python3 -m tinypilot.power.wake
    One request on standard input, {"mac": ..., "broadcast": ..., "interface": ...} in a line, and its answer: the
    interfaces that the packet went out on, and why it did not on others. systemd starts it for each connection to a
    socket that the web app alone may open: the web app itself has no network.
"""

import json
import os
import socket
import sys
from pathlib import Path

INTERFACES = Path("/sys/class/net")
# Of the kernel's <net/if.h>.
UP, BROADCAST = 0x1, 0x2
# "Discard": nobody listens there, and network cards look at each packet.
PORT = 9
LONGEST_REQUEST_BYTES = 4096
# What is sent without an interface is led by the routes.
BY_ROUTE = "route"


def magic_packet(mac: str) -> bytes:
    return b"\xff" * 6 + bytes.fromhex(mac.replace(":", "")) * 16


def interfaces_up(folder: Path = INTERFACES) -> list[str]:
    found = []
    for interface in sorted(folder.iterdir()):
        try:
            flags = int((interface / "flags").read_text(), 16)
        except (OSError, ValueError):  # it went, or is none
            continue
        if flags & (UP | BROADCAST) == UP | BROADCAST:
            found.append(interface.name)
    return found


def wake(mac: str, broadcast: str, interface: str, folder: Path = INTERFACES) -> dict:
    """On the interface that is named; else to the address, by the routes; else on each interface that is up."""
    on = [""] if broadcast and not interface else interfaces_up(folder)
    if interface:
        on = [each for each in on if each == interface]
    sent, failed = [], {}
    for name in on:
        try:
            _send(magic_packet(mac), broadcast or "255.255.255.255", name)
            sent.append(name or BY_ROUTE)
        except OSError as error:
            failed[name or BY_ROUTE] = os.strerror(error.errno or 0)
    return {"sent": sent, "failed": failed}


def _send(packet: bytes, address: str, interface: str) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
        udp.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
        if interface:
            udp.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, interface.encode())
        udp.sendto(packet, (address, PORT))


def main() -> None:
    request = json.loads(sys.stdin.buffer.readline(LONGEST_REQUEST_BYTES))
    told = wake(request["mac"], request["broadcast"], request["interface"])
    print(json.dumps(told), flush=True)


if __name__ == "__main__":
    main()
