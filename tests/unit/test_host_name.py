# SPDX-License-Identifier: MIT
"""The host name as the web UI sets it: which files have it, and that cloud-init does not put the old one back."""

import os
import re
import subprocess
from pathlib import Path

import pytest
import yaml

ROLE = Path(__file__).parents[2] / "roles/gateway"
PROGRAM = ROLE / "files/host_name.sh"


class Device:
    """The files of a device whose kernel has the name `old`. systemd is a stand-in that writes down what is asked."""

    def __init__(self, folder):
        self.hosts, self.cloud = folder / "hosts", folder / "cloud.cfg.d"
        self.host_name, self.asked = folder / "hostname", folder / "asked"
        self.programs = folder / "bin"
        self.programs.mkdir()
        self.set_kernel_name("old")
        for name, answer in (("busctl", 0), ("systemctl", 3)):
            self._program(name, f'echo {name} "$@" >> {self.asked}; exit {answer}')

    def set_kernel_name(self, name):
        self._program("uname", f"echo {name}")

    def _program(self, name, text):
        (self.programs / name).write_text(f"#!/bin/sh\n{text}\n")
        (self.programs / name).chmod(0o755)

    def set_name(self, name, hosts):
        self.hosts.write_text(hosts)
        environment = {
            **os.environ,
            "PATH": f"{self.programs}:{os.environ['PATH']}",
            "HOSTS": str(self.hosts),
            "CLOUD": str(self.cloud),
            "HOSTNAME_FILE": str(self.host_name),
        }
        subprocess.run(["sh", PROGRAM, name], env=environment, check=True)
        return self.hosts.read_text()


@pytest.fixture
def device(tmp_path):
    return Device(tmp_path)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("127.0.0.1 localhost\n127.0.1.1\told\n", "127.0.0.1 localhost\n127.0.1.1 rack-7\n"),
        ("127.0.1.1 old.lan old nas\n", "127.0.1.1 rack-7.lan rack-7 nas\n"),
        # As Docker writes it.
        ("172.18.0.2\told\n", "172.18.0.2 rack-7\n"),
        # Other machines.
        (
            "192.0.2.5 old-nas old.hole # not old\n127.0.1.1 old\n",
            "192.0.2.5 old-nas old.hole # not old\n127.0.1.1 rack-7\n",
        ),
        ("# 127.0.1.1 is ours\n127.0.1.1 old\n", "# 127.0.1.1 is ours\n127.0.1.1 rack-7\n"),
        ("127.0.0.1 localhost\n", "127.0.0.1 localhost\n127.0.1.1 rack-7\n"),
    ],
)
def test_no_file_has_the_old_name(device, before, after):
    assert device.set_name("rack-7", before) == after
    assert device.host_name.read_text() == "rack-7\n"
    assert "SetHostname sb rack-7 false" in device.asked.read_text()


def test_without_a_name_nothing_is_touched(device):
    device.cloud.mkdir()
    assert device.set_name("", "127.0.1.1 old\n") == "127.0.1.1 old\n"
    assert not device.host_name.exists()
    assert list(device.cloud.iterdir()) == []


def test_cloud_init_is_told_to_leave_the_name_alone(device):
    device.cloud.mkdir()
    device.set_name("rack-7", "127.0.1.1 old\n")
    (told,) = device.cloud.iterdir()
    # It reads them in this order, and takes the last word.
    assert max([told.name, "99_defaults.cfg", "99-installer.cfg"]) == told.name
    lines = set(told.read_text().splitlines())
    assert {"preserve_hostname: true", "manage_etc_hosts: false"} < lines


def test_a_device_without_cloud_init_gets_nothing_of_it(device):
    device.set_name("rack-7", "127.0.1.1 old\n")
    assert not device.cloud.exists()


def test_what_cloud_init_wrote_since_is_mended_at_the_next_start(device):
    """Its user data outweigh each of its files."""
    device.set_kernel_name("rack-7")
    hosts = device.set_name("rack-7", "127.0.1.1 old.lan old\n127.0.0.1 localhost\n")
    assert hosts == "127.0.1.1 rack-7.lan rack-7\n127.0.0.1 localhost\n"
    assert not device.asked.exists()


# --- Which names the setting takes ---

DECLARED = yaml.safe_load((ROLE / "vars/main.yml").read_text())["__gateway_host_name_settings"]
PATTERN = DECLARED["settings"]["gateway_host_name"]["schema"]["pattern"]


@pytest.mark.parametrize(
    "name",
    ["", "a", "kvm-7", "7kvm", "x" * 63, "1a", "0xg", "cafe", "192-168-1-7", "localhost2", "kvm"],
)
def test_a_name_that_leads_to_the_device_is_taken(name):
    assert re.fullmatch(PATTERN, name)


@pytest.mark.parametrize(
    "name",
    [
        *("kvm.lan", "kvm_7", "-kvm", "kvm-", "x" * 64, "KVM", "kvm 7", "b\u00fccher", "kvm\n"),
        # Browsers and programs read an address in these, or their own computer.
        *("2024", "0", "0x7f", "0x", "127", "localhost"),
    ],
)
def test_a_name_that_leads_elsewhere_or_nowhere_is_refused(name):
    assert not re.fullmatch(PATTERN, name)
