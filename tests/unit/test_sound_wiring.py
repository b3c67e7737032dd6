# SPDX-License-Identifier: MIT
"""What a device has for sound, and that one without has nothing of it."""

import functools
from pathlib import Path

import pytest
from ansible.parsing.dataloader import DataLoader
from ansible.template import Templar, trust_as_template

ROOT = Path(__file__).parents[2]
ROLES = ROOT / "roles"
FILES = [
    ROLES / "janus/defaults/main.yml",
    ROLES / "ustreamer/defaults/main.yml",
    ROLES / "ustreamer/vars/main/main.yml",
    ROOT / "inventory/group_vars/kvm.yml",
]
UNIT = ROLES / "janus/templates/janus.service.j2"
CONFIG = ROLES / "ustreamer/templates/janus.plugin.ustreamer.jcfg.j2"


@pytest.fixture
def device():
    """device(NAME): what the variables are of a Debian 13 with this sound device, and its files."""

    def made(sound_device):
        loader = DataLoader()
        load = functools.partial(loader.load_from_file, trusted_as_template=True)
        variables = {
            "role_path": str(ROLES / "ustreamer"),
            "ansible_managed": "managed",
            "ansible_facts": {"distribution_major_version": "13"},
            "__janus_user": "janus",
            "__ustreamer_hardware": {"stdout_lines": ["capture", "encoder"]},
            "__ustreamer_facts": {"plugin_audio": False, "plugin_key": "video.sink"},
        }
        for file in FILES:
            variables |= load(str(file))
        templar = Templar(loader, variables | {"ustreamer_audio_device": sound_device})
        return lambda text: templar.template(trust_as_template(text))

    return made


def lines(device, template, word):
    return [line for line in device(template.read_text()).splitlines() if word in line]


def test_with_sound_janus_may_open_sound_devices_and_no_others(device):
    has = device("hw:CARD=tc358743")
    assert has("{{ janus_extra_groups }}") == ["kvm-sink", "kvm-signalling", "audio"]
    assert lines(has, UNIT, "Device") == [
        "PrivateDevices=no",
        "DevicePolicy=closed",
        "DeviceAllow=char-alsa rw",
    ]
    assert "libasound2t64" in has("{{ __ustreamer_packages }}")
    assert {"libasound2-dev", "libopus-dev"} <= {*has("{{ __ustreamer_build_packages }}")}
    assert has("{{ __ustreamer_build_environment.SOUND }}") == "1"
    assert has("{{ tinypilot_sound_enabled }}") is True
    assert lines(has, CONFIG, "hw:") == ['    device = "hw:CARD=tc358743"']


def test_without_it_there_is_nothing_of_it(device):
    has = device("")
    assert has("{{ janus_extra_groups }}") == ["kvm-sink", "kvm-signalling"]
    assert lines(has, UNIT, "Device") == ["PrivateDevices=yes", "DevicePolicy=closed"]
    packages = has("{{ __ustreamer_packages + __ustreamer_build_packages }}")
    assert not [each for each in packages if "asound" in each or "opus" in each]
    assert not has("{{ __ustreamer_build_environment.SOUND }}")
    assert has("{{ tinypilot_sound_enabled }}") is False
    assert lines(has, CONFIG, "audio") == []


def test_a_build_without_sound_is_another_one(device):
    inputs = "{{ __ustreamer_native_build.inputs.sound }}"
    assert device("")(inputs) != device("hw:1")(inputs)
