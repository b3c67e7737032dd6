# SPDX-License-Identifier: MIT
"""Each link of the chain is broken once: playbooks/verify.yml must name it, and say what to do."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
SCRIPT = ROOT / "playbooks/files/verify_chain.py"
SINK = "/dev/shm/kvm::h264"
PLUGIN = "/opt/ustreamer/plugins/libjanus_ustreamer.so"
CONTROL = "/run/v4l2-emulator/control"
WIRING = {
    "units": [
        "ustreamer.service",
        "janus.service",
        "tinypilot.socket",
        "tinypilot.service",
        "tinypilot-relay.socket",
        "tinypilot-relay.service",
        "nginx.socket",
        "nginx.service",
    ],
    "capture_device": None,
    "ustreamer_socket": "/run/ustreamer/http.sock",
    "sink_name": "kvm::h264",
    "sink_group": "kvm-sink",
    "janus_socket": "/run/janus/ws.sock",
    "janus_token_file": "/etc/kvm-signalling/token.jcfg",
    "https_port": 443,
    "patience_seconds": 0,
    "signal_expected": False,
}


def verify(host, **changes):
    """What verify_chain.py finds on the device."""
    name = host.check_output("hostname")
    done = subprocess.run(
        [
            "docker",
            "exec",
            "--interactive",
            name,
            "python3",
            "-",
            json.dumps({**WIRING, **changes}),
        ],
        stdin=SCRIPT.open(),
        capture_output=True,
        text=True,
        check=True,
    )
    return json.loads(done.stdout)


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


@pytest.mark.parametrize(
    ("unit", "companion"),
    [
        ("ustreamer.service", ""),
        ("janus.service", ""),
        ("tinypilot.service", "tinypilot.socket"),
        ("tinypilot-relay.service", "tinypilot-relay.socket"),
    ],
)
def test_a_stopped_service(host, broken, unit, companion):
    broken(f"systemctl stop {companion} {unit}", f"systemctl start {companion} {unit}")
    name = companion or unit
    assert verify(host)["error"] == f"{name} is inactive: `journalctl -u {name}` tells why."


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
    address = host.check_output("hostname -I").split()[0]
    seen = subprocess.run(
        [sys.executable, ROOT / "playbooks/files/viewer.py", f"wss://{address}/janus/ws"],
        input=host.check_output("tinypilot session"),
        capture_output=True,
        text=True,
        check=False,
    )
    assert seen.returncode == 1
    error = json.loads(seen.stdout)["error"]
    if (
        json.loads(host.check_output("cat /opt/ustreamer/built-from"))["inputs"]["plugin"]
        == "upstream"
    ):
        # It tells nobody but the log.
        assert "has decoded no frame" in error
    else:
        assert "505" in error and "layout 99" in error and "2-8 and 10" in error


def test_an_encoder_that_hangs(host, broken):
    broken(
        f"echo encoder=hanging > {CONTROL} && systemctl restart ustreamer",
        f"rm {CONTROL} && systemctl restart ustreamer",
    )
    assert "encoder does not work" in verify(host)["error"]


def test_an_encoder_that_hangs_on_its_way(host, broken):
    broken(f"echo encoder=hanging > {CONTROL}", f"rm {CONTROL} && systemctl restart ustreamer")
    assert "No new frame came into the sink" in verify(host)["error"]


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
    assert "a moment ago it did" in verify(host, signal_expected=True)["error"]
