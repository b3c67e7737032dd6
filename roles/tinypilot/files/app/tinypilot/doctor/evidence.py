# SPDX-License-Identifier: MIT
"""What there is to know about the device, asked as a client would: real sockets, real files, systemd itself.

All is asked at once, each question in a thread of its own, and what has no answer in time stays unknown. Nothing on the
device is changed. Run as root.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import functools
import grp
import http.client
import importlib.util
import json
import os
import pwd
import re
import shlex
import shutil
import socket
import ssl
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tinypilot.config import Config, ConfigError
from tinypilot.doctor import chain
from tinypilot.power.ask import ask
from tinypilot.settings.model import Settings
from tinypilot.video import hdmi, memsink

# All answers together. With what is said of a broken unit it stays below ten seconds.
OVERALL_SECONDS = 7.0
COMMAND_SECONDS = 5.0
# Without a reader uStreamer captures one frame a second or two, and opens its encoder for the first reader.
FRAMES_SECONDS = 4.0
# A unit that ends again and again does so within this time, with its pause of 250 ms.
UNIT_SECONDS = 1.5
RECENT_SECONDS = 30
STUN_SECONDS = 1.0
# How much longer all may take, because the machine is overloaded. Without the library of this module there is enough
# else to say.
try:
    from tinypilot.healing import slowness

    SLOWNESS = slowness()
except ImportError:
    SLOWNESS = 1.0
ANSWER_SECONDS = 2.5 * SLOWNESS

UNIT_PROPERTIES = (
    *("Id", "LoadState", "ActiveState", "SubState", "UnitFileState", "Result", "ExecMainStatus"),
    *("MainPID", "NRestarts", "DropInPaths", "FragmentPath"),
    *("User", "Group", "SupplementaryGroups"),
)
# Fields of /proc/PID/stat behind the program's name.
STATE, PARENT = 0, 1
# Not on each device.
FURTHER_UNITS = ("kvm-edid.service", "usb-gadget.service", "avahi-daemon.service")
LISTENING = "0A"
ELF_MACHINE = slice(18, 20)
# What nginx answers by itself, and without login.
NGINX_OWN = "/static/login/login.js"
HID_FILES = ("/dev/hidg0", "/dev/hidg1", "/dev/hidg2")
# In a process of its own: what a C library makes of a damaged file is not the doctor's end.
_READ_CONFIGURATIONS = """
import ctypes, glob, sys
[library, *_] = glob.glob("/usr/lib/*/libconfig.so.*")
library = ctypes.CDLL(library)
for file in sys.argv[1:]:
    room = ctypes.create_string_buffer(4096)
    library.config_init(room)
    if not library.config_read_file(room, file.encode()):
        print(file)
"""


class Unknown(Exception):
    """A question that has no answer."""


@dataclass(frozen=True)
class Unit:
    """As `systemctl show` has it. lacks: groups that its processes need and have not, or will not have."""

    load: str = "loaded"
    active: str = "active"
    sub: str = "running"
    enabled: str = "enabled"
    result: str = "success"
    exit_code: int = 0
    pid: int = 0
    restarts: int = 0
    files: tuple[str, ...] = ()
    lacks: tuple[str, ...] = ()


@dataclass(frozen=True)
class Process:
    name: str
    state: str
    parent: int


@dataclass(frozen=True)
class Disk:
    """What a user other than root may still write. error: why nothing can be written; empty if something can."""

    free_bytes: int
    free_files: int
    error: str = ""


@dataclass(frozen=True)
class Certificate:
    """defect: why certificate and key are no pair; the rest is known only without one."""

    defect: str = ""
    begin: datetime | None = None
    end: datetime | None = None
    names: tuple[str, ...] = ()
    pem: str = ""


@dataclass
class Evidence:
    """facts: what the roles have laid down, by role. answers: by question; an exception is an answer, too.
    last_words: the last lines that a unit has written."""

    facts: Mapping[str, Mapping]
    answers: dict[str, object] = field(default_factory=dict)
    last_words: Callable[[str], list[str]] = lambda unit: []

    def of(self, role: str) -> Mapping[str, Any]:
        return self.facts.get(role, {})

    def tell(self, question: str) -> Any:
        """Raises what the question has raised, or Unknown."""
        answer = self.answers.get(question, Unknown(f"{question}: no answer"))
        if isinstance(answer, BaseException):
            raise answer
        return answer

    def get(self, question: str, default: Any = None) -> Any:
        answer = self.answers.get(question, default)
        return default if isinstance(answer, BaseException) else answer


# --- Asking ---


def ask_all(
    questions: Mapping[str, Callable[[], object]], seconds: float = OVERALL_SECONDS * SLOWNESS
) -> dict[str, object]:
    """Who is not done in time is left behind: its thread ends with the program."""
    answers: dict[str, object] = {}

    def ask(name: str, question: Callable[[], object]) -> None:
        try:
            answers[name] = question()
        except Exception as error:
            answers[name] = error

    deadline = time.monotonic() + seconds
    threads = [
        threading.Thread(target=ask, args=each, daemon=True, name=each[0])
        for each in questions.items()
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(max(0, deadline - time.monotonic()))
    return dict(answers)


def run(*command: str, **options: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(  # type: ignore[call-overload]
        command,
        capture_output=True,
        text=True,
        errors="replace",
        stdin=subprocess.DEVNULL,
        timeout=COMMAND_SECONDS * SLOWNESS,
        env={**os.environ, "LC_ALL": "C.UTF-8", "SYSTEMD_COLORS": "0"},
        **options,
    )


# --- systemd and processes ---

# What a service's process runs until it has the service's user and groups (systemd before and since 254).
SYSTEMD_ITSELF = ("systemd", "systemd-executor")


def units(wanted: Mapping[str, Iterable[str]]) -> dict[str, Unit]:
    """wanted: the groups that each unit needs."""
    shown = run("systemctl", "show", f"--property={','.join(UNIT_PROPERTIES)}", *wanted).stdout
    found = {}
    for block in shown.strip().split("\n\n"):
        values = dict(line.partition("=")[::2] for line in block.splitlines())
        name, pid = values.get("Id", ""), int(values.get("MainPID") or 0)
        groups = _groups(pid) or _groups_by_configuration(values)
        found[name] = Unit(
            load=values.get("LoadState", ""),
            active=values.get("ActiveState", ""),
            sub=values.get("SubState", ""),
            enabled=values.get("UnitFileState", ""),
            result=values.get("Result", ""),
            exit_code=int(values.get("ExecMainStatus") or 0),
            pid=pid,
            restarts=int(values.get("NRestarts") or 0),
            files=(values.get("FragmentPath", ""), *values.get("DropInPaths", "").split()),
            lacks=tuple(each for each in wanted.get(name, ()) if _gid(each) not in groups),
        )
    return found


def _groups(pid: int) -> set[int]:
    """Of a process; none of one that does not run, or that systemd is about to turn into the service's."""
    try:
        if os.path.basename(os.readlink(f"/proc/{pid}/exe")) in SYSTEMD_ITSELF:
            return set()
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return set()
    lines = re.findall(r"^(?:Gid|Groups):(.*)$", status, re.M)
    return {int(gid) for line in lines for gid in line.split()}


def _groups_by_configuration(shown: Mapping[str, str]) -> set[int]:
    names = [shown.get("Group", ""), *shown.get("SupplementaryGroups", "").split()]
    has = {_gid(name) for name in names if name}
    with contextlib.suppress(KeyError):
        user = pwd.getpwnam(shown.get("User", ""))
        has |= set(os.getgrouplist(user.pw_name, user.pw_gid))
    return has


def _gid(name: str) -> int:
    try:
        return grp.getgrnam(name).gr_gid
    except KeyError:
        return -1


def later(wanted: Mapping[str, Iterable[str]]) -> dict[str, Unit]:
    time.sleep(UNIT_SECONDS * SLOWNESS)
    return units(wanted)


def processes() -> dict[int, Process]:
    found = {}
    for file in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            head, _, rest = file.read_text(errors="replace").rpartition(")")
            fields = rest.split()
            name = head.partition("(")[2]
            found[int(file.parent.name)] = Process(name, fields[STATE], int(fields[PARENT]))
    return found


def last_words(unit: str) -> list[str]:
    """The last lines that it has written since its start, and those of the last seconds: it may have just ended."""
    lines = []
    with contextlib.suppress(OSError, subprocess.SubprocessError):
        start = run("systemctl", "show", "--property=InvocationID", "--value", unit).stdout.strip()
        for choice in (f"_SYSTEMD_INVOCATION_ID={start}", f"--since=-{RECENT_SECONDS}s"):
            said = run(
                *("journalctl", "--no-pager", "--boot", "--output=cat", "--lines=40"),
                *(choice, f"_SYSTEMD_UNIT={unit}"),
            ).stdout
            lines += [line.strip() for line in said.splitlines() if line.strip()]
    return lines


# --- Files ---


def path_defects(wanted: Iterable[Mapping]) -> dict[str, str]:
    """By path, as "has group x instead of y"; only of those that have one."""
    return {each["path"]: defect for each in wanted if (defect := _path_defect(**each))}


def _path_defect(
    path: str, kind: str = "file", owner: str = "", group: str = "", mode: str = ""
) -> str:
    try:
        state = os.stat(path)
    except OSError as error:
        return (
            "is missing"
            if isinstance(error, FileNotFoundError)
            else f"can't be opened ({error.strerror})"
        )
    is_kind = {"file": stat.S_ISREG, "folder": stat.S_ISDIR, "socket": stat.S_ISSOCK}[kind]
    if not is_kind(state.st_mode):
        return f"is no {kind}"
    if owner and _name(pwd.getpwuid, state.st_uid) != owner:
        return f"belongs to {_name(pwd.getpwuid, state.st_uid)} instead of {owner}"
    if group and _name(grp.getgrgid, state.st_gid) != group:
        return f"has group {_name(grp.getgrgid, state.st_gid)} instead of {group}"
    has_mode = f"{stat.S_IMODE(state.st_mode):04o}"
    if mode and has_mode != mode.zfill(4):
        return f"has mode {has_mode} instead of {mode.zfill(4)}"
    return ""


def _name(find: Callable, number: int) -> str:
    try:
        return find(number)[0]
    except KeyError:
        return str(number)


def program_defects(paths: Iterable[str]) -> dict[str, str]:
    with open(sys.executable, "rb") as own:
        machine = own.read(20)[ELF_MACHINE]
    return {path: defect for path in paths if (defect := _program_defect(path, machine))}


def _program_defect(path: str, machine: bytes) -> str:
    try:
        with open(path, "rb") as file:
            head = file.read(20)
    except OSError as error:
        return (
            "is missing"
            if isinstance(error, FileNotFoundError)
            else f"can't be read ({error.strerror})"
        )
    if head.startswith(b"#!") and os.access(path, os.X_OK):
        return ""
    if not head.startswith(b"\x7fELF") or len(head) < 20:
        return "is damaged: it is no program"
    if head[ELF_MACHINE] != machine:
        return "was compiled for another processor"
    return ""


def disks(folders: Iterable[str]) -> dict[str, Disk]:
    found = {}
    for folder in folders:
        if not os.path.isdir(folder):
            continue
        state = os.statvfs(folder)
        # Some file systems do not count files.
        files = state.f_favail if state.f_files else 1 << 30
        found[folder] = Disk(state.f_bavail * state.f_frsize, files, _write_error(folder, state))
    return found


def _write_error(folder: str, state: os.statvfs_result) -> str:
    if state.f_flag & os.ST_RDONLY:
        return "is mounted read-only"
    try:
        file = os.open(folder, os.O_TMPFILE | os.O_WRONLY)
    except OSError as error:
        # Not each file system has files without a name.
        is_known = error.errno in (errno.EROFS, errno.EIO)
        return f"can't be written ({error.strerror})" if is_known else ""
    os.close(file)
    return ""


# --- The video input ---


def overlay(file: str, name: str) -> bool | None:
    """Whether the firmware is told to load it, by a line that holds for a Pi 4. None: there is no such file."""
    try:
        text = Path(file).read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    return has_overlay(text, name)


def has_overlay(text: str, name: str) -> bool:
    section = "all"
    for line in text.splitlines():
        if begun := re.match(r"\[(.*)\]", line):
            section = begun[1]
        elif section in ("all", "pi4", "cm4") and re.match(rf"dtoverlay={name}(,|\s*$)", line):
            return True
    return False


def changed_since_boot(file: str) -> bool:
    booted = time.time() - time.clock_gettime(time.CLOCK_BOOTTIME)
    try:
        return os.stat(file).st_mtime > booted
    except OSError:
        return False


def holders(device: str) -> list[str]:
    """Who has it open, as "name (process 7)"."""
    target = os.path.realpath(device)
    found = []
    for folder in Path("/proc").glob("[0-9]*/fd"):
        with contextlib.suppress(OSError):
            if any(os.readlink(each) == target for each in folder.iterdir()):
                found.append(called(int(folder.parent.name)))
    return found


def called(pid: int) -> str:
    with contextlib.suppress(OSError):
        return f"{Path(f'/proc/{pid}/comm').read_text().strip()} (process {pid})"
    return f"process {pid}"


def edid_refusal(settings: Settings) -> str:
    """What the role's own program says of the EDID that its unit reads; empty: nothing."""
    for name, setting in settings.declared().items():
        if setting.group.widget != "edid" or not setting.group.check:
            continue
        value = str(setting.default)
        with contextlib.suppress(OSError, TypeError):
            lines = (
                Path(str(setting.group.environment_file)).read_text(errors="replace").splitlines()
            )
            value = next(
                (
                    line.partition("=")[2].strip("\"'")
                    for line in lines
                    if line.startswith(f"{name}=")
                ),
                value,
            )
        done = run(*setting.group.check, value)
        return done.stdout.strip() if done.returncode == 0 else "It is no hexadecimal text."
    return ""


@dataclass(frozen=True)
class Frames:
    """known: whether the sink has a layout that can be read; count: new frames while somebody read; orphaned: uStreamer
    writes into another object, which had this name before."""

    known: bool
    count: int
    orphaned: bool


def frames(sink: Path, ustreamer: Mapping[str, Unit]) -> Frames:
    """Reads as the relay does, so uStreamer encodes meanwhile."""
    for unit in ustreamer.values():
        with contextlib.suppress(OSError):
            if f"{sink} (deleted)" in Path(f"/proc/{unit.pid}/maps").read_text():
                return Frames(True, 0, True)
    reader, count, deadline = memsink.Memsink(sink), 0, time.monotonic() + FRAMES_SECONDS * SLOWNESS
    try:
        # The first may be an old one.
        while count < 3 and time.monotonic() < deadline:
            reader.refresh()
            count += reader.fetch(wants_key=False) is not None
            time.sleep(0.02)
        return Frames(reader.glance() is not None, count, False)
    finally:
        reader.close()


async def ask_janus(wiring: dict) -> str:
    async with asyncio.timeout(2 * ANSWER_SECONDS), chain.attached(wiring) as ask:
        return "an offer" if await chain.watch(ask) else "no picture yet"


# --- Sockets ---


class _UnixConnection(http.client.HTTPConnection):
    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.host)


def get(path: str, question: str) -> tuple[int, bytes]:
    """Status and body, from a program's unix socket."""
    connection = _UnixConnection(path, timeout=ANSWER_SECONDS)
    with contextlib.closing(connection):
        headers = {
            "Host": "localhost",
            "X-Forwarded-For": "127.0.0.1",
            "X-Forwarded-Proto": "https",
        }
        connection.request("GET", question, headers=headers)
        answer = connection.getresponse()
        return answer.status, answer.read(65536)


@dataclass(frozen=True)
class Page:
    """What nginx shows to a browser."""

    status: int
    certificate: str  # PEM


def page(address: str, port: int, host: str, path: str) -> Page:
    tls = ssl.create_default_context()
    tls.check_hostname, tls.verify_mode = False, ssl.CERT_NONE
    connection = http.client.HTTPSConnection(address, port, timeout=ANSWER_SECONDS, context=tls)
    with contextlib.closing(connection):
        connection.connect()
        shown = connection.sock.getpeercert(binary_form=True) or b""
        connection.request("GET", path, headers={"Host": host})
        return Page(connection.getresponse().status, ssl.DER_cert_to_PEM_cert(shown))


def bound_ports(kind: str) -> dict[int, set[int]]:
    """Inodes of the sockets that listen (tcp) or are bound (udp), by port."""
    found: dict[int, set[int]] = {}
    for name in (kind, f"{kind}6"):
        with contextlib.suppress(OSError):
            for line in Path(f"/proc/net/{name}").read_text().splitlines()[1:]:
                fields = line.split()
                if kind == "udp" or fields[3] == LISTENING:
                    port = int(fields[1].rpartition(":")[2], 16)
                    found.setdefault(port, set()).add(int(fields[9]))
    return found


def port_owners(kind: str, ports: Iterable[int]) -> dict[int, list[int]]:
    """Process ids of those that have these ports."""
    bound = bound_ports(kind)
    wanted = {f"socket:[{inode}]": port for port in ports for inode in bound.get(port, ())}
    found: dict[int, list[int]] = {}
    if not wanted:
        return found
    for folder in Path("/proc").glob("[0-9]*/fd"):
        with contextlib.suppress(OSError):
            for link in {os.readlink(each) for each in folder.iterdir()} & wanted.keys():
                found.setdefault(wanted[link], []).append(int(folder.parent.name))
    return found


def udp_arrives(address: str, ports: Iterable[int]) -> bool:
    """Whether a packet to the first free one of these ports comes in."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as media:
        for port in ports:
            with contextlib.suppress(OSError):
                media.bind((address, port))
                break
        else:
            raise Unknown
        media.settimeout(0.5)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as viewer:
            viewer.bind((address, 0))
            for _ in range(3):
                with contextlib.suppress(OSError):
                    viewer.sendto(b"kvm doctor", media.getsockname())
                    media.recv(64)
                    return True
    return False


def firewall_ruleset() -> list[dict]:
    """Empty where nothing can tell."""
    if not shutil.which("nft"):
        return []
    return json.loads(run("nft", "--json", "list", "ruleset").stdout)["nftables"]


# --- The network ---


@dataclass(frozen=True)
class Network:
    """addresses: IPv4, then IPv6, of links that are up; links: state by name, without the loopback."""

    addresses: tuple[str, ...]
    links: Mapping[str, str]


def network() -> Network:
    interfaces = json.loads(run("ip", "-json", "address").stdout)
    links, addresses = {}, []
    for each in interfaces:
        if "LOOPBACK" in each["flags"]:
            continue
        links[each["ifname"]] = each["operstate"]
        if "UP" in each["flags"] and each["operstate"] != "DOWN":
            addresses += [info["local"] for info in each["addr_info"] if info["scope"] == "global"]
    return Network(tuple(sorted(addresses, key=lambda address: ":" in address)), links)


def ice_servers(urls: Iterable[str]) -> dict[str, str]:
    """By URL why the server does not answer; empty if it does."""
    asked = {url: functools.partial(ice_defect, url) for url in urls}
    answers = ask_all(asked, 2 * ANSWER_SECONDS)
    return {url: str(answers.get(url, "does not answer")) for url in asked}


def ice_defect(url: str) -> str:
    scheme, _, rest = url.partition(":")
    place, _, options = rest.partition("?")
    host, _, port = place.rpartition(":") if re.search(r":\d+$", place) else (place, "", "")
    is_stream = scheme.endswith("s") or options == "transport=tcp"
    kind = socket.SOCK_STREAM if is_stream else socket.SOCK_DGRAM
    port = port or ("5349" if scheme.endswith("s") else "3478")
    try:
        family, _, _, _, address = socket.getaddrinfo(host.strip("[]"), port, type=kind)[0]
    except OSError:
        return "has a name that can't be resolved"
    with socket.socket(family, kind) as client:
        client.settimeout(STUN_SECONDS)
        try:
            client.connect(address)
            if is_stream or _answers_stun(client):
                return ""
        except OSError as error:
            return f"can't be reached ({error.strerror or 'no answer'})"
    return "does not answer"


def _answers_stun(client: socket.socket) -> bool:
    for _ in range(2):
        with contextlib.suppress(TimeoutError):
            # A binding request, RFC 8489.
            client.send(b"\0\1\0\0\x21\x12\xa4\x42" + os.urandom(12))
            client.recv(2048)
            return True
    return False


# --- TLS ---


def certificate(pem: str, key: str) -> Certificate:
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(pem, key)
    except ssl.SSLError as error:
        is_mismatch = error.reason == "KEY_VALUES_MISMATCH"
        return Certificate("its key belongs to another one" if is_mismatch else "it is damaged")
    except OSError as error:
        return Certificate(f"it can't be read ({error.strerror})")
    shown = run(
        *("openssl", "x509", "-in", pem, "-noout"),
        *("-startdate", "-enddate", "-ext", "subjectAltName"),
    ).stdout
    begin, end = (
        datetime.strptime(text, "%b %d %H:%M:%S %Y GMT").replace(tzinfo=UTC)
        for text in re.findall(r"^not(?:Before|After)=(.*)$", shown, re.M)
    )
    return Certificate(
        "", begin, end, tuple(re.findall(r"DNS:([^,\s]+)", shown)), first_certificate(pem)
    )


def certificate_name(pem: str, key: str) -> str:
    """One that it is for."""
    return certificate(pem, key).names[0].replace("*", "kvm")


def first_certificate(pem: str) -> str:
    """In the form that it is compared in."""
    found = re.search(f"{ssl.PEM_HEADER}.*?{ssl.PEM_FOOTER}", Path(pem).read_text(), re.S)
    return ssl.DER_cert_to_PEM_cert(ssl.PEM_cert_to_DER_cert(found[0])) if found else ""


# --- The system ---


def half_installed() -> list[str]:
    shown = run(
        "dpkg-query", "--show", "--showformat=${db:Status-Status} ${db:Status-Eflag} ${Package}\n"
    ).stdout
    bad = ("half-installed", "unpacked", "half-configured")
    words = (line.split() for line in shown.splitlines())
    return [name for state, error, name in words if state in bad or error != "ok"]


def memory() -> dict[str, int]:
    """Bytes by name, as /proc/meminfo has them."""
    lines = Path("/proc/meminfo").read_text().splitlines()
    return {line.split(":")[0]: int(line.split()[1]) * 1024 for line in lines}


@dataclass(frozen=True)
class Power:
    """throttled: the bits of a Pi's firmware; None where there is none."""

    celsius: float | None
    throttled: int | None


def power(root: Path = Path("/")) -> Power:
    celsius, throttled = None, None
    zones = []
    for file in root.glob("sys/class/thermal/thermal_zone*/temp"):
        with contextlib.suppress(OSError, ValueError):
            zones.append(int(file.read_text()) / 1000)
    if zones:
        celsius = max(zones)
    for file in root.glob("sys/devices/platform/soc/*/get_throttled"):
        with contextlib.suppress(OSError, ValueError):
            throttled = int(file.read_text(), 16)
    return Power(celsius, throttled)


def newest_change(paths: Iterable[str]) -> float:
    """The latest time that is known to be over: when the play wrote one of these."""
    times = [0.0]
    for path in paths:
        with contextlib.suppress(OSError):
            times.append(os.stat(path).st_mtime)
    return max(times)


def database_defect(path: str, user: str) -> str:
    """Looked at by its own user: root's look would leave files behind that the service can't write."""
    identity = pwd.getpwnam(user)
    done = run(
        sys.executable,
        "-B",
        "-c",
        "import sqlite3, sys\n"
        "database = sqlite3.connect(f'file:{sys.argv[1]}?mode=rw', uri=True, timeout=2)\n"
        "print(database.execute('PRAGMA quick_check(1)').fetchone()[0])",
        path,
        user=identity.pw_uid,
        group=identity.pw_gid,
        extra_groups=[],
        cwd="/",
    )
    said = [*done.stderr.splitlines(), *done.stdout.splitlines()] or ["no answer"]
    # Who writes just now has it for himself.
    return "" if said[-1] == "ok" or "locked" in said[-1] else said[-1]


def host_names() -> list[str]:
    """Under which the device finds itself."""
    name = socket.gethostname()
    return sorted({str(each[4][0]) for each in socket.getaddrinfo(name, None)})


# --- All of it ---


def read_facts(folder: Path) -> dict[str, dict]:
    found = {}
    for file in sorted(folder.glob("*.json")):
        with contextlib.suppress(OSError, ValueError):
            found[file.stem] = json.loads(file.read_text(encoding="utf-8"))
    return found


def listed(facts: Mapping[str, Mapping], name: str) -> list:
    """What all roles have under this name."""
    return [each for role in facts.values() for each in role.get(name, ())]


def boot_configs(facts: Mapping[str, Mapping]) -> dict[str, bool | None]:
    """By overlay: whether the firmware is told to load it."""
    wanted = [role["boot_config"] for role in facts.values() if role.get("boot_config")]
    return {each["overlay"]: overlay(each["file"], each["overlay"]) for each in wanted}


def questions(facts: Mapping[str, Mapping], config: Config) -> dict[str, Callable[[], object]]:
    """Those that can be asked with what the roles have told."""
    own, janus = facts.get("tinypilot", {}), facts.get("janus", {})
    ustreamer, gateway = facts.get("ustreamer", {}), facts.get("gateway", {})
    settings = Settings.from_config(config)
    wanted = dict.fromkeys(FURTHER_UNITS, ()) | {
        unit: groups for role in facts.values() for unit, groups in role.get("units", {}).items()
    }
    sink = str(config.h264_sink)
    wiring = {
        "janus_socket": str(config.janus_socket),
        "janus_token_file": str(config.janus_token_file),
        "sink_name": sink.removeprefix("/dev/shm/"),
        "sink_group": ustreamer.get("sink_group"),
        "encoder_unit": ustreamer.get("encoder_unit", chain.USTREAMER),
    }
    sockets = own.get("sockets", {})
    https_port = gateway.get("https_port", 443)
    first, last = janus.get("rtp_ports", (0, -1))
    media = range(first, last + 1)

    def ice() -> dict[str, str]:
        browsers = settings.effective().get("tinypilot_ice_servers")
        urls = browsers if isinstance(browsers, list) else []
        return ice_servers([*urls, *janus.get("ice_servers", ())])

    def own_page() -> Page:
        return page(network().addresses[0], https_port, "localhost", NGINX_OWN)

    return {
        "units": lambda: units(wanted),
        "units later": lambda: later(wanted),
        "processes": processes,
        "paths": lambda: path_defects(
            [*listed(facts, "paths"), *listed(facts, "state"), *sockets.values()]
        ),
        "programs": lambda: program_defects(
            [*listed(facts, "programs"), *([ustreamer["plugin"]] if "plugin" in ustreamer else [])]
        ),
        "half installed": half_installed,
        "missing packages": lambda: missing_packages(listed(facts, "packages")),
        "modules": lambda: missing_modules(own.get("modules", ())),
        "disks": lambda: disks([*listed(facts, "folders"), "/var/log", "/run", "/dev/shm", "/tmp"]),
        "memory": memory,
        "power": power,
        "newest change": lambda: newest_change(
            each["path"] for each in listed(facts, "paths") if each.get("kind", "file") == "file"
        ),
        "certificate": lambda: certificate(gateway["certificate"], gateway["certificate_key"]),
        "boot configs": lambda: boot_configs(facts),
        "changed since boot": lambda: {
            each["overlay"]: changed_since_boot(each["file"])
            for role in facts.values()
            if (each := role.get("boot_config"))
        },
        "video devices": lambda: {
            path: os.path.exists(path)
            for name in ("capture_device", "encoder_device")
            if (path := ustreamer.get(name))
        },
        "holders": lambda: holders(ustreamer["capture_device"]),
        "edid": lambda: edid_refusal(settings),
        "signal": lambda: ask_signal(config.hdmi_socket),
        "ustreamer": lambda: asyncio.run(ask_ustreamer(str(config.ustreamer_socket))),
        "sink": lambda: chain.check_sink(wiring),
        "frames": lambda: frames(config.h264_sink, units({"ustreamer.service": ()})),
        "janus": lambda: asyncio.run(ask_janus(wiring)),
        "janus configuration": lambda: unreadable_configurations(janus["configuration"]),
        "media ports": lambda: port_owners("udp", media),
        "udp": lambda: udp_arrives(network().addresses[0], media),
        "firewall": firewall_ruleset,
        "relay": lambda: get(sockets["relay"]["path"], "/api/gateway")[0],
        "web app": lambda: get(sockets["web"]["path"], "/login")[0],
        "hid": lambda: json.loads(get(sockets["hid"]["path"], "/usb")[1])["usb"],
        "buttons": lambda: ask(config.atx_socket, {}, ANSWER_SECONDS),
        "database": lambda: database_defect(str(config.auth_file), own["user"]),
        "nginx check": lambda: nginx_defect(gateway["nginx_check"]),
        "tcp ports": lambda: {
            port: [called(pid) for pid in owners]
            for port, owners in port_owners("tcp", (gateway["http_port"], https_port)).items()
        },
        "page": lambda: page("127.0.0.1", https_port, "localhost", NGINX_OWN),
        "login page": lambda: page("127.0.0.1", https_port, "localhost", "/login").status,
        "own page": own_page,
        "named page": lambda: page("127.0.0.1", https_port, socket.gethostname(), NGINX_OWN).status,
        "certificate page": lambda: (
            page(
                "127.0.0.1",
                https_port,
                certificate_name(gateway["certificate"], gateway["certificate_key"]),
                NGINX_OWN,
            ).status
        ),
        "network": network,
        "host name": socket.gethostname,
        "configuration": lambda: configuration_defect(own["configuration"]),
        "host names": host_names,
        "ice": ice,
        "controllers": lambda: sorted(os.listdir("/sys/class/udc")),
        "usb files": lambda: [path for path in HID_FILES if not os.path.exists(path)],
    }


def ask_signal(path: Path) -> dict:
    """Once more if there is no answer: the page's patience is short."""
    deadline = time.monotonic() + ANSWER_SECONDS
    while not (facts := hdmi.ask(path)) and time.monotonic() < deadline:
        time.sleep(0.1)
    return facts


async def ask_ustreamer(path: str) -> dict:
    async with asyncio.timeout(ANSWER_SECONDS):
        return await chain.ask_ustreamer(path)


def configuration_defect(file: str) -> str:
    try:
        Config.from_file(Path(file))
    except ConfigError as error:
        return str(error)
    return ""


def missing_packages(wanted: Iterable[str]) -> list[str]:
    shown = run("dpkg-query", "--show", "--showformat=${db:Status-Status} ${Package}\n", *wanted)
    has = {line.split()[1] for line in shown.stdout.splitlines() if line.startswith("installed ")}
    return [name for name in wanted if name not in has]


def missing_modules(names: Iterable[str]) -> list[str]:
    """Of Python, that are not there. This program has loaded aiohttp, if that can be loaded."""
    missing = []
    for name in names:
        try:
            is_there = importlib.util.find_spec(name) is not None
        except ImportError:
            is_there = False
        if not is_there or (name == "aiohttp" and chain.aiohttp is None):
            missing.append(name)
    return missing


def unreadable_configurations(files: Iterable[str]) -> list[str]:
    """By the library that Janus reads them with."""
    return run(sys.executable, "-S", "-B", "-c", _READ_CONFIGURATIONS, *files).stdout.split()


def nginx_defect(command: str) -> str:
    done = run(*shlex.split(command))
    return "" if done.returncode == 0 else (done.stderr.strip().splitlines() or ["it fails"])[0]


def gather(facts: Mapping[str, Mapping], config: Config) -> Evidence:
    return Evidence(facts, ask_all(questions(facts, config)), last_words)
