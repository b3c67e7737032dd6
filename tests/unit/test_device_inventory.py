# SPDX-License-Identifier: MIT
"""The forms in which a person names a device: `make appliance HOST=...`."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tools import device_inventory

ROOT = Path(__file__).parents[2]


@pytest.fixture
def ssh(tmp_path, monkeypatch):
    """ssh with this configuration: ssh(text)."""

    def configure(text):
        (tmp_path / "config").write_text(text)
        program = tmp_path / "ssh"
        program.write_text(f'#!/bin/sh\nexec /usr/bin/ssh -F {tmp_path}/config "$@"\n')
        program.chmod(0o755)
        monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")

    configure("")
    return configure


def device(host):
    found = device_inventory.inventory(host)["kvm"]["hosts"]["device"]
    assert found.pop("ansible_become")
    return found


@pytest.mark.parametrize(
    ("host", "name", "user", "port"),
    [
        ("kvm.lan", "kvm.lan", None, None),
        ("pi@kvm.lan:2222", "kvm.lan", "pi", 2222),
        ("pi@KVM.Lan.", "KVM.Lan.", "pi", None),
        ("pi@raspberrypi", "raspberrypi", "pi", None),
        ("kvm_attic", "kvm_attic", None, None),
        ("192.0.2.10:22", "192.0.2.10", None, 22),
        ("ada@example.org@kvm.lan", "kvm.lan", "ada@example.org", None),
        ("2001:db8::7", "2001:db8::7", None, None),
        ("[2001:db8::7]", "2001:db8::7", None, None),
        ("pi@[2001:db8::7]:22", "2001:db8::7", "pi", 22),
        ("pi@::ffff:192.0.2.7", "::ffff:192.0.2.7", "pi", None),
        ("pi@fe80::1%eth0", "fe80::1%eth0", "pi", None),
        ("pi@[fe80::1%25eth0]:22", "fe80::1%eth0", "pi", 22),
        ("pi@fe80::1%25", "fe80::1%25", "pi", None),
        ("ann+kvm@kvm.lan", "kvm.lan", "ann+kvm", None),
        ("pi@[fe80::1%wlan0.5]:2222", "fe80::1%wlan0.5", "pi", 2222),
    ],
)
def test_each_form_is_understood(ssh, host, name, user, port):
    wanted = {"ansible_host": name, "ansible_user": user, "ansible_port": port}
    assert device(host) == {key: value for key, value in wanted.items() if value}


@pytest.mark.parametrize(
    ("host", "mistake"),
    [
        ("", "it names no device"),
        ("pi@", "it names no device"),
        ("@kvm.lan", "'' is no name of a user"),
        ("pi:secret@kvm.lan", "'pi:secret' is no name of a user"),
        ("-oProxyCommand=reboot", "'-oProxyCommand=reboot' is no name of a host"),
        ("kvm..lan", "'kvm..lan' is no name of a host"),
        ("-kvm.lan", "'-kvm.lan' is no name of a host"),
        ("x" * 64 + ".lan", "is no name of a host"),
        ("kvm'; reboot'", "it has a space"),
        ("kvm.lan\n", "it has a space"),
        ("kvm{{x}}", "'kvm{{x}}' is no name of a host"),
        ("b\u00fccher.example", "a character that no host name has"),
        ("https://kvm.lan/", "it is a URL or a network"),
        ("192.0.2.0/24", "it is a URL or a network"),
        ("kvm.lan,nas.lan", "it names several devices"),
        ("300.1.1.1", "'300.1.1.1' is no IPv4 address"),
        ("192.0.2", "'192.0.2' is no IPv4 address"),
        ("2001:db8:::7", "'2001:db8:::7' is no IPv6 address"),
        ("[kvm.lan]:22", "'kvm.lan' is no IPv6 address"),
        ("[2001:db8::7", "an IPv6 address stands between [ and ]"),
        ("[2001:db8::7]22", "an IPv6 address stands between [ and ]"),
        ("fe80::1%", "'' is no interface"),
        ("kvm.lan:", "the port is ''"),
        ("kvm.lan:ssh", "the port is 'ssh'"),
        ("kvm.lan:0", "the port is '0'"),
        ("kvm.lan:65536", "the port is '65536'"),
        ("[2001:db8::7]:", "the port is ''"),
    ],
)
def test_each_mistake_is_named_in_a_sentence(ssh, host, mistake):
    done = subprocess.run(
        [sys.executable, ROOT / "tools/device_inventory.py"],
        env={**os.environ, "HOST": host},
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith(f"HOST is '{host}', and ")
    assert mistake in done.stderr
    assert done.stderr.endswith(
        "such as pi@192.0.2.10, pi@kvm.lan:2222 or pi@[2001:db8::7]:2222.\n"
    )


@pytest.mark.parametrize(
    ("host_name", "address"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("Kvm.Example.org", "kvm.example.org"),
        ("2001:db8::7", "[2001:db8::7]"),
        ("%h.lan", "attic.lan"),
    ],
)
def test_a_host_of_the_ssh_configuration_is_opened_where_it_leads(ssh, host_name, address):
    """A browser does not read that file. User and port are ssh's own to find there."""
    ssh(f"Host attic\n  HostName {host_name}\n  User pi\n  Port 2222\n")
    assert device("attic") == {"ansible_host": "attic", "kvm_address": address}


def test_a_host_that_leads_to_one_link_is_opened_by_the_devices_own_address(ssh):
    ssh("Host attic\n  HostName fe80::1%%eth0\n")
    assert "default_ipv4" in device("attic")["kvm_address"]


def test_without_ssh_the_name_stands_for_itself(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert device("attic") == {"ansible_host": "attic"}


# --- What the wiring file makes of it ---


def wired(**variables):
    """kvm_address and gateway_operator_names of a host with these variables."""
    from ansible.parsing.dataloader import DataLoader
    from ansible.template import Templar, trust_as_template

    wiring = yaml.safe_load((ROOT / "inventory/group_vars/kvm.yml").read_text())
    names = ("kvm_address", "gateway_operator_names")
    known = {
        "inventory_hostname": "device",
        "ansible_facts": {"hostname": "rack-7", "default_ipv4": {"address": "192.0.2.7"}},
        **{name: trust_as_template(wiring[name]) for name in names},
        **variables,
    }
    templar = Templar(loader=DataLoader(), variables=known)
    return [templar.template(trust_as_template("{{ " + name + " }}")) for name in names]


@pytest.mark.parametrize(
    ("variables", "address", "names"),
    [
        ({"ansible_host": "KVM.Lan."}, "kvm.lan", ["kvm.lan", "KVM.Lan."]),
        ({"inventory_hostname": "kvm.lan"}, "kvm.lan", ["kvm.lan"]),
        ({"inventory_hostname": "kvm.lan", "ansible_host": None}, "kvm.lan", ["kvm.lan"]),
        ({"inventory_hostname": "kvm.lan", "ansible_host": ""}, "kvm.lan", ["kvm.lan"]),
        ({"ansible_host": "2001:db8::7"}, "[2001:db8::7]", ["[2001:db8::7]", "2001:db8::7"]),
        ({"inventory_hostname": "2001:db8::7"}, "[2001:db8::7]", ["[2001:db8::7]"]),
        ({"ansible_host": "fe80::1%eth0"}, "192.0.2.7", ["192.0.2.7", "fe80::1%eth0"]),
        (
            {
                "ansible_host": "fe80::1%eth0",
                "ansible_facts": {"hostname": "r", "default_ipv4": {}},
            },
            "r.local",
            ["r.local", "fe80::1%eth0"],
        ),
        (
            {"ansible_host": "attic", "kvm_address": "kvm.example.org"},
            "kvm.example.org",
            ["kvm.example.org", "attic"],
        ),
    ],
)
def test_the_url_is_one_that_a_browser_opens(variables, address, names):
    assert wired(**variables) == [address, names]


def is_accepted(address):
    """By the first check of the play."""
    from ansible.parsing.dataloader import DataLoader
    from ansible.template import Templar, trust_as_template

    checks = yaml.safe_load((ROOT / "playbooks/site.yml").read_text())[0]["tasks"]
    [condition] = [
        task["ansible.builtin.assert"]["that"]
        for task in checks
        if task["name"] == "Check the address for people"
    ]
    templar = Templar(loader=DataLoader(), variables={"kvm_address": address})
    return templar.evaluate_conditional(trust_as_template(condition))


@pytest.mark.parametrize("address", ["kvm", "KVM.Lan", "kvm_attic", "192.0.2.7", "[2001:db8::7]"])
def test_an_address_as_in_a_url_is_taken(address):
    assert is_accepted(address)


@pytest.mark.parametrize(
    "address",
    [
        *("", "https://kvm.lan/", "kvm.lan:8443", "kvm.lan/", "pi@kvm.lan", "2001:db8::7"),
        *("kvm lan", "kvm.lan.", "[fe80::1%eth0]", "kvm.lan\n"),
    ],
)
def test_one_that_no_browser_opens_is_refused(address):
    assert not is_accepted(address)
