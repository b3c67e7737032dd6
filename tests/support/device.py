# SPDX-License-Identifier: MIT
"""The virtual Pi: its container, its services and the emulated computer on its video input."""

from __future__ import annotations

import base64
import contextlib
import json
import shlex
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePosixPath

from . import ROOT
from .waiting import NeverHappened, wait_until

SERVICES = ("ustreamer", "janus", "tinypilot", "tinypilot-relay", "tinypilot-hid", "nginx")
# Each process of the device that runs all the time: the main one of its service, or what this one has started.
PROCESSES = (
    *(("ustreamer", "main"), ("kvm-hdmi", "main"), ("janus", "main")),
    *(("tinypilot", "main"), ("tinypilot", "worker"), ("tinypilot-relay", "main")),
    *(("tinypilot-hid", "main"), ("tinypilot-supervisor", "main"), ("tinypilot-metrics", "main")),
    *(("tinypilot-media", "main"), ("tinypilot-atx", "main")),
    *(("nginx", "main"), ("nginx", "worker")),
)
SINK = PurePosixPath("/dev/shm/kvm::h264")
CONTROL_FILE = PurePosixPath("/run/v4l2-emulator/control")

# Programs for the device. Each costs as much as starting one does, so what is looked at together is one.
_ASK = """
import base64, json, os, socket, subprocess, sys

def ask(path):
    s = socket.socket(socket.AF_UNIX)
    s.settimeout(5)
    s.connect("/run/ustreamer/http.sock")
    s.sendall(f"GET /{path} HTTP/1.0\\r\\n\\r\\n".encode())
    answer = b""
    while part := s.recv(65536):
        answer += part
    return answer.split(b"\\r\\n\\r\\n", 1)[1]
"""
# What uStreamer says of its own sink in /state, for the one that it does not know.
_IS_READ = """
import pathlib, sys
sys.path.insert(0, "/opt/tinypilot")
from tinypilot.video import memsink
sink = memsink.Memsink(pathlib.Path(sys.argv[1]))
sink.refresh()
print(memsink.now() - sink.glance()[1] < memsink.READER_SECONDS)
"""
_ASK_USTREAMER = f"{_ASK}\nprint(base64.b64encode(ask(sys.argv[1])).decode())"
_IS_READY = f"""{_ASK}
sink, *services = sys.argv[1:]
states = subprocess.run(["systemctl", "is-active", *services], stdout=subprocess.PIPE, text=True).stdout
source = json.loads(ask("state"))["result"]["source"]
if set(states.split()) == {{"active"}} and source["online"] and source["captured_fps"] and os.path.exists(sink):
    print("ready")
"""


class DeviceError(Exception):
    """A command on the device failed."""


def docker(*arguments: str, check: bool = True) -> str:
    """Runs the docker client and returns its output; DeviceError has what it complained about."""
    done = subprocess.run(["docker", *arguments], capture_output=True, text=True)
    if check and done.returncode:
        raise DeviceError(f"{arguments}: exit code {done.returncode}\n{done.stdout}{done.stderr}")
    return done.stdout


def _links(state: str) -> str:
    return f"for link in /sys/class/net/eth*; do ip link set ${{link##*/}} {state}; done"


@dataclass(frozen=True)
class Device:
    """name: the container's."""

    name: str

    # --- Where it is ---

    @property
    def address(self) -> str:
        """Its IPv4 address."""
        return self._network["IPAddress"]

    @cached_property
    def _network(self) -> dict:
        """It stays over a restart: the network is the device's own."""
        networks = docker("inspect", "-f", "{{json .NetworkSettings.Networks}}", self.name)
        return next(iter(json.loads(networks).values()))

    @property
    def url(self) -> str:
        return f"https://{self.address}/"

    @property
    def socket_url(self) -> str:
        """Janus' WebSocket, as viewers reach it."""
        return f"wss://{self.address}/janus/ws"

    def cookie(self, role: str = "viewer", minutes: int = 60) -> str:
        """A new session, as NAME=TOKEN; made as the play makes one for its own viewer."""
        return self.sh(f"tinypilot session --role {role} --minutes {minutes}").strip()

    def browser_cookie(self, role: str = "viewer") -> dict:
        """The same for BrowserContext.add_cookies()."""
        name, _, value = self.cookie(role).partition("=")
        return {
            "name": name,
            "value": value,
            "url": self.url,
            "secure": True,
            "httpOnly": True,
            "sameSite": "Strict",
        }

    # --- What runs on it ---

    def sh(self, command: str, check: bool = True) -> str:
        """Runs `command` as root in the device's shell and returns its output."""
        return docker("exec", self.name, "sh", "-c", command, check=check)

    def python(self, program: str, *arguments: str, check: bool = True) -> str:
        """Runs a Python program as root on the device and returns its output."""
        # -B: no byte code beside the product's modules, which a play would have to remove.
        return docker("exec", self.name, "python3", "-B", "-c", program, *arguments, check=check)

    def python_json(self, program: str):
        """What a Python program on the device prints as JSON."""
        return json.loads(self.python(program))

    @property
    def has_upstreams_plugin(self) -> bool:
        """Whether Janus shows uStreamer's own plugin, not this project's. It answers differently here and there."""
        build = json.loads(self.sh("cat /opt/ustreamer/built-from"))
        return build["inputs"]["plugin"] == "upstream"

    def state(self) -> dict:
        """What uStreamer says of itself (`result` of its /state); {} while it does not answer."""
        answer = self._ask_ustreamer("state")
        return json.loads(answer)["result"] if answer else {}

    @cached_property
    def encodes_in_software(self) -> bool:
        """Without the encoder chip, which the emulator would be."""
        facts = self.sh("cat /etc/kvm-facts/ustreamer.json 2>&1", check=False)
        return '"ustreamer-encoder.service"' in facts

    @property
    def services(self) -> tuple[str, ...]:
        return (*SERVICES, "ustreamer-encoder") if self.encodes_in_software else SERVICES

    @property
    def is_encoding(self) -> bool:
        """Somebody is, or lately was, a reader of the H.264 sink, so that there are new frames in it."""
        if self.encodes_in_software:
            return self.python(_IS_READ, str(SINK)).strip() == "True"
        return self.state()["sinks"]["h264"]["has_clients"]

    def snapshot(self) -> bytes:
        """uStreamer's newest JPEG; empty while it does not answer."""
        return self._ask_ustreamer("snapshot")

    def _ask_ustreamer(self, path: str) -> bytes:
        return base64.b64decode(self.python(_ASK_USTREAMER, path, check=False))

    def is_active(self, *services: str) -> bool:
        states = self.sh(f"systemctl is-active {' '.join(services)}", check=False).split()
        return states == ["active"] * len(services)

    def main_pid(self, service: str) -> int:
        """Process id inside the container; 0 while the service does not run."""
        return int(self.sh(f"systemctl show -P MainPID {service}"))

    def journal(self, seconds: float) -> str:
        """Everything logged in the last `seconds`."""
        return self.sh(
            f"journalctl --no-pager -o short-precise --since=-{seconds:.0f}s", check=False
        )

    def sent_bytes(self) -> int:
        """What the device has sent into its networks since it started."""
        return sum(map(int, self.sh("cat /sys/class/net/eth*/statistics/tx_bytes").split()))

    # --- What happens to it ---

    def control(self, **words: str) -> None:
        """Switches the emulated hardware, as control(signal="lost"); control() is the tests' default."""
        self.sh(self._control(**words))

    @staticmethod
    def _control(**words: str) -> str:
        # A film, whatever the inventory says: `make appliance` shows the simulated computer.
        words = {"content": "motion", **words}
        text = " ".join(f"{word}={value}" for word, value in words.items())
        # Moved into place: a half-written file is never read.
        return f"echo '{text}' > {CONTROL_FILE}.new && mv {CONTROL_FILE}.new {CONTROL_FILE}"

    def kill(self, service: str) -> None:
        """SIGKILL to all its processes: an orphaned worker would hide the death of its parent."""
        self.sh(f"systemctl kill --kill-whom=all --signal=KILL {service}.service")

    def hang(self, service: str, process: str = "main") -> None:
        """SIGSTOP, as a deadlock looks: to its main process, or to the first that this one has started ("worker")."""
        main = self.main_pid(service)
        self.sh(f"kill -STOP {main if process == 'main' else f'$(pgrep -o -P {main})'}")

    def healings(self, service: str) -> int:
        """How often it was started anew because it hung, since the start of the device."""
        file = f"/run/kvm-healings/{service}.service"
        noted = self.sh(f"cat {file} 2>/dev/null", check=False)
        return json.loads(noted)["count"] if noted else 0

    def restart(self) -> None:
        """As near to a power cycle as a container comes: /run, /tmp and /dev/shm are emptied."""
        docker("restart", self.name)

    def freeze(self) -> None:
        """Nothing on the device runs any more, and nothing answers."""
        docker("pause", self.name)

    def thaw(self) -> None:
        docker("unpause", self.name)

    def unplug(self) -> None:
        """Everything runs on, and no network reaches it."""
        self.sh(_links("down"))

    def plug_in(self) -> None:
        self.sh(self._plug_in)

    @property
    def _plug_in(self) -> str:
        # This route went with its link, and only the kernel's own come back with it.
        return f"{_links('up')} && ip route replace default via {self._network['Gateway']}"

    @contextlib.contextmanager
    def without_udp(self) -> Iterator[None]:
        """As behind a firewall: TCP passes, UDP does not, in either direction."""
        self._filter_udp("-I")
        try:
            yield
        finally:
            self._filter_udp("-D")

    def _filter_udp(self, action: str) -> None:
        """By this machine's iptables, which its Docker engine needs anyway, in the container's network."""
        process = docker("inspect", "-f", "{{.State.Pid}}", self.name).strip()
        for chain in ("INPUT", "OUTPUT"):
            rule = f"iptables -w {action} {chain} -p udp -j DROP"
            subprocess.run(["nsenter", f"--target={process}", "--net", *rule.split()], check=True)

    @contextlib.contextmanager
    def slow_line(self, kbit_per_second: int) -> Iterator[None]:
        """What the device sends goes out at this rate, with 0.2 s of it in a buffer before it."""
        process = docker("inspect", "-f", "{{.State.Pid}}", self.name).strip()
        tc = ["nsenter", f"--target={process}", "--net", "tc", "qdisc"]
        device = self.sh("ip -o route get 192.0.2.1 | sed 's/.* dev \\([^ ]*\\).*/\\1/'").strip()
        shape = f"root tbf rate {kbit_per_second}kbit burst 16kb latency 200ms"
        subprocess.run([*tc, "add", "dev", device, *shape.split()], check=True)
        try:
            yield
        finally:
            subprocess.run([*tc, "del", "dev", device, "root"], check=True)

    @contextlib.contextmanager
    def without_h264(self) -> Iterator[None]:
        """uStreamer makes JPEGs alone, as it does on hardware without an encoder for video."""
        folder = "/run/systemd/system/ustreamer.service.d"
        encoder = "/run/systemd/system/ustreamer-encoder.service.d"
        self.sh(
            f"mkdir {folder} {encoder} && {{ printf '[Service]\\nExecStart=\\n'; "
            "systemctl cat ustreamer | sed -n '/^ExecStart=/,/[^\\\\]$/{/--h264/d;p}'; } "
            f"> {folder}/no-h264.conf && "
            f"printf '[Service]\\nExecCondition=/bin/false\\n' > {encoder}/no-h264.conf && "
            "systemctl daemon-reload && "
            # uStreamer's own plugin would go on reading the sink that is gone.
            f"systemctl stop ustreamer janus && rm {SINK} && systemctl start ustreamer janus"
        )
        try:
            wait_until(self._captures, "uStreamer captures frames")
            yield
        finally:
            self.sh(
                f"rm -r {folder} {encoder} && systemctl daemon-reload && systemctl restart ustreamer"
            )

    # --- How it is provisioned ---

    @property
    def inventory(self) -> Path:
        """Of the scenario that the device belongs to, or of `make appliance`."""
        scenarios = (ROOT / "molecule").glob("*/inventory/hosts.yml")
        mine = (file.parent for file in scenarios if f" {self.name}:" in file.read_text())
        return next(mine, ROOT / "inventory/virtual.yml")

    @property
    def vault_password_file(self) -> Path | None:
        """What opens the vault of that inventory, if there is one."""
        file = self.inventory.parent / "vault-password"
        return file if file.exists() else None

    # --- Its default state ---

    def restore(self) -> None:
        """Undoes whatever a test may have left and waits until the device is ready."""
        if docker("inspect", "-f", "{{.State.Paused}}", self.name).strip() == "true":
            self.thaw()
        sockets = "tinypilot.socket tinypilot-relay.socket tinypilot-hid.socket nginx.socket"
        services = " ".join(f"{service}.service" for service in self.services)
        # Mostly it is ready, and this is the only command: each costs a tenth of a second. A look that fails, as while
        # uStreamer starts, says "not ready", and the wait below tells what is missing.
        look = shlex.join(["python3", "-B", "-c", _IS_READY, str(SINK), *self.services])
        if "ready" not in self.sh(
            f"{self._plug_in} && {self._control()} && systemctl start {sockets} {services} && "
            f"{{ {look} 2>/dev/null || true; }}"
        ):
            self.wait_until_ready()

    def wait_until_ready(self) -> None:
        """Until all services run and frames are captured and put into the sink."""
        try:
            wait_until(
                lambda: "ready" in self.python(_IS_READY, str(SINK), *self.services, check=False),
                "all services are active, and uStreamer captures frames",
            )
        except NeverHappened as error:
            raise DeviceError(f"{self.name} is not in its default state: {error}") from error

    def _captures(self) -> bool:
        source = self.state().get("source", {})
        return bool(source.get("online") and source.get("captured_fps"))
