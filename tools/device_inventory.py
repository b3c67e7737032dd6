#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Prints the inventory of the device that `make appliance HOST=` names. HOST comes by the environment.

    [user@]name[:port]        name: a host name, an IPv4 address, or a host of ~/.ssh/config
    [user@]2001:db8::7        an IPv6 address; with a port in brackets, [2001:db8::7]:2222
    [user@]fe80::1%eth0       one that is valid on one link alone

Runs before there is a virtual environment, so it needs Python alone.
"""

import ipaddress
import json
import os
import re
import subprocess
import sys

FORMS = (
    "HOST is [user@]name[:port], such as pi@192.0.2.10, pi@kvm.lan:2222 or pi@[2001:db8::7]:2222"
)
USER = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.+@\\-]*\$?")
# As ssh takes it: hosts of ~/.ssh/config may have an underscore, too.
LABEL = "[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?"
NAME = re.compile(f"(?=.{{1,254}}$){LABEL}([.]{LABEL})*[.]?")
# No browser opens an address with a zone. As inventory/group_vars/kvm.yml has it for one that is given.
OF_DEVICE = (
    "{{ ansible_facts['default_ipv4']['address'] | default(ansible_facts['hostname'] ~ '.local') }}"
)
BRACKETS = re.compile(r"\[([^\[\]]+)\](?::(.*))?")


class Refusal(Exception):
    """What is wrong with HOST."""


def parse(host):
    """User (or ""), name or address, and port (or None)."""
    if not host.isascii() or not host.isprintable() or re.search(r"\s", host):
        raise Refusal("it has a space, or a character that no host name has")
    if re.match(r"\w+://", host) or "/" in host:
        raise Refusal("it is a URL or a network")
    if "," in host:
        raise Refusal("it names several devices: inventory/hosts.yml is for those")
    user, at, rest = host.rpartition("@")
    if at and not USER.fullmatch(user):
        raise Refusal(f"'{user}' is no name of a user")
    if not rest:
        raise Refusal("it names no device")
    if rest.startswith("["):
        bracketed = BRACKETS.fullmatch(rest)
        if not bracketed:
            raise Refusal(
                "an IPv6 address stands between [ and ], and a port after that and a colon"
            )
        return user, ipv6(bracketed[1]), port_of(bracketed[2])
    if rest.count(":") > 1:
        return user, ipv6(rest), None
    name, colon, port = rest.partition(":")
    if re.fullmatch(r"[0-9.]+", name):
        try:
            ipaddress.IPv4Address(name)
        except ValueError:
            raise Refusal(f"'{name}' is no IPv4 address") from None
    elif not NAME.fullmatch(name):
        raise Refusal(f"'{name}' is no name of a host")
    return user, name, port_of(port if colon else None)


def ipv6(text):
    # As in a URL, where the % is written as %25; a number alone is an interface's, too.
    text = re.sub("%25(?=[A-Za-z_])", "%", text)
    address, percent, zone = text.partition("%")
    try:
        ipaddress.IPv6Address(address)
    except ValueError:
        raise Refusal(f"'{address}' is no IPv6 address") from None
    if percent and not re.fullmatch(r"[A-Za-z0-9_.-]+", zone):
        raise Refusal(f"'{zone}' is no interface of this machine")
    return text


def port_of(text):
    if text is None:
        return None
    if not re.fullmatch(r"[0-9]{1,5}", text) or not 0 < int(text) < 65536:
        raise Refusal(f"the port is '{text}': it must be a whole number from 1 to 65535")
    return int(text)


def meant_by_ssh(name):
    """The name or address that ~/.ssh/config has for it. A browser doesn't read that file."""
    try:
        told = subprocess.run(
            ["ssh", "-G", name], capture_output=True, text=True, check=True, timeout=10
        ).stdout
    except (OSError, subprocess.SubprocessError):
        return name
    return next(
        (line[9:].strip() for line in told.splitlines() if line.startswith("hostname ")), name
    )


def inventory(host):
    user, name, port = parse(host)
    device = {"ansible_host": name, "ansible_user": user, "ansible_port": port}
    device = {key: value for key, value in device.items() if value}
    meant = name if ":" in name else meant_by_ssh(name)
    if meant.lower() != name.lower():
        named = f"[{meant}]" if ":" in meant else meant.lower().rstrip(".")
        device["kvm_address"] = OF_DEVICE if "%" in meant else named
    return {"kvm": {"hosts": {"device": {**device, "ansible_become": True}}}}


def main():
    host = os.environ.get("HOST", "")
    try:
        # JSON is YAML.
        print(json.dumps(inventory(host), indent=2))
    except Refusal as refusal:
        sys.exit(f"HOST is '{host}', and {refusal}. {FORMS}.")


if __name__ == "__main__":
    main()
