# SPDX-License-Identifier: MIT
"""Builds as tarballs: what goes out comes in, and nothing else does."""

import base64
import hashlib
import importlib
import io
import json
import lzma
import os
import random
import stat
import tarfile
from contextlib import suppress
from types import SimpleNamespace

import pytest

from plugins.module_utils import prebuilt
from plugins.module_utils.prebuilt import Refused, files_checksum, pack, read
from plugins.modules import packed_build
from plugins.modules.native_build import tree_checksum
from plugins.modules.packed_build import Packed

# The beginning of a program for x86_64, and for aarch64.
ELF = b"\x7fELF" + bytes(14) + b"\x3e\x00"
ARM_ELF = b"\x7fELF" + bytes(14) + b"\xb7\x00"
FACTS = {
    "name": "program",
    "build": "1.0-4f",
    "suite": "trixie",
    "architecture": "x86_64",
    "inputs": {"source": "upstream 4f", "flags": "-O2"},
    "compiler": "14.2.0",
    "libraries": "libssl3t64",
    "packages": {"libssl3t64": "3.5.4-1"},
}


@pytest.fixture
def folder(tmp_path):
    """A build."""
    folder = tmp_path / "build"
    for path, content in {
        "bin/program": ELF + b"program",
        "include/program/a.h": b"int a;",
        "include/program/more/b.h": b"int b;",
        "lib/plugin.so.1": ELF + b"plugin",
        "lib-more/readme": b"",
    }.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(content)
    (folder / "bin/program").chmod(0o4750)
    (folder / "lib/plugin.so").symlink_to("plugin.so.1")
    (folder / "empty").mkdir()
    (folder / "built-from").write_text("{}")
    return folder


@pytest.fixture
def write(tmp_path):
    """Writes a tarball; returns its path."""

    def write(content, name="changed.tar.xz"):
        path = tmp_path / name
        path.write_bytes(content)
        return path

    return write


@pytest.fixture
def tarball(folder, write):
    return write(pack(folder, FACTS, "built-from"), "whole.tar.xz")


def changed(tarball, write, change=lambda members: None, manifest=None, form=tarfile.GNU_FORMAT):
    """The tarball when somebody has changed headers and contents by name, or keys of its manifest."""
    with tarfile.open(tarball) as tar:
        members = {
            member.name: [member, tar.extractfile(member).read() if member.isreg() else b""]
            for member in tar
        }
    told = {**json.loads(members["manifest.json"][1]), **(manifest or {})}
    members["manifest.json"][1] = json.dumps(told).encode()
    change(members)
    text = io.BytesIO()
    with tarfile.open(fileobj=text, mode="w", format=form) as tar:
        for member, content in members.values():
            if member.isreg():
                member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return write(lzma.compress(text.getvalue()))


def refusal(path, **options):
    with pytest.raises(Refused) as refused:
        read(path, **options)
    return str(refused.value)


# --- Out, and in again ---


def test_what_goes_out_comes_in(folder, tarball, tmp_path):
    build = read(tarball)
    assert build.stamp == {key: FACTS[key] for key in ("inputs", "compiler", "libraries")}
    build.unpack(tmp_path / "there")
    (folder / "built-from").unlink()
    found = {}
    for place in (folder, tmp_path / "there"):
        found[place] = {
            str(path.relative_to(place)): os.readlink(path)
            if path.is_symlink()
            else path.read_bytes()
            if path.is_file()
            else "folder"
            for path in place.rglob("*")
        }
    assert found[folder] == found[tmp_path / "there"]
    assert stat.S_IMODE((tmp_path / "there/bin/program").stat().st_mode) & 0o4111 == 0o111
    assert not (tmp_path / "there/lib/plugin.so.1").stat().st_mode & 0o111


def test_the_same_build_is_the_same_tarball(folder, tmp_path):
    first = pack(folder, FACTS, "built-from")
    other = tmp_path / "other"
    other.mkdir()
    # In another order, at another time.
    for path in reversed(sorted(folder.rglob("*"))):
        if path.is_file() and not path.is_symlink():
            (other / path.relative_to(folder)).parent.mkdir(parents=True, exist_ok=True)
            (other / path.relative_to(folder)).write_bytes(path.read_bytes())
            os.utime(other / path.relative_to(folder), (0, 0))
    (other / "bin/program").chmod(0o700)
    (other / "lib/plugin.so").symlink_to("plugin.so.1")
    (other / "empty").mkdir()
    assert pack(other, FACTS, "built-from") == first


def test_a_build_of_something_else_than_files_is_not_packed(folder):
    os.mkfifo(folder / "lib/pipe")
    with pytest.raises(Refused, match="lib/pipe is neither file, folder nor link"):
        pack(folder, FACTS)


@pytest.mark.parametrize("tree", ["include", "include/program", "include/program/more"])
def test_a_checksum_is_that_of_the_folder_on_the_device(folder, tarball, tree):
    assert read(tarball).tree_checksum(tree) == tree_checksum(folder / tree)


def test_no_file_has_no_checksum(folder, tarball):
    assert read(tarball).tree_checksum("nowhere") == tree_checksum(folder / "empty") == ""


def test_the_checksums_of_builds_that_are_there_are_as_they_were():
    """Else each device would compile again."""
    names = ["a/b", "a/b/c", "a-b/c", "b", "a/a"]
    digests = {name: hashlib.sha256(name.encode()).digest() for name in names}
    digest = hashlib.sha256()
    for name in ("b", "a/a", "a/b", "a/b/c", "a-b/c"):
        digest.update(name.encode() + b"\0" + digests[name])
    assert files_checksum(digests) == digest.hexdigest()


# --- Refused ---


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", "it is empty: make it again with playbooks/prebuilt.yml."),
        (b"janus\n" * 100, "it is no tarball, or damaged (Input format not supported by decoder)"),
        (lzma.compress(b"janus\n" * 1000), "it is no tarball, or damaged ("),
        (lzma.compress(b""), "it is no tarball, or damaged (empty file)"),
        (lzma.compress(b"", lzma.FORMAT_ALONE), "it is no tarball, or damaged ("),
    ],
    ids=["empty", "text", "text, packed", "nothing, packed", "of another packer"],
)
def test_what_is_no_tarball(write, content, sentence):
    assert refusal(write(content)).startswith(sentence)


def test_what_is_too_large(write, tarball, monkeypatch):
    size = tarball.stat().st_size
    monkeypatch.setattr(prebuilt, "MOST_BYTES", size)
    # Packed it is not, but unpacked.
    assert "when unpacked, more than any build" in refusal(tarball)
    monkeypatch.setattr(prebuilt, "MOST_BYTES", size - 1)
    assert "MiB, more than any build" in refusal(tarball)


def test_what_takes_too_much_memory_to_unpack(tarball, monkeypatch):
    monkeypatch.setattr(prebuilt, "MOST_UNPACKER_BYTES", 2**20)
    assert "(Memory usage limit exceeded)" in refusal(tarball)


def test_a_bomb_is_not_unpacked(write, monkeypatch):
    monkeypatch.setattr(prebuilt, "MOST_BYTES", 2**20)
    bomb = lzma.compress(bytes(2**23), preset=0)
    assert len(bomb) < 2**12
    assert refusal(write(bomb)).startswith("it has more than 1 MiB when unpacked, more than any")


def test_what_is_cut_off_or_longer_than_it_was(write, tarball):
    whole = tarball.read_bytes()
    assert refusal(write(whole[:-1])).startswith("it is cut off")
    assert refusal(write(whole[: len(whole) // 2])).startswith("it is cut off")
    assert refusal(write(whole + b"more")).startswith("something follows its end")
    assert refusal(write(whole + whole)).startswith("something follows its end")
    middle = len(whole) // 2
    turned = bytes([whole[middle] ^ 1])
    assert refusal(write(whole[:middle] + turned + whole[middle + 1 :])).startswith("it is no tar")


def test_what_is_not_there_or_can_not_be_read(tmp_path, tarball, monkeypatch):
    assert refusal(tmp_path / "nothing").startswith("there is no such file on the controller")
    assert refusal(tmp_path).startswith("it is no file")
    os.mkfifo(tmp_path / "pipe")
    assert refusal(tmp_path / "pipe").startswith("it is no file")
    # Root may read everything.
    monkeypatch.setitem(
        prebuilt.__dict__, "open", lambda *_: (_ for _ in ()).throw(PermissionError(13, "Denied"))
    )
    assert refusal(tarball).startswith("it can't be read (Denied)")


def member(name, kind=tarfile.REGTYPE, mode=0o644, target="", size=0):
    header = tarfile.TarInfo(name)
    header.type, header.mode, header.linkname, header.size = kind, mode, target, size
    return header


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("build/../etc/passwd", "it has the path 'build/../etc/passwd', which is outside of"),
        ("/etc/passwd", "it has the path '/etc/passwd', which is outside"),
        ("build//etc/passwd", "it has the path 'build//etc/passwd', which is outside"),
        ("build/./a", "it has the path 'build/./a', which is outside"),
        ("etc/passwd", "it has the path 'etc/passwd', which is outside"),
        ("build", "it has the path 'build', which is outside"),
        ("build/a\nb", "it has the path 'build/a\\nb', which is outside"),
        ("build/bin/more", "its manifest does not list 'bin/more'"),
        ("build/nowhere/more", "'nowhere/more' in it is in no folder of it"),
        ("build/lib/plugin.so/more", "'lib/plugin.so/more' in it is in no folder of it"),
    ],
)
def test_a_file_too_many(tarball, write, name, sentence):
    def add(members):
        members[name] = [member(name), b"more"]

    assert refusal(changed(tarball, write, add)).startswith(sentence)


@pytest.mark.parametrize(
    ("target", "sentence"),
    [
        ("/etc/shadow", "leads to '/etc/shadow', out of the build"),
        ("../../etc/shadow", "leads to '../../etc/shadow', out of the build"),
        ("..", "leads to '..', out of the build"),
        ("", "leads to '', out of the build"),
        # As the kernel sees it, after a link, a .. is not what it seems.
        ("plugin.so/../../../etc", "leads to 'plugin.so/../../../etc', out of the build"),
        ("more/..", "leads to 'more/..', out of the build"),
        ("../bin/program", "'lib/plugin.so' in it is not as its manifest says"),
    ],
)
def test_where_links_lead(tarball, write, target, sentence):
    def turn(members):
        members["build/lib/plugin.so"][0].linkname = target

    assert sentence in refusal(changed(tarball, write, turn))


def test_a_link_may_lead_where_its_build_is_to_have_it(folder, write):
    (folder / "bin/program").unlink()
    (folder / "bin/program").symlink_to("/usr/bin/program")
    path = write(pack(folder, FACTS, "built-from"))
    assert read(path, outward={"bin/program": "/usr/bin/program"}).manifest["links"]["bin/program"]
    for links in ({}, {"bin/program": "/usr/bin/other"}, {"bin/other": "/usr/bin/program"}):
        assert "out of the build" in refusal(path, outward=links)


@pytest.mark.parametrize(
    "kind",
    [
        tarfile.CHRTYPE,
        tarfile.BLKTYPE,
        tarfile.FIFOTYPE,
        tarfile.LNKTYPE,
        tarfile.CONTTYPE,
        b"V",
    ],
)
def test_what_is_neither_file_folder_nor_link(tarball, write, kind):
    def add(members):
        members["build/odd"] = [member("build/odd", kind, target="manifest.json"), b""]

    assert refusal(changed(tarball, write, add)).startswith("'odd' in it is neither file")


def test_a_file_that_only_claims_to_be_large(tarball, write):
    """A sparse file of the standard's newer format: a terabyte of nothing."""

    def swell(members):
        header = members["build/lib-more/readme"][0]
        header.pax_headers = {
            "GNU.sparse.major": "0",
            "GNU.sparse.minor": "1",
            "GNU.sparse.name": header.name,
            "GNU.sparse.size": str(2**40),
            "GNU.sparse.numblocks": "1",
            "GNU.sparse.map": "0,0",
        }

    path = changed(tarball, write, swell, form=tarfile.PAX_FORMAT)
    assert refusal(path).startswith("'lib-more/readme' in it is neither file, folder nor link")


def test_headers_that_confuse_a_reader_are_refused(tarball, write):
    """A size that leads backwards, headers of headers without end, and what comes of it when bits turn."""

    text = lzma.decompress(tarball.read_bytes())
    with tarfile.open(tarball) as tar:
        tar.next()
        begin = tar.next().offset
    backwards = member("build/again", size=-1024).tobuf(tarfile.GNU_FORMAT)
    assert refusal(write(lzma.compress(text[:begin] + backwards + text[begin:])))
    endless = member("x", b"x").tobuf(tarfile.USTAR_FORMAT) * 2000
    assert refusal(write(lzma.compress(endless))).startswith("it is no tarball, or damaged (")

    chance = random.Random(1)
    for _ in range(200):
        broken = bytearray(text)
        for _ in range(chance.choice([1, 1, 2, 20])):
            broken[chance.randrange(len(broken))] = chance.randrange(256)
        # What is no part of a file may be anything.
        with suppress(Refused):
            build = read(write(lzma.compress(broken, preset=0)))
            assert build.files.keys() == read(tarball).files.keys()
            assert {*build.files.values()} == {*read(tarball).files.values()}


@pytest.mark.parametrize("mode", [0o4755, 0o2755, 0o1755, 0o777, 0o666, 0])
def test_modes(tarball, write, mode):
    def turn(members):
        members["build/bin/program"][0].mode = mode

    assert refusal(changed(tarball, write, turn)).startswith(
        f"'bin/program' in it has the mode {mode:04o}, which no build has"
    )


def test_what_was_tampered_with(tarball, write):
    def turn(members):
        members["build/bin/program"][1] += b"more"

    def mode(members):
        members["build/lib/plugin.so.1"][0].mode = 0o755

    for change, path in ((turn, "bin/program"), (mode, "lib/plugin.so.1")):
        tampered = changed(tarball, write, change)
        assert refusal(tampered).startswith(f"'{path}' in it is not as its manifest says")


@pytest.mark.parametrize("path", ["bin/program", "lib/plugin.so", "empty"])
def test_what_is_missing(tarball, write, path):
    lacking = changed(tarball, write, lambda members: members.pop(f"build/{path}"))
    assert refusal(lacking).startswith(f"'{path}' is missing in it")


def test_what_is_in_it_twice(tarball, write):
    def add(members):
        members["again"] = [member("build/bin/program"), b"more"]

    assert refusal(changed(tarball, write, add)).startswith("it has 'build/bin/program' twice")


def test_a_program_for_another_processor_than_its_manifest_says(folder, write):
    (folder / "bin/program").write_bytes(ARM_ELF)
    sentence = "'bin/program' in it is for aarch64, and its manifest says otherwise"
    assert refusal(write(pack(folder, FACTS))).startswith(sentence)
    (folder / "lib/plugin.so.1").unlink()
    assert read(write(pack(folder, {**FACTS, "architecture": "aarch64"})))


def test_a_tarball_without_a_manifest(tarball, write):
    def turn(members):
        members["manifest.json"][0].name = "build/manifest.json"

    assert refusal(changed(tarball, write, turn)).startswith("it has no manifest.json, so it is no")


@pytest.mark.parametrize(
    "text",
    [b"", b"{", b"[]", b"{}", b'"a"', b"1", b"\xff", b"[" * 100000],
)
def test_a_manifest_that_is_none(tarball, write, text):
    path = changed(tarball, write)
    with tarfile.open(path) as tar:
        assert tar.next().name == "manifest.json"
    header, content = io.BytesIO(), text
    with tarfile.open(fileobj=header, mode="w") as tar:
        manifest = member("manifest.json")
        manifest.size = len(content)
        tar.addfile(manifest, io.BytesIO(content))
    sentence = refusal(write(lzma.compress(header.getvalue())))
    assert sentence.startswith("its manifest.json can't be read")


@pytest.mark.parametrize(
    ("manifest", "sentence"),
    [
        ({"format": 2}, "it was made by another version of this project"),
        ({"format": True}, "its manifest.json can't be read (format)"),
        ({"inputs": []}, "its manifest.json can't be read (inputs)"),
        ({"inputs": {"flags": 2}}, "its manifest.json can't be read (something is no text)"),
        ({"folders": [[]]}, "its manifest.json can't be read (something is no text)"),
        ({"compiler": None}, "its manifest.json can't be read (compiler)"),
        ({"packages": {"-o": "1"}}, "its manifest.json names '-o', which is no package"),
        ({"packages": {"a=1": "1"}}, "its manifest.json names 'a=1', which is no package"),
        ({"files": {}}, "its manifest does not list 'bin/program'"),
    ],
)
def test_what_a_manifest_must_hold(tarball, write, manifest, sentence):
    assert refusal(changed(tarball, write, manifest=manifest)).startswith(sentence)


def test_what_a_stranger_wrote_does_not_fill_the_screen(tarball, write):
    def add(members):
        members["long"] = [member("x" * 100000), b""]

    assert len(refusal(changed(tarball, write, add))) < 600


# --- For which device, and of what ---

OBJECTS = ["bin/program", "lib/plugin.so"]


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        (
            ("aarch64", "trixie"),
            "it was made for the architecture x86_64, and this device has aarch64: name one that was made for aarch64.",
        ),
        (
            ("x86_64", "bookworm"),
            "it was made for the Debian suite trixie, and this device has bookworm: name one",
        ),
    ],
)
def test_a_build_for_another_device(tarball, given, sentence):
    with pytest.raises(Refused) as refused:
        read(tarball).check_device(*given)
    assert str(refused.value).startswith(sentence)


def test_a_build_for_this_device(tarball):
    read(tarball).check_device("x86_64", "trixie")


def test_a_build_of_another_program(folder, write):
    """Told first: what else is odd about it, such as a link, follows from that."""
    (folder / "lib/plugin.so").unlink()
    (folder / "lib/plugin.so").symlink_to("/usr/lib/plugin.so")
    path = write(pack(folder, FACTS))
    assert refusal(path, name="other") == (
        "it is a build of 'program', not of other: name the tarball of other there."
    )
    assert "out of the build" in refusal(path, name="program")


def test_a_build_that_lacks_a_program(tarball):
    read(tarball).check_objects(OBJECTS)
    with pytest.raises(Refused, match="it has no bin/encoder: make it again"):
        read(tarball).check_objects([*OBJECTS, "bin/encoder"])


def test_a_build_of_the_same(tarball):
    read(tarball).check_inputs(FACTS["inputs"])
    read(tarball).check_inputs({**FACTS["inputs"], "flags": None})
    # What is empty, and what is not there, is the same: a folder that is not.
    read(tarball).check_inputs({**FACTS["inputs"], "/usr/src": ""})


@pytest.mark.parametrize(
    ("inputs", "sentence"),
    [
        ({"flags": "-O3"}, "(flags is '-O2' in it and '-O3' here)"),
        ({"flags": ""}, "(flags is '-O2' in it and absent here)"),
        (
            {"script": "12345678" * 8, "source": "debian"},
            "(script is absent in it and 12345678... here; source is 'upstream 4f' in it and 'debian' here)",
        ),
    ],
)
def test_a_build_of_something_else(tarball, inputs, sentence):
    with pytest.raises(Refused) as refused:
        read(tarball).check_inputs({**FACTS["inputs"], **inputs})
    assert str(refused.value) == (
        f"it was made from something else than this play asks for {sentence}: ask for the same, or make it again with "
        "playbooks/prebuilt.yml."
    )


# --- The controller's half of native_build ---


class Shell:
    join_path = staticmethod(os.path.join)


@pytest.fixture
def play(monkeypatch, tarball, tmp_path):
    """Runs the action; returns its answer, and what it did."""
    module = importlib.import_module("plugins.action.native_build")
    monkeypatch.setattr("ansible.plugins.action.ActionBase.run", lambda *_: {"of": "Ansible"})

    def run(state, check_mode=False, facts=("x86_64", "trixie"), **arguments):
        done = []

        def run_module(action, arguments, task_vars):
            done.append(("looked", arguments))
            return {"changed": False}

        monkeypatch.setitem(module.looking, "run_module", run_module)
        action = object.__new__(module.ActionModule)
        arguments = {
            "state": state,
            "name": "program",
            "inputs": FACTS["inputs"],
            "objects": OBJECTS,
            "prebuilt": str(tarball),
            **arguments,
        }
        action._task = SimpleNamespace(args=arguments, check_mode=check_mode)
        action._connection = SimpleNamespace(_shell=Shell)
        action._make_tmp_path = lambda: "/tmp/there"
        action._remove_tmp_path = lambda path: done.append(("removed", path))
        action._transfer_data = lambda path, data: done.append(("sent", path, data))
        action._fixup_perms2 = lambda paths: done.append(("readable", paths))
        action._execute_module = lambda module_args, task_vars: (
            done.append(("run", module_args)) or {"changed": True}
        )
        facts = dict(zip(("architecture", "distribution_release"), facts, strict=True))
        return action.run(None, {"ansible_facts": facts}), done

    return run


def test_a_check_does_not_go_to_the_device(play):
    assert play("checked") == ({"of": "Ansible", "changed": False}, [])


def test_the_device_is_asked_for_the_very_build(play):
    answer, done = play("inspected")
    assert answer == {"of": "Ansible", "changed": False, "packages": ["libssl3t64"]}
    [(how, arguments)] = done
    assert how == "looked"
    assert arguments["stamp"] == {key: FACTS[key] for key in ("inputs", "compiler", "libraries")}
    assert not {"prebuilt", "sources"} & arguments.keys()


def test_the_device_gets_what_was_checked(play, tarball):
    answer, done = play("brought")
    assert answer["changed"]
    assert done[:2] == [
        ("sent", "/tmp/there/prebuilt", tarball.read_bytes()),
        ("readable", ("/tmp/there", "/tmp/there/prebuilt")),
    ]
    assert done[2][0] == "run"
    assert done[2][1]["prebuilt"] == "/tmp/there/prebuilt"
    assert done[3:] == [("removed", "/tmp/there")]


def test_check_mode_sends_nothing_and_compares_nothing_that_is_not_there_yet(play):
    assert play("inspected", check_mode=True, trees=["/opt/include"])[1][0][1]["trees"] == []
    answer, done = play("brought", check_mode=True)
    assert answer["changed"]
    assert [how for how, *_ in done] == ["run"]


@pytest.mark.parametrize("state", ["checked", "inspected", "brought"])
def test_what_is_refused_does_not_go_to_the_device(play, state):
    for refused, sentence in (
        ({"prebuilt": "/nowhere/a.tar.xz"}, "program_prebuilt is /nowhere/a.tar.xz: there is no"),
        ({"name": "other"}, "it is a build of 'program', not of other"),
        ({"objects": ["bin/encoder"]}, "it has no bin/encoder"),
        ({"facts": ("aarch64", "trixie")}, "it was made for the architecture x86_64, and this"),
        ({"inputs": {"source": "debian", "flags": "-O2"}}, "source is 'upstream 4f' in it and"),
    ):
        answer, done = play(state, **refused)
        assert answer["failed"]
        assert sentence in answer["msg"]
        assert done == []


def test_without_a_tarball_nothing_is_new(play):
    answer, done = play("inspected", prebuilt="")
    assert answer == {"of": "Ansible", "changed": False}
    assert "stamp" not in done[0][1]


def test_what_will_be_in_a_folder_is_compared_before_it_is_there(play, folder, write):
    """The sources of this project, and the headers that come in another tarball."""
    source = folder / "include/program"
    trees = {"/usr/src": source, "/opt/include": folder / "include"}
    inputs = {name: tree_checksum(path) for name, path in trees.items()}
    facts = {**FACTS, "inputs": {**FACTS["inputs"], **inputs}}
    path = write(pack(folder, facts), "of-sources.tar.xz")
    given = {
        "prebuilt": str(path),
        "trees": ["/usr/src", "/opt/include", "/unknown"],
        "sources": {
            "/usr/src": {"folder": str(source), "exclude": ["tests"]},
            "/opt/include": {"prebuilt_file": str(path), "folder": "include"},
        },
    }
    (source / "tests").mkdir()
    (source / "tests/test.c").write_text("")
    assert "failed" not in play("checked", **given)[0]

    (source / "a.h").write_text("int c;")
    assert "(/usr/src is " in play("checked", **given)[0]["msg"]
    given["sources"]["/opt/include"]["folder"] = "lib"
    assert "/opt/include is " in play("checked", **given)[0]["msg"]
    # Only the device will know.
    given["sources"]["/opt/include"]["prebuilt_file"] = ""
    assert "/opt/include" not in play("checked", **given)[0]["msg"]


# --- Packing on a device ---


@pytest.fixture
def packed(make_module, folder, tmp_path):
    """A device with this build."""
    builds = tmp_path / "opt/program.builds"
    builds.mkdir(parents=True)
    folder.rename(builds / "1.0-4f")
    stamp = {key: FACTS[key] for key in ("inputs", "compiler", "libraries")}
    (builds / "1.0-4f/built-from").write_text(json.dumps(stamp))
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/os-release").write_text('NAME="Debian"\nVERSION_CODENAME=trixie\n')
    module = make_module(
        answers={
            "setpriv": (0, "libssl.so.3 => /no/libssl.so.3 (0x7f)\n", ""),
            "dpkg-query --search": (0, "libssl3t64:amd64: /no/libssl.so.3\n", ""),
            "dpkg-query --show": (0, "libssl3t64 3.5.4-1\n", ""),
        },
        name="program",
        link=str(tmp_path / "opt/program"),
        dest="/srv",
    )
    return Packed(module, tmp_path)


def test_the_build_that_is_known_good_is_packed(packed, write, monkeypatch):
    monkeypatch.setattr("os.uname", lambda: SimpleNamespace(machine="x86_64"))
    packed.builds.mark_known_good("1.0-4f")
    name, facts, tarball = packed.pack()
    assert name == "1.0-4f"
    assert facts == FACTS
    build = read(write(tarball))
    assert "built-from" not in build.files
    assert {key: build.manifest[key] for key in FACTS} == FACTS
    programs = [command[-1] for command in packed.module.commands if command[0] == "setpriv"]
    assert sorted(programs) == [
        packed.builds.build("1.0-4f/bin/program"),
        packed.builds.build("1.0-4f/lib/plugin.so.1"),
    ]


def test_a_build_that_is_not_known_good_is_not_packed(packed):
    with pytest.raises(Refused, match="has no build of program that is known good: provision the"):
        packed.pack()


def test_a_build_that_is_damaged_is_not_packed(packed, tmp_path):
    packed.builds.mark_known_good("1.0-4f")
    (tmp_path / "opt/program.builds/1.0-4f/built-from").write_text("")
    with pytest.raises(Refused, match=r"1.0-4f is damaged: provision the device, then pack it"):
        packed.pack()


def test_packing_says_why_it_does_not(run_module, tmp_path):
    link = str(tmp_path / "opt/program")
    answer = run_module(packed_build, name="program", link=link, dest="/srv")
    assert answer["msg"].startswith(f"{link}.builds has no build of program that is known good")


@pytest.fixture
def fetch(monkeypatch, tmp_path):
    """Runs the controller's half of packed_build with what the module answered."""
    module = importlib.import_module("plugins.action.packed_build")
    monkeypatch.setattr("ansible.plugins.action.ActionBase.run", lambda *_: {"of": "Ansible"})

    def run(check_mode=False, **answer):
        action = object.__new__(module.ActionModule)
        action._task = SimpleNamespace(check_mode=check_mode)
        action._execute_module = lambda task_vars: answer
        return action.run(None, {})

    return run


def test_the_tarball_is_written_once(fetch, tmp_path):
    path = tmp_path / "new/program.tar.xz"
    answer = {"path": str(path), "content": base64.b64encode(b"packed").decode()}
    assert fetch(check_mode=True, **answer)["changed"]
    assert not path.parent.exists()
    for changed in (True, False):
        assert fetch(**answer) == {"of": "Ansible", "path": str(path), "changed": changed}
        assert path.read_bytes() == b"packed"
    assert os.listdir(path.parent) == ["program.tar.xz"]


def test_a_tarball_that_can_not_be_written(fetch, tmp_path):
    (tmp_path / "file").write_text("")
    path = str(tmp_path / "file/program.tar.xz")
    answer = fetch(path=path, content="")
    assert answer["failed"]
    assert answer["msg"] == f"{path} can't be written (File exists): name another folder."


def test_a_device_that_packed_nothing(fetch):
    assert fetch(failed=True, msg="why") == {"of": "Ansible", "failed": True, "msg": "why"}
