# SPDX-License-Identifier: MIT
"""A folder on the device becomes equal to one of the project, and keeps nothing else."""

import base64
import os
import stat
from types import SimpleNamespace

import pytest

from plugins.action import sync_directory as action_sync_directory
from plugins.action.sync_directory import read_tree
from plugins.modules import sync_directory


@pytest.fixture
def source(tmp_path):
    folder = tmp_path / "source"
    (folder / "static/__pycache__").mkdir(parents=True)
    (folder / "tests").mkdir()
    (folder / "program").write_bytes(b"#!/bin/sh\n\xff")
    (folder / "program").chmod(0o775)
    (folder / "static/page.html").write_text("page")
    # For others, which is not for its owner.
    (folder / "static/page.html").chmod(0o645)
    (folder / "static/__pycache__/page.pyc").write_text("compiled")
    (folder / "tests/test_page.py").write_text("test")
    return folder


@pytest.fixture
def sync(run_module, monkeypatch, tmp_path):
    """Runs the module; returns what it answers."""
    me = (os.geteuid(), os.getegid())
    is_owned, write = sync_directory.is_owned, sync_directory.write
    # On a device everything is root's.
    monkeypatch.setattr(
        sync_directory, "is_owned", lambda path, uid, gid, mode: is_owned(path, *me, mode)
    )
    monkeypatch.setattr(
        sync_directory,
        "write",
        lambda path, content, uid, gid, mode: write(path, content, *me, mode),
    )

    def run(tree, check_mode=False):
        dest = str(tmp_path / "dest")
        return run_module(sync_directory, check_mode, src="app", dest=dest, tree=tree)

    return run


def files(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


def test_the_tree_is_read_with_what_may_be_executed_and_without_what_is_excluded(source):
    assert read_tree(source, ["tests"]) == {
        "program": {"content": base64.b64encode(b"#!/bin/sh\n\xff").decode(), "mode": "755"},
        "static/page.html": {"content": base64.b64encode(b"page").decode(), "mode": "644"},
    }


def test_the_folder_becomes_equal(source, sync, tmp_path):
    dest = tmp_path / "dest"
    tree = read_tree(source, ["tests"])
    answer = sync(tree)
    assert answer["changed"]
    assert sorted(answer["different"]) == ["program", "static/page.html"]
    assert files(dest) == ["program", "static", "static/page.html"]
    assert (dest / "program").read_bytes() == b"#!/bin/sh\n\xff"
    assert stat.S_IMODE((dest / "program").stat().st_mode) == 0o755
    again = sync(tree)
    assert (again["changed"], again["different"]) == (False, [])
    assert again["checksum"] == answer["checksum"]


def test_what_is_not_in_the_tree_is_removed(source, sync, tmp_path):
    tree, dest = read_tree(source, ["tests"]), tmp_path / "dest"
    sync(tree)
    (dest / "old/deep").mkdir(parents=True)
    (dest / "old/deep/module.py").touch()
    (dest / "static/old.js").touch()
    (dest / "link").symlink_to(source)
    answer = sync(tree)
    assert {"static/old.js", "link", "old"} <= set(answer["different"])
    assert files(dest) == ["program", "static", "static/page.html"]
    # What the link pointed to is somebody else's.
    assert (source / "program").exists()


@pytest.mark.parametrize(
    "damage", [lambda path: path.write_text("x"), lambda path: path.chmod(0o600)]
)
def test_what_was_changed_on_the_device_is_put_right(source, sync, tmp_path, damage):
    tree = read_tree(source, ["tests"])
    sync(tree)
    damage(tmp_path / "dest/static/page.html")
    assert sync(tree)["different"] == ["static/page.html"]
    assert (tmp_path / "dest/static/page.html").read_text() == "page"


def test_check_mode_changes_nothing(source, sync, tmp_path):
    tree, dest = read_tree(source, ["tests"]), tmp_path / "dest"
    sync(tree)
    (dest / "old.js").touch()
    (dest / "program").write_text("changed")
    before = {path: path.stat().st_ctime_ns for path in dest.rglob("*")}
    assert set(sync(tree, check_mode=True)["different"]) == {"old.js", "program"}
    assert {path: path.stat().st_ctime_ns for path in dest.rglob("*")} == before


def test_the_checksum_is_of_paths_modes_and_contents():
    entry = {"content": "YQ==", "mode": "644"}
    trees = [
        {"a": entry},
        {"b": entry},
        {"a": {**entry, "mode": "755"}},
        {"a": {**entry, "content": "Yg=="}},
    ]
    assert len({sync_directory.checksum(tree) for tree in trees}) == len(trees)


def test_folders_can_be_read_whatever_the_operators_umask_is(source, sync, tmp_path):
    sync(read_tree(source, ["tests"]))
    assert stat.S_IMODE((tmp_path / "dest/static").stat().st_mode) == 0o755


def test_what_differs_is_another_checksum_and_no_change_is_none(sync):
    """A task compares the checksums."""
    entry = {"content": "YQ==", "mode": "644"}
    one, other = sync({"a": entry}), sync({"b": entry})
    assert other["changed"]
    assert one["checksum"] != other["checksum"]


@pytest.mark.parametrize("name", ["src", "dest"])
def test_what_the_module_has_to_be_given(run_module, tmp_path, name):
    given = {"src": "app", "dest": str(tmp_path / "dest")}
    del given[name]
    assert run_module(sync_directory, **given)["msg"] == f"missing required arguments: {name}"


def test_a_folder_of_nothing_is_emptied(run_module, tmp_path):
    (tmp_path / "dest").mkdir()
    (tmp_path / "dest/old").touch()
    assert run_module(sync_directory, src="app", dest=str(tmp_path / "dest"))["different"] == [
        "old"
    ]


@pytest.mark.parametrize(
    ("exclude", "names"),
    [
        ([], ["program", "static/page.html", "tests/test_page.py"]),
        (["tests", "program"], ["static/page.html"]),
    ],
)
def test_the_action_reads_the_folder_and_leaves_its_content_out_of_the_answer(
    source, monkeypatch, exclude, names
):
    monkeypatch.setattr("ansible.plugins.action.ActionBase.run", lambda *_: {"of": "Ansible"})
    action = object.__new__(action_sync_directory.ActionModule)
    arguments = {"src": "app", "dest": "/opt/app", **({"exclude": exclude} if exclude else {})}
    action._task = SimpleNamespace(args=arguments)
    action._find_needle = lambda folder, name: {("files", "app"): str(source)}[folder, name]
    read = []

    def run_module(action, arguments, task_vars):
        read.extend(arguments["tree"])
        return {"changed": True, "invocation": {"module_args": dict(arguments)}}

    monkeypatch.setitem(action_sync_directory.looking, "run_module", run_module)
    assert action.run() == {
        "of": "Ansible",
        "changed": True,
        "invocation": {"module_args": arguments},
    }
    assert read == names
    # The task runs once for each host, with the same arguments.
    assert "tree" not in action._task.args
