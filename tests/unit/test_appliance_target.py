# SPDX-License-Identifier: MIT
"""What `make appliance` is given and what it shows: the inventory of HOST=, and the box at the end."""

import json
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
PICTURE = {
    "host": "kvm-virtual-pi",
    "url": "https://192.0.2.10/",
    "signal": True,
    "width": 1280,
    "height": 720,
    "fps": 29.97,
    "latency_ms": 9.2,
    "stop": "make stop",
}
CODE = "ABCD-EFGH-JKLM-NPQR"


# --- The box ---


@pytest.fixture
def show(tmp_path):
    """The lines of the box: show(changed, code, **what_is_different)."""

    def run(changed=45, code="", **picture):
        (tmp_path / "picture.json").write_text(json.dumps({**PICTURE, **picture}))
        (tmp_path / "run.json").write_text(json.dumps({"changed": changed, "seconds": 126.6}))
        if code:
            (tmp_path / "setup-code").write_text(code)
        program = ROOT / "tools/show_appliance.py"
        shown = subprocess.check_output([sys.executable, program, tmp_path], text=True)
        return shown.splitlines()

    return run


def facts(box):
    return dict(line.strip("│ ").split(maxsplit=1) for line in box[3:-1] if line[3] != " ")


def test_the_box_says_where_the_picture_is_and_how_it_flows(show, tmp_path):
    assert facts(show()) == {
        "Open": "https://192.0.2.10/",
        "Picture": "1280x720, 30.0 frames per second, 9 ms from capture to decoded pixel",
        "Run": "45 changes in 127 s",
        "Stop": "make stop",
    }
    written = json.loads((tmp_path / "appliance.json").read_text())
    assert written == {**PICTURE, "changed": 45, "seconds": 126.6}


@pytest.mark.parametrize(
    ("what", "fact", "text"),
    [
        ({"changed": 0}, "Run", "nothing had to be changed (127 s)"),
        ({"latency_ms": None}, "Picture", "1280x720, 30.0 frames per second"),
        (
            {"signal": False, "fps": 0, "latency_ms": None},
            "Picture",
            "no signal: the attached computer is off, or its cable is out",
        ),
    ],
)
def test_the_box_says_what_is_different(show, what, fact, text):
    assert facts(show(**what))[fact] == text


def test_a_set_up_code_is_shown_and_not_kept(show, tmp_path):
    assert facts(show(code=CODE))["Code"] == CODE
    assert CODE not in "".join(path.read_text() for path in tmp_path.iterdir())
    assert "Code" not in facts(show())


def test_the_box_is_closed_whatever_the_device_is_called(show):
    box = show(host="kvm-機械室")
    assert box[1].startswith("│  kvm-機械室 is up")
    # Each of the three takes two columns.
    assert {len(line) for line in box} == {len(box[0]), len(box[0]) - 3}
    assert len(box[1]) == len(box[0]) - 3


# --- A device of one's own ---


@pytest.mark.parametrize(
    ("host", "device"),
    [
        ("pi@192.0.2.10", {"ansible_host": "192.0.2.10", "ansible_user": "pi"}),
        ("kvm.example", {"ansible_host": "kvm.example"}),
        ("pi@2001:db8::7", {"ansible_host": "2001:db8::7", "ansible_user": "pi"}),
    ],
)
def test_host_becomes_an_inventory_and_the_only_one_to_be_changed(tmp_path, host, device):
    """The virtual environment is a stand-in that writes down what it was asked for."""
    programs = tmp_path / "venv/bin"
    programs.mkdir(parents=True)
    (tmp_path / "venv/lock").touch()
    for name in ("ansible-playbook", "python"):
        (programs / name).write_text(f'#!/bin/sh\nprintf "%s\\n" "$@" > {tmp_path}/{name}\n')
        (programs / name).chmod(0o755)
    build = tmp_path / "build"
    subprocess.run(
        [
            "make",
            "--silent",
            "appliance",
            f"HOST={host}",
            f"VENV={tmp_path}/venv",
            f"BUILD={build}",
            "SUDO=",
            "ARGS=--ask-become-pass",
        ],
        cwd=ROOT,
        check=True,
    )
    inventory = yaml.safe_load((build / "device.yml").read_text())
    assert inventory == {"kvm": {"hosts": {"device": {**device, "ansible_become": True}}}}
    asked = (tmp_path / "ansible-playbook").read_text().splitlines()
    assert asked[asked.index("--limit") + 1] == "device"
    assert [file for flag, file in pairwise(asked) if flag == "-i"] == [
        "inventory/hosts.yml",
        f"{build}/device.yml",
    ]
    assert "playbooks/site.yml" in asked
    assert "--ask-become-pass" in asked
    assert (tmp_path / "python").read_text().split() == ["tools/show_appliance.py", str(build)]
