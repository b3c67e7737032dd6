# SPDX-License-Identifier: MIT
"""The live system after a restart: what listens, who runs what, how well it is locked up."""

import asyncio
import json
import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]

SINK = "/dev/shm/kvm::h264"
# Unit, its user, and the highest score `systemd-analyze security` may give it (0 is best).
SERVICES = {
    "ustreamer.service": ("ustreamer", 0.5),
    "janus.service": ("janus", 1.2),
    "tinypilot.service": ("tinypilot", 0.5),
    "tinypilot-relay.service": ("tinypilot", 0.5),
    "tinypilot-input.service": ("tinypilot", 0.5),
    "nginx.service": ("www-data", 0.5),
}
SOCKETS = [
    "tinypilot.socket",
    "tinypilot-relay.socket",
    "tinypilot-input.socket",
    "tinypilot-apply.socket",
    "nginx.socket",
]
UNITS = [*SERVICES, *SOCKETS]
RTP_PORTS = range(20000, 20064)
# Docker's own name server, in the network of each container.
DOCKER_DNS = "127.0.0.11"

# A WebSocket by hand: one masked text frame, whose answer is one short frame.
ASK_JANUS_WITHOUT_TOKEN = """
import socket
janus = socket.socket(socket.AF_UNIX)
janus.connect("/run/janus/ws.sock")
janus.sendall(
    b"GET / HTTP/1.1\\r\\nHost: janus\\r\\nConnection: Upgrade\\r\\nUpgrade: websocket\\r\\n"
    b"Sec-WebSocket-Version: 13\\r\\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\\r\\n"
    b"Sec-WebSocket-Protocol: janus-protocol\\r\\n\\r\\n"
)
answer = janus.makefile("rb")
while answer.readline().strip():
    pass
request = b'{"janus": "create", "transaction": "t"}'
janus.sendall(bytes([0x81, 0x80 | len(request), 0, 0, 0, 0]) + request)
kind, length = answer.read(2)
if length == 126:
    length = int.from_bytes(answer.read(2), "big")
print(answer.read(length).decode())
"""

services = pytest.mark.parametrize("unit", SERVICES)


def processes(host, unit):
    """Process ids of the whole control group of `unit`."""
    group = host.check_output("systemctl show --property=ControlGroup --value %s", unit)
    listed = host.check_output(
        "find /sys/fs/cgroup -path %s -exec cat {} +", f"*{group}/cgroup.procs"
    )
    return sorted({int(pid) for pid in listed.split()})


def status(host, pid):
    """/proc/PID/status as a dict."""
    text = host.file(f"/proc/{pid}/status").content_string
    return dict(line.split(":\t", 1) for line in text.splitlines() if ":\t" in line)


@pytest.mark.parametrize("unit", UNITS)
def test_unit_is_enabled_and_came_up_by_itself(host, unit):
    assert host.service(unit).is_enabled
    assert host.service(unit).is_running
    assert host.service(unit).systemd_properties.get("NRestarts", "0") == "0"


def test_no_unit_failed_at_boot(host):
    assert host.check_output("systemctl is-system-running") == "running"
    assert host.check_output("systemctl --failed --no-legend") == ""


def test_boot_order_has_no_cycle(host):
    found = host.run("systemd-analyze verify default.target")
    assert "ordering cycle" not in found.stderr + host.check_output("journalctl --boot --no-pager")


@services
def test_service_is_restarted_for_ever(host, unit):
    properties = host.service(unit).systemd_properties
    assert properties["Restart"] == "always"
    assert properties["StartLimitIntervalUSec"] == "0"


@services
def test_service_runs_as_its_own_user_in_all_its_processes(host, unit):
    user, _ = SERVICES[unit]
    uid = str(host.user(user).uid)
    pids = processes(host, unit)
    assert pids
    for pid in pids:
        assert set(status(host, pid)["Uid"].split()) == {uid}


@pytest.mark.parametrize("user", sorted({user for user, _ in SERVICES.values()}))
def test_service_user_can_not_log_in(host, user):
    assert host.user(user).shell == "/usr/sbin/nologin"
    assert host.user(user).uid < 1000


@services
def test_sandbox_is_as_tight_as_promised(host, unit):
    line = host.check_output("systemd-analyze security --no-pager %s | tail -n 1", unit)
    score = float(re.search(r"(\d+\.\d+)", line)[1])
    assert score <= SERVICES[unit][1], line


@pytest.mark.parametrize(
    ("unit", "highest"),
    [
        ("tinypilot-apply@look.service", 0.7),
        ("tinypilot-reconcile.service", 0.7),
        ("tinypilot-certificate.service", 0.7),
        ("tinypilot-acme.service", 1.2),
    ],
)
def test_what_runs_for_a_moment_is_in_a_sandbox_too(host, unit, highest):
    line = host.check_output("systemd-analyze security --no-pager %s | tail -n 1", unit)
    assert float(re.search(r"(\d+\.\d+)", line)[1]) <= highest, line


@services
def test_sandbox_holds_in_the_kernel(host, unit):
    for pid in processes(host, unit):
        seen = status(host, pid)
        assert int(seen["CapEff"], 16) == 0
        assert seen["NoNewPrivs"] == "1"
        assert seen["Seccomp"] == "2"


@services
def test_service_sees_a_read_only_system_and_no_homes(host, unit):
    pid = processes(host, unit)[0]
    mounts = host.file(f"/proc/{pid}/mountinfo").content_string
    root = next(line for line in mounts.splitlines() if line.split()[4] == "/")
    assert "ro" in root.split()[5].split(",")
    assert host.run(f"ls -A /proc/{pid}/root/root").stdout == ""


@pytest.mark.parametrize("unit", [unit for unit in SERVICES if unit != "janus.service"])
def test_service_has_no_network_of_its_own(host, unit):
    pid = processes(host, unit)[0]
    interfaces = host.file(f"/proc/{pid}/net/dev").content_string
    assert re.findall(r"^\s*(\w+):", interfaces, re.MULTILINE) == ["lo"]


def listening_ports(host, protocol):
    """Ports that something on the device listens on, on any address."""
    lines = host.check_output("ss --no-header --%s --listening --numeric", protocol).splitlines()
    addresses = [line.split()[3].rpartition(":") for line in lines]
    return {int(port) for address, _, port in addresses if address != DOCKER_DNS}


def test_only_the_front_door_listens_on_tcp(host):
    assert listening_ports(host, "tcp") == {80, 443}


def test_udp_is_bound_only_for_media(host):
    assert listening_ports(host, "udp") <= set(RTP_PORTS)


def test_from_outside_only_80_and_443_answer(host):
    """Every TCP port, from the Docker host."""
    address = host.check_output("hostname -I").split()[0]

    async def answers(port, slots):
        async with slots:
            try:
                _, writer = await asyncio.wait_for(asyncio.open_connection(address, port), 5)
            except OSError:
                return None
            writer.close()
            return port

    async def scan():
        slots = asyncio.Semaphore(500)
        return await asyncio.gather(*(answers(port, slots) for port in range(1, 65536)))

    assert {port for port in asyncio.run(scan()) if port} == {80, 443}


@pytest.mark.parametrize(
    ("path", "owner", "group", "mode"),
    [
        (SINK, "ustreamer", "kvm-sink", 0o660),
        ("/run/janus", "janus", "kvm-signalling", 0o2750),
        ("/run/janus/ws.sock", "janus", "kvm-signalling", 0o660),
        ("/run/tinypilot/web.sock", "www-data", "www-data", 0o600),
        ("/run/tinypilot/relay.sock", "www-data", "www-data", 0o600),
        ("/run/tinypilot/input.sock", "www-data", "www-data", 0o600),
        ("/run/tinypilot/apply.sock", "tinypilot", "tinypilot", 0o600),
        ("/etc/kvm-settings/ustreamer.json", "root", "root", 0o644),
        ("/var/lib/kvm-settings", "root", "tinypilot", 0o2750),
        ("/run/ustreamer", "ustreamer", "kvm-capture", 0o2750),
        ("/run/ustreamer/http.sock", "ustreamer", "kvm-capture", 0o660),
        ("/etc/janus", "root", "janus", 0o750),
        ("/etc/janus/janus.jcfg", "root", "janus", 0o640),
        ("/etc/kvm-signalling", "root", "kvm-signalling", 0o750),
        ("/etc/kvm-signalling/token.jcfg", "root", "kvm-signalling", 0o640),
        ("/etc/tinypilot/tls/key.pem", "root", "www-data", 0o640),
        ("/etc/tinypilot/ice.json", "root", "tinypilot", 0o640),
        ("/var/lib/tinypilot", "tinypilot", "tinypilot", 0o700),
        ("/var/lib/tinypilot/door.sqlite", "tinypilot", "tinypilot", 0o600),
        ("/opt/janus/bin/janus", "root", "root", 0o755),
    ],
)
def test_only_those_who_need_it_may_open(host, path, owner, group, mode):
    file = host.file(path)
    assert (file.user, file.group, file.mode) == (owner, group, mode)


def test_shared_memory_holds_the_sink_and_nothing_else(host):
    found = host.check_output("find /dev/shm -mindepth 1 -printf '%p %u %g\\n'").splitlines()
    assert found == [f"{SINK} ustreamer kvm-sink"]


@pytest.mark.parametrize("user", ["janus", "tinypilot", "ustreamer"])
def test_the_tls_key_is_for_nginx_alone(host, user):
    assert host.run("runuser -u %s -- cat /etc/tinypilot/tls/key.pem", user).rc != 0


def test_janus_is_built_with_nothing_that_is_not_needed(host):
    built = host.check_output(
        "find /opt/janus/ /opt/ustreamer/ -name '*.so' -printf '%f\\n'"
    ).split()
    assert sorted(built) == ["libjanus_ustreamer.so", "libjanus_websockets.so"]
    assert not host.file("/opt/janus/share/janus/demos").exists


def test_the_device_keeps_its_own_package_sources(host):
    assert "deb-src" not in host.check_output(
        "cat /etc/apt/sources.list /etc/apt/sources.list.d/* 2>/dev/null; true"
    )


def test_the_journal_is_bounded(host):
    limits = host.check_output("systemd-analyze cat-config systemd/journald.conf")
    assert re.search(r"^SystemMaxUse=\d+M$", limits, re.MULTILINE)
    assert re.search(r"^RuntimeMaxUse=\d+M$", limits, re.MULTILINE)


def test_only_janus_and_the_relay_may_speak_to_janus(host):
    (members,) = re.findall(
        r"^kvm-signalling:[^:]*:\d+:(.*)$",
        host.check_output("getent group kvm-signalling"),
        re.MULTILINE,
    )
    assert members == "janus"
    gid = str(host.group("kvm-signalling").gid)
    for unit in SERVICES:
        has_group = gid in status(host, processes(host, unit)[0])["Groups"].split()
        assert has_group == (unit in ("janus.service", "tinypilot-relay.service")), unit


def test_janus_refuses_who_has_no_token(host):
    refused = json.loads(host.check_output("python3 -c %s", ASK_JANUS_WITHOUT_TOKEN))
    assert (refused["janus"], refused["error"]["code"]) == ("error", 403)


@pytest.mark.parametrize(
    "secret_of",
    [
        "sed -n 2p /etc/tinypilot/tls/key.pem",
        "grep -oP 'secret = \"\\K[^\"]+' /etc/kvm-signalling/token.jcfg",
    ],
)
def test_no_program_of_the_product_keeps_a_secret_on_its_command_line(host, secret_of):
    secret = host.check_output(secret_of)
    assert len(secret) >= 64
    assert secret not in host.check_output(
        "cat /proc/[0-9]*/cmdline /proc/[0-9]*/environ | tr '\\0' ' '"
    )
    assert secret not in host.check_output("journalctl --no-pager")


def test_a_set_up_code_is_not_kept(host):
    code = host.check_output("tinypilot setup-code")
    assert re.fullmatch("([2-9A-Z]{4}-){3}[2-9A-Z]{4}", code)
    assert host.run("grep --recursive --text -e %s /var/lib/tinypilot /etc/tinypilot", code).rc == 1
    assert code not in host.check_output("journalctl --no-pager")


def test_only_the_input_service_may_open_the_gadget(host):
    gid = str(host.group("tinypilot-usb").gid)
    for unit in SERVICES:
        has_group = gid in status(host, processes(host, unit)[0])["Groups"].split()
        assert has_group == (unit == "tinypilot-input.service"), unit


def test_a_host_without_usb_controller_has_no_gadget_and_no_failed_unit(host):
    gadget = host.check_output("systemctl show -P ActiveState,SubState tinypilot-usb.service")
    assert gadget.split() == ["inactive", "dead"]
    assert not host.file("/dev/hidg0").exists


def test_emulated_hardware_reaches_only_ustreamer(host):
    preloaded = host.check_output(
        "grep -l V4L2_EMULATOR /proc/[0-9]*/environ 2>/dev/null; true"
    ).split()
    pids = {int(path.split("/")[2]) for path in preloaded}
    assert pids == set(processes(host, "ustreamer.service"))


def test_the_plugin_holds_between_stub_gateway_and_sink(host):
    """The plugin's own tests, against the headers of the Janus that loads it."""
    name = host.check_output("hostname")
    host.run("rm -rf /var/tmp/janus_plugin")
    subprocess.run(
        ["docker", "cp", str(ROOT / "roles/ustreamer/files/janus_plugin"), f"{name}:/var/tmp/"],
        check=True,
    )
    tested = host.run(
        "cd /var/tmp/janus_plugin && chmod -R a+rX . && install -d -o nobody /var/tmp/janus_plugin_build && "
        "runuser -u nobody -- make check-plugin JANUS_CFLAGS=-I/opt/janus/include/janus "
        "BUILD=/var/tmp/janus_plugin_build"
    )
    host.run("rm -rf /var/tmp/janus_plugin /var/tmp/janus_plugin_build")
    assert tested.rc == 0, tested.stdout + tested.stderr
