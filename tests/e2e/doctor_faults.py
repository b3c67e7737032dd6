# SPDX-License-Identifier: MIT
"""What the doctor must name: each fault, how it comes about on a virtual Pi and is mended, and what is to be said.

`|| true` stands where a service is meant to fail, or what is to be undone may not have happened: whether the fault is
there is seen by what the doctor says, and whether it is gone by the device's own state after each test.
"""

from __future__ import annotations

import contextlib
import json
import shlex
import subprocess
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass

from tests.support.device import SINK, Device, docker
from tests.support.simulated_computer import SimulatedComputer
from tests.support.waiting import wait_until

Happening = Callable[[Device], AbstractContextManager[None]]

UNITS = "/etc/systemd/system"
PLUGIN = "/opt/ustreamer/plugins/libjanus_ustreamer.so"
JANUS = "/opt/janus/bin/janus"
CERTIFICATE = "/etc/kvm-gateway/tls/server.pem"
RUNTIME = "/run/systemd/system"
IDLE = "[Service]\nType=exec\nWatchdogSec=0\nExecStart=\nExecStart=/usr/bin/sleep infinity\n"

# Listens at these ports until it is ended: KIND FIRST LAST.
_LISTEN = """
import contextlib, pathlib, signal, socket, sys
kind = {"tcp": socket.SOCK_STREAM, "udp": socket.SOCK_DGRAM}[sys.argv[1]]
sockets = [socket.socket(socket.AF_INET, kind) for _ in range(int(sys.argv[2]), int(sys.argv[3]) + 1)]
for number, each in enumerate(sockets):
    each.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    # Janus may have some of them.
    with contextlib.suppress(OSError):
        each.bind(("0.0.0.0", int(sys.argv[2]) + number))
    if sys.argv[1] == "tcp":
        each.listen()
pathlib.Path("/run/fault-is-there").touch()
signal.pause()
"""
# Opens a file until it is ended.
_OPEN = """
import pathlib, signal, sys
file = open(sys.argv[1])
pathlib.Path("/run/fault-is-there").touch()
signal.pause()
"""
# NAME BEGIN END WHOSE_KEY: days from now; the key is its own or another's.
_CERTIFICATE = """
import datetime, sys
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
name, begin, end, whose = sys.argv[1:]
now = datetime.datetime.now(datetime.timezone.utc)
key, other = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
made = (
    x509.CertificateBuilder().subject_name(subject).issuer_name(subject)
    .public_key(key.public_key()).serial_number(x509.random_serial_number())
    .not_valid_before(now + datetime.timedelta(days=int(begin)))
    .not_valid_after(now + datetime.timedelta(days=int(end)))
    .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
    .sign(key, hashes.SHA256())
)
pem = made.public_bytes(serialization.Encoding.PEM).decode()
pem += (key if whose == "own" else other).private_bytes(
    serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
).decode()
with open("/etc/kvm-gateway/tls/server.pem", "w") as file:
    file.write(pem)
"""
# A table that nobody reads, and whose pages are damaged then.
_DAMAGE_DATABASE = """
import sqlite3
path = "/var/lib/tinypilot/auth.sqlite3"
database = sqlite3.connect(path, isolation_level=None)
database.execute("CREATE TABLE fault (x)")
database.executemany("INSERT INTO fault VALUES (?)", [("fault" * 200,)] * 500)
database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
database.close()
with open(path, "r+b") as file:
    content = file.read()
    at = content.rindex(b"fault" * 200)
    file.seek(at // 4096 * 4096)
    file.write(b"\\xff" * 512)
"""
_ASK_USB = """
import socket
client = socket.socket(socket.AF_UNIX)
client.settimeout(5)
client.connect("/run/tinypilot/hid.sock")
client.sendall(b"GET /usb HTTP/1.0\\r\\n\\r\\n")
print(b"".join(iter(lambda: client.recv(4096), b"")).decode())
"""


@dataclass(frozen=True)
class Fault:
    """link: the one to be blamed; says: a part of what is said of it. is_short: part of `make test`. needs: the fixture
    without whose encoder there is no such fault."""

    name: str
    happen: Happening
    link: str
    says: str
    is_short: bool = False
    needs: str | None = None


def shell(happen: str, mend: str) -> Happening:
    """Commands on the device."""

    @contextlib.contextmanager
    def happening(device: Device) -> Iterator[None]:
        try:
            device.sh(happen)
            yield
        finally:
            device.sh(mend)

    return happening


def both(*happenings: Happening) -> Happening:
    @contextlib.contextmanager
    def happening(device: Device) -> Iterator[None]:
        with contextlib.ExitStack() as stack:
            for each in happenings:
                stack.enter_context(each(device))
            yield

    return happening


def stopped(*units: str) -> Happening:
    names = " ".join(units)
    return shell(f"systemctl stop {names}", f"systemctl start {names}")


def dropped_in(unit: str, text: str) -> Happening:
    folder = f"{RUNTIME}/{unit}.service.d"
    return shell(
        f"mkdir -p {folder} && printf {shlex.quote(text)} > {folder}/zz-fault.conf && "
        f"systemctl daemon-reload && {{ systemctl restart {unit} || true; }}",
        f"rm -r {folder} && systemctl daemon-reload && systemctl restart {unit}",
    )


def idle_supervisor() -> Happening:
    """Nobody heals what hangs."""
    return dropped_in("tinypilot-supervisor", IDLE)


def hung(service: str, process: str = "main") -> Happening:
    """For as long as it takes: neither the supervisor nor systemd's watchdog ends it."""

    @contextlib.contextmanager
    def happening(device: Device) -> Iterator[None]:
        device.sh("systemctl service-watchdogs no")
        device.hang(service, process)
        try:
            yield
        finally:
            device.sh(f"systemctl kill --signal=KILL {service}; systemctl service-watchdogs yes")

    return happening if service == "tinypilot-supervisor" else both(idle_supervisor(), happening)


def kept(path: str, happen: str, after: str = "true") -> Happening:
    """Something happens to a file; `after` lets it be noticed, and noticed to be mended."""
    copy = f"/root/fault-{path.replace('/', '-')}"
    return shell(
        f"cp -a {path} {copy} && {happen} && {{ {after} || true; }}",
        f"cat {copy} > {path} && rm {copy} && {after}",
    )


def moved_away(path: str, after: str = "true", instead: str = "true") -> Happening:
    return shell(
        f"mv {path} /root/fault && {instead} && {{ {after} || true; }}",
        f"rm -rf {path}; mv /root/fault {path} && {after}",
    )


def controlled(**words: str) -> Happening:
    """The emulated hardware."""

    @contextlib.contextmanager
    def happening(device: Device) -> Iterator[None]:
        device.control(**words)
        try:
            yield
        finally:
            device.control()

    return happening


def running(program: str, *arguments: str) -> Happening:
    """Another program, which is ready when it says so."""
    command = shlex.join(["python3", "-c", program, *arguments])
    return shell(
        f"rm -f /run/fault-is-there; systemd-run --quiet --collect --unit=fault {command} && "
        "for _ in $(seq 200); do [ -e /run/fault-is-there ] && exit; sleep 0.05; done; exit 1",
        "systemctl stop fault; rm -f /run/fault-is-there",
    )


def told_otherwise(role: str, **facts: object) -> Happening:
    """As if the role had set up another device: here no firmware and no kernel's device is part of the test."""
    file = f"/etc/kvm-facts/{role}.json"
    change = (
        "import json, sys; facts = json.load(open(sys.argv[1])); facts.update(json.loads(sys.argv[2])); "
        "json.dump(facts, open(sys.argv[1], 'w'))"
    )
    return kept(file, shlex.join(["python3", "-c", change, file, json.dumps(facts)]))


def certificate(name: str, begin: int, end: int, key: str = "own") -> Happening:
    make = shlex.join(["python3", "-c", _CERTIFICATE, name, str(begin), str(end), key])
    return kept(CERTIFICATE, make, "systemctl restart nginx")


def usb(state: str, told: str) -> Happening:
    @contextlib.contextmanager
    def happening(device: Device) -> Iterator[None]:
        computer = SimulatedComputer(device)

        def is_told(state: str) -> Callable[[], bool]:
            return lambda: f'"{state}"' in device.python(_ASK_USB)

        computer.tell(f"usb {state}")
        try:
            wait_until(is_told(told), f"the HID service says {told}")
            yield
        finally:
            computer.tell("usb connected")
            wait_until(is_told("connected"), "the HID service says connected")

    return happening


@contextlib.contextmanager
def firewall(device: Device) -> Iterator[None]:
    """By this machine's iptables, in the container's network."""
    process = docker("inspect", "-f", "{{.State.Pid}}", device.name).strip()
    rule = "INPUT -p udp --dport 20000:20063 -j DROP"
    enter = ["nsenter", f"--target={process}", "--net", "iptables", "-w"]
    subprocess.run([*enter, "-I", *rule.split()], check=True)
    try:
        yield
    finally:
        subprocess.run([*enter, "-D", *rule.split()], check=True)


@contextlib.contextmanager
def unplugged(device: Device) -> Iterator[None]:
    device.unplug()
    try:
        yield
    finally:
        device.plug_in()


HOST_NAME = (
    "cp /etc/hosts /root/hosts && cp /etc/resolv.conf /root/resolv.conf && "
    "grep -v $(hostname) /root/hosts > /etc/hosts; echo nameserver 127.0.0.2 > /etc/resolv.conf"
)
FULL = (
    "mount -t tmpfs -o size=64k,mode=2750,gid=$(id -g tinypilot) tmpfs /var/lib/kvm-settings && "
    "{ head -c 1m /dev/zero > /var/lib/kvm-settings/full || true; }"
)
EDID = "/var/lib/kvm-settings/edid.env"
DAMAGE_EDID = (
    f"touch {EDID} && cp -a {EDID} /root/edid.env && python3 -c 'import json; "
    'edid = json.load(open("/etc/kvm-settings/edid.json"))["defaults"]["ustreamer_edid"]; '
    f'open("{EDID}", "w").write("ustreamer_edid=" + edid[:-2] + "%02x" % (int(edid[-2:], 16) ^ 1) + "\\n")\''
)
STATE = "/var/lib/tinypilot"
STATE_SERVICES = "tinypilot tinypilot-relay tinypilot-hid"
USER = "setpriv --reuid=tinypilot --regid=tinypilot --clear-groups"
RESTART_USTREAMER = "systemctl restart ustreamer"

FAULTS = [
    # --- The way of a frame ---
    Fault("the video input is unplugged", controlled(device="gone"), "input", "unplugged", True),
    Fault(
        "the firmware does not load the bridge's driver",
        both(
            shell(
                "mkdir -p /boot/firmware && printf '[all]\\ndtoverlay=dwc2\\n' > /boot/firmware/config.txt",
                "rm -r /boot/firmware",
            ),
            told_otherwise(
                "ustreamer",
                boot_config={"file": "/boot/firmware/config.txt", "overlay": "tc358743"},
            ),
        ),
        "input",
        "dtoverlay=tc358743",
    ),
    Fault(
        "the udev rule is gone",
        moved_away("/etc/udev/rules.d/60-kvm-video.rules"),
        "input",
        "60-kvm-video.rules is missing",
    ),
    Fault(
        "no capture device",
        told_otherwise("ustreamer", capture_device="/dev/kvm-video"),
        "input",
        "no capture device /dev/kvm-video",
    ),
    Fault(
        "the EDID is damaged",
        shell(DAMAGE_EDID, f"mv /root/edid.env {EDID} && systemctl restart kvm-edid"),
        "edid",
        "checksum",
    ),
    Fault(
        "kvm-hdmi is stopped", stopped("kvm-hdmi.socket", "kvm-hdmi.service"), "cable", "stopped"
    ),
    Fault("kvm-hdmi hangs", hung("kvm-hdmi"), "cable", "hangs"),
    Fault("the cable is out", controlled(signal="lost"), "signal", "5 volts", True),
    Fault("the computer sleeps", controlled(signal="asleep"), "signal", "asleep"),
    Fault("no lock", controlled(signal="unlocked"), "signal", "can't lock"),
    Fault(
        "a mode that is too large",
        controlled(limits="tc358743", mode="1920x1080@60"),
        "signal",
        "1920 x 1080",
    ),
    Fault("uStreamer is stopped", stopped("ustreamer"), "ustreamer", "is stopped"),
    Fault(
        "uStreamer is masked",
        shell(
            f"mv {UNITS}/ustreamer.service /root/ && ln -s /dev/null {UNITS}/ustreamer.service && "
            "systemctl daemon-reload && systemctl stop ustreamer",
            f"mv /root/ustreamer.service {UNITS}/ && systemctl daemon-reload && systemctl start ustreamer",
        ),
        "ustreamer",
        "is masked",
    ),
    Fault(
        "uStreamer's drop-in names a program that is not there",
        dropped_in("ustreamer", "[Service]\nExecStart=\nExecStart=/opt/none/ustreamer\n"),
        "ustreamer",
        # Why, systemd says only between two tries.
        "does not stay up",
        True,
    ),
    Fault(
        "uStreamer's drop-in leaves no program",
        dropped_in("ustreamer", "[Service]\nExecStart=\n"),
        "ustreamer",
        "does not understand",
    ),
    Fault(
        "uStreamer is gone",
        moved_away("/opt/ustreamer/bin/ustreamer", RESTART_USTREAMER),
        "ustreamer",
        "/opt/ustreamer/bin/ustreamer is missing",
    ),
    Fault("uStreamer hangs", hung("ustreamer"), "ustreamer", "hangs"),
    Fault(
        "uStreamer lost a group",
        both(
            shell("gpasswd --delete ustreamer video", "gpasswd --add ustreamer video"),
            dropped_in("ustreamer", "[Service]\nSupplementaryGroups=\n"),
        ),
        "ustreamer",
        "has not the group video",
    ),
    Fault(
        "another program has the capture device",
        both(
            shell("mknod -m 666 /dev/video0 c 1 3", "rm /dev/video0"),
            told_otherwise("ustreamer", capture_device="/dev/video0"),
            running(_OPEN, "/dev/video0"),
            # So uStreamer meets that one, and not the emulated one.
            dropped_in("ustreamer", "[Service]\nEnvironment=V4L2_EMULATOR_CAPTURE=/dev/none\n"),
        ),
        "ustreamer",
        "has the capture device open",
    ),
    # The software encoder makes another one within a blink.
    Fault(
        "the sink is removed",
        shell(f"rm {SINK}", RESTART_USTREAMER),
        "sink",
        "no H.264 sink",
        True,
        needs="encoder_chip",
    ),
    Fault(
        "the sink has another mode",
        shell(f"chmod 0600 {SINK}", f"chmod 0660 {SINK}"),
        "sink",
        "mode 0600",
    ),
    Fault(
        "the sink belongs to somebody else",
        shell(f"chown root:root {SINK}", RESTART_USTREAMER),
        "sink",
        "group root",
    ),
    Fault(
        "the sink is an old one",
        shell(f"cp -p {SINK} /dev/shm/old && mv /dev/shm/old {SINK}", RESTART_USTREAMER),
        "sink",
        "removed or replaced",
        needs="encoder_chip",
    ),
    Fault(
        "the encoder hangs",
        both(
            idle_supervisor(),
            shell("true", RESTART_USTREAMER),
            controlled(encoder="hanging"),
        ),
        "encoder",
        "no H.264",
        True,
        needs="encoder_chip",
    ),
    Fault(
        "the encoder is not there",
        both(
            idle_supervisor(),
            dropped_in("ustreamer", "[Service]\nEnvironment=V4L2_EMULATOR_ENCODER=/dev/video99\n"),
        ),
        "encoder device",
        "can't be opened",
        needs="encoder_chip",
    ),
    Fault(
        "the software encoder is stopped",
        stopped("ustreamer-encoder"),
        "software encoder",
        "is stopped",
        True,
        needs="software_encoder",
    ),
    Fault(
        "the software encoder hangs",
        hung("ustreamer-encoder"),
        "software encoder",
        "hangs",
        True,
        needs="software_encoder",
    ),
    Fault(
        "the software encoder is gone",
        moved_away("/opt/ustreamer/bin/ustreamer-encoder", RESTART_USTREAMER),
        "ustreamer",
        "/opt/ustreamer/bin/ustreamer-encoder is missing",
        needs="software_encoder",
    ),
    Fault(
        "the software encoder can't write its sink",
        both(
            idle_supervisor(),
            dropped_in("ustreamer-encoder", "[Service]\nReadOnlyPaths=/dev/shm\n"),
            shell(f"rm {SINK}", "true"),
        ),
        "sink",
        "no H.264 sink",
        needs="software_encoder",
    ),
    Fault("Janus is stopped", stopped("janus"), "janus", "is stopped"),
    Fault("Janus hangs", hung("janus"), "janus", "hangs"),
    Fault(
        "Janus is damaged",
        moved_away(JANUS, "systemctl restart janus", f"install -m 755 /dev/null {JANUS}"),
        "janus",
        "is no program",
    ),
    Fault(
        "Janus' configuration has a slip",
        kept(
            "/etc/janus/janus.jcfg",
            "echo 'nonsense {' >> /etc/janus/janus.jcfg",
            "systemctl restart janus",
        ),
        "janus",
        "mistake in its syntax",
        True,
    ),
    Fault(
        "Janus has another secret",
        kept(
            "/etc/kvm-signalling/token.jcfg",
            'sed -i \'s/"[0-9a-f]*"/"0123456789abcdef"/\' /etc/kvm-signalling/token.jcfg',
        ),
        "janus",
        "refuses the device's own token",
    ),
    Fault(
        "Janus' socket can't be reached",
        shell("chmod 0700 /run/janus", "chmod 2750 /run/janus"),
        "janus",
        "/run/janus has mode 2700",
    ),
    Fault(
        "Janus is disabled",
        shell("systemctl disable --quiet janus", "systemctl enable --quiet janus"),
        "janus",
        "will not start with the device",
    ),
    Fault(
        "the plugin is gone",
        moved_away(PLUGIN, "systemctl restart janus"),
        "plugin",
        "is missing",
    ),
    Fault(
        "the plugin is of another processor",
        shell(
            f"cp -p {PLUGIN} /root/plugin && cp -p {PLUGIN} {PLUGIN}.new && "
            f"printf '\\267' | dd of={PLUGIN}.new bs=1 seek=18 conv=notrunc status=none && "
            f"mv {PLUGIN}.new {PLUGIN} && systemctl restart janus",
            f"mv /root/plugin {PLUGIN} && systemctl restart janus",
        ),
        "plugin",
        "another processor",
        True,
    ),
    Fault(
        "another program has the media ports",
        running(_LISTEN, "udp", "20000", "20063"),
        "media",
        "are taken by python3",
    ),
    Fault("a firewall drops the media", firewall, "media", "drops UDP packets", True),
    Fault(
        "a STUN server does not answer",
        shell(
            "cp -a /var/lib/kvm-settings/settings.json /root/ 2>/dev/null; echo "
            '\'{"tinypilot_ice_servers": ["stun:192.0.2.1:3478"]}\' > /var/lib/kvm-settings/settings.json',
            "rm /var/lib/kvm-settings/settings.json; "
            "mv /root/settings.json /var/lib/kvm-settings/ 2>/dev/null || true",
        ),
        "ice",
        "stun:192.0.2.1:3478",
    ),
    # --- The page ---
    Fault(
        "the relay is stopped",
        stopped("tinypilot-relay.socket", "tinypilot-relay.service"),
        "relay",
        "is stopped",
    ),
    Fault(
        "the relay's socket is gone",
        shell(
            "rm /run/tinypilot/relay.sock",
            "systemctl restart tinypilot-relay.socket tinypilot-relay.service",
        ),
        "relay",
        "/run/tinypilot/relay.sock is missing",
        True,
    ),
    Fault(
        "the relay lost its groups",
        dropped_in("tinypilot-relay", "[Service]\nSupplementaryGroups=\n"),
        "relay",
        "has not the group kvm-signalling",
    ),
    Fault("the relay hangs", hung("tinypilot-relay"), "relay", "hangs"),
    Fault(
        "the web app is stopped",
        stopped("tinypilot.socket", "tinypilot.service"),
        "web app",
        "is stopped",
    ),
    Fault(
        "the web app does not stay up",
        dropped_in("tinypilot", "[Service]\nExecStart=\nExecStart=/usr/bin/false\n"),
        "web app",
        "does not stay up",
    ),
    Fault("the web app's worker hangs", hung("tinypilot", "worker"), "web app", "hangs"),
    Fault("nginx is stopped", stopped("nginx.socket", "nginx.service"), "nginx", "is stopped"),
    Fault("nginx's worker hangs", hung("nginx", "worker"), "nginx", "hangs"),
    Fault(
        "nginx' configuration has a slip",
        kept(
            "/etc/kvm-gateway/nginx.conf",
            "echo 'nonsense;' >> /etc/kvm-gateway/nginx.conf",
            "systemctl restart nginx",
        ),
        "nginx",
        "nonsense",
        True,
    ),
    Fault(
        "nginx is disabled",
        shell("systemctl disable --quiet nginx.socket", "systemctl enable --quiet nginx.socket"),
        "nginx",
        "will not start with the device",
    ),
    Fault(
        "another program has port 443",
        both(
            shell(
                "systemctl stop nginx.socket nginx.service", "systemctl start nginx.socket nginx"
            ),
            running(_LISTEN, "tcp", "443", "443"),
            shell("systemctl start nginx.socket || true", "systemctl reset-failed nginx.socket"),
        ),
        "nginx",
        "Port 443 is taken by python3",
    ),
    Fault(
        "the certificate has ended", certificate("kvm.example", -9, -1), "certificate", "ended on"
    ),
    Fault(
        "the certificate is for another name",
        certificate("nas.example", -1, 9),
        "certificate",
        "is for nas.example",
        True,
    ),
    Fault(
        "the key is another certificate's",
        certificate("kvm.example", -1, 9, "another's"),
        "certificate",
        "its key belongs to another one",
    ),
    Fault(
        "the clock is before the certificate's beginning",
        certificate("kvm.example", 1, 9),
        "clock",
        "valid only from",
    ),
    Fault(
        "the host name leads nowhere",
        shell(HOST_NAME, "cat /root/hosts > /etc/hosts; cat /root/resolv.conf > /etc/resolv.conf"),
        "name",
        "does not find itself",
    ),
    Fault(
        "nobody announces the name",
        shell(
            f"printf '[Service]\\nExecStart=/usr/bin/sleep infinity\\n' > {RUNTIME}/avahi-daemon.service && "
            "systemctl daemon-reload",
            f"rm {RUNTIME}/avahi-daemon.service && systemctl daemon-reload",
        ),
        "name",
        "avahi-daemon.service is inactive",
    ),
    # --- The way of a key ---
    Fault(
        "the firmware makes no USB device of it",
        both(
            shell(
                "mkdir -p /boot/firmware && printf '[cm5]\\ndtoverlay=dwc2\\n' > /boot/firmware/config.txt",
                "rm -r /boot/firmware",
            ),
            told_otherwise(
                "usb_gadget", boot_config={"file": "/boot/firmware/config.txt", "overlay": "dwc2"}
            ),
        ),
        "gadget",
        "dtoverlay=dwc2",
    ),
    Fault(
        "no USB device controller",
        told_otherwise("usb_gadget", expected=True),
        "gadget",
        "no USB device controller",
    ),
    Fault("no gadget", usb("gone", "missing"), "gadget", "no USB keyboard"),
    Fault(
        "no computer at the USB cable",
        usb("disconnected", "disconnected"),
        "computer",
        "not connected",
    ),
    Fault("USB is stuck", usb("stuck", "silent"), "computer", "fetches no keys", True),
    Fault(
        "the HID service is stopped",
        stopped("tinypilot-hid.socket", "tinypilot-hid.service"),
        "hid",
        "is stopped",
    ),
    Fault("the HID service hangs", hung("tinypilot-hid"), "hid", "hangs", True),
    # --- What switches the computer ---
    Fault(
        "the service for the buttons is stopped",
        stopped("tinypilot-atx.socket", "tinypilot-atx.service"),
        "switches",
        "is stopped",
    ),
    Fault("the service for the buttons hangs", hung("tinypilot-atx"), "switches", "hangs"),
    Fault(
        "nobody listens for machines to wake",
        stopped("tinypilot-wake.socket"),
        "switches",
        "is stopped",
    ),
    # --- What all stand on ---
    Fault(
        "the state folder is somebody else's",
        shell(f"chown root:root {STATE}", f"systemctl restart {STATE_SERVICES}"),
        "accounts",
        "belongs to root",
        True,
    ),
    Fault(
        "the database is damaged",
        shell(
            f"cp -a {STATE} /root/state && {USER} {shlex.join(['python3', '-c', _DAMAGE_DATABASE])}",
            f"systemctl stop {STATE_SERVICES}; rm -rf {STATE} && mv /root/state {STATE} && "
            f"systemctl start {STATE_SERVICES}",
        ),
        "accounts",
        "damaged",
    ),
    Fault(
        "the web app's configuration is damaged",
        kept("/etc/tinypilot/web.json", "echo '{' > /etc/tinypilot/web.json"),
        "configuration",
        "/etc/tinypilot/web.json",
    ),
    Fault("the supervisor is stopped", stopped("tinypilot-supervisor"), "supervisor", "is stopped"),
    Fault("the supervisor hangs", hung("tinypilot-supervisor"), "supervisor", "hangs"),
    Fault(
        "the service for settings is stopped",
        stopped("tinypilot-apply.socket"),
        "settings",
        "is stopped",
    ),
    Fault(
        "nobody listens for who wants to test the device",
        stopped("tinypilot-device-test.socket"),
        "settings",
        "is stopped",
    ),
    Fault(
        "packages are half installed",
        kept(
            "/var/lib/dpkg/status",
            "sed -i '0,/^Status: install ok installed/s//Status: install ok half-configured/' /var/lib/dpkg/status",
        ),
        "system",
        "half installed",
        True,
    ),
    Fault(
        "a library of Python is gone",
        moved_away("/usr/lib/python3/dist-packages/aiohttp"),
        "system",
        "can't load aiohttp",
    ),
    Fault(
        "the disk is full",
        shell(FULL, "umount --lazy /var/lib/kvm-settings"),
        "disk",
        "/var/lib/kvm-settings is full",
        True,
    ),
    Fault(
        "the disk is read-only",
        shell(
            f"mount --bind {STATE} {STATE} && mount -o remount,ro,bind {STATE}",
            f"umount --lazy {STATE}",
        ),
        "disk",
        "read-only",
    ),
    Fault("the network cable is out", unplugged, "network", "no address"),
]
