# SPDX-License-Identifier: MIT
"""Every pair of uStreamer, plugin and Janus streams, or is refused: as roles/ustreamer's data says."""

import json
import os
import re
import subprocess
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[3]
INVENTORY = Path(__file__).parents[1] / "inventory"
HOST = "kvm-upstream"
USTREAMERS = {
    "v5.4": "3d4e9fbb1aada922330c3519f3633189210ed647",
    "v6.36": "271724858176074b5f94dfe2bbb066f1f6db38aa",
    "v6.47": "12cf4492bd6889ff074ca1178713fa1a380a6f1d",
    "v6.62": "b5e12a841270fedea75aa03b05de8fda15a3745e",
}
# By version: the source it comes from.
JANUSES = {"1.1.2": "debian", "1.4.1": "upstream"}
KNOWN = yaml.safe_load((ROOT / "roles/ustreamer/vars/main/compatibility.yml").read_text())


def number(version):
    return tuple(int(part) for part in version.lstrip("v").split("."))


def is_possible(ustreamer, plugin, janus):
    rows = KNOWN["__ustreamer_known_versions"]
    row = [row for row in rows if number(row["since"]) <= number(ustreamer)][-1]
    return plugin == "bundled" or number(janus) >= number(row["janus_minimum"])


def play(variables):
    """Runs site.yml on the host of Debian 13; returns exit code and output as one line of text."""
    done = subprocess.run(
        [
            "ansible-playbook",
            f"--inventory={INVENTORY}",
            f"--limit={HOST}",
            f"--extra-vars={json.dumps(variables)}",
            ROOT / "playbooks/site.yml",
        ],
        cwd=ROOT,
        env={
            **os.environ,
            "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"),
            "TERM": "dumb",
            "COLUMNS": "1000",
        },
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, re.sub(r"\s+", " ", done.stdout + done.stderr)


def sh(command):
    return subprocess.run(
        ["docker", "exec", HOST, "sh", "-c", command], capture_output=True, text=True, check=True
    ).stdout


@pytest.mark.parametrize("janus", JANUSES)
@pytest.mark.parametrize("ustreamer", USTREAMERS)
@pytest.mark.parametrize("plugin", ["bundled", "upstream"])
def test_pair(janus, ustreamer, plugin):
    code, output = play(
        {
            "janus_source": JANUSES[janus],
            "ustreamer_plugin": plugin,
            "ustreamer_upstream_version": ustreamer,
            "ustreamer_upstream_commit": USTREAMERS[ustreamer],
        }
    )
    if not is_possible(ustreamer, plugin, janus):
        assert code != 0 and "changed=0" in output, output
        assert f"the plugin of uStreamer {ustreamer[1:]} needs Janus" in output
        return
    assert code == 0, output
    assert f"{HOST}: video flows, 1280x720" in output
    assert sh("/opt/ustreamer/bin/ustreamer --version").strip() == ustreamer[1:]
    assert f"Janus version: {janus.split('.')[0]}" in sh("/opt/janus/bin/janus --version; true")
    assert sh("readlink /opt/ustreamer").startswith(f"ustreamer.builds/{ustreamer[1:]}-{plugin}-")
