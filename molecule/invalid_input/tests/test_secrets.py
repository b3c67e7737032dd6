# SPDX-License-Identifier: MIT
"""What a play writes as a secret stands in its file alone: not in the play's output, not in the device's journal."""

from tests.support.ansible import run_module
from tests.support.device import Device

SECRET = "not-to-be-seen-anywhere"
FILE = "/root/secret"


def test_a_secret_file_is_written_in_silence():
    bare = Device("kvm-bare")
    entry = {"dest": FILE, "content": SECRET, "mode": "0600", "secret": True}
    done = run_module(bare, "write_files", {"files": [entry]}, "--diff", "-vvv")
    assert done.code == 0, done.printed
    try:
        assert bare.sh(f"cat {FILE}") == SECRET
        assert bare.sh(f"stat -c %a {FILE}").strip() == "600"
        assert SECRET not in done.printed
        assert SECRET not in bare.sh("journalctl --no-pager")
    finally:
        bare.sh(f"rm -f {FILE}")
