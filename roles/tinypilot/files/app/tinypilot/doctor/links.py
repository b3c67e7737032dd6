# SPDX-License-Identifier: MIT
"""The links of the chain, what is said of each when it is broken, and which is the cause.

A link's check returns a few words if it is good, and raises BrokenLink with what is wrong, where, and what to do. It
asks nothing itself: it judges what evidence.py has asked. `needs` are the links without which this one can't be good:
while one of those is broken, this one is taken for a consequence.
"""

from __future__ import annotations

import re
import subprocess
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from typing import Any

from tinypilot.doctor import firewall, report
from tinypilot.doctor.chain import USTREAMER, BrokenLink
from tinypilot.doctor.evidence import (
    Certificate,
    Disk,
    Evidence,
    Frames,
    Network,
    Page,
    Power,
    Process,
    Unit,
    Unknown,
)
from tinypilot.video import hdmi

# The first may have been in the sink before somebody read.
ENOUGH_FRAMES = 2
FREE_BYTES = 4 * 1024 * 1024
FREE_FILES = 64
FREE_MEMORY_BYTES = 32 * 1024 * 1024
HOT_CELSIUS = 85
# A clock that is set is never so far behind what was written before.
BEHIND_SECONDS = 3600
# Bits of a Pi's firmware: what is so now.
UNDER_VOLTAGE, THROTTLED = 1, 2 | 4 | 8
STOPPED_STATES = "Tt"
# Who may have the capture device open: as the kernel calls them.
OWN_HOLDERS = ("ustreamer ", "kvm-hdmi ", "kvm-edid ")
# What systemd's exit codes mean that a unit has never begun with.
EXIT_CODES = {
    200: "its folder is missing",
    203: "its program can't be run",
    216: "one of its groups is missing",
    217: "its user is missing",
    226: "its sandbox can't be set up",
    243: "its credentials are missing",
}
# Of the last lines of a unit those that may tell why it ended.
TELLING = re.compile(r"(?i)error|fatal|fail|can'?t|cannot|denied|no such")
PROVISION = "Provision the device again (`make appliance`; for a real device with HOST=)."


class Skipped(Exception):
    """Nothing can be said of this link now, and why."""


@dataclass(frozen=True)
class Link:
    name: str
    title: str
    check: Callable[[Evidence], str]
    needs: tuple[str, ...] = ()


# --- Units ---


def check_units(evidence: Evidence, *names: str) -> None:
    """Sockets first: without its socket a service is idle."""
    for name in names:
        _check_unit(evidence, name)


def _check_unit(evidence: Evidence, name: str) -> None:
    before, unit = _looks(evidence, name)
    # While it is tried again systemd has no code of the last end.
    ended = unit if unit.exit_code else replace(unit, exit_code=before.exit_code)
    if unit.load == "masked":
        raise BrokenLink(
            f"{name} is masked, so nothing can start it",
            f"`systemctl unmask {name}`, then provision the device again (`make appliance`), which writes its file.",
        )
    if unit.load == "not-found":
        raise BrokenLink(f"There is no unit {name}", PROVISION)
    if unit.load != "loaded":
        raise BrokenLink(
            f"systemd does not understand {name} ({_files(unit)})",
            f"`systemd-analyze verify {name}` names the line. Correct or remove it, then `systemctl daemon-reload && "
            f"systemctl restart {name}`.",
        )
    if unit.lacks:
        raise BrokenLink(
            f"{name} has not the group {', '.join(unit.lacks)}, so it may not open what belongs to that group",
            f"look for a change in {_files(unit)}, and at `getent group {' '.join(unit.lacks)}`; provision the device "
            f"again (`make appliance`), then `systemctl restart {name}`.",
        )
    if _ends_again_and_again(evidence, name):
        raise BrokenLink(
            f"{name} does not stay up: {_why_ended(ended)}{_said(evidence, name)}",
            f"`journalctl -u {name}` tells more. It runs from {_files(unit)}. If nobody has changed these, provision "
            "the device again (`make appliance`).",
        )
    if unit.active == "failed":
        raise BrokenLink(
            f"{name} has failed: {_why_ended(unit)}{_said(evidence, name)}",
            f"`journalctl -u {name}` tells more; then `systemctl restart {name}`.",
        )
    if unit.active == "activating":
        raise BrokenLink(
            f"{name} is still starting",
            f"look again in some seconds. If it is still so, `journalctl -u {name}` tells what it waits for.",
        )
    if unit.active not in ("active", "reloading"):
        raise BrokenLink(
            f"{name} is {'stopped' if unit.active == 'inactive' else unit.active}",
            f"`systemctl start {name}`.",
        )
    _check_processes(evidence, name, unit)
    if unit.enabled == "disabled":
        raise BrokenLink(
            f"{name} runs, but is disabled: it will not start with the device",
            f"`systemctl enable {name}`.",
        )


def _looks(evidence: Evidence, name: str) -> tuple[Unit, Unit]:
    """Two at a unit, with a second or two between them."""
    before: dict[str, Unit] = evidence.tell("units")
    after: dict[str, Unit] = evidence.get("units later", before)
    unit = after.get(name, Unit(load="not-found"))
    return before.get(name, unit), unit


def _ends_again_and_again(evidence: Evidence, name: str) -> bool:
    before, after = _looks(evidence, name)
    # On a slow machine a try may take longer than lies between the looks.
    is_trying_again = after.active == "activating" and (
        after.restarts > 0 or after.sub == "auto-restart"
    )
    return after.restarts > before.restarts or is_trying_again


def _check_processes(evidence: Evidence, name: str, unit: Unit) -> None:
    found: dict[int, Process] = evidence.get("processes", {})
    if not unit.pid:
        return
    family = {unit.pid} | {pid for pid, each in found.items() if each.parent == unit.pid}
    for pid in sorted(family & found.keys()):
        if found[pid].state in STOPPED_STATES:
            raise BrokenLink(
                f"{name} hangs: its process {pid} ({found[pid].name}) is stopped, by SIGSTOP or a debugger",
                f"`kill -CONT {pid}` lets it go on; `systemctl restart {name}` starts it anew.",
            )


def _files(unit: Unit) -> str:
    return ", ".join(file for file in unit.files if file) or "its unit file"


def _why_ended(unit: Unit) -> str:
    if unit.result == "oom-kill":
        return "it was ended because it used too much memory"
    if unit.result in ("timeout", "watchdog"):
        return "it did not answer and was ended"
    if unit.result == "resources":
        return "what it needs is taken or missing"
    if unit.exit_code in EXIT_CODES:
        return EXIT_CODES[unit.exit_code]
    return f"it ended with {unit.exit_code}" if unit.exit_code else "it ended"


def _said(evidence: Evidence, name: str) -> str:
    lines = evidence.last_words(name)
    telling = [line for line in lines if TELLING.search(line)] or lines
    return f'. It said: "{telling[-1][:200]}"' if telling else ""


# --- Files ---


def check_paths(evidence: Evidence, role: str, only: Iterable[str] | None = None) -> None:
    """What the role has laid down, with owners and modes."""
    own = [each["path"] for each in evidence.of(role).get("paths", ())]
    defects: dict[str, str] = evidence.tell("paths")
    for path in own if only is None else only:
        if path in defects:
            raise BrokenLink(f"{path} {defects[path]}", PROVISION)


def check_programs(evidence: Evidence, paths: Iterable[str]) -> None:
    defects: dict[str, str] = evidence.tell("programs")
    for path in paths:
        if path in defects:
            raise BrokenLink(
                f"{path} {defects[path]}",
                "Provision the device again (`make appliance`), which builds what can't be run.",
            )


# --- The system that all stands on ---


def check_system(evidence: Evidence) -> str:
    if not evidence.facts:
        raise BrokenLink("The roles have not told the doctor what they have set up", PROVISION)
    if names := evidence.tell("half installed"):
        raise BrokenLink(
            f"dpkg was interrupted, and left packages half installed: {_some(names)}",
            "`dpkg --configure -a && apt-get --fix-broken install`.",
        )
    if names := evidence.tell("missing packages"):
        raise BrokenLink(
            f"Packages that the appliance needs are not installed: {_some(names)}",
            f"`apt-get install {' '.join(names)}`.",
        )
    if names := evidence.tell("modules"):
        raise BrokenLink(
            f"Python can't load {_some(names)}, which the services are written with",
            "`apt-get install --reinstall` of the package that it belongs to, or provision again (`make appliance`).",
        )
    return "packages are whole"


def _some(names: Any) -> str:
    return ", ".join(names[:5]) + (", ..." if len(names) > 5 else "")


def check_disk(evidence: Evidence) -> str:
    found: dict[str, Disk] = evidence.tell("disks")
    for folder, disk in found.items():
        if disk.error:
            raise BrokenLink(
                f"The disk of {folder} {disk.error}: nothing can be saved there",
                f"`dmesg` tells of errors of the SD card, which may be worn out; `mount -o remount,rw "
                f"$(findmnt -no TARGET --target {folder})` tries once more.",
            )
        if disk.free_bytes < FREE_BYTES or disk.free_files < FREE_FILES:
            what = "is full" if disk.free_bytes < FREE_BYTES else "has no room for another file"
            raise BrokenLink(
                f"The disk of {folder} {what}",
                f"make room: `du -xh --max-depth=2 $(findmnt -no TARGET --target {folder}) | sort -h | tail` shows "
                "what is large; `apt-get clean` and `journalctl --vacuum-size=16M` may be enough.",
            )
    least = min((disk.free_bytes for disk in found.values()), default=0)
    return f"{least // 2**20} MiB free where there is least"


def check_memory(evidence: Evidence) -> str:
    found: dict[str, int] = evidence.tell("memory")
    free = found["MemAvailable"]
    if free < FREE_MEMORY_BYTES:
        raise BrokenLink(
            f"Only {free // 2**20} MiB of memory are left",
            "`ps -eo rss,args --sort=-rss | head` shows who has it; what does not belong to the appliance should go.",
        )
    return f"{free // 2**20} MiB free"


def check_clock(evidence: Evidence) -> str:
    now = time.time()
    newest: float = evidence.tell("newest change")
    set_it = "`timedatectl set-ntp true` has it set by the network; `date --set` sets it by hand."
    if newest - now > BEHIND_SECONDS:
        raise BrokenLink(
            f"The clock says {_date(now)}, which is before {_date(newest)}, when the device was set up",
            set_it,
        )
    shown = evidence.get("certificate")
    if shown and shown.begin and shown.begin.timestamp() > now:
        raise BrokenLink(
            f"The clock says {_date(now)}, and the certificate is valid only from {_date(shown.begin.timestamp())} on",
            f"{set_it} If the clock is right, the certificate is wrong: `systemctl start gateway-certificate` makes "
            "another one.",
        )
    return f"{_date(now)} UTC"


def _date(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M")


def check_power(evidence: Evidence) -> str:
    found: Power = evidence.tell("power")
    bits = found.throttled or 0
    if bits & UNDER_VOLTAGE:
        raise BrokenLink(
            "The device gets too little voltage",
            "use the power supply that belongs to this Pi, and a short cable; take power-hungry USB devices off.",
        )
    if bits & THROTTLED or (found.celsius or 0) >= HOT_CELSIUS:
        raise BrokenLink(
            f"The device is too hot{f' ({found.celsius:.0f} °C)' if found.celsius else ''} and slows itself down",
            "give it air or a heat sink.",
        )
    return f"{found.celsius:.0f} °C" if found.celsius else "nothing to measure"


def check_network(evidence: Evidence) -> str:
    found: Network = evidence.tell("network")
    if not found.addresses:
        states = ", ".join(f"{name} is {state.lower()}" for name, state in found.links.items())
        raise BrokenLink(
            f"The device has no address in any network ({states or 'it has no network interface'})",
            "plug the network cable in, or connect to the Wi-Fi; `ip address` and `nmcli` show how it stands.",
        )
    return ", ".join(found.addresses)


# --- The way of a frame ---


def check_input(evidence: Evidence) -> str:
    facts = evidence.of("ustreamer")
    _check_overlay(evidence, facts, "the driver of the HDMI input is not loaded")
    rule = facts.get("udev_rule")
    check_paths(evidence, "ustreamer", [rule] if rule else [])
    device, kind = facts.get("capture_device"), facts.get("capture_kind")
    there: dict[str, bool] = evidence.tell("video devices")
    if device and not there.get(device):
        if any(evidence.get("changed since boot", {}).values()):
            raise BrokenLink(
                f"There is no capture device {device}, and config.txt was changed since the start",
                "`reboot`.",
            )
        do = (
            "check the flat cable between Pi and HDMI bridge; `dmesg | grep -i tc358743` tells what the driver found."
            if kind == "tc358743"
            else "plug the dongle in; `ls -l /dev/video*` and `lsusb` show what is there."
        )
        raise BrokenLink(f"There is no capture device {device}", do)
    if _signal(evidence).state == hdmi.NO_DEVICE:
        raise BrokenLink(
            "The video input does not answer as one: it is unplugged, or its driver is not loaded",
            "check how it is connected; `dmesg | tail` and `ls -l /dev/video*` show what the kernel has found.",
        )
    return device or "there"


def _check_overlay(evidence: Evidence, facts: Any, consequence: str) -> None:
    boot = facts.get("boot_config")
    found: dict[str, bool | None] = evidence.tell("boot configs")
    if boot and found.get(boot["overlay"]) is False:
        raise BrokenLink(
            f"{boot['file']} has no line dtoverlay={boot['overlay']}, so {consequence}",
            "Provision the device again (`make appliance`), which writes the line, and restarts the device.",
        )


def check_edid(evidence: Evidence) -> str:
    refusal = evidence.tell("edid")
    if refusal:
        raise BrokenLink(
            f"The EDID that the attached computer is to read is damaged. {refusal}",
            "choose another one on the page: Settings, Display; then unplug the video cable and plug it in again.",
        )
    units: dict[str, Unit] = evidence.tell("units")
    if units.get("kvm-edid.service", Unit(active="inactive")).active == "failed":
        raise BrokenLink(
            f"The EDID could not be written into the HDMI input{_said(evidence, 'kvm-edid.service')}",
            "`systemctl restart kvm-edid`; if it fails again, `journalctl -u kvm-edid` tells why.",
        )
    return "readable"


def check_cable_service(evidence: Evidence) -> str:
    check_units(evidence, "kvm-hdmi.socket", "kvm-hdmi.service")
    if not evidence.tell("signal"):
        raise BrokenLink(
            "kvm-hdmi.service does not tell what comes over the video cable",
            "`journalctl -u kvm-hdmi` tells why; `systemctl restart kvm-hdmi.socket kvm-hdmi.service`.",
        )
    return "answers"


def _signal(evidence: Evidence) -> hdmi.Signal:
    return hdmi.judge(evidence.get("signal", {}))


def check_signal(evidence: Evidence) -> str:
    found = _signal(evidence)
    if found.state == hdmi.UNKNOWN:
        raise Skipped("the input can't tell")
    title, words = hdmi.describe(found, hdmi.in_english)
    if found.state != hdmi.PRESENT:
        what, _, do = words.partition(". ")
        if do:
            raise BrokenLink(f"{title}. {what}", do)
        what, _, why = words.partition(": ")
        raise BrokenLink(f"{title}. {what}", f"check both: {why or what}")
    sends = found.sends
    return f"{sends['width']}x{sends['height']} at {sends['rate_hz']} Hz" if sends else "there"


def _has_signal(evidence: Evidence) -> bool:
    """Of a dongle uStreamer alone knows."""
    state = _signal(evidence).state
    if state == hdmi.UNKNOWN:
        answer = evidence.get("ustreamer")
        return bool(answer and answer["source"]["online"])
    return state == hdmi.PRESENT


def check_ustreamer(evidence: Evidence) -> str:
    facts = evidence.of("ustreamer")
    check_programs(evidence, facts.get("programs", ()))
    check_units(evidence, "ustreamer.service")
    check_paths(evidence, "ustreamer")
    state: dict[str, Any] = _answer(evidence, "ustreamer", "ustreamer.service")
    if _has_signal(evidence) and not state["source"]["online"]:
        others = [each for each in evidence.get("holders", []) if not each.startswith(OWN_HOLDERS)]
        if others:
            raise BrokenLink(
                f"uStreamer captures nothing: {' and '.join(others)} has the capture device open",
                "end that program; one program at a time can capture.",
            )
        raise BrokenLink(
            f"The computer sends a picture, and uStreamer captures nothing{_said(evidence, 'ustreamer.service')}",
            "`journalctl -u ustreamer` tells why. If the device was unplugged or changed its format, `systemctl "
            "restart ustreamer`; see also `v4l2-ctl --device=/dev/kvm-video --all`.",
        )
    if not state["source"]["online"]:
        return "answers; there is no picture to capture"
    size = state["source"]["resolution"]
    return f"captures {size['width']}x{size['height']}, {state['source']['captured_fps']} frames per second now"


def _answer(evidence: Evidence, question: str, unit: str) -> Any:
    """Silence of a unit that runs is a unit that hangs."""
    try:
        return evidence.tell(question)
    except BrokenLink:
        raise
    except (Unknown, TimeoutError) as error:
        pid = evidence.tell("units")[unit].pid
        if pid and evidence.get("processes", {}).get(pid, Process("", "", 0)).state == "D":
            raise BrokenLink(
                f"{unit} hangs in the kernel (its process {pid} is in state D): a driver or a disk does not answer",
                "`dmesg | tail` tells which. No signal ends such a process: `reboot` if it does not come back.",
            ) from error
        raise BrokenLink(
            f"{unit} runs and does not answer: it hangs",
            f"`systemctl kill --signal=KILL {unit}` has it started anew at once; `journalctl -u {unit}` may tell why.",
        ) from error
    except Exception as error:
        raise BrokenLink(
            f"{unit} runs, and can't be asked ({error})",
            f"`journalctl -u {unit}` may tell why; `systemctl restart {unit}`.",
        ) from error


def check_sink(evidence: Evidence) -> str:
    evidence.tell("sink")
    found: Frames = evidence.tell("frames")
    if found.orphaned:
        raise BrokenLink(
            "uStreamer writes into a sink that was removed or replaced meanwhile, so nobody sees its frames",
            "`systemctl restart ustreamer`, which makes a new one.",
        )
    if not found.known:
        raise BrokenLink(
            "The H.264 sink is damaged, or of a uStreamer that this version does not know",
            "`systemctl restart ustreamer`. If that changes nothing, provision the device again (`make appliance`), "
            "which builds uStreamer, plugin and page to match.",
        )
    return "there, with the right group"


def _encoder_unit(evidence: Evidence) -> str:
    return evidence.of("ustreamer").get("encoder_unit", USTREAMER)


def check_encoder_device(evidence: Evidence) -> str:
    if _encoder_unit(evidence) != USTREAMER:
        return "none: H.264 is encoded in software"
    device = evidence.of("ustreamer").get("encoder_device")
    there: dict[str, bool] = evidence.tell("video devices")
    do = "`ls -l /dev/video*` and `dmesg | grep -i codec` tell whether its driver was loaded. A Pi 5 has none."
    if device and not there.get(device):
        raise BrokenLink(f"There is no H.264 encoder {device}", do)
    # uStreamer says so when it tries, and may not survive it.
    frames: Frames | None = evidence.get("frames")
    makes_nothing = frames and frames.count < ENOUGH_FRAMES and _has_signal(evidence)
    if makes_nothing or _ends_again_and_again(evidence, "ustreamer.service"):
        for line in evidence.last_words("ustreamer.service"):
            if "encoder device" in line and "Can't" in line:
                raise BrokenLink(
                    f'The H.264 encoder can\'t be opened. uStreamer said: "{line}"', do
                )
    return device or "there"


def check_software_encoder(evidence: Evidence) -> str:
    """Its unit ends with uStreamer's, and it makes the H.264 sink."""
    if (unit := _encoder_unit(evidence)) == USTREAMER:
        return "none: uStreamer uses a chip"
    check_units(evidence, unit)
    return "runs"


def check_encoder(evidence: Evidence) -> str:
    if not _has_signal(evidence):
        raise Skipped("no signal, so there is nothing to encode")
    found: Frames = evidence.tell("frames")
    unit = _encoder_unit(evidence)
    if found.count < ENOUGH_FRAMES and unit != USTREAMER:
        raise BrokenLink(
            "The software encoder makes no H.264, although somebody reads and there is a signal"
            + _said(evidence, unit),
            f"`systemctl restart ustreamer {unit}`; `journalctl -u ustreamer -u {unit}` tells which of them is silent.",
        )
    if found.count < ENOUGH_FRAMES:
        raise BrokenLink(
            "uStreamer makes no H.264, although somebody reads and there is a signal"
            + _said(evidence, "ustreamer.service"),
            "`systemctl restart ustreamer`. An encoder that hangs after that needs a reboot; `journalctl -u ustreamer` "
            "tells whether it can be opened.",
        )
    return "new frames come"


def check_janus(evidence: Evidence) -> str:
    facts = evidence.of("janus")
    check_programs(evidence, facts.get("programs", ()))
    if files := evidence.tell("janus configuration"):
        raise BrokenLink(
            f"{' and '.join(files)} can't be read: it has a mistake in its syntax",
            "correct it, or provision the device again (`make appliance`); then `systemctl restart janus`.",
        )
    check_paths(evidence, "janus")
    check_units(evidence, "janus.service")
    _answer_of_janus(evidence)
    return "answers"


def _answer_of_janus(evidence: Evidence, of_plugin: bool = False) -> str:
    """What concerns the plugin alone is not Janus' fault."""
    try:
        return _answer(evidence, "janus", "janus.service")
    except BrokenLink as broken:
        if ("plugin" in broken.what) is of_plugin:
            raise
        return "no answer"


def check_plugin(evidence: Evidence) -> str:
    facts = evidence.of("ustreamer")
    check_programs(evidence, [facts["plugin"]] if facts.get("plugin") else [])
    offer = _answer_of_janus(evidence, of_plugin=True)
    if offer != "an offer" and _has_signal(evidence):
        raise BrokenLink(
            f"The plugin has no picture for a viewer, though there is a signal{_said(evidence, 'janus.service')}",
            "`systemctl restart janus`; `journalctl -u janus` tells whether it can open the sink.",
        )
    return "loaded" if offer != "an offer" else "makes an offer"


def check_media(evidence: Evidence) -> str:
    first, last = evidence.of("janus").get("rtp_ports", (0, 0))
    units: dict[str, Unit] = evidence.tell("units")
    janus = units.get("janus.service", Unit()).pid
    taken: dict[int, list[int]] = evidence.tell("media ports")
    strangers = {pid for pids in taken.values() for pid in pids if pid != janus}
    by_strangers = [port for port, pids in taken.items() if janus not in pids]
    if len(by_strangers) > (last - first + 1) / 2:
        raise BrokenLink(
            f"Of the UDP ports {first} to {last}, which are for viewers, {len(by_strangers)} are taken by "
            + _processes(evidence, strangers),
            "end that program, or give Janus a free range in the inventory and provision the device again.",
        )
    ruleset: list[dict] = evidence.get("firewall", [])
    rule = firewall.blocking(ruleset, "udp", first) or firewall.blocking(ruleset, "udp", last)
    if rule or not evidence.get("udp", True):
        raise BrokenLink(
            f"A firewall on this device drops UDP packets to the ports {first} to {last}{_in(rule)}, so WebRTC brings "
            "no picture",
            "allow them where the firewall is made, such as in /etc/nftables.conf: "
            f"`udp dport {first}-{last} accept`.",
        )
    return f"UDP {first} to {last} are free"


def _in(rule: str) -> str:
    return f" ({rule})" if rule else ""


def _processes(evidence: Evidence, pids: Iterable[int]) -> str:
    known: dict[int, Process] = evidence.get("processes", {})
    called = {pid: known[pid].name if pid in known else "a program" for pid in sorted(pids)}
    return " and ".join(f"{name} (process {pid})" for pid, name in called.items()) or "a program"


# --- The page ---


def _check_socket(evidence: Evidence, name: str, unit: str) -> None:
    """The socket unit is active, and its file may be gone all the same."""
    path = evidence.of("tinypilot").get("sockets", {}).get(name, {}).get("path")
    defects: dict[str, str] = evidence.tell("paths")
    if path in defects:
        raise BrokenLink(
            f"The socket {path} {defects[path]}",
            f"`systemctl restart {unit}.socket {unit}.service`.",
        )


def check_relay(evidence: Evidence) -> str:
    check_units(evidence, "tinypilot-relay.socket", "tinypilot-relay.service")
    _check_socket(evidence, "relay", "tinypilot-relay")
    status = _answer(evidence, "relay", "tinypilot-relay.service")
    if status != 204:
        raise BrokenLink(
            f"The relay can't connect to Janus (it answers {status})",
            "`systemctl restart tinypilot-relay`; `journalctl -u tinypilot-relay` tells why, and `systemctl cat "
            "tinypilot-relay` whether it still has its groups.",
        )
    return "reaches Janus"


def check_accounts(evidence: Evidence) -> str:
    own = evidence.of("tinypilot")
    defects: dict[str, str] = evidence.tell("paths")
    for path in (each["path"] for each in own.get("state", ())):
        if path in defects:
            raise BrokenLink(
                f"{path} {defects[path]}, so logins can't be saved",
                "`systemctl restart tinypilot tinypilot-relay tinypilot-hid` sets owner and mode right again.",
            )
    if defect := evidence.tell("database"):
        raise BrokenLink(
            f"The database of users and sessions is damaged or can't be opened ({defect})",
            "`systemctl restart tinypilot` puts its copy in place, which is at most a day old, if there is one. "
            "Otherwise `tinypilot setup-code` makes a code for a new first user.",
        )
    return "whole"


def check_configuration(evidence: Evidence) -> str:
    check_paths(evidence, "tinypilot")
    if defect := evidence.get("configuration"):
        raise BrokenLink(defect, PROVISION)
    return "readable"


def check_web_app(evidence: Evidence) -> str:
    check_units(evidence, "tinypilot.socket", "tinypilot.service")
    _check_socket(evidence, "web", "tinypilot")
    status = _answer(evidence, "web app", "tinypilot.service")
    if status >= 500:
        raise BrokenLink(
            f"The web app answers with status {status}{_said(evidence, 'tinypilot.service')}",
            "`journalctl -u tinypilot` tells why; `systemctl restart tinypilot`.",
        )
    return "answers"


def check_certificate(evidence: Evidence) -> str:
    gateway = evidence.of("gateway")
    found: Certificate = evidence.tell("certificate")
    renew = (
        "put a valid one with its key where the inventory says that yours are, then `systemctl restart nginx`."
        if gateway.get("own_certificate")
        else "`systemctl start gateway-certificate` makes another one. If yours was set on the page, set a valid "
        "one there (Settings, Certificate)."
    )
    if found.defect:
        raise BrokenLink(
            f"The certificate {gateway['certificate']} is of no use: {found.defect}", renew
        )
    if found.end and found.end.timestamp() < time.time():
        raise BrokenLink(f"The certificate ended on {_date(found.end.timestamp())}", renew)
    wanted = [*gateway.get("certificate_names", ()), evidence.tell("host name")]
    names = [name.lower() for name in found.names]
    # One that was set on the page may be for any name, and tells nginx of it.
    is_for_other = not any(_covers(names, name.lower()) for name in wanted)
    if is_for_other and evidence.get("certificate page") == 421:
        raise BrokenLink(
            f"The certificate is for {_some(names) or 'no name'}, and this device is {wanted[0]}",
            renew,
        )
    page = evidence.get("page")
    if page and found.pem and page.certificate != found.pem:
        raise BrokenLink(
            "nginx shows another certificate than the one that it is to show",
            "`systemctl restart nginx`.",
        )
    return f"valid until {_date(found.end.timestamp())}" if found.end else "valid"


def _covers(names: Iterable[str], name: str) -> bool:
    return any(each in (name, f"{name}.local", f"*.{name.partition('.')[2]}") for each in names)


def check_nginx(evidence: Evidence) -> str:
    gateway = evidence.of("gateway")
    ports = [gateway.get("http_port"), gateway.get("https_port")]
    before: dict[str, Unit] = evidence.tell("units")
    if before.get("nginx.socket", Unit()).active != "active":
        owners: dict[int, list[str]] = evidence.tell("tcp ports")
        for port, names in owners.items():
            raise BrokenLink(
                f"Port {port} is taken by {' and '.join(names)}, so nginx has no place to listen",
                "end that program, or give one of the two another port (for nginx: in the inventory); then "
                "`systemctl restart nginx.socket nginx.service`.",
            )
    if defect := evidence.tell("nginx check"):
        raise BrokenLink(
            f"nginx can't work with its configuration: {defect}",
            "correct that, or provision the device again (`make appliance`); then `systemctl restart nginx`.",
        )
    check_units(evidence, "nginx.socket", "nginx.service")
    check_paths(evidence, "gateway")
    page: Page = _answer(evidence, "page", "nginx.service")
    if page.status != 200:
        raise BrokenLink(
            f"nginx answers with status {page.status} for a file of the page",
            f"{PROVISION} `journalctl -u nginx` tells more.",
        )
    if evidence.get("web app", 500) < 500 and evidence.get("login page", 504) >= 500:
        raise BrokenLink(
            "nginx does not reach the web app, which answers everybody else",
            "`systemctl restart tinypilot.socket tinypilot.service nginx`; `journalctl -u nginx` tells why.",
        )
    ruleset: list[dict] = evidence.get("firewall", [])
    rule = firewall.blocking(ruleset, "tcp", ports[1] or 443)
    if rule or isinstance(evidence.answers.get("own page"), TimeoutError):
        raise BrokenLink(
            f"A firewall on this device lets nobody come to TCP port {ports[1]}{_in(rule)}",
            f"allow it where the firewall is made, such as in /etc/nftables.conf: `tcp dport {ports[1]} accept`.",
        )
    return f"answers on port {ports[1]}"


def check_name(evidence: Evidence) -> str:
    name = evidence.tell("host name")
    if not evidence.get("host names"):
        raise BrokenLink(
            f"The device does not find itself by its host name {name}",
            f"a line `127.0.1.1 {name}` belongs into /etc/hosts.",
        )
    units: dict[str, Unit] = evidence.tell("units")
    avahi = units.get("avahi-daemon.service", Unit(load="not-found"))
    if avahi.load == "loaded" and avahi.active != "active":
        raise BrokenLink(
            f"avahi-daemon.service is {avahi.active}, so nobody on the network finds {name}.local",
            "`systemctl enable --now avahi-daemon`.",
        )
    if evidence.get("named page") == 421:
        raise BrokenLink(
            f"nginx does not know the device's own name {name}",
            "`systemctl start gateway-certificate` tells it, or provision the device again (`make appliance`).",
        )
    return str(name)


def check_ice(evidence: Evidence) -> str:
    found: dict[str, str] = evidence.tell("ice")
    for url, defect in found.items():
        if defect:
            raise BrokenLink(
                f"The server {url} {defect}",
                "check its address on the page (Settings, Firewall traversal) and that it runs. Without it the picture "
                "comes over a WebSocket where UDP is blocked.",
            )
    return f"{len(found)} servers answer" if found else "none is set"


# --- The way of a key ---


def check_gadget(evidence: Evidence) -> str:
    facts = evidence.of("usb_gadget")
    _check_overlay(evidence, facts, "the USB port is none of a device")
    check_paths(evidence, "usb_gadget")
    if facts.get("expected"):
        if not evidence.get("controllers"):
            raise BrokenLink(
                "There is no USB device controller",
                "if config.txt was changed since the start, `reboot`; `dmesg | grep dwc2` tells whether its driver was "
                "loaded.",
            )
        check_units(evidence, "usb-gadget.service")
        if missing := evidence.tell("usb files"):
            raise BrokenLink(
                f"There is no {' and no '.join(missing)}", "`systemctl restart usb-gadget`."
            )
    if evidence.get("hid") == "missing":
        raise BrokenLink(
            "There is no USB keyboard for the attached computer: /dev/hidg0 can't be opened",
            "`systemctl restart usb-gadget`; `ls /sys/class/udc /dev/hidg*` shows what there is.",
        )
    return "there"


def check_hid(evidence: Evidence) -> str:
    check_units(evidence, "tinypilot-hid.socket", "tinypilot-hid.service")
    _check_socket(evidence, "hid", "tinypilot-hid")
    _answer(evidence, "hid", "tinypilot-hid.service")
    return "answers"


def check_computer(evidence: Evidence) -> str:
    state = evidence.tell("hid")
    if state == "disconnected":
        raise BrokenLink(
            "The attached computer is not connected by USB, or is off",
            "check the USB cable, which must carry data, and the computer's port; `cat /sys/class/udc/*/state` must "
            "say configured.",
        )
    if state == "silent":
        raise BrokenLink(
            "The attached computer has the keyboard, and fetches no keys: it hangs, sleeps, or suspends USB",
            "wake it, or restart it; unplug the USB cable and plug it in again.",
        )
    return str(state)


def check_switches(evidence: Evidence) -> str:
    known: Iterable[str] = evidence.of("tinypilot").get("units", ())
    check_units(evidence, "tinypilot-wake.socket")
    _check_socket(evidence, "wake", "tinypilot-wake")
    if "tinypilot-hook.socket" in known:
        check_units(evidence, "tinypilot-hook.socket")
        _check_socket(evidence, "hook", "tinypilot-hook")
    if "tinypilot-atx.service" not in known:
        return "there; no button is connected"
    check_units(evidence, "tinypilot-atx.socket", "tinypilot-atx.service")
    _check_socket(evidence, "atx", "tinypilot-atx")
    told: dict[str, Any] = _answer(evidence, "buttons", "tinypilot-atx.service")
    if "error" in told:
        raise BrokenLink(
            f"The buttons of the attached computer can't be used ({told.get('reason', told['error'])})",
            "`gpioinfo` shows which lines the chip has and who uses them. If tinypilot_atx_chip or a line has changed, "
            "correct the inventory and provision the device again (`make appliance`).",
        )
    return "there, and so are the buttons"


# --- What looks after the others ---


def check_supervisor(evidence: Evidence) -> str:
    check_units(evidence, "tinypilot-supervisor.service")
    return "runs"


def check_settings(evidence: Evidence) -> str:
    check_units(evidence, "tinypilot-apply.socket", "tinypilot-device-test.socket")
    _check_socket(evidence, "apply", "tinypilot-apply")
    units: dict[str, Unit] = evidence.tell("units")
    for name in (
        "tinypilot-reconcile.service",
        "gateway-host-name.service",
        "gateway-certificate.timer",
    ):
        if name in units:
            _check_unit(evidence, name)
    return "answers"


# In the order of a frame's way, then a key's, then what all stands on.
LINKS = (
    Link("input", "Video input", check_input),
    Link("edid", "EDID", check_edid),
    Link("cable", "Cable service", check_cable_service, ("system",)),
    Link("signal", "Signal of the computer", check_signal, ("input", "cable")),
    Link("encoder device", "H.264 encoder", check_encoder_device),
    Link(
        "ustreamer",
        "uStreamer (capture)",
        check_ustreamer,
        ("input", "encoder device", "system", "disk"),
    ),
    Link("software encoder", "Software encoder", check_software_encoder, ("ustreamer",)),
    Link("sink", "H.264 sink", check_sink, ("ustreamer", "software encoder", "disk")),
    Link("encoder", "H.264 frames", check_encoder, ("ustreamer", "sink")),
    Link("janus", "Janus (WebRTC)", check_janus, ("system", "disk")),
    Link("plugin", "uStreamer's plugin for Janus", check_plugin, ("janus", "encoder", "signal")),
    Link("media", "Media ports", check_media, ("network",)),
    Link("ice", "STUN and TURN", check_ice, ("network",)),
    Link("relay", "Relay", check_relay, ("janus", "accounts", "configuration")),
    Link("web app", "Web app", check_web_app, ("accounts", "configuration")),
    Link("certificate", "Certificate", check_certificate, ("clock", "disk")),
    Link("nginx", "nginx (HTTPS)", check_nginx, ("certificate", "system")),
    Link("name", "Host name", check_name, ("nginx",)),
    Link("gadget", "USB keyboard and mouse", check_gadget),
    Link("hid", "HID service", check_hid, ("accounts", "configuration")),
    Link("computer", "Computer at the USB cable", check_computer, ("gadget", "hid")),
    Link(
        "switches",
        "Buttons, Wake-on-LAN, commands",
        check_switches,
        ("accounts", "configuration"),
    ),
    Link("accounts", "Users and sessions", check_accounts, ("disk", "system")),
    Link("configuration", "Configuration", check_configuration, ("disk", "system")),
    Link("supervisor", "Supervisor", check_supervisor, ("configuration",)),
    Link("settings", "Settings service", check_settings, ("configuration",)),
    Link("system", "Packages", check_system, ("disk",)),
    Link("disk", "Disk", check_disk),
    Link("clock", "Clock", check_clock),
    Link("network", "Network", check_network),
    Link("memory", "Memory", check_memory),
    Link("power", "Power and heat", check_power),
)


# --- Causes and consequences ---


def examine(evidence: Evidence, links: Sequence[Link] = LINKS) -> list[report.Finding]:
    broken: dict[str, BrokenLink] = {}
    findings = []
    for link in links:
        try:
            findings.append(
                report.Finding(link.name, link.title, report.GOOD, link.check(evidence))
            )
        except BrokenLink as found:
            broken[link.name] = found
            do = found.do[:1].upper() + found.do[1:]
            findings.append(
                report.Finding(
                    link.name, link.title, report.CAUSE, _sentence(found.what), _sentence(do)
                )
            )
        except Skipped as reason:
            findings.append(report.Finding(link.name, link.title, report.SKIPPED, str(reason)))
        # One look that fails must not hide what the others have found.
        except Exception as error:
            is_late = isinstance(error, subprocess.TimeoutExpired)
            why = "no answer in time" if is_late else f"{type(error).__name__}: {error}"
            what = f"could not be looked at ({why})"
            findings.append(report.Finding(link.name, link.title, report.UNKNOWN, what))
    by_name = {link.name: link for link in links}
    findings = list(map(_harmless, findings))
    return [
        _as_consequence(each, by_name, broken)
        if each.state in (report.CAUSE, report.UNKNOWN)
        else each
        for each in findings
    ]


def _sentence(text: str) -> str:
    return text if text.endswith((".", "?")) else f"{text}."


def _harmless(finding: report.Finding) -> report.Finding:
    """Names of processes and answers of services are not the doctor's own words, and go to root's terminal."""
    words = {
        name: "".join(each if each.isprintable() else " " for each in text)
        for name, text in asdict(finding).items()
    }
    return report.Finding(**words)


def _as_consequence(
    finding: report.Finding, links: dict[str, Link], broken: dict[str, Any]
) -> report.Finding:
    cause = _first_cause(links[finding.link], links, broken)
    if not cause:
        return finding
    return report.Finding(
        finding.link,
        finding.title,
        report.CONSEQUENCE,
        finding.what,
        follows_from=links[cause].title,
    )


def _first_cause(link: Link, links: dict[str, Link], broken: dict[str, Any]) -> str:
    """The name of a broken link that this one needs, and that needs no broken one itself."""
    for name in link.needs:
        deeper = _first_cause(links[name], links, broken)
        if deeper or name in broken:
            return deeper or name
    return ""
