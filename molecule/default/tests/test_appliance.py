# SPDX-License-Identifier: MIT
"""The live system after a restart: what listens, who runs what, how well it is locked up."""

import asyncio
import json
import os
import re
import socket
import ssl

import pytest

from tests.support import ROOT
from tests.support.device import docker
from tests.support.viewers import Viewer

SINK = "/dev/shm/kvm::h264"
# Unit and its user.
SERVICES = {
    "ustreamer.service": "ustreamer",
    "kvm-hdmi.service": "ustreamer",
    "janus.service": "janus",
    "tinypilot.service": "tinypilot",
    "tinypilot-relay.service": "tinypilot",
    "tinypilot-hid.service": "tinypilot",
    "tinypilot-supervisor.service": "tinypilot",
    "tinypilot-metrics.service": "kvm-metrics",
    "tinypilot-media.service": "kvm-media",
    "tinypilot-atx.service": "kvm-atx",
    "nginx.service": "www-data",
}
if os.environ.get("MOLECULE_SCENARIO_NAME") == "software":
    SERVICES["ustreamer-encoder.service"] = "ustreamer-encoder"
# Who encodes H.264.
SINK_WRITER = SERVICES.get("ustreamer-encoder.service", "ustreamer")
# The highest score that `systemd-analyze security` may give each unit (0 is best).
SCORES = {
    **dict.fromkeys(SERVICES, 0.5),
    # They have the network.
    "janus.service": 1.2,
    "gateway-acme.service": 1.2,
    "kvm-edid.service": 0.5,
    # Of these 0.4 is for being root, which they are for a moment: files and units of the system obey nobody else.
    "tinypilot-apply@.service": 0.5,
    # It sees the names of users, and which of them has which port.
    "tinypilot-device-test@.service": 0.6,
    # It has the network, to send.
    "tinypilot-wake@.service": 1.2,
    "tinypilot-fetch@.service": 1.2,
    # The same, and devices by USB.
    "tinypilot-hook@.service": 1.3,
    "tinypilot-reconcile.service": 0.5,
    "tinypilot-watchdog.service": 0.5,
    "gateway-certificate.service": 0.5,
    "gateway-host-name.service": 0.5,
    # It gives files of its own to its group, which is one of the calls that count as privileged.
    "usb-gadget.service": 0.6,
}
# Those that run for a moment; others are started by their sockets.
ONESHOTS = SCORES.keys() - SERVICES - {unit for unit in SCORES if "@" in unit}
# The computer at the other end of the cable is no part of the product.
FOREIGN_UNITS = {"simulated-computer.service"}
SOCKETS = [
    "tinypilot.socket",
    "tinypilot-relay.socket",
    "tinypilot-hid.socket",
    "tinypilot-metrics.socket",
    "tinypilot-media.socket",
    "tinypilot-fetch.socket",
    "tinypilot-apply.socket",
    "tinypilot-device-test.socket",
    "tinypilot-wake.socket",
    "tinypilot-atx.socket",
    "tinypilot-hook.socket",
    "kvm-hdmi.socket",
    "nginx.socket",
]
UNITS = [*SERVICES, *SOCKETS]
RTP_PORTS = range(20000, 20064)
# Docker's own name server, in the network of each container.
DOCKER_DNS = "127.0.0.11"

ASK_JANUS_WITHOUT_TOKEN = """
import asyncio
from aiohttp import ClientSession, UnixConnector

async def ask():
    async with (
        ClientSession(connector=UnixConnector("/run/janus/ws.sock")) as http,
        http.ws_connect("http://localhost/", protocols=["janus-protocol"]) as janus,
    ):
        await janus.send_json({"janus": "create", "transaction": "t"})
        print(await janus.receive_str(timeout=5))

asyncio.run(ask())
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


def test_unit_starts_as_often_as_it_is_asked_to(host):
    """By plays and settings that follow each other closely, or by a loose plug. systemd, left alone, refuses the sixth
    time within ten seconds. What all have that have no such limit is seen below."""
    again = "for turn in 1 2 3 4 5 6 7 8; do systemctl restart {} || exit; done"
    assert host.run(again.format("kvm-edid.service")).rc == 0


@pytest.mark.parametrize("unit", sorted(ONESHOTS))
def test_unit_has_no_limit_of_starts(host, unit):
    assert host.service(unit).systemd_properties["StartLimitIntervalUSec"] == "0"


@services
def test_service_runs_as_its_own_user_in_all_its_processes(host, unit):
    uid = str(host.user(SERVICES[unit]).uid)
    pids = processes(host, unit)
    assert pids
    for pid in pids:
        assert set(status(host, pid)["Uid"].split()) == {uid}


@pytest.mark.parametrize("user", sorted(set(SERVICES.values())))
def test_service_user_can_not_log_in(host, user):
    assert host.user(user).shell == "/usr/sbin/nologin"
    assert host.user(user).uid < 1000


def test_each_unit_has_a_bound(host):
    """A new one, too."""
    units = host.check_output(
        "find /etc/systemd/system -maxdepth 1 -type f -name '*.service' -printf '%f\n'"
    ).split()
    assert set(units) - FOREIGN_UNITS == SCORES.keys()


@pytest.mark.parametrize("unit", SCORES)
def test_sandbox_is_as_tight_as_promised(host, unit):
    instance = unit.replace("@.", "@look.")
    line = host.check_output("systemd-analyze security --no-pager %s | tail -n 1", instance)
    assert float(re.search(r"(\d+\.\d+)", line)[1]) <= SCORES[unit], line


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


def open_ports(address):
    """Every TCP port that answers, asked from the Docker host."""
    found = set()
    for port in range(1, 65536):
        with socket.socket() as caller:
            caller.settimeout(5)
            if caller.connect_ex((address, port)) == 0:
                found.add(port)
    return found


def test_while_somebody_watches_only_front_door_and_media_are_open(host):
    address = host.check_output("hostname -I").split()[0]
    cookie = host.check_output("tinypilot session")

    async def look():
        async with Viewer(f"wss://{address}/janus/ws", cookie) as viewer:
            await viewer.watch()
            await viewer.next_frame()
            # Whatever has a port open in the device's network, on any address.
            media = listening_ports(host, "udp")
            return media, await asyncio.to_thread(open_ports, address)

    media, answering = asyncio.run(look())
    assert media
    assert media <= set(RTP_PORTS)
    assert answering == {80, 443}


@pytest.mark.parametrize(
    ("version", "refusal"),
    [
        (ssl.TLSVersion.TLSv1, "TLSV1_ALERT_PROTOCOL_VERSION"),
        (ssl.TLSVersion.TLSv1_1, "TLSV1_ALERT_PROTOCOL_VERSION"),
        (ssl.TLSVersion.TLSv1_2, None),
        (ssl.TLSVersion.TLSv1_3, None),
    ],
)
@pytest.mark.filterwarnings("ignore:ssl.TLSVersion")
def test_only_new_versions_of_tls_are_spoken(host, version, refusal):
    """The refusal is the device's own, not that of this machine's OpenSSL."""
    tls = ssl.create_default_context()
    tls.check_hostname, tls.verify_mode = False, ssl.CERT_NONE
    tls.set_ciphers("DEFAULT:@SECLEVEL=0")
    tls.minimum_version = tls.maximum_version = version
    address = host.check_output("hostname -I").split()[0]

    async def shake_hands():
        _, writer = await asyncio.open_connection(address, 443, ssl=tls, ssl_handshake_timeout=10)
        writer.close()

    if not refusal:
        asyncio.run(shake_hands())
        return
    with pytest.raises(ssl.SSLError) as refused:
        asyncio.run(shake_hands())
    assert refused.value.reason == refusal


def test_the_certificate_is_looked_after(host):
    timer = host.service("gateway-certificate.timer")
    assert timer.is_enabled
    assert timer.systemd_properties["SubState"] == "waiting"
    assert timer.systemd_properties["Unit"] == "gateway-certificate.service"


@pytest.mark.parametrize(
    ("path", "owner", "group", "mode"),
    [
        (SINK, SINK_WRITER, "kvm-sink", 0o660),
        ("/run/janus", "janus", "kvm-signalling", 0o2750),
        ("/run/janus/ws.sock", "janus", "kvm-signalling", 0o660),
        ("/run/tinypilot/web.sock", "www-data", "www-data", 0o600),
        ("/run/tinypilot/relay.sock", "www-data", "www-data", 0o600),
        ("/run/tinypilot/hid.sock", "www-data", "tinypilot", 0o660),
        ("/run/tinypilot/metrics.sock", "www-data", "tinypilot", 0o660),
        ("/run/tinypilot/media.sock", "www-data", "tinypilot", 0o660),
        ("/run/tinypilot/fetch.sock", "kvm-media", "kvm-media", 0o600),
        ("/var/lib/kvm-media", "kvm-media", "kvm-media", 0o700),
        ("/run/tinypilot/apply.sock", "tinypilot", "tinypilot", 0o600),
        ("/run/tinypilot/wake.sock", "tinypilot", "tinypilot", 0o600),
        ("/run/tinypilot/hook.sock", "tinypilot", "tinypilot", 0o600),
        ("/etc/tinypilot/hooks.json", "root", "kvm-hooks", 0o640),
        ("/run/tinypilot/atx.sock", "tinypilot", "tinypilot", 0o600),
        ("/run/kvm-observations", "tinypilot", "tinypilot", 0o755),
        ("/run/kvm-observations/supervisor", "tinypilot", "tinypilot", 0o644),
        ("/run/kvm-observations/relay", "tinypilot", "tinypilot", 0o644),
        ("/etc/kvm-settings/ustreamer.json", "root", "root", 0o644),
        ("/etc/kvm-settings/tinypilot.json", "root", "tinypilot", 0o640),
        ("/var/lib/kvm-settings", "root", "tinypilot", 0o2750),
        ("/run/kvm-hdmi/hdmi.sock", "ustreamer", "kvm-hdmi", 0o660),
        ("/run/ustreamer", "ustreamer", "kvm-capture", 0o2750),
        ("/run/ustreamer/http.sock", "ustreamer", "kvm-capture", 0o660),
        ("/etc/janus", "root", "janus", 0o750),
        ("/etc/janus/janus.jcfg", "root", "janus", 0o640),
        ("/etc/kvm-signalling", "root", "kvm-signalling", 0o750),
        ("/etc/kvm-signalling/token.jcfg", "root", "kvm-signalling", 0o640),
        ("/etc/kvm-gateway/tls/server.pem", "root", "www-data", 0o640),
        ("/var/lib/tinypilot", "tinypilot", "tinypilot", 0o700),
        ("/var/lib/tinypilot/auth.sqlite3", "tinypilot", "tinypilot", 0o600),
        ("/opt/janus/bin/janus", "root", "root", 0o755),
    ],
)
def test_only_those_who_need_it_may_open(host, path, owner, group, mode):
    file = host.file(path)
    assert (file.user, file.group, file.mode) == (owner, group, mode)


@pytest.mark.parametrize("thing", [f"touch {SINK}", f"mkdir -p {SINK}/x"])
def test_what_somebody_else_put_in_the_sinks_place_goes(host, thing):
    """Looked at again and again until it is so, with an end: nothing on the device tells when."""
    host.check_output(
        f"systemctl stop ustreamer && rm {SINK} && runuser -u nobody -- {thing} && "
        "systemctl start ustreamer && "
        f"timeout 30 sh -c 'until [ -f {SINK} ] && [ -s {SINK} ]; do sleep 0.1; done'"
    )
    assert host.file(SINK).user == SINK_WRITER


@pytest.mark.usefixtures("encoder_chip")
def test_what_another_way_to_encode_has_left_in_the_shared_memory_goes(host):
    """As above."""
    raw, jpeg = "/dev/shm/kvm::raw", "/dev/shm/kvm::jpeg"
    host.check_output(
        f"runuser -u ustreamer -- touch {raw} {jpeg} && systemctl restart ustreamer && "
        f"timeout 30 sh -c 'while [ -e {raw} ] || [ -e {jpeg} ]; do sleep 0.1; done'"
    )


def test_shared_memory_holds_the_sinks_and_nothing_else(host):
    found = host.check_output("find /dev/shm -mindepth 1 -printf '%p %u %g\\n'").splitlines()
    # uStreamer's own, for the software encoder.
    between = ("kvm::raw", "kvm::jpeg") if SINK_WRITER != "ustreamer" else ()
    assert {*found} == {
        f"{SINK} {SINK_WRITER} kvm-sink",
        *(f"/dev/shm/{name} ustreamer kvm-sink" for name in between),
    }


@pytest.mark.parametrize("user", ["janus", "tinypilot", "ustreamer", "kvm-metrics", "kvm-media"])
def test_the_tls_key_is_for_nginx_alone(host, user):
    assert host.run("runuser -u %s -- cat /etc/kvm-gateway/tls/server.pem", user).rc != 0


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


def test_only_the_relay_and_the_supervisor_may_speak_to_janus(host):
    (members,) = re.findall(
        r"^kvm-signalling:[^:]*:\d+:(.*)$",
        host.check_output("getent group kvm-signalling"),
        re.MULTILINE,
    )
    assert members == "janus"
    gid = str(host.group("kvm-signalling").gid)
    may = {"janus.service", "tinypilot-relay.service", "tinypilot-supervisor.service"}
    for unit in SERVICES:
        has_group = gid in status(host, processes(host, unit)[0])["Groups"].split()
        assert has_group == (unit in may), unit


def test_janus_refuses_who_has_no_token(host):
    refused = json.loads(host.check_output("python3 -c %s", ASK_JANUS_WITHOUT_TOKEN))
    assert (refused["janus"], refused["error"]["code"]) == ("error", 403)


@pytest.mark.parametrize(
    "secret_of",
    [
        "grep -A1 'PRIVATE KEY' /etc/kvm-gateway/tls/server.pem | sed -n 2p",
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


def test_who_tells_of_the_device_may_open_the_sink_and_nothing_else(host):
    """A decoder is at work there."""
    (pid,) = processes(host, "tinypilot-metrics.service")
    groups = {host.group(name).gid for name in ("kvm-metrics", "kvm-sink")}
    assert {*map(int, status(host, pid)["Groups"].split())} <= groups
    assert host.run("runuser -u kvm-metrics -- cat /var/lib/tinypilot/auth.sqlite3").rc != 0


def test_only_the_input_service_may_open_the_gadget(host):
    gid = str(host.group("kvm-hid").gid)
    for unit in SERVICES:
        has_group = gid in status(host, processes(host, unit)[0])["Groups"].split()
        assert has_group == (unit == "tinypilot-hid.service"), unit


def test_only_the_media_service_may_put_images_into_the_drives(host):
    gid = str(host.group("kvm-drives").gid)
    for unit in SERVICES:
        has_group = gid in status(host, processes(host, unit)[0])["Groups"].split()
        assert has_group == (unit == "tinypilot-media.service"), unit


def test_a_host_without_usb_controller_has_no_gadget_and_no_failed_unit(host):
    gadget = host.check_output("systemctl show -P ActiveState,SubState usb-gadget.service")
    assert gadget.split() == ["inactive", "dead"]
    assert not host.file("/dev/hidg0").exists


GADGET_ELSEWHERE = """
[Unit]
ConditionDirectoryNotEmpty=
[Service]
# A folder that takes what configfs takes, and a controller.
TemporaryFileSystem=/sys/kernel /sys/class
BindPaths=/root/gadgets:/sys/kernel/config
BindReadOnlyPaths=/root/controllers:/sys/class/udc
ExecStop=
"""


def test_the_gadget_is_made_in_its_sandbox(host):
    """Root's rights on its own files are enough, without any capability."""
    folder = "/run/systemd/system/usb-gadget.service.d"
    host.check_output(
        f"mkdir -p /root/gadgets/usb_gadget /root/controllers/fe980000.usb {folder} && "
        f"printf %s > {folder}/elsewhere.conf && systemctl daemon-reload",
        GADGET_ELSEWHERE,
    )
    started = host.run("systemctl start usb-gadget.service")
    bound = host.run("cat /root/gadgets/usb_gadget/kvm/UDC")
    drives = "/root/gadgets/usb_gadget/kvm/functions/mass_storage.media"
    opened = host.run(f"stat -c '%G %a' {drives}/lun.[01]/ro {drives}/lun.[01]/cdrom")
    host.check_output(
        f"systemctl stop usb-gadget.service; systemctl reset-failed usb-gadget.service; "
        f"rm -r /root/gadgets /root/controllers {folder} && systemctl daemon-reload"
    )
    assert started.rc == 0
    assert bound.stdout == "fe980000.usb"
    # It gives the group what it needs, and no more.
    assert opened.stdout.split("\n")[:4] == ["kvm-drives 660"] * 2 + ["kvm-drives 600"] * 2


def test_emulated_hardware_reaches_only_who_has_the_devices(host):
    preloaded = host.check_output(
        "grep -l V4L2_EMULATOR /proc/[0-9]*/environ 2>/dev/null; true"
    ).split()
    pids = {int(path.split("/")[2]) for path in preloaded}
    units = ("ustreamer.service", "kvm-hdmi.service")
    assert pids == {pid for unit in units for pid in processes(host, unit)}


def test_the_plugin_holds_between_stub_gateway_and_sink(host):
    """The plugin's own tests, against the headers of the Janus that loads it."""
    name = host.check_output("hostname")
    host.run("rm -rf /var/tmp/janus_plugin")
    docker("cp", str(ROOT / "roles/ustreamer/files/janus_plugin"), f"{name}:/var/tmp/")
    tested = host.run(
        "cd /var/tmp/janus_plugin && chmod -R a+rX . && install -d -o nobody /var/tmp/janus_plugin_build && "
        "runuser -u nobody -- make check-plugin JANUS_CFLAGS=-I/opt/janus/include/janus "
        "BUILD=/var/tmp/janus_plugin_build"
    )
    host.run("rm -rf /var/tmp/janus_plugin /var/tmp/janus_plugin_build")
    assert tested.rc == 0, tested.stdout + tested.stderr
