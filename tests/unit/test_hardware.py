# SPDX-License-Identifier: MIT
"""What a real device needs around its ports: found out on a fake /sys, and written into a config.txt."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
ROLES = ROOT / "roles"
# A character device is all that can be asked of a path.
THERE, ABSENT = "/dev/null", "/dev/no-such-device"
LONG_AGO = 1_000_000_000
BRIDGE, GADGET = "dtoverlay=tc358743", "dtoverlay=dwc2,dr_mode=peripheral"


@pytest.fixture
def look(tmp_path):
    """The words of hardware.sh: look(kind, config=FILE, capture=PATH, ...)."""
    (tmp_path / "sys/class/video4linux").mkdir(parents=True)

    def run(
        kind,
        capture="/dev/kvm-video",
        name="unicam-image",
        encoder=ABSENT,
        jpeg_encoder=ABSENT,
        config=ABSENT,
        speed=ABSENT,
    ):
        words = [kind, capture, name, encoder, jpeg_encoder, config, speed, tmp_path]
        program = ROLES / "ustreamer/files/hardware.sh"
        said = subprocess.check_output(["sh", program, *words], text=True).split()
        said.remove(f"cores-{len(os.sched_getaffinity(0))}")
        return said

    return run


def add_video(root, number, name, device, index):
    node = root / f"sys/class/video4linux/video{number}"
    node.mkdir()
    (node / "name").write_text(f"{name}\n")
    (node / "index").write_text(f"{index}\n")
    (root / "sys/devices" / device).mkdir(parents=True, exist_ok=True)
    (node / "device").symlink_to(root / "sys/devices" / device)


def add_bridge(root):
    add_video(root, 0, "unicam-embedded", "platform/fe801000.csi", 1)
    add_video(root, 3, "unicam-image", "platform/fe801000.csi", 0)


def add_encoder(root):
    add_video(root, 11, "bcm2835-codec-encode", "platform/bcm2835-codec", 0)


def add_dongle(root):
    add_video(root, 4, "USB Video", "pci0000:00/usb1/1-1/1-1:1.0", 1)
    add_video(root, 5, "USB Video", "pci0000:00/usb1/1-1/1-1:1.0", 0)


def add_dongles_second_node(root):
    """That of its metadata."""
    add_video(root, 6, "USB Video", "pci0000:00/usb1/1-1/1-1:1.0", 1)


def test_where_nothing_is_nothing_is_said(look):
    assert look("tc358743") == []
    assert look("usb") == []


def test_what_has_its_name_is_found_by_it(look):
    assert look("usb", capture=THERE, encoder=THERE) == ["capture", "encoder"]
    assert look("tc358743", capture=ABSENT, jpeg_encoder=THERE) == ["jpeg-encoder"]


@pytest.mark.parametrize(
    ("kind", "add", "words"),
    [
        ("tc358743", add_bridge, ["capture", "unnamed"]),
        ("tc358743", add_dongle, []),
        ("tc358743", add_encoder, []),
        ("usb", add_dongle, ["capture", "unnamed"]),
        ("usb", add_dongles_second_node, []),
        ("usb", add_bridge, []),
        ("usb", add_encoder, []),
    ],
)
def test_a_capture_device_is_found_before_udev_has_named_it(look, tmp_path, kind, add, words):
    add(tmp_path)
    assert look(kind) == words


def test_a_bridge_of_another_name_is_found_by_that(look, tmp_path):
    add_video(tmp_path, 0, "vivid-000-vid-cap", "platform/vivid.0", 0)
    assert look("tc358743") == []
    assert look("tc358743", name="vivid-000-vid-cap") == ["capture", "unnamed"]


@pytest.mark.parametrize(
    ("kind", "words"),
    [("tc358743", ["capture"]), ("usb", ["capture", "unnamed"])],
)
def test_a_name_of_another_kinds_device_does_not_count(look, tmp_path, kind, words):
    add_bridge(tmp_path)
    add_dongle(tmp_path)
    (tmp_path / "kvm-video").symlink_to(THERE)
    node = tmp_path / "sys/class/video4linux"
    (node / Path(THERE).name).symlink_to(node / "video3")
    assert look(kind, capture=tmp_path / "kvm-video") == words


def test_an_encoder_that_was_measured_is_not_measured_again(look, tmp_path):
    speed = tmp_path / "encoder-speed.UYVY.json"
    # As a power cut leaves it.
    speed.touch()
    assert look("usb", speed=speed) == []
    speed.write_text("{}")
    assert look("usb", speed=speed) == ["encoder-measured"]


def test_a_raspberry_pi_5_is_told_by_its_name(look, tmp_path):
    model = tmp_path / "proc/device-tree/model"
    model.parent.mkdir(parents=True)
    for name, words in [("4 Model B Rev 1.5", []), ("5 Model B Rev 1.0", ["pi5"])]:
        model.write_text(f"Raspberry Pi {name}\0")
        assert look("usb") == words


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", ["boot-config"]),
        (f"[all]\n{BRIDGE}\n", ["boot-config", "overlay"]),
        (f"{BRIDGE},i2c_pins_28_29=1\n", ["boot-config", "overlay"]),
        (f"#{BRIDGE}\n{BRIDGE}-audio\n", ["boot-config"]),
    ],
)
def test_the_bridges_overlay_is_found(look, tmp_path, text, words):
    config = tmp_path / "config.txt"
    config.write_text(text)
    assert look("tc358743", config=config) == [*words, "reboot-due"]
    os.utime(config, (LONG_AGO, LONG_AGO))
    assert look("tc358743", config=config) == words


# --- config.txt ---

OF_THE_SYSTEM = """# For more options and information see
dtparam=audio=on

[cm4]
otg_mode=1

[cm5]
dtoverlay=dwc2,dr_mode=host

[all]
"""
CONFIGS = {
    "of_the_system": (OF_THE_SYSTEM, f"{OF_THE_SYSTEM}{GADGET}\n{BRIDGE}\n"),
    "without_sections": ("dtparam=audio=on\n", f"dtparam=audio=on\n{BRIDGE}\n{GADGET}\n"),
    "of_the_owner": (
        f"[pi4]\ndtoverlay=dwc2\n[all]\n{BRIDGE},cam0\n",
        f"[pi4]\ndtoverlay=dwc2\n[all]\n{BRIDGE},cam0\n",
    ),
}


def tasks(role, file, *names):
    """The role's own tasks."""
    found = yaml.safe_load((ROLES / role / "tasks" / file).read_text())
    return [task for name in names for task in found if task["name"] == name]


def test_each_overlay_is_asked_for_once_and_for_this_board(tmp_path):
    for name, (before, _) in CONFIGS.items():
        (tmp_path / name).write_text(before)
    roles = ("ustreamer", "usb_gadget")
    (tmp_path / "files").mkdir()
    for program in ("ustreamer/files/hardware.sh", "usb_gadget/files/usb_facts.py"):
        (tmp_path / "files" / Path(program).name).symlink_to(ROLES / program)
    steps = [
        *tasks("ustreamer", "preflight.yml", "preflight | Look at the hardware"),
        *tasks("ustreamer", "configure.yml", "configure | Load the bridge's driver at boot"),
        *tasks("usb_gadget", "preflight.yml", "preflight | Gather the facts of the USB controller"),
        *tasks(
            "usb_gadget",
            "configure.yml",
            "configure | Have the firmware make the USB port a device's",
        ),
    ]
    assert len(steps) == 4
    variables = [
        *(str(ROLES / role / "defaults/main.yml") for role in roles),
        str(ROLES / "ustreamer/vars/main/main.yml"),
        str(ROLES / "usb_gadget/vars/main.yml"),
    ]
    play = {"hosts": "all", "gather_facts": False, "vars_files": variables, "tasks": 2 * steps}
    (tmp_path / "play.json").write_text(json.dumps([play]))
    here = {"ansible_connection": "local", "ansible_python_interpreter": sys.executable}
    hosts = {name: {**here, "config": str(tmp_path / name)} for name in CONFIGS}
    (tmp_path / "hosts.json").write_text(json.dumps({"all": {"hosts": hosts}}))
    config = {
        "ustreamer_boot_config_file": "{{ config }}",
        "usb_gadget_boot_config_file": "{{ config }}",
    }
    done = subprocess.run(
        [
            Path(sys.executable).with_name("ansible-playbook"),
            f"--inventory={tmp_path / 'hosts.json'}",
            f"--extra-vars={json.dumps(config)}",
            tmp_path / "play.json",
        ],
        env={**os.environ, "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg")},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    for name, (_, after) in CONFIGS.items():
        assert (tmp_path / name).read_text() == after, name


# --- The kernel's modules ---


@pytest.mark.parametrize(
    ("folders", "are_gone"),
    [
        ([], False),
        (["{running}/modules.dep"], False),
        (["{running}/modules.dep", "6.1.0-new/modules.dep"], False),
        (["6.1.0-new/modules.dep"], True),
        # Of a driver that somebody has compiled.
        (["6.1.0-new/modules.dep", "{running}/updates/dkms"], True),
    ],
)
def test_a_kernel_that_was_upgraded_since_the_boot_is_known(look, tmp_path, folders, are_gone):
    for folder in folders:
        (tmp_path / "lib/modules" / folder.format(running=os.uname().release)).mkdir(parents=True)
    assert ("modules-gone" in look("usb")) == are_gone
