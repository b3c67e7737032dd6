# SPDX-License-Identifier: MIT
"""How files are replaced on a device."""

import os
import stat

import pytest

from plugins.module_utils import files

ME = (os.geteuid(), os.getegid())


@pytest.fixture(autouse=True)
def any_umask():
    before = os.umask(0)
    yield
    os.umask(before)


def test_nobody_else_can_open_a_file_before_it_has_its_owner(tmp_path, monkeypatch):
    modes = []
    monkeypatch.setattr(files, "own", lambda path, *_: modes.append(os.stat(path).st_mode))
    # What a play that was killed left behind, open to all.
    (tmp_path / "janus.jcfg.new").write_text("old")
    files.write(str(tmp_path / "janus.jcfg"), b"secret", *ME, 0o640)
    assert [stat.S_IMODE(mode) for mode in modes] == [0o600]
    assert (tmp_path / "janus.jcfg").read_text() == "secret"
    assert os.listdir(tmp_path) == ["janus.jcfg"]


def test_a_file_is_replaced_by_renaming(tmp_path):
    """Who has the old one open reads it to its end."""
    path = tmp_path / "unit"
    path.write_text("old")
    with path.open() as opened:
        files.write(str(path), b"new", *ME, 0o4750)
        assert opened.read() == "old"
    assert path.read_text() == "new"
    assert files.is_owned(path, *ME, 0o4750)


@pytest.mark.parametrize(
    "other", [(ME[0] + 1, ME[1], 0o644), (ME[0], ME[1] + 1, 0o644), (*ME, 0o2644)]
)
def test_owner_group_and_mode_are_compared(tmp_path, other):
    path = tmp_path / "file"
    path.touch()
    path.chmod(0o644)
    assert files.is_owned(path, *ME, 0o644)
    assert not files.is_owned(path, *other)
    assert not files.is_owned(tmp_path / "absent", *ME, 0o644)


def test_a_link_is_not_taken_for_what_it_points_to(tmp_path):
    (tmp_path / "file").touch(0o600)
    (tmp_path / "link").symlink_to("file")
    assert not files.is_owned(tmp_path / "link", *ME, 0o600)


def test_a_copy_has_content_and_mode(tmp_path):
    source, target = tmp_path / "source", tmp_path / "target"
    source.write_text("secret")
    source.chmod(0o640)
    target.write_text("open to all")
    files.copy(str(source), str(target))
    assert files.is_same(source, target)
    assert files.is_owned(target, *ME, 0o640)


def test_what_is_not_there_is_the_same_as_nothing(tmp_path):
    (tmp_path / "one").write_text("a")
    (tmp_path / "other").write_text("b")
    assert not files.is_same(tmp_path / "one", tmp_path / "other")
    assert not files.is_same(tmp_path / "absent", tmp_path / "absent")


def test_a_link_is_replaced(tmp_path):
    path = tmp_path / "active"
    path.symlink_to("old")
    # Of a play that was killed.
    (tmp_path / "active.new").symlink_to("half")
    files.link(str(path), "new")
    assert os.readlink(path) == "new"
    assert os.listdir(tmp_path) == ["active"]


def test_the_owner_is_set_before_the_mode_and_never_that_of_what_a_link_points_to(
    tmp_path, monkeypatch
):
    path = tmp_path / "file"
    path.touch(0o600)
    given = []

    def chown(path, uid, gid, follow_symlinks=True):
        given.append((uid, gid, follow_symlinks, stat.S_IMODE(os.stat(path).st_mode)))

    monkeypatch.setattr("os.chown", chown)
    files.own(str(path), 7, 8, 0o2750)
    # chown clears setgid.
    assert given == [(7, 8, False, 0o600)]
    assert stat.S_IMODE(path.stat().st_mode) == 0o2750
