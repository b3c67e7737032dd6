# SPDX-License-Identifier: MIT
"""When a program is built again, and what is said when it can't be."""

import json
import os

import pytest

from plugins.modules.native_build import Build, tree_checksum

VERSIONS = {
    "gcc": (0, "14.2.0\n", ""),
    "dpkg-query --show": (
        0,
        "installed libssl3t64 (= 3.5), libc6\ninstalled libglib2.0-0t64\n",
        "",
    ),
}
RUNS = {
    "setpriv --reuid=65534 --regid=65534 --clear-groups ldd": (
        0,
        "libc.so.6 => /lib/libc.so.6",
        "",
    ),
    "setpriv --reuid=65534 --regid=65534 --clear-groups timeout": (0, "1.0\n", ""),
}
LDD, TIMEOUT = RUNS
INPUTS = {"source": "upstream 4f", "flags": "-O2"}


@pytest.fixture
def make_build(tmp_path, make_module, monkeypatch):
    monkeypatch.setattr("shutil.which", lambda name: f"/usr/bin/{name}")

    def make(answers=(), check_mode=False, **params):
        module = make_module(
            check_mode=check_mode,
            answers={**VERSIONS, **RUNS, **dict(answers)},
            **{
                "name": "program",
                "link": str(tmp_path / "opt/program"),
                "label": "1.0",
                "inputs": INPUTS,
                "trees": [],
                "packages": ["libssl-dev", "libglib2.0-dev"],
                "objects": ["bin/program", "lib/plugin.so"],
                "program": "bin/program",
                "free_mib": 0,
                **params,
            },
        )
        build = Build(module)
        build.cache = str(tmp_path / "cache")
        return build

    return make


@pytest.fixture
def built(tmp_path, make_build):
    """A build that was finished."""
    for name in ("bin/program", "lib/plugin.so"):
        path = tmp_path / "cache/stage" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("#!/bin/sh\n")
        path.chmod(0o4755)
    build = make_build()
    build.keep()
    return build.builds.desired()


def test_nothing_is_built_yet(make_build):
    assert make_build().inspect() == ("", "nothing is built yet")


def test_a_build_is_kept_and_found_again(make_build, built, tmp_path):
    assert make_build().inspect() == (built, "")
    folder = tmp_path / "opt/program.builds" / built
    assert built.startswith("1.0-")
    stamp = json.loads((folder / "built-from").read_text())
    assert stamp == {
        "inputs": INPUTS,
        "compiler": "14.2.0",
        "libraries": "libc6 libglib2.0-0t64 libssl3t64",
    }
    # No setuid bit of the build gets through.
    assert (folder / "bin/program").stat().st_mode & 0o7777 == 0o755
    assert sorted(os.listdir(folder.parent)) == [built, "desired"]


@pytest.mark.parametrize(
    ("answers", "params", "why"),
    [
        ({}, {"inputs": {**INPUTS, "flags": "-O3"}}, "flags changed"),
        ({}, {"inputs": {"source": "upstream 4f"}}, "flags changed"),
        ({}, {"inputs": {**INPUTS, "suite": "trixie"}}, "suite changed"),
        ({"gcc": (0, "15.1.0\n", "")}, {}, "compiler changed"),
        (
            {"dpkg-query --show": (0, "installed libssl4\ninstalled libglib2.0-0t64\n", "")},
            {},
            "libraries changed",
        ),
        # What can't be known counts as unchanged.
        ({"gcc": (1, "", "")}, {}, ""),
        ({"dpkg-query --show": (1, "", "no packages found")}, {}, ""),
        ({"dpkg-query --show": (0, "deinstall libssl4\ninstalled libglib\n", "")}, {}, ""),
        # It can't run any more.
        (
            {LDD: (0, "libssl.so.3 => not found\n", "")},
            {},
            "bin/program needs libssl.so.3, which is gone",
        ),
        (
            {LDD: (1, "", "warning\nnot a dynamic executable\n")},
            {},
            "bin/program is damaged (not a dynamic executable)",
        ),
        ({TIMEOUT: (127, "", "no loader\n")}, {}, "bin/program does not start (no loader)"),
        ({TIMEOUT: (124, "", "")}, {}, "bin/program does not start (124)"),
        # Some answer with an exit code of their own.
        ({TIMEOUT: (1, "1.0\n", "")}, {}, ""),
    ],
)
def test_a_build_is_made_again_for_a_reason_alone(make_build, built, answers, params, why):
    assert make_build(answers, **params).difference(built, params.get("inputs", INPUTS)) == why
    there, told = make_build(answers, **params).inspect()
    assert there == ("" if why else built)
    # None is active, so there is nothing to compare with.
    assert told == ("nothing is built yet" if why else "")


def test_the_active_build_says_why_another_is_needed(make_build, built):
    make_build().builds.activate(built)
    build = make_build(inputs={**INPUTS, "flags": "-O3"})
    assert build.inspect() == ("", "flags changed")


def test_an_object_that_is_missing(make_build, built, tmp_path):
    (tmp_path / "opt/program.builds" / built / "lib/plugin.so").unlink()
    assert make_build().difference(built, INPUTS) == "lib/plugin.so is missing"


def test_a_build_without_a_stamp_is_none(make_build, built, tmp_path):
    """As after a power cut."""
    (tmp_path / "opt/program.builds" / built / "built-from").write_text("")
    assert make_build().inspect() == ("", "nothing is built yet")


def test_what_was_compiled_and_can_not_run_is_not_kept(make_build, failure, tmp_path):
    (tmp_path / "cache/stage/bin").mkdir(parents=True)
    build = make_build()
    with pytest.raises(failure) as end:
        build.keep()
    assert end.value.args[0] == (
        "program 1.0 was compiled, but bin/program is missing. What ran before still runs, untouched."
    )
    assert os.listdir(tmp_path / "opt/program.builds") == []


def test_what_takes_the_place_of_a_damaged_build_proves_itself_anew(make_build, built, tmp_path):
    builds = make_build().builds
    builds.activate(built)
    builds.mark_known_good(built)
    make_build().keep()
    assert builds.known_good() == []
    assert sorted(os.listdir(builds.path)) == [built, "desired", "known_good"]


@pytest.mark.parametrize(
    ("what", "sentence"),
    [("folder", "is there and no link to a build"), ("read-only", "can't be written to")],
)
def test_a_link_that_can_not_be_made(make_build, failure, tmp_path, monkeypatch, what, sentence):
    if what == "folder":
        (tmp_path / "opt/program").mkdir(parents=True)
    else:
        monkeypatch.setattr("os.access", lambda *_: False)
    with pytest.raises(failure, match=sentence):
        make_build().inspect()


@pytest.mark.parametrize(
    ("result", "log", "sentence"),
    [
        (
            "exit-code",
            ["cc: No space left on device"],
            "The disk ran full while program was compiled",
        ),
        (
            "oom-kill",
            [],
            "The build of program was killed (oom-kill), most likely for lack of memory",
        ),
        ("exit-code", ["cc1: Killed"], "The build of program was killed (exit-code)"),
        (
            "exit-code",
            ["a.c:1:2: error: no such thing", "make: *** [a.o] Error 1", "end"],
            "program 1.0 can't be compiled (a.c:1:2: error: no such thing): `journalctl -u program-build.service`",
        ),
        ("exit-code", ["strange", "end"], "program 1.0 can't be compiled (end)"),
        ("exit-code", [], "program 1.0 can't be compiled (no output)"),
    ],
)
def test_why_a_build_failed(make_build, failure, tmp_path, result, log, sentence):
    (tmp_path / "cache/tree").mkdir(parents=True)
    with pytest.raises(failure) as end:
        make_build({"systemctl": (0, "", "")}).explain({"Result": result}, log)
    assert end.value.args[0].startswith(sentence)
    assert end.value.args[0].endswith("What ran before still runs, untouched.")
    # It may be what fills the disk.
    assert not (tmp_path / "cache/tree").exists()


def test_a_full_disk_is_told_before_the_build(make_build, failure):
    with pytest.raises(
        failure, match=r"MiB are free on /var/cache, and building program needs 999999999 MiB"
    ):
        make_build(free_mib=999999999).begin()


def test_names_and_contents_of_a_tree_count(tmp_path):
    assert tree_checksum(tmp_path) == ""
    (tmp_path / "a").write_text("1")
    one = tree_checksum(tmp_path)
    (tmp_path / "a").rename(tmp_path / "b")
    other = tree_checksum(tmp_path)
    (tmp_path / "b").write_text("2")
    assert len({one, other, tree_checksum(tmp_path)}) == 3
