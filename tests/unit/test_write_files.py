# SPDX-License-Identifier: MIT
"""The module that writes a role's files: what others may see of one before it is in its place."""

import os
import stat
from types import SimpleNamespace

from write_files import Writer


def test_nobody_else_can_open_a_file_before_it_has_its_owner(tmp_path, monkeypatch):
    modes = []
    monkeypatch.setattr(Writer, "ids", lambda *_: [os.getuid(), os.getgid()])
    monkeypatch.setattr(Writer, "own", lambda _, path, *__: modes.append(os.stat(path).st_mode))
    module = SimpleNamespace(check_mode=False, tmpdir=tmp_path)
    # What a play that was killed left behind, open to all.
    (tmp_path / "janus.jcfg.new").write_text("old")
    before = os.umask(0)
    try:
        Writer(module).file({"dest": str(tmp_path / "janus.jcfg"), "content": "secret"})
    finally:
        os.umask(before)
    assert [stat.S_IMODE(mode) for mode in modes] == [0o600]
    assert (tmp_path / "janus.jcfg").read_text() == "secret"
