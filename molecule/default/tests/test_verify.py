# SPDX-License-Identifier: MIT
"""Each link of the chain is broken once: playbooks/verify.yml must name it, and say what to do."""

import asyncio
import json
import subprocess
import sys

import pytest
import yaml

from tests.support import ROOT
from tests.support.ansible import play, run_module
from tests.support.device import Device
from tests.support.viewers import Viewer

SCRIPT = ROOT / "playbooks/files/verify_chain.py"
SINK = "/dev/shm/kvm::h264"
PLUGIN = "/opt/ustreamer/plugins/libjanus_ustreamer.so"
CONTROL = "/run/v4l2-emulator/control"
PLAYBOOK = ROOT / "playbooks/verify.yml"
VARIABLES = yaml.safe_load(PLAYBOOK.read_text())[0]["vars"]
# A virtual Pi has buttons to press and commands to run.
UNITS = [
    *VARIABLES["__units"],
    *(unit for each in ("atx", "hook", "fetch") for unit in VARIABLES[f"__{each}_units"]),
]
WIRING = {
    "units": UNITS,
    "capture_device": None,
    "ustreamer_socket": "/run/ustreamer/http.sock",
    "hdmi_socket": "/run/kvm-hdmi/hdmi.sock",
    "sink_name": "kvm::h264",
    "sink_group": "kvm-sink",
    "janus_socket": "/run/janus/ws.sock",
    "janus_token_file": "/etc/kvm-signalling/token.jcfg",
    "https_port": 443,
    "facts_file": "/etc/kvm-facts/ustreamer.json",
    "patience_seconds": 0,
    "signal_expected": False,
}


@pytest.fixture
def units(device):
    """With the one that the role adds where there is no encoder chip."""
    return [*UNITS, *(["ustreamer-encoder.service"] if device.encodes_in_software else [])]


def verify(host, **changes):
    """What verify_chain.py finds on the device."""
    device = Device(host.check_output("hostname"))
    return json.loads(device.python(SCRIPT.read_text(), json.dumps({**WIRING, **changes})))


def watch(host):
    """What a viewer sees."""
    address = host.check_output("hostname -I").split()[0]
    seen = subprocess.run(
        [
            sys.executable,
            ROOT / "playbooks/files/viewer.py",
            f"wss://{address}/janus/ws",
            "--seconds=1",
        ],
        input=host.check_output("tinypilot session"),
        capture_output=True,
        text=True,
        check=False,
    )
    return json.loads(seen.stdout)


@pytest.fixture
def broken(host):
    """Runs a command that breaks a link, and afterwards the one that mends it."""
    mend = []

    def do(command, undo):
        mend.append(undo)
        host.check_output(command)

    yield do
    for command in mend:
        host.check_output(command)
    assert verify(host)["error"] is None


def test_a_whole_chain(host):
    found = verify(host)
    assert found["error"] is None
    assert found["signal"] is True
    assert (found["width"], found["height"]) == (1280, 720)
    assert len(found["certificate"]) == 64


@pytest.fixture
def idle_supervisor(broken):
    """It runs, asks nobody, and heals nothing."""
    folder = "/run/systemd/system/tinypilot-supervisor.service.d"
    anew = "systemctl daemon-reload && systemctl restart tinypilot-supervisor.service"
    idle = (
        "[Service]\\nType=exec\\nWatchdogSec=0\\nExecStart=\\nExecStart=/usr/bin/sleep infinity\\n"
    )
    broken(
        f"mkdir {folder} && printf '{idle}' > {folder}/idle.conf && {anew}",
        f"rm -r {folder} && {anew}",
    )


@pytest.mark.usefixtures("idle_supervisor")
def test_a_stopped_unit(host, units, broken):
    """Each in turn. With a socket its service ends, which comes after it in the chain. By the supervisor's questions
    nginx and the web app would be started anew."""
    start = f"systemctl start {' '.join(units)}"
    broken("true", start)
    told = {}
    for unit in units:
        host.check_output(f"systemctl stop {unit}")
        told[unit] = verify(host)["error"]
        host.check_output(start)
    assert told == {
        unit: f"{unit} is inactive: `journalctl -u {unit}` tells why." for unit in units
    }


def test_the_chain_has_each_unit_that_is_always_there(host, units):
    found = host.check_output(
        "find /etc/systemd/system -maxdepth 1 -type f "
        "'(' -name '*.socket' -o -name '*[!@].service' ')' -printf '%f\n'"
    ).split()
    always = {
        unit
        for unit in found
        if unit.endswith(".socket") or host.service(unit).systemd_properties["Restart"] == "always"
    }
    # It is no part of the product.
    assert always - {"simulated-computer.service"} == set(units)


def test_a_plugin_that_is_not_there(host, broken):
    broken(
        f"mv {PLUGIN} /root/ && systemctl restart janus",
        f"mv /root/libjanus_ustreamer.so {PLUGIN} && systemctl restart janus",
    )
    assert verify(host)["error"].startswith("Janus does not know janus.plugin.ustreamer")


def test_a_sink_that_janus_can_not_open(host, broken):
    broken(f"chmod 0600 {SINK}", f"chmod 0660 {SINK}")
    assert f"The sink {SINK} has group kvm-sink and mode 0600" in verify(host)["error"]


def test_a_sink_of_an_unknown_layout(host, broken):
    """As after an upgrade of uStreamer alone: a viewer is told both numbers."""
    broken(
        "systemctl restart janus && systemctl stop ustreamer && "
        f"printf '\\143' | dd of={SINK} bs=1 seek=8 conv=notrunc status=none",
        f"rm {SINK} && systemctl start ustreamer",
    )
    error = watch(host)["error"]
    built = json.loads(host.check_output("cat /opt/ustreamer/built-from"))
    if built["inputs"]["plugin"] == "upstream":
        # It tells nobody but the log.
        assert "has decoded no frame" in error
    else:
        assert "505" in error and "layout 99" in error and "2-8 and 10" in error


@pytest.mark.usefixtures("encoder_chip")
def test_an_encoder_that_hangs(host, broken):
    broken(
        f"echo encoder=hanging > {CONTROL} && systemctl restart ustreamer",
        f"rm {CONTROL} && systemctl restart ustreamer",
    )
    assert "encoder does not work" in verify(host)["error"]


def verify_while_somebody_watches(host, broken, command, undo):
    """What is broken breaks on the way of a picture."""
    address = host.check_output("hostname -I").split()[0]
    cookie = host.check_output("tinypilot session")

    async def look():
        async with Viewer(f"wss://{address}/janus/ws", cookie) as viewer:
            await viewer.watch()
            await viewer.next_frame()
            broken(command, undo)
            return await asyncio.to_thread(verify, host)

    return asyncio.run(look())["error"]


@pytest.mark.usefixtures("encoder_chip")
def test_an_encoder_that_hangs_on_its_way(host, broken):
    """Newer uStreamers encode only while somebody watches."""
    error = verify_while_somebody_watches(
        host,
        broken,
        f"echo encoder=hanging > {CONTROL}",
        f"rm {CONTROL} && systemctl restart ustreamer",
    )
    built = json.loads(host.check_output("cat /opt/ustreamer/built-from"))
    sentences = ["No new frame came into the sink"]
    if built["inputs"]["source"].startswith("upstream"):
        # Newer uStreamers close an encoder that does not answer, perhaps before the check looks at it.
        sentences.append("encoder does not work")
    assert any(sentence in error for sentence in sentences), error


@pytest.mark.usefixtures("software_encoder", "idle_supervisor")
def test_a_software_encoder_that_hangs(host, broken):
    """Longer than systemd and the supervisor let it."""
    error = verify_while_somebody_watches(
        host,
        broken,
        "systemctl service-watchdogs no && "
        "systemctl kill --kill-whom=main --signal=STOP ustreamer-encoder",
        "systemctl kill --signal=KILL ustreamer-encoder; systemctl service-watchdogs yes",
    )
    assert "No new frame came into the sink" in error
    assert "journalctl -u ustreamer -u ustreamer-encoder.service" in error


def test_a_capture_device_that_is_not_there(host):
    error = verify(host, capture_device="/dev/kvm-video")["error"]
    assert error.startswith("There is no capture device /dev/kvm-video")


def test_a_computer_that_is_off_is_no_failure(host, broken):
    broken(f"echo signal=lost > {CONTROL}", f"rm {CONTROL}")
    for _ in range(100):
        found = verify(host)
        if not found["signal"]:
            break
    assert found["signal"] is False
    assert found["error"] is None
    assert found["why_not"].startswith("Nothing comes over the video cable, not even its 5 volts")
    assert "a moment ago it did" in verify(host, signal_expected=True)["error"]


@pytest.fixture
def unreachable_stun_server(host, device):
    """Set by the role, as by the play; and whoever is asked for its address says nothing."""
    configure = {"name": "janus", "tasks_from": "configure"}
    run_module(
        device,
        "include_role",
        configure,
        variables={"janus_stun_server": "stun.invalid:3478"},
    ).assert_good()
    host.check_output(
        "systemd-run --quiet --unit=silent --property=Type=exec python3 -c %s && "
        "cp /etc/resolv.conf /root/ && echo 'nameserver 127.0.0.2' > /etc/resolv.conf && "
        "systemctl restart janus",
        "import signal, socket\n"
        "silent = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)\n"
        "silent.bind(('127.0.0.2', 53))\n"
        "signal.pause()",
    )
    yield
    run_module(device, "include_role", configure).assert_good()
    host.check_output(
        "cat /root/resolv.conf > /etc/resolv.conf && systemctl stop silent && "
        "systemctl restart janus"
    )
    assert verify(host)["error"] is None


@pytest.mark.usefixtures("unreachable_stun_server")
def test_a_stun_server_that_can_not_be_found_holds_up_nobody(host):
    assert "stun.invalid" in host.check_output("cat /etc/janus/janus.jcfg")
    # Half of what a question without an answer takes.
    assert verify(host, patience_seconds=5)["error"] is None
    assert watch(host)["error"] is None


def test_a_machine_without_a_way_to_the_device_says_so(device):
    """And says nothing against the builds, which the device's own viewer has seen."""
    variables = {"verify_seconds": 1, "kvm_address": "127.0.0.1"}
    played = play(device, playbook=PLAYBOOK, variables=variables)
    assert played.code == 2
    assert "nginx can't be reached at wss://127.0.0.1:443/janus/ws" in played.output
    assert "A viewer on the device itself sees the picture, so the builds stay." in played.output


def test_with_ansible_alone_the_device_itself_is_the_viewer(device, tmp_path):
    (tmp_path / "aiortc.py").write_text("raise ImportError('there is none here')\n")
    played = play(
        device,
        playbook=PLAYBOOK,
        variables={"verify_seconds": 1},
        environment={"PYTHONPATH": str(tmp_path)},
    )
    assert "video flows, 1280x720 at " in played.assert_good().output
