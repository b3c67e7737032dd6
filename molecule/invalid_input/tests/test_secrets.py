# SPDX-License-Identifier: MIT
"""What a play writes as a secret stands in its file alone: not in the play's output, not in the device's journal."""

import json
import os
import subprocess
from pathlib import Path

ROOT = Path(__file__).parents[3]
HOST = "kvm-bare"
SECRET = "not-to-be-seen-anywhere"
FILE = "/root/secret"


def sh(command):
    return subprocess.run(
        ["docker", "exec", HOST, "sh", "-c", command], capture_output=True, text=True, check=True
    ).stdout


def test_a_secret_file_is_written_in_silence():
    entry = {"dest": FILE, "content": SECRET, "mode": "0600", "secret": True}
    done = subprocess.run(
        [
            "ansible",
            HOST,
            f"--inventory={Path(__file__).parents[1] / 'inventory'}",
            "--module-name=write_files",
            f"--args={json.dumps({'files': [entry]})}",
            "--diff",
            "-vvv",
        ],
        cwd=ROOT,
        env={**os.environ, "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg")},
        capture_output=True,
        text=True,
        check=True,
    )
    try:
        assert sh(f"cat {FILE}") == SECRET
        assert sh(f"stat -c %a {FILE}").strip() == "600"
        assert SECRET not in done.stdout + done.stderr
        assert SECRET not in sh("journalctl --no-pager")
    finally:
        sh(f"rm -f {FILE}")
