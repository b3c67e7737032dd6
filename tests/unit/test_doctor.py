# SPDX-License-Identifier: MIT
"""What the doctor makes of what it was told: which link is the cause, and what it says of it."""

import json
import os
import shutil
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from tinypilot.doctor import evidence as asking
from tinypilot.doctor import firewall, links, report
from tinypilot.doctor.chain import BrokenLink
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
)

from tests.support import ROOT
from tests.support.waiting import wait_until

UNITS = [
    *("ustreamer.service", "janus.service", "kvm-hdmi.socket", "kvm-hdmi.service"),
    *("tinypilot.socket", "tinypilot.service", "tinypilot-relay.socket", "tinypilot-relay.service"),
    *("tinypilot-hid.socket", "tinypilot-hid.service", "tinypilot-apply.socket"),
    *("tinypilot-device-test.socket", "tinypilot-wake.socket", "tinypilot-hook.socket"),
    *("tinypilot-atx.socket", "tinypilot-atx.service"),
    *("tinypilot-supervisor.service", "nginx.socket", "nginx.service"),
    *("gateway-certificate.timer", "usb-gadget.service"),
]
FACTS = {
    "ustreamer": {
        "paths": [{"path": "/etc/udev/rules.d/60-kvm-video.rules"}],
        "udev_rule": "/etc/udev/rules.d/60-kvm-video.rules",
        "capture_device": "/dev/kvm-video",
        "capture_kind": "tc358743",
        "encoder_device": "/dev/video11",
        "plugin": "/opt/ustreamer/plugins/libjanus_ustreamer.so",
        "programs": ["/opt/ustreamer/bin/ustreamer"],
        "boot_config": {"file": "/boot/firmware/config.txt", "overlay": "tc358743"},
    },
    "janus": {
        "programs": ["/opt/janus/bin/janus"],
        "configuration": ["/etc/janus/janus.jcfg"],
        "paths": [{"path": "/etc/kvm-signalling/token.jcfg"}],
        "rtp_ports": [20000, 20003],
    },
    "usb_gadget": {
        "expected": True,
        "boot_config": {"file": "/boot/firmware/config.txt", "overlay": "dwc2"},
    },
    "gateway": {
        "http_port": 80,
        "https_port": 443,
        "certificate": "/etc/kvm-gateway/tls/server.pem",
        "paths": [{"path": "/etc/kvm-gateway/nginx.conf"}],
    },
    "tinypilot": {
        "paths": [{"path": "/etc/tinypilot/web.json"}],
        "state": [{"path": "/var/lib/tinypilot"}],
        "sockets": {
            "relay": {"path": "/run/tinypilot/relay.sock"},
            "atx": {"path": "/run/tinypilot/atx.sock"},
        },
        "units": {
            name: [] for name in UNITS if name.startswith(("tinypilot-atx", "tinypilot-hook"))
        },
    },
}
MIB = 2**20
PRESENT = {
    "state": "present",
    "power": True,
    "sends": {
        **{"width": 1280, "height": 720, "rate_hz": 60, "interlaced": False},
        "pixel_clock_hz": 74_250_000,
    },
    "takes": None,
}
CABLE_OUT = {"state": "none", "power": False, "sends": None, "takes": None}
STATE = {
    "source": {"online": True, "resolution": {"width": 1280, "height": 720}, "captured_fps": 30},
    "h264": {"online": True},
}
NO_PICTURE = {**STATE, "source": {**STATE["source"], "online": False}}
PIDS = {unit: 100 + number for number, unit in enumerate(UNITS) if unit.endswith(".service")}


def now():
    return datetime.now(UTC)


def well():
    """What a device says on which nothing is broken."""
    units = {unit: Unit(pid=PIDS.get(unit, 0)) for unit in UNITS}
    return {
        "units": units,
        "units later": dict(units),
        "processes": {pid: Process(unit, "S", 1) for unit, pid in PIDS.items()},
        "paths": {},
        "programs": {},
        "half installed": [],
        "missing packages": [],
        "modules": [],
        "disks": {"/var/lib/tinypilot": Disk(500 * MIB, 10_000)},
        "memory": {"MemAvailable": 500 * MIB},
        "power": Power(50.0, 0),
        "newest change": time.time() - 60,
        "certificate": Certificate(
            "", now() - timedelta(days=1), now() + timedelta(days=99), ("kvm", "kvm.local"), "PEM"
        ),
        "boot configs": {"tc358743": True, "dwc2": True},
        "changed since boot": {"tc358743": False, "dwc2": False},
        "video devices": {"/dev/kvm-video": True, "/dev/video11": True},
        "holders": ["ustreamer (process 100)"],
        "edid": "",
        "signal": PRESENT,
        "ustreamer": STATE,
        "sink": "/dev/shm/kvm::h264",
        "frames": Frames(True, 3, False),
        "janus": "an offer",
        "janus configuration": [],
        "media ports": {20000: [PIDS["janus.service"]]},
        "udp": True,
        "firewall": [],
        "relay": 204,
        "web app": 401,
        "hid": "connected",
        "buttons": {"pressing": None, "power": True, "disk": None},
        "database": "",
        "nginx check": "",
        "tcp ports": {443: ["systemd (process 1)"]},
        "page": Page(200, "PEM"),
        "own page": Page(200, "PEM"),
        "login page": 200,
        "named page": 200,
        "certificate page": 200,
        "network": Network(("192.0.2.10",), {"eth0": "UP"}),
        "host name": "kvm",
        "host names": ["192.0.2.10"],
        "configuration": "",
        "ice": {},
        "controllers": ["fe980000.usb"],
        "usb files": [],
    }


def examine(said="", **answers):
    """answers: what is other than well, with _ for a space."""
    changed = {name.replace("_", " "): answer for name, answer in answers.items()}
    assert changed.keys() <= well().keys(), "a question that nobody asks"
    return links.examine(
        Evidence(FACTS, {**well(), **changed}, lambda unit: [said] if said else [])
    )


def causes(findings):
    return {each.link: f"{each.what} {each.do}" for each in findings if each.state == report.CAUSE}


def consequences(findings):
    return {each.link for each in findings if each.state == report.CONSEQUENCE}


def units(**changes):
    """Two looks at the units, of which some are other than well: units(janus=Unit(active="failed"))."""
    named = {f"{name.replace('_', '-')}.service": unit for name, unit in changes.items()}
    return {**well()["units"], **named}


def both_looks(**changes):
    return {"units": units(**changes), "units_later": units(**changes)}


def test_nothing_is_blamed_where_all_is_well():
    findings = examine()
    assert {each.state for each in findings} == {report.GOOD}
    assert report.is_well(findings)


@pytest.fixture
def software(monkeypatch):
    """The device has no encoder chip."""
    unit = "ustreamer-encoder.service"
    facts = {**FACTS["ustreamer"], "encoder_device": None, "encoder_unit": unit}
    monkeypatch.setitem(FACTS, "ustreamer", facts)

    def examine_with(state: Unit, named=None, **answers):
        named = {**(named or units()), unit: state}
        return examine(units=named, units_later=dict(named), **answers)

    return examine_with


def test_a_software_encoder_is_asked_for_instead_of_a_chip(software):
    findings = software(Unit(pid=1))
    assert {each.state for each in findings} == {report.GOOD}
    assert "encoded in software" in str(findings)


def test_a_software_encoder_that_does_not_run_or_makes_nothing_is_named(software):
    silent = Frames(True, 0, False)
    found = causes(software(Unit(active="inactive"), frames=silent))
    assert "ustreamer-encoder.service is stopped" in found["software encoder"]
    found = causes(software(Unit(pid=1), frames=silent))
    assert "The software encoder makes no H.264" in found["encoder"]
    assert "journalctl -u ustreamer -u ustreamer-encoder.service" in found["encoder"]


def test_a_software_encoder_that_ended_with_ustreamer_is_not_blamed(software):
    """Whoever starts it alone, as the doctor would say, has no picture after that."""
    stopped = Unit(active="inactive")
    findings = software(
        stopped,
        units(ustreamer=stopped),
        ustreamer=BrokenLink("uStreamer does not answer", "see"),
        frames=Frames(True, 0, False),
        janus="no picture yet",
    )
    assert list(causes(findings)) == ["ustreamer"]
    assert consequences(findings) == {"software encoder", "encoder", "plugin"}


# By what is other than well: the link that is to be blamed, and words of what is said.
FAULTS = {
    "a stopped unit": (
        both_looks(janus=Unit(active="inactive")),
        "janus",
        ["janus.service is stopped", "`systemctl start janus.service`"],
    ),
    "a masked unit": (both_looks(janus=Unit(load="masked")), "janus", ["masked", "unmask"]),
    "a unit without a file": (both_looks(janus=Unit(load="not-found")), "janus", ["no unit"]),
    "a unit that can't be read": (
        both_looks(janus=Unit(load="bad-setting", files=("/etc/a.service", "/etc/a.d/b.conf"))),
        "janus",
        ["/etc/a.d/b.conf", "systemd-analyze verify"],
    ),
    "a unit that ends again and again": (
        {"units": units(janus=Unit(restarts=3)), "units_later": units(janus=Unit(restarts=5))},
        "janus",
        ["does not stay up"],
    ),
    "a unit that takes long to end again": (
        both_looks(janus=Unit(active="activating", sub="start", restarts=3)),
        "janus",
        ["does not stay up"],
    ),
    "a program that can't be run": (
        both_looks(janus=Unit(active="activating", sub="auto-restart", exit_code=203)),
        "janus",
        ["its program can't be run"],
    ),
    "too much memory": (
        both_looks(janus=Unit(active="failed", result="oom-kill")),
        "janus",
        ["too much memory"],
    ),
    "a disabled unit": (
        both_looks(janus=Unit(enabled="disabled")),
        "janus",
        ["will not start with the device", "systemctl enable"],
    ),
    "a group that was lost": (
        both_looks(tinypilot_relay=Unit(lacks=("kvm-signalling",))),
        "relay",
        ["has not the group kvm-signalling"],
    ),
    "a stopped process": (
        {"processes": {PIDS["nginx.service"]: Process("nginx", "T", 1)}},
        "nginx",
        ["hangs", "kill -CONT"],
    ),
    "a worker that is stopped": (
        {"processes": {7: Process("nginx", "T", PIDS["nginx.service"])}},
        "nginx",
        ["process 7"],
    ),
    "a uStreamer that hangs": ({"ustreamer": TimeoutError()}, "ustreamer", ["it hangs"]),
    "a uStreamer that hangs in a driver": (
        {
            "ustreamer": TimeoutError(),
            "processes": {PIDS["ustreamer.service"]: Process("ustreamer", "D", 1)},
        },
        "ustreamer",
        ["hangs in the kernel", "`reboot`"],
    ),
    "no capture device": (
        {"video_devices": {"/dev/kvm-video": False, "/dev/video11": True}},
        "input",
        ["no capture device /dev/kvm-video", "flat cable"],
    ),
    "a firmware that was just configured": (
        {
            "video_devices": {"/dev/kvm-video": False, "/dev/video11": True},
            "changed_since_boot": {"tc358743": True},
        },
        "input",
        ["`reboot`"],
    ),
    "no line for the bridge": (
        {"boot_configs": {"tc358743": False, "dwc2": True}},
        "input",
        ["dtoverlay=tc358743"],
    ),
    "no udev rule": (
        {"paths": {"/etc/udev/rules.d/60-kvm-video.rules": "is missing"}},
        "input",
        ["60-kvm-video.rules is missing", "make appliance"],
    ),
    "a damaged EDID": ({"edid": "The checksum of block 0 is wrong."}, "edid", ["checksum"]),
    "an EDID that was not taken": (
        {"units": {**well()["units"], "kvm-edid.service": Unit(active="failed")}},
        "edid",
        ["could not be written"],
    ),
    "a cable service that says nothing": ({"signal": {}}, "cable", ["kvm-hdmi"]),
    "no cable": (
        {"signal": CABLE_OUT, "ustreamer": NO_PICTURE, "frames": Frames(True, 0, False)},
        "signal",
        ["not even its 5 volts", "Check both"],
    ),
    "a computer that sleeps": (
        {"signal": {**CABLE_OUT, "power": True}, "ustreamer": NO_PICTURE},
        "signal",
        ["asleep", "Press a key"],
    ),
    "a device that another program has": (
        {"ustreamer": NO_PICTURE, "holders": ["ustreamer (process 100)", "cheese (process 7)"]},
        "ustreamer",
        ["cheese (process 7) has the capture device open"],
    ),
    "a picture that is not captured": (
        {"ustreamer": NO_PICTURE},
        "ustreamer",
        ["captures nothing"],
    ),
    "no sink": ({"sink": BrokenLink("There is no H.264 sink", "see")}, "sink", ["no H.264 sink"]),
    "a sink that was replaced": (
        {"frames": Frames(True, 0, True)},
        "sink",
        ["removed or replaced", "systemctl restart ustreamer"],
    ),
    "a sink of another version": ({"frames": Frames(False, 0, False)}, "sink", ["damaged"]),
    "an encoder that is gone": (
        {"video_devices": {"/dev/kvm-video": True, "/dev/video11": False}},
        "encoder device",
        ["no H.264 encoder /dev/video11"],
    ),
    "an encoder that hangs": ({"frames": Frames(True, 1, False)}, "encoder", ["makes no H.264"]),
    "a configuration of Janus with a slip": (
        {"janus_configuration": ["/etc/janus/janus.jcfg"]},
        "janus",
        ["janus.jcfg can't be read"],
    ),
    "a secret that Janus may not read": (
        {"paths": {"/etc/kvm-signalling/token.jcfg": "has mode 0600 instead of 0640"}},
        "janus",
        ["has mode 0600"],
    ),
    "a Janus of another processor": (
        {"programs": {"/opt/janus/bin/janus": "was compiled for another processor"}},
        "janus",
        ["another processor"],
    ),
    "a plugin that is gone": (
        {
            "programs": {"/opt/ustreamer/plugins/libjanus_ustreamer.so": "is missing"},
            "janus": BrokenLink("Janus does not know janus.plugin.ustreamer (no)", "see"),
        },
        "plugin",
        ["libjanus_ustreamer.so is missing"],
    ),
    "a plugin that was not loaded": (
        {"janus": BrokenLink("Janus does not know janus.plugin.ustreamer (no)", "see")},
        "plugin",
        ["does not know"],
    ),
    "a plugin without a picture": ({"janus": "no picture yet"}, "plugin", ["no picture"]),
    "a Janus that refuses": (
        {"janus": BrokenLink("Janus refuses the device's own token (no)", "see")},
        "janus",
        ["refuses"],
    ),
    "a Janus that hangs": ({"janus": TimeoutError()}, "janus", ["it hangs"]),
    "taken ports": (
        {"media_ports": {port: [7] for port in range(20000, 20004)}},
        "media",
        ["4 are taken by a program (process 7)"],
    ),
    "a firewall": ({"udp": False}, "media", ["drops UDP packets to the ports 20000 to 20003"]),
    "a STUN server": ({"ice": {"stun:a": "does not answer"}}, "ice", ["stun:a does not answer"]),
    "a relay that may not": ({"relay": 502}, "relay", ["can't connect to Janus"]),
    "a socket that is gone": (
        {"paths": {"/run/tinypilot/relay.sock": "is missing"}},
        "relay",
        ["relay.sock is missing", "systemctl restart tinypilot-relay.socket"],
    ),
    "a web app with an error": ({"web_app": 502}, "web app", ["status 502"]),
    "a wrong owner": (
        {"paths": {"/var/lib/tinypilot": "belongs to root instead of tinypilot"}},
        "accounts",
        ["belongs to root"],
    ),
    "a damaged database": ({"database": "malformed"}, "accounts", ["malformed", "copy"]),
    "a damaged configuration": (
        {"configuration": "web.json cannot"},
        "configuration",
        ["web.json"],
    ),
    "an end": (
        {"certificate": Certificate("", now(), now() - timedelta(1), ("kvm",), "PEM")},
        "certificate",
        ["ended on"],
    ),
    "another name": (
        {
            "certificate": Certificate("", now(), now() + timedelta(1), ("nas",), "PEM"),
            "certificate_page": 421,
        },
        "certificate",
        ["is for nas, and this device is kvm"],
    ),
    "another key": (
        {"certificate": Certificate("its key belongs to another one")},
        "certificate",
        ["its key belongs to another one"],
    ),
    "a certificate that is not shown": (
        {"page": Page(200, "OTHER")},
        "certificate",
        ["shows another certificate"],
    ),
    "a beginning": (
        {
            "certificate": Certificate(
                "", now() + timedelta(1), now() + timedelta(2), ("kvm",), "PEM"
            )
        },
        "clock",
        ["valid only from"],
    ),
    "a clock that is behind": (
        {"newest_change": time.time() + 10_000},
        "clock",
        ["when the device was set up"],
    ),
    "a configuration of nginx": ({"nginx_check": "unknown directive"}, "nginx", ["unknown dir"]),
    "a taken port": (
        {
            "units": {**well()["units"], "nginx.socket": Unit(active="failed")},
            "tcp_ports": {443: ["apache2 (process 7)"]},
        },
        "nginx",
        ["Port 443 is taken by apache2 (process 7)"],
    ),
    "a page that can't be read": ({"page": Page(403, "PEM")}, "nginx", ["status 403"]),
    "a web app that nginx does not reach": ({"login_page": 502}, "nginx", ["does not reach"]),
    "a unit that starts": (
        both_looks(tinypilot=Unit(active="activating", sub="start")),
        "web app",
        ["still starting"],
    ),
    "a firewall in front of nginx": ({"own_page": TimeoutError()}, "nginx", ["TCP port 443"]),
    "no name": ({"host_names": OSError()}, "name", ["does not find itself"]),
    "no announcement": (
        {"units": {**well()["units"], "avahi-daemon.service": Unit(active="inactive")}},
        "name",
        ["avahi-daemon.service is inactive"],
    ),
    "a name that nginx does not know": ({"named_page": 421}, "name", ["does not know"]),
    "no line for the gadget": (
        {"boot_configs": {"tc358743": True, "dwc2": False}},
        "gadget",
        ["dtoverlay=dwc2"],
    ),
    "no controller": ({"controllers": []}, "gadget", ["no USB device controller"]),
    "no gadget": ({"usb_files": ["/dev/hidg0"], "hid": "missing"}, "gadget", ["/dev/hidg0"]),
    "no computer": ({"hid": "disconnected"}, "computer", ["not connected by USB"]),
    "a stuck computer": ({"hid": "silent"}, "computer", ["fetches no keys"]),
    "a HID service that hangs": ({"hid": TimeoutError()}, "hid", ["it hangs"]),
    "no service for the buttons": (
        both_looks(tinypilot_atx=Unit(active="failed")),
        "switches",
        ["tinypilot-atx.service has failed"],
    ),
    "a service for the buttons that hangs": ({"buttons": TimeoutError()}, "switches", ["it hangs"]),
    "no GPIO chip": (
        {"buttons": {"error": "gpio", "reason": "/dev/gpiochip0: No such file or directory"}},
        "switches",
        ["can't be used (/dev/gpiochip0: No such file or directory)", "gpioinfo"],
    ),
    "no way to the service for the buttons": (
        {"paths": {"/run/tinypilot/atx.sock": "is missing"}},
        "switches",
        ["/run/tinypilot/atx.sock is missing"],
    ),
    "nobody listens for the operator's commands": (
        {
            look: units() | {"tinypilot-hook.socket": Unit(active="inactive")}
            for look in ("units", "units_later")
        },
        "switches",
        ["tinypilot-hook.socket is stopped"],
    ),
    "no supervisor": (
        both_looks(tinypilot_supervisor=Unit(active="inactive")),
        "supervisor",
        ["stopped"],
    ),
    "half a package": ({"half_installed": ["nginx"]}, "system", ["nginx", "dpkg --configure"]),
    "a package less": ({"missing_packages": ["gunicorn"]}, "system", ["apt-get install gunicorn"]),
    "a module less": ({"modules": ["aiohttp"]}, "system", ["can't load aiohttp"]),
    "a full disk": (
        {"disks": {"/var/lib/tinypilot": Disk(0, 9000)}, "web_app": 500, "database": "full"},
        "disk",
        ["/var/lib/tinypilot is full", "apt-get clean"],
    ),
    "no inodes": ({"disks": {"/var": Disk(900 * MIB, 0)}}, "disk", ["no room for another file"]),
    "a worn out card": (
        {"disks": {"/var": Disk(900 * MIB, 900, "is mounted read-only")}},
        "disk",
        ["is mounted read-only"],
    ),
    "no memory": ({"memory": {"MemAvailable": MIB}}, "memory", ["1 MiB"]),
    "no network": (
        {"network": Network((), {"eth0": "DOWN"}), "udp": IndexError(), "own_page": IndexError()},
        "network",
        ["eth0 is down"],
    ),
    "low voltage": ({"power": Power(40, 0x50001)}, "power", ["too little voltage"]),
    "heat": ({"power": Power(86, 0xE0008)}, "power", ["86 °C"]),
    "heat of another machine": ({"power": Power(90, None)}, "power", ["90 °C"]),
}


@pytest.mark.parametrize(("answers", "link", "words"), FAULTS.values(), ids=FAULTS.keys())
def test_a_fault_is_named_and_nothing_else_is_blamed(answers, link, words):
    found = causes(examine(**answers))
    assert list(found) == [link]
    for each in words:
        assert each in found[link]
    assert all(each.do for each in examine(**answers) if each.state == report.CAUSE)


def test_what_follows_from_a_broken_link_is_marked_and_not_blamed():
    dead = BrokenLink("uStreamer does not answer", "see")
    findings = examine(
        **both_looks(ustreamer=Unit(active="inactive")),
        ustreamer=dead,
        sink=BrokenLink("There is no H.264 sink", "see"),
        frames=Frames(False, 0, False),
        janus="no picture yet",
    )
    assert list(causes(findings)) == ["ustreamer"]
    assert consequences(findings) == {"sink", "encoder", "plugin"}
    assert (
        next(each.follows_from for each in findings if each.link == "sink") == "uStreamer (capture)"
    )


def test_a_device_without_buttons_is_not_asked_for_them():
    facts = {**FACTS, "tinypilot": {**FACTS["tinypilot"], "units": {}}}
    answers = {**well(), "buttons": FileNotFoundError()}
    assert links.check_switches(Evidence(facts, answers)) == "there; no button is connected"


def test_two_faults_that_have_nothing_to_do_with_each_other_are_both_named():
    findings = examine(**both_looks(janus=Unit(active="failed")), hid="disconnected", relay=502)
    assert list(causes(findings)) == ["janus", "computer"]
    assert consequences(findings) == {"relay"}


def test_a_service_that_its_socket_starts_is_not_blamed_for_waiting():
    findings = examine(units=units(tinypilot_relay=Unit(active="inactive")))
    assert not causes(findings)


def test_a_certificate_of_ones_own_may_be_for_any_name_that_the_device_knows():
    shown = Certificate("", now(), now() + timedelta(1), ("kvm.example.org",), "PEM")
    assert not causes(examine(certificate=shown))


def test_a_dongle_that_can_not_tell_of_the_signal_is_believed_if_it_brings_pictures():
    unknown = {"state": "unknown", "power": None, "sends": None, "takes": None}
    assert not causes(examine(signal=unknown))
    # Nobody knows whether there is one.
    assert not causes(examine(signal=unknown, ustreamer=NO_PICTURE, janus="no picture yet"))


def test_a_look_that_fails_hides_nothing_else():
    findings = examine(disks=PermissionError("no"), **both_looks(janus=Unit(active="failed")))
    assert list(causes(findings)) == ["janus"]
    assert [each.link for each in findings if each.state == report.UNKNOWN] == ["disk"]


def test_what_could_not_be_looked_at_is_not_called_well():
    findings = examine(memory=PermissionError("no"))
    assert not causes(findings)
    assert not report.is_well(findings)
    assert report.as_text(findings, False).endswith("and not all could be looked at.")


def test_an_encoder_that_can_not_be_opened_is_told_by_ustreamer():
    said = "H264: Can't open encoder device: No such file or directory"
    nothing = Frames(True, 0, False)
    assert list(causes(examine(said, frames=nothing))) == ["encoder device"]
    # uStreamer may end for that reason.
    ended = {"units_later": units(ustreamer=Unit(restarts=2))}
    assert list(causes(examine(said, **ended, frames=nothing))) == ["encoder device"]
    # It was long ago.
    assert not causes(examine(said))


def test_last_words_are_told():
    findings = examine("no such device", **both_looks(janus=Unit(active="failed", exit_code=1)))
    assert 'It said: "no such device"' in causes(findings)["janus"]


def test_a_device_of_an_earlier_version_is_to_be_provisioned():
    found = causes(links.examine(Evidence({}, well())))
    assert "make appliance" in found["system"]


# --- How it is said ---


def test_people_see_the_cause_and_what_to_do_and_colours_on_a_terminal_alone():
    findings = examine(**both_looks(janus=Unit(active="inactive")), relay=502)
    plain = report.as_text(findings, coloured=False)
    assert "\033" not in plain
    assert "  ✗ Janus (WebRTC)" in plain
    assert "follows from: Janus (WebRTC)" in plain
    assert "  What   janus.service is stopped.\n  To do  `systemctl start janus.service`." in plain
    assert "\033[1;31m" in report.as_text(findings, coloured=True)
    assert report.as_text(examine(), coloured=False).endswith("All is well.")


def test_what_a_service_says_does_not_steer_roots_terminal():
    findings = examine(
        "\033]0;title\007 failed", hid="\033[2J", **both_looks(janus=Unit(active="failed"))
    )
    assert all(each.what.isprintable() and each.do.isprintable() for each in findings)


def show(tmp_path, findings, **environment):
    told = tmp_path / "told.json"
    told.write_text(json.dumps(report.as_json(findings)))
    return subprocess.run(
        [sys.executable, "-m", "tinypilot.doctor", "--show", told],
        cwd=ROOT / "roles/tinypilot/files/app",
        env={"PYTHONDONTWRITEBYTECODE": "1", "PYTHONIOENCODING": "utf-8", **environment},
        capture_output=True,
        text=True,
        check=False,
    )


def test_what_was_told_as_json_is_printed_elsewhere(tmp_path):
    findings = examine(relay=502)
    shown = show(tmp_path, findings)
    assert (shown.returncode, shown.stdout) == (1, report.as_text(findings, False) + "\n")
    assert show(tmp_path, examine()).returncode == 0


# --- Asking ---


def test_a_question_without_an_answer_keeps_nobody_waiting():
    answers = asking.ask_all({"slow": lambda: time.sleep(60), "quick": lambda: 7}, seconds=0.2)
    assert answers == {"quick": 7}


def test_programs_that_can_not_be_run_are_found(tmp_path):
    good = sys.executable
    empty, foreign, script = tmp_path / "empty", tmp_path / "foreign", tmp_path / "script"
    empty.touch()
    head = bytearray(Path(good).read_bytes()[:64])
    head[18:20] = b"\xf3\0"  # RISC-V
    foreign.write_bytes(head)
    script.write_text("#!/bin/sh\n")
    script.chmod(0o755)
    paths = [good, str(empty), str(foreign), str(script), str(tmp_path / "none")]
    assert asking.program_defects(paths) == {
        str(empty): "is damaged: it is no program",
        str(foreign): "was compiled for another processor",
        str(tmp_path / "none"): "is missing",
    }


@pytest.mark.parametrize("name", ["systemd", "systemd-executor"])
def test_groups_are_not_asked_of_a_process_that_is_still_systemds(tmp_path, name):
    """Of one that is tried again and again, the process often is."""
    program = tmp_path / name
    shutil.copy(shutil.which("sleep"), program)
    with subprocess.Popen([program, "60"]) as early, subprocess.Popen(["sleep", "60"]) as service:
        wait_until(lambda: os.readlink(f"/proc/{early.pid}/exe") == str(program), "it runs")
        groups = [asking._groups(process.pid) for process in (early, service)]
        early.kill()
        service.kill()
    assert groups == [set(), {os.getgid(), *os.getgroups()}]


def test_owners_and_modes_are_compared(tmp_path):
    file = tmp_path / "file"
    file.touch(mode=0o640)
    file.chmod(0o640)

    def defect(**wanted):
        return asking.path_defects([{"path": str(file), **wanted}]).get(str(file), "")

    assert defect(mode="0640") == ""
    assert defect(mode="0600") == "has mode 0640 instead of 0600"
    assert defect(kind="folder") == "is no folder"
    assert defect(group="kvm-nobody").endswith("instead of kvm-nobody")
    file.unlink()
    assert defect() == "is missing"


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("dtoverlay=dwc2", True),
        ("[all]\ndtoverlay=dwc2,dr_mode=peripheral\n", True),
        ("[pi4]\ndtoverlay=dwc2", True),
        # Raspberry Pi OS has this one by itself.
        ("[cm5]\ndtoverlay=dwc2,dr_mode=host\n", False),
        ("[cm5]\n[all]\ndtoverlay=dwc2\n", True),
        ("#dtoverlay=dwc2", False),
        ("dtoverlay=dwc22", False),
        ("", False),
    ],
)
def test_the_firmware_is_read_as_it_reads_itself(text, found):
    assert asking.has_overlay(text, "dwc2") is found


def test_a_pi_tells_of_heat_and_voltage(tmp_path):
    (tmp_path / "sys/class/thermal/thermal_zone0").mkdir(parents=True)
    (tmp_path / "sys/class/thermal/thermal_zone0/temp").write_text("51234\n")
    firmware = tmp_path / "sys/devices/platform/soc/soc:firmware"
    firmware.mkdir(parents=True)
    (firmware / "get_throttled").write_text("50005\n")
    assert asking.power(tmp_path) == Power(51.234, 0x50005)
    assert asking.power(tmp_path / "elsewhere") == Power(None, None)


# --- The firewall ---

MEDIA = {"match": {"op": "==", "left": {"payload": {"protocol": "udp", "field": "dport"}}}}
LOOPBACK = {"match": {"op": "==", "left": {"meta": {"key": "iifname"}}, "right": "lo"}}
ESTABLISHED = {
    "match": {
        "op": "in",
        "left": {"ct": {"key": "state"}},
        "right": ["established", "related"],
    }
}
FROM_HOME = {
    "match": {
        "op": "==",
        "left": {"payload": {"protocol": "ip", "field": "saddr"}},
        "right": {"prefix": {"addr": "192.168.0.0", "len": 16}},
    }
}


def to(ports):
    return {"match": {**MEDIA["match"], "right": ports}}


def rules(policy, *expressions):
    place = {"family": "inet", "table": "filter"}
    chain = {**place, "name": "input", "hook": "input", "policy": policy}
    return [
        {"metainfo": {}},
        {"chain": chain},
        *({"rule": {**place, "chain": "input", "expr": each}} for each in expressions),
    ]


ACCEPT, DROP = {"accept": None}, {"drop": None}


@pytest.mark.parametrize(
    ("ruleset", "is_blocked"),
    [
        ([], False),
        (rules("accept"), False),
        (rules("drop"), True),
        (rules("drop", [LOOPBACK, ACCEPT], [ESTABLISHED, ACCEPT]), True),
        (rules("drop", [to({"range": [20000, 20063]}), ACCEPT]), False),
        (rules("drop", [to({"set": [53, {"range": [20000, 20063]}]}), ACCEPT]), False),
        (rules("drop", [to(443), ACCEPT]), True),
        (rules("accept", [to({"range": [20000, 20063]}), DROP]), True),
        (rules("accept", [to(53), DROP]), False),
        (rules("accept", [{"counter": {}}, {"reject": None}]), True),
        # It may be for these people alone, or for all.
        (rules("drop", [FROM_HOME, ACCEPT]), False),
        (rules("accept", [FROM_HOME, DROP]), False),
        (rules("drop", [to("@media"), ACCEPT]), False),
        (rules("drop", [{"xt": {"type": "match", "name": "multiport"}}, ACCEPT]), False),
    ],
)
def test_the_firewall_is_asked_as_a_viewer_comes(ruleset, is_blocked):
    found = firewall.blocking(ruleset, "udp", 20000)
    assert found == ("chain input of table inet filter" if is_blocked else "")


def test_chains_that_others_jump_to_are_followed():
    place = {"family": "inet", "table": "filter", "chain": "kvm"}
    jump = [{"jump": {"target": "kvm"}}]
    accepted = [{"rule": {**place, "expr": [to(20000), ACCEPT]}}]
    assert firewall.blocking([*rules("drop", jump), *accepted], "udp", 20000) == ""
    assert firewall.blocking([*rules("drop", jump), *accepted], "udp", 20001)
