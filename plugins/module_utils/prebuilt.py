# SPDX-License-Identifier: MIT
"""A build as one file, for devices that are not to compile it: a tarball of a manifest and what the manifest lists.

Whoever reads one takes nothing for granted: it may have been cut, changed, or made by somebody else.
"""

from __future__ import annotations

import hashlib
import io
import json
import lzma
import os
import posixpath
import re
import stat
import tarfile
from typing import NoReturn

FORMAT = 1
MANIFEST = "manifest.json"
# What each key of the manifest holds.
KEYS = {
    "format": int,
    "name": str,
    "build": str,
    "suite": str,
    "architecture": str,
    "inputs": dict,
    "compiler": str,
    "libraries": str,
    "packages": dict,
    "files": dict,
    "links": dict,
    "folders": list,
}
# What is in the manifest comes first, and what it lists is below this folder.
FOLDER = "build"
# Unpacked. Janus takes 5 MiB; what takes more than this is no build.
MOST_BYTES = 64 * 2**20
# What unpacking may take beside that: the packer's preset needs 9 MiB.
MOST_UNPACKER_BYTES = 64 * 2**20
# What an ELF file says of the processor it is for (e_machine).
MACHINES = {b"\x3e\x00": "x86_64", b"\xb7\x00": "aarch64"}
PACKAGE = re.compile(r"[a-z0-9][a-z0-9+.-]+")


class Refused(Exception):
    """Says what is wrong with it, and what to do."""


def refuse(what: str) -> NoReturn:
    raise Refused(f"{what}: make it again with playbooks/prebuilt.yml.")


def files_checksum(digests):
    """SHA-256 over names and contents of files, by the SHA-256 (bytes) of each relative path; empty without files."""

    def place(path):
        # As os.walk() has them: the files of a folder, then its folders.
        *folders, name = path.split("/")
        return [*((1, folder) for folder in folders), (0, name)]

    digest = hashlib.sha256()
    for path in sorted(digests, key=place):
        digest.update(path.encode() + b"\0" + digests[path])
    return digest.hexdigest() if digests else ""


def library_packages(run, files):
    """Names of the Debian packages that have the libraries which programs and libraries are linked with."""
    paths = set()
    for file in files:
        out = run("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "ldd", file)[1]
        paths |= {os.path.realpath(path) for path in re.findall(r"=> (/\S+)", out)}
    # dpkg may know them by the name that they had before /lib became a link to /usr/lib.
    paths |= {path.removeprefix("/usr") for path in paths}
    owners = run("dpkg-query", "--search", *sorted(paths))[1] if paths else ""
    return sorted({line.rpartition(": ")[0] for line in owners.splitlines()})


def is_program(content):
    """Whether it is a program or a library."""
    return content.startswith(b"\x7fELF")


# --- Out ---


def contents(folder, leave_out):
    """Contents (bytes) of the files, modes of files, targets of links, and folders, by relative path."""
    files, modes, links, folders = {}, {}, {}, []
    for parent, below, names in os.walk(folder):
        for name in [*below, *names]:
            path = os.path.join(parent, name)
            relative, mode = os.path.relpath(path, folder), os.lstat(path).st_mode
            if relative == leave_out:
                continue
            if stat.S_ISLNK(mode):
                links[relative] = os.readlink(path)
            elif stat.S_ISDIR(mode):
                folders.append(relative)
            elif stat.S_ISREG(mode):
                with open(path, "rb") as file:
                    files[relative] = file.read()
                modes[relative] = 0o755 if mode & 0o100 else 0o644
            else:
                raise Refused(f"{path} is neither file, folder nor link: remove it.")
    return files, modes, links, sorted(folders)


def pack(folder, facts, leave_out=""):
    """The tarball of a build, as bytes: the same whenever it is made. facts: what the manifest says of it."""
    files, modes, links, folders = contents(folder, leave_out)
    manifest = {
        "format": FORMAT,
        **facts,
        "files": {
            path: {"mode": f"{modes[path]:o}", "sha256": hashlib.sha256(content).hexdigest()}
            for path, content in files.items()
        },
        "links": links,
        "folders": folders,
    }
    tarball = io.BytesIO()
    # Not of the standard's format of 2001, whose headers may hold times of their own.
    with tarfile.open(fileobj=tarball, mode="w", format=tarfile.GNU_FORMAT) as tar:

        def add(path, kind, mode, content=b"", target=""):
            member = tarfile.TarInfo(path)
            member.type, member.mode, member.linkname = kind, mode, target
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))

        text = json.dumps(manifest, indent=1, sort_keys=True) + "\n"
        add(MANIFEST, tarfile.REGTYPE, 0o644, text.encode())
        # A folder comes before what is in it.
        for path in sorted([*folders, *links, *files]):
            name = f"{FOLDER}/{path}"
            if path in links:
                add(name, tarfile.SYMTYPE, 0o777, target=links[path])
            elif path in files:
                add(name, tarfile.REGTYPE, modes[path], files[path])
            else:
                add(name, tarfile.DIRTYPE, 0o755)
    return lzma.compress(tarball.getvalue())


# --- In ---


class Prebuilt:
    """What a tarball holds, when all of it is in order: the manifest, and the contents of its files."""

    def __init__(self, tarball, manifest, files):
        self.tarball, self.manifest, self.files = tarball, manifest, files

    @property
    def stamp(self):
        """What the build was made from, as it is kept with a build."""
        return {key: self.manifest[key] for key in ("inputs", "compiler", "libraries")}

    def tree_checksum(self, folder):
        """As native_build has it for a folder; here for one within the build."""
        within = f"{folder}/"
        return files_checksum(
            {
                path[len(within) :]: hashlib.sha256(content).digest()
                for path, content in self.files.items()
                if path.startswith(within)
            }
        )

    def unpack(self, folder):
        """Writes it into a new folder."""
        os.mkdir(folder)
        # Those that others are in come first.
        for path in sorted(self.manifest["folders"]):
            os.mkdir(os.path.join(folder, path))
        for path, content in self.files.items():
            mode = int(self.manifest["files"][path]["mode"], 8)
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL
            with open(os.open(os.path.join(folder, path), flags, mode), "wb") as file:
                file.write(content)
        for path, target in self.manifest["links"].items():
            os.symlink(target, os.path.join(folder, path))

    def check_device(self, architecture, suite):
        """Refuses a build that is not for this device."""
        for what, there, here in (
            ("architecture", self.manifest["architecture"], architecture),
            ("Debian suite", self.manifest["suite"], suite),
        ):
            if there != here:
                raise Refused(
                    f"it was made for the {what} {there}, and this device has {here}: name one that was made for "
                    f"{here}."
                )

    def check_objects(self, objects):
        """Refuses a build without programs and libraries that it must have."""
        for path in objects:
            if path not in self.files and path not in self.manifest["links"]:
                refuse(f"it has no {path}")

    def check_inputs(self, inputs):
        """Refuses a build of other inputs than those asked for. What can't be known (None) counts as the same."""
        was = self.manifest["inputs"]
        different = [
            f"{key} is {shown(was.get(key, ''))} in it and {shown(inputs.get(key, ''))} here"
            for key in sorted({*was, *inputs})
            if inputs.get(key, "") is not None and was.get(key, "") != inputs.get(key, "")
        ]
        if different:
            raise Refused(
                f"it was made from something else than this play asks for ({'; '.join(different)}): ask for the same, "
                "or make it again with playbooks/prebuilt.yml."
            )


def shown(value):
    """An input, as it is told to a person."""
    if not value:
        return "absent"
    return f"{value[:8]}..." if re.fullmatch(r"[0-9a-f]{64}", value) else quoted(value)


def quoted(text):
    """What a stranger wrote, as part of a sentence."""
    return repr(text if len(text) <= 400 else f"{text[:400]}...")


def read(path, name="", outward=None):
    """The build in a tarball, or Refused. name: of its program, if that is known; outward: links that lead out of the
    build, and are to do so."""
    tarball = bytes_of(path)
    members = unpacked(tarball)
    manifest = manifest_of(members.pop(MANIFEST, None))
    if name and manifest["name"] != name:
        raise Refused(
            f"it is a build of {quoted(manifest['name'])}, not of {name}: name the tarball of {name} there."
        )
    files, modes, links, folders = {}, {}, {}, []
    for full, (member, content) in members.items():
        relative = full.removeprefix(f"{FOLDER}/")
        if relative == full or not is_within(relative):
            refuse(f"it has the path {quoted(full)}, which is outside of the build")
        if member.type == tarfile.SYMTYPE:
            links[relative] = member.linkname
        elif member.type == tarfile.DIRTYPE:
            folders.append(relative)
        elif is_file(member):
            files[relative], modes[relative] = content, member.mode
        else:
            refuse(f"{quoted(relative)} in it is neither file, folder nor link")
    for relative, mode in modes.items():
        if mode not in (0o644, 0o755):
            refuse(f"{quoted(relative)} in it has the mode {mode:04o}, which no build has")
    for relative, target in links.items():
        there = posixpath.normpath(posixpath.join(posixpath.dirname(relative), target))
        # A .. after a name may be that of what a link leads to.
        inside = is_within(there) and posixpath.normpath(target) == target
        if not inside and (outward or {}).get(relative) != target:
            refuse(f"the link {quoted(relative)} in it leads to {quoted(target)}, out of the build")
    parents = {"", *folders}
    for relative in [*files, *links, *folders]:
        if posixpath.dirname(relative) not in parents:
            refuse(f"{quoted(relative)} in it is in no folder of it")
    check_against(manifest, files, modes, links, folders)
    return Prebuilt(tarball, manifest, files)


def is_file(member):
    """Whether a member of a tarball has what it says that it has: a sparse one may be of any size."""
    return member.type in (tarfile.REGTYPE, tarfile.AREGTYPE) and member.sparse is None


def bytes_of(path):
    """The content of the file, if it may be a tarball."""
    try:
        # Before it is opened: a pipe would keep the play waiting.
        status = os.stat(path)
        if not stat.S_ISREG(status.st_mode):
            raise Refused("it is no file: name the tarball there.")
        if not status.st_size:
            refuse("it is empty")
        if status.st_size > MOST_BYTES:
            refuse(f"it has {status.st_size // 2**20} MiB, more than any build")
        with open(path, "rb") as file:
            return file.read(MOST_BYTES)
    except FileNotFoundError:
        raise Refused(
            "there is no such file on the controller: make it with playbooks/prebuilt.yml, or name another."
        ) from None
    except OSError as error:
        raise Refused(
            f"it can't be read ({error.strerror}): make it readable for who runs the play."
        ) from None


def unpacked(data):
    """Headers and contents of the tarball's members, by name."""
    try:
        unpacker = lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=MOST_UNPACKER_BYTES)
        text = unpacker.decompress(data, MOST_BYTES + 1)
    except lzma.LZMAError as error:
        refuse(f"it is no tarball, or damaged ({error})")
    if len(text) > MOST_BYTES:
        refuse(f"it has more than {MOST_BYTES // 2**20} MiB when unpacked, more than any build")
    if not unpacker.eof:
        refuse("it is cut off")
    if unpacker.unused_data:
        refuse("something follows its end")
    members = {}
    try:
        with tarfile.open(fileobj=io.BytesIO(text), mode="r:") as tar:
            for member in tar:
                if member.name in members:
                    refuse(f"it has {quoted(member.name)} twice")
                file = tar.extractfile(member) if is_file(member) else None
                members[member.name] = (member, file.read() if file else b"")
    except Refused:
        raise
    # A header of somebody's making has many ways to confuse the library.
    except Exception as error:
        refuse(f"it is no tarball, or damaged ({error})")
    return members


def manifest_of(member):
    """The manifest, of which each key is what it has to be."""
    if member is None:
        refuse(f"it has no {MANIFEST}, so it is no build")
    try:
        manifest = json.loads(member[1])
        made_by = manifest["format"]
    except (ValueError, KeyError, TypeError, RecursionError):
        refuse(f"its {MANIFEST} can't be read")
    if made_by != FORMAT:
        raise Refused(
            "it was made by another version of this project, which packed builds differently: make it again with this "
            "version's playbooks/prebuilt.yml."
        )
    wrong = [key for key, kind in KEYS.items() if type(manifest.get(key)) is not kind]
    texts = [*manifest["inputs"].values(), *manifest["folders"]] if not wrong else []
    if wrong or not all(isinstance(text, str) for text in texts):
        refuse(f"its {MANIFEST} can't be read ({', '.join(wrong) or 'something is no text'})")
    strange = [name for name in manifest["packages"] if not PACKAGE.fullmatch(name)]
    if strange:
        refuse(f"its {MANIFEST} names {quoted(strange[0])}, which is no package")
    return manifest


def check_against(manifest, files, modes, links, folders):
    """Refuses what the manifest does not list, and what is not as it says."""
    found = {
        **{path: ("folder", "") for path in folders},
        **{path: ("link", target) for path, target in links.items()},
        **{
            path: ("file", {"mode": f"{modes[path]:o}", "sha256": hashlib.sha256(text).hexdigest()})
            for path, text in files.items()
        },
    }
    listed = {
        **{path: ("folder", "") for path in manifest["folders"]},
        **{path: ("link", target) for path, target in manifest["links"].items()},
        **{path: ("file", fact) for path, fact in manifest["files"].items()},
    }
    for path in sorted({*found, *listed}):
        if path not in found:
            refuse(f"{quoted(path)} is missing in it")
        if path not in listed:
            refuse(f"its manifest does not list {quoted(path)}")
        if found[path] != listed[path]:
            refuse(f"{quoted(path)} in it is not as its manifest says")
    for path, content in files.items():
        machine = MACHINES.get(content[18:20], "another processor")
        if is_program(content) and machine != manifest["architecture"]:
            refuse(f"{quoted(path)} in it is for {machine}, and its manifest says otherwise")


def is_within(path):
    """Whether a relative path leads to something below where it begins."""
    return not {"", ".", ".."} & set(path.split("/")) and path.isprintable()
