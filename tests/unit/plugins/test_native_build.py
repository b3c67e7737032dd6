# SPDX-License-Identifier: MIT
"""When a program is built again, and what is said when it can't be."""

import json
import os
from pathlib import Path
from types import SimpleNamespace

import pytest

from plugins.module_utils.prebuilt import pack
from plugins.modules import native_build
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
                "stamp": {},
                **params,
            },
        )
        build = Build(module)
        build.cache = str(tmp_path / "cache")
        build.script = str(tmp_path / "build.sh")
        return build

    return make


@pytest.fixture
def compiled(tmp_path):
    """What the script has put into place."""
    stage = tmp_path / "cache/stage"
    for name in ("bin/program", "lib/plugin.so"):
        path = stage / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("#!/bin/sh\n")
        path.chmod(0o4755)
    return stage


@pytest.fixture
def built(compiled, make_build):
    """A build that was finished."""
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
        (
            {
                LDD: (
                    0,
                    "libc.so.6 => /lib/libc.so.6\n",
                    "p: /lib/libc.so.6: version `GLIBC_2.99' not found (by p)",
                )
            },
            {},
            "bin/program needs GLIBC_2.99 of /lib/libc.so.6, which is too old for it",
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
        ("exit-code", ["strange", "more", "end"], "program 1.0 can't be compiled (end)"),
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


def test_a_build_begins_with_nothing_of_the_last_one(make_build, monkeypatch, tmp_path):
    for name in ("tree", "stage", "destination"):
        (tmp_path / "cache" / name).mkdir(parents=True)
    monkeypatch.setattr("shutil.disk_usage", lambda _: SimpleNamespace(free=700 * 2**20))
    build = make_build(
        {"systemctl": (5, "", "not loaded"), "systemd-run": (0, "", "")},
        free_mib=700,
        script="make install\n",
        environment={"JOBS": 2},
    )
    build.begin()
    assert os.listdir(tmp_path / "cache") == []
    assert (tmp_path / "build.sh").read_text() == "make install\n"
    *before, begun = [
        " ".join(command) for command in build.module.commands if command[0].startswith("system")
    ]
    assert before == [
        "systemctl stop program-build.service",
        "systemctl reset-failed program-build.service",
    ]
    assert begun.endswith(f" --setenv=JOBS=2 /bin/sh {tmp_path}/build.sh")
    # It can neither reach out nor reach what belongs to others.
    for option in ("DynamicUser", "PrivateNetwork", "ProtectHome", "NoNewPrivileges"):
        assert f" --property={option}=yes " in begun


def test_a_build_that_can_not_be_started(make_build, failure):
    answers = {"systemctl": (0, "", ""), "systemd-run": (1, "", "Access denied\n")}
    build = make_build(answers, script="", environment={})
    with pytest.raises(failure, match=r"The build of program can't be started: Access denied"):
        build.begin()


@pytest.fixture
def unit_of(make_build):
    """A build whose unit is in this state, and wrote this."""

    def make(state="", log="cc a.c\ncc b.c\n", **properties):
        active, _, sub = state.partition("/")
        shown = {
            "ActiveState": active,
            "SubState": sub,
            "Result": "success",
            "InactiveExitTimestamp": "@1800000000",
            "LoadState": "loaded",
            "Description": make_build().description(),
            **properties,
        }
        text = "\n".join(f"{name}={value}" for name, value in shown.items())
        return make_build(
            {
                "systemctl show": (0, text, ""),
                "systemctl": (0, "", ""),
                "journalctl --sync": (0, "", ""),
                "journalctl --output": (0, log, ""),
            }
        )

    return make


@pytest.mark.parametrize("state", ["activating/start", "active/running"])
@pytest.mark.parametrize(("log", "line"), [("cc a.c\ncc b.c\n", "cc b.c"), ("", "")])
def test_a_build_that_goes_on_tells_its_last_line(unit_of, state, log, line):
    assert unit_of(state, log).finish() == (False, line)


def test_a_build_that_has_not_begun_to_write_has_no_log(unit_of):
    build = unit_of("activating/start", InactiveExitTimestamp="")
    assert build.finish() == (False, "")


@pytest.mark.parametrize(("log", "line"), [("cc b.c\n", "cc b.c"), ("", "")])
def test_a_build_that_is_through_is_kept_and_leaves_nothing_behind(
    unit_of, compiled, tmp_path, log, line
):
    build = unit_of("active/exited", log)
    assert build.finish() == (True, line)
    assert build.builds.desired() in build.builds.names()
    assert not compiled.exists()
    assert build.module.commands[-1] == ["systemctl", "stop", "program-build.service"]


def test_a_build_that_can_not_be_kept_leaves_nothing_behind_either(
    unit_of, compiled, failure, tmp_path
):
    (compiled / "bin/program").unlink()
    build = unit_of("active/exited")
    with pytest.raises(failure, match=r"bin/program is missing"):
        build.finish()
    assert not compiled.exists()
    assert build.module.commands[-1] == ["systemctl", "stop", "program-build.service"]


@pytest.mark.parametrize(
    ("state", "properties", "sentence"),
    [
        (
            "active/running",
            {"Description": "program 2.0 4f"},
            "Another play builds program 2.0 4f on this device",
        ),
        (
            "inactive/dead",
            {"LoadState": "not-found", "Description": "program-build.service"},
            "The build of program was ended before it was through: run the play again.",
        ),
        ("failed/failed", {"Result": "oom-kill"}, "The build of program was killed (oom-kill)"),
        ("failed/failed", {"Result": "signal"}, "The build of program was killed (signal)"),
        ("failed/failed", {"Result": "exit-code"}, "program 1.0 can't be compiled (cc b.c)"),
    ],
)
def test_why_no_build_came_of_it(unit_of, failure, state, properties, sentence):
    with pytest.raises(failure) as end:
        unit_of(state, **properties).finish()
    assert end.value.args[0].startswith(sentence)


def test_a_journal_that_is_late_is_waited_for(unit_of, failure):
    build = unit_of("failed/failed", Result="exit-code")
    with pytest.raises(failure):
        build.finish()
    journal = [command[1] for command in build.module.commands if command[0] == "journalctl"]
    assert journal[-2:] == ["--sync", "--output=cat"]


def test_the_end_of_the_log_comes_with_the_error(make_build, failure):
    log = [f"line {number}" for number in range(30)]
    build = make_build({"systemctl": (0, "", "")})
    with pytest.raises(failure) as end:
        build.explain({"Result": "exit-code"}, log)
    assert end.value.args[1].stdout_lines == log[10:]
    assert build.module.commands[-1][1] == "reset-failed"


def test_what_can_not_be_put_into_place_is_no_build(make_build, compiled, failure, tmp_path):
    os.mkfifo(compiled / "bin/pipe")
    with pytest.raises(failure, match=r"program can't be put into .*/bin/pipe. is a named pipe"):
        make_build().keep()
    assert os.listdir(tmp_path / "opt/program.builds") == []


def test_what_is_kept_can_be_read_and_what_is_a_link_stays_one(make_build, compiled):
    (compiled / "readme").write_text("")
    (compiled / "readme").chmod(0o600)
    (compiled / "lib/plugin.so.1").symlink_to("/nowhere/plugin.so")
    builds = make_build().builds
    make_build().keep()
    folder = Path(builds.build(builds.desired()))
    assert (folder / "readme").stat().st_mode & 0o7777 == 0o644
    assert (folder / "bin").stat().st_mode & 0o7777 == 0o755
    assert os.readlink(folder / "lib/plugin.so.1") == "/nowhere/plugin.so"


def test_what_an_interrupted_play_left_is_in_nobodys_way(make_build, built, compiled, tmp_path):
    for end in ("new", "old"):
        (tmp_path / f"opt/program.builds/{built}.{end}/bin").mkdir(parents=True)
    make_build().keep()
    assert sorted(os.listdir(tmp_path / "opt/program.builds")) == [built, "desired"]


def test_apt_keeps_the_libraries_of_a_build(make_build, compiled, tmp_path):
    owners = "libssl3t64:amd64: /usr/lib/libssl.so.3\nlibc6:amd64: /usr/lib/libc.so.6\n"
    build = make_build(
        {
            LDD: (0, "linux-vdso.so.1 (0x7f)\nlibc.so.6 => /no/libc.so.6 (0x7f)\n", ""),
            "dpkg-query --search": (0, owners, ""),
            "apt-mark": (0, "", ""),
        }
    )
    build.keep()
    assert ["dpkg-query", "--search", "/no/libc.so.6"] in build.module.commands
    assert build.module.commands[-1] == [
        "apt-mark",
        "manual",
        "libc6:amd64",
        "libssl3t64:amd64",
    ]


def test_what_needs_no_library_of_a_package_holds_none(make_build, compiled):
    build = make_build({LDD: (0, "statically linked\n", "")})
    build.keep()
    assert not [command for command in build.module.commands if command[0] == "apt-mark"]


# --- A build that was made elsewhere ---


@pytest.fixture
def make_brought(make_build, compiled, tmp_path):
    """A build that is to be brought, and what its maker knows of it."""
    stamp = {"inputs": INPUTS, "compiler": "12.2.0", "libraries": "libssl4"}
    facts = {**stamp, "name": "program", "build": "1.0-4f", "suite": "trixie"}
    facts |= {"architecture": "x86_64", "packages": {}}
    tarball = tmp_path / "program.tar.xz"
    tarball.write_bytes(pack(compiled, facts))
    return lambda answers=(), **params: make_build(
        answers, **{"prebuilt": str(tarball), "links": {}, "stamp": stamp, **params}
    )


def test_a_build_that_was_made_elsewhere_is_kept_and_found_again(make_brought, make_build):
    assert make_brought().inspect() == ("", "it is not there yet")
    build = make_brought()
    build.bring()
    name = build.builds.desired()
    assert build.builds.stamp(name) == build.wish["stamp"]
    assert sorted(os.listdir(build.builds.path)) == [name, "desired"]
    assert os.stat(build.builds.build(f"{name}/bin/program")).st_mode & 0o7777 == 0o755
    # It was compiled by another compiler.
    assert make_brought().inspect() == (name, "")
    assert make_build().difference(name, INPUTS) == "compiler changed"


def test_a_build_of_the_same_inputs_is_not_the_very_build(make_brought, built):
    assert make_brought().inspect() == ("", "it is not there yet")


def test_what_was_brought_and_lacks_a_library_is_brought_again(make_brought):
    make_brought().bring()
    lost = {LDD: (0, "libssl.so.3 => not found\n", "")}
    assert make_brought(lost).inspect() == ("", "bin/program needs libssl.so.3, which is gone")


def test_what_was_brought_and_can_not_run_is_not_kept(make_brought, failure):
    build = make_brought({TIMEOUT: (127, "", "no loader\n")})
    with pytest.raises(failure) as end:
        build.bring()
    assert end.value.args[0] == (
        "program 1.0 was brought, but bin/program does not start (no loader). What ran before still runs, untouched."
    )
    assert os.listdir(build.builds.path) == []


def test_what_did_not_come_as_it_was_sent(make_brought, failure, tmp_path):
    build = make_brought()
    tarball = tmp_path / "program.tar.xz"
    tarball.write_bytes(tarball.read_bytes()[:-1])
    with pytest.raises(
        failure, match="program_prebuilt did not come as it was sent: it is cut off"
    ):
        build.bring()
    assert not os.path.exists(build.builds.path)


def test_what_there_is_no_room_for_leaves_nothing_behind(make_brought, failure, monkeypatch):
    def fill_the_disk(self, folder):
        os.mkdir(folder)
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("plugins.module_utils.prebuilt.Prebuilt.unpack", fill_the_disk)
    build = make_brought()
    with pytest.raises(
        failure, match=r"program can't be put into .* \(.*No space left on device\)"
    ):
        build.bring()
    assert os.listdir(build.builds.path) == []


def test_a_build_of_another_source_than_the_device_has(make_brought, failure, tmp_path):
    """Which only the device could know, such as headers of a program that was compiled there."""
    (tmp_path / "headers").mkdir()
    trees = [str(tmp_path / "headers")]
    # What is not there can't be compared.
    assert make_brought(trees=trees).inspect() == ("", "it is not there yet")
    (tmp_path / "headers/a.h").write_text("")
    sentence = f"program_prebuilt is no build of what this device has in {trees[0]}: make it again"
    with pytest.raises(failure) as end:
        make_brought(trees=trees).inspect()
    assert end.value.args[0].startswith(sentence)
    same = {"inputs": {**INPUTS, trees[0]: tree_checksum(trees[0])}}
    assert make_brought(trees=trees, stamp=same).inspect() == ("", "it is not there yet")


# --- The module whole ---


@pytest.fixture
def run_build(run_module, monkeypatch, tmp_path):
    """Runs the module with as little as it may be given."""
    monkeypatch.setattr(
        native_build.Build, "begin", lambda self: tmp_path.joinpath("begun").touch()
    )
    monkeypatch.setattr(native_build.Build, "finish", lambda self: (False, "cc a.c"))
    monkeypatch.setattr(
        native_build.Build, "bring", lambda self: tmp_path.joinpath("brought").touch()
    )
    monkeypatch.setattr("shutil.which", lambda name: None)

    def run(state, check_mode=False, without=""):
        given = {
            "state": state,
            "name": "program",
            "link": str(tmp_path / "opt/program"),
            "label": "1.0",
            "inputs": {"flags": "-O2"},
            "packages": ["libssl-dev"],
            "objects": ["bin/program"],
            "program": "bin/program",
        }
        given = {name: value for name, value in given.items() if name != without}
        return run_module(native_build, check_mode, **given)

    return run


def test_a_build_that_is_needed(run_build):
    answer = run_build("inspected")
    assert (answer["changed"], answer["needed"]) == (False, True)
    assert answer["why"] == "nothing is built yet"


def test_a_build_that_is_there_is_asked_for(run_build, tmp_path):
    folder = tmp_path / "opt/program.builds/1"
    (folder / "bin").mkdir(parents=True)
    (folder / "bin/program").touch()
    stamp = {"inputs": {"flags": "-O2"}, "compiler": "", "libraries": ""}
    (folder / "built-from").write_text(json.dumps(stamp))
    for changed in (True, False):
        answer = run_build("inspected")
        assert (answer["changed"], answer["needed"], answer["why"]) == (changed, False, "")
    assert os.readlink(tmp_path / "opt/program.builds/desired") == "1"


def test_former_names_are_a_change(run_build, tmp_path):
    (tmp_path / "opt/program.builds").mkdir(parents=True)
    (tmp_path / "opt/program.builds/wanted").symlink_to("1")
    assert run_build("inspected")["changed"]


def test_a_build_is_begun_and_looked_after(run_build, tmp_path):
    answer = run_build("begun")
    assert (answer["changed"], answer["needed"]) == (True, True)
    assert (tmp_path / "begun").exists()
    answer = run_build("finished")
    assert (answer["changed"], answer["needed"], answer["done"]) == (False, True, False)
    assert answer["progress"] == "cc a.c"


def test_check_mode_builds_nothing_and_waits_for_nothing(run_build, tmp_path):
    answer = run_build("begun", True)
    assert (answer["changed"], answer["needed"]) == (True, True)
    assert not (tmp_path / "begun").exists()
    answer = run_build("finished", True)
    assert (answer["changed"], answer["needed"], answer["done"]) == (True, False, True)


def test_a_build_is_brought_unless_in_check_mode(run_build, tmp_path):
    for check_mode in (True, False):
        answer = run_build("brought", check_mode)
        assert (answer["changed"], answer["needed"]) == (True, False)
        assert (tmp_path / "brought").exists() is not check_mode


@pytest.mark.parametrize(
    "name",
    ["state", "name", "link", "label", "inputs", "packages", "objects", "program"],
)
def test_what_the_module_has_to_be_given(run_build, name):
    assert run_build("inspected", without=name)["msg"] == f"missing required arguments: {name}"


def test_names_and_contents_of_a_tree_count(tmp_path):
    assert tree_checksum(tmp_path) == ""
    (tmp_path / "a").write_text("1")
    one = tree_checksum(tmp_path)
    (tmp_path / "a").rename(tmp_path / "b")
    other = tree_checksum(tmp_path)
    (tmp_path / "b").write_text("2")
    assert len({one, other, tree_checksum(tmp_path)}) == 3


def test_a_tree_may_be_a_folder_of_folders(tmp_path):
    """Where a file lies counts, and not in which order the file system has it."""
    sums = set()
    for names in (["a/x", "b/y"], ["b/y", "a/x"], ["a/y", "b/x"]):
        folder = tmp_path / "-".join(names).replace("/", "")
        for name in names:
            (folder / name).parent.mkdir(parents=True)
            (folder / name).write_text("same")
        sums.add(tree_checksum(folder))
    assert len(sums) == 2
