# SPDX-License-Identifier: MIT
"""Images of disks in one folder, and how they arrive there.

    images/NAME         what is whole
    incoming/NAME       what has arrived of an upload: it only grows, so its size says where the rest goes on
    unpacked/NAME       what a compressed upload has been unpacked to; nothing that a restart would miss
    facts/NAME.json     size, checksum, and what tells the file that is sent from another of its name

The room of an upload is taken when it begins, so none ends halfway on a full disk, and what a computer writes to an
image needs none. How large a compressed one becomes nobody knows before: it takes room as it grows, and is given up
where that ends. What is said to have arrived is on the disk.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import functools
import hashlib
import io
import json
import os
import re
import stat
import subprocess
import threading
import unicodedata
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from tinypilot import whole_files
from tinypilot.errors import ApiError
from tinypilot.media.unpacking import DECODERS, DamagedError, Unpacker

# Letters and digits of any language, and what is harmless in a file's name: no path, nothing hidden, nothing unseen.
NAME = re.compile(r"[^\W_][\w .,+()@~=-]{0,99}")
# Letters, as Unicode counts them, that nobody sees: the fillers of Hangul.
UNSEEN = frozenset("\u115f\u1160\u3164\uffa0")
# As a file's name, in UTF-8.
NAME_BYTES = 240
IMAGES_MAX = 100
UPLOADS_MAX = 4
# A computer counts a disk in these; a CD-ROM with less than 300 sectors the kernel takes for none.
SECTOR_BYTES = 512
SMALLEST_DISK_BYTES = 1024 * 1024
MIB = 1024 * 1024
BLOCK_BYTES = 1024 * 1024
FORMAT_SECONDS = 60
SHA256 = re.compile(r"[0-9a-f]{64}")
LONGEST_TAG = 100
FALLOC_FL_KEEP_SIZE = 1
# A computer can't start from these, and what is in them is not looked for here.
ARCHIVES = (".zip", ".7z", ".rar", ".bz2", ".tar", ".tgz")

_libc = ctypes.CDLL(None, use_errno=True)
_libc.fallocate.argtypes = (ctypes.c_int, ctypes.c_int, ctypes.c_int64, ctypes.c_int64)


@dataclass(frozen=True)
class Facts:
    """sha256: of a whole image, unless a computer may have written to it since; of an upload, what it must be, or
    empty. tag: what the sender tells this file from others of its name and size by. url: where the device itself
    fetches it; version: which one the server there has, as it says."""

    size: int
    sha256: str = ""
    tag: str = ""
    url: str = ""
    version: str = ""


class UnpackingError(ApiError):
    """The upload is of no use."""


class Unpacked:
    """The image that an upload is unpacked to, as far as that was read. grow(bytes): takes room for that much more."""

    def __init__(
        self,
        name: str,
        path: Path,
        unpacker: Unpacker,
        grow: Callable[[int], contextlib.AbstractContextManager],
    ):
        self.path = path
        self.size = 0
        self._name = name
        self._unpacker = unpacker
        self._grow = grow
        self._hashed = hashlib.sha256()
        self._refusal: UnpackingError | None = None
        path.unlink(missing_ok=True)

    def write(self, packed: bytes) -> None:
        if self._refusal:
            raise self._refusal
        try:
            waiting = bytearray()
            for block in self._unpacker.feed(packed):
                waiting += block
                if len(waiting) >= BLOCK_BYTES:
                    self._append(waiting)
                    waiting = bytearray()
            self._append(waiting)
        except DamagedError as error:
            self._refusal = self._damaged()
            raise self._refusal from error
        except UnpackingError as refusal:
            self._refusal = refusal
            raise

    def _append(self, block: bytearray) -> None:
        with self._grow(len(block)), open(self.path, "ab", buffering=0) as file:
            _write_all(file, block)
        self._hashed.update(block)
        self.size += len(block)

    def finish(self) -> str:
        if self._refusal:
            raise self._refusal
        if not self._unpacker.is_complete or not self.size:
            raise self._damaged()
        with open(self.path, "rb") as file:
            os.fsync(file.fileno())
        return self._hashed.hexdigest()

    def _damaged(self) -> UnpackingError:
        return UnpackingError(
            400,
            "{name} can't be unpacked, and was deleted: it is damaged, is not what its name says, or needs more than "
            "64 MiB of memory for that.",
            name=self._name,
        )


class Upload:
    """The end of a file that arrives, with the checksum of all before it."""

    def __init__(self, path: Path, facts: Facts, unpacking: Callable[[], Unpacked] | None = None):
        self.path = path
        self.facts = facts
        self.offset = path.stat().st_size
        self._unpacking = unpacking
        self._begin_reading()

    def _begin_reading(self) -> None:
        """What came before this program was started is read when the upload is whole."""
        self._read_bytes = 0
        self._hashed = hashlib.sha256()
        self.unpacked = self._unpacking() if self._unpacking else None

    def append(self, block: bytes) -> None:
        """May take as long as the disk does."""
        is_read = self._read_bytes == self.offset
        try:
            with open(self.path, "ab", buffering=0) as file:
                _write_all(file, block)
        except OSError:
            self.offset = self.path.stat().st_size
            raise
        self.offset += len(block)
        if is_read:
            self._read(block)

    def sync(self) -> None:
        with open(self.path, "rb") as file:
            os.fsync(file.fileno())

    def sha256(self) -> str:
        with open(self.path, "rb") as file:
            file.seek(self._read_bytes)
            while block := file.read(BLOCK_BYTES):
                self._read(block)
        return self._hashed.hexdigest()

    def _read(self, block: bytes) -> None:
        self._hashed.update(block)
        self._read_bytes += len(block)
        try:
            if self.unpacked:
                self.unpacked.write(block)
        except OSError:
            self._begin_reading()
            raise


def image_of(name: str) -> str:
    """What an upload of this name becomes."""
    return name[: -len(ending)] if (ending := _ending(name)) else name


def _ending(name: str) -> str:
    """By which it is unpacked, or empty."""
    return next((each for each in DECODERS if name.lower().endswith(each)), "")


def check_name(name: object) -> str:
    if (
        not isinstance(name, str)
        or not NAME.fullmatch(name)
        or name[-1] in " ."
        or not UNSEEN.isdisjoint(name)
        or len(name.encode()) > NAME_BYTES
        or unicodedata.normalize("NFC", name) != name
    ):
        raise ApiError(
            400,
            "An image's name has 1 to 100 letters, digits, spaces and . , + ( ) @ ~ = _ -, begins with a letter or a "
            "digit, and ends with neither a space nor a dot.",
        )
    return name


class Images:
    """most_bytes: of all together; free_bytes: what stays free on their file system."""

    def __init__(self, folder: Path, most_bytes: int, free_bytes: int):
        self._images = folder / "images"
        self._incoming = folder / "incoming"
        self._unpacked = folder / "unpacked"
        self._facts = folder / "facts"
        self._most = most_bytes
        self._free = free_bytes
        self._uploads: dict[str, Upload] = {}
        # Held by whoever takes room: what is unpacked grows beside everything else.
        self._taking = threading.Lock()
        for each in (self._images, self._incoming, self._unpacked, self._facts):
            each.mkdir(mode=0o700, exist_ok=True)
        self._forget_halves()

    # --- What there is ---

    def images(self) -> list[dict]:
        return [
            {
                "name": name,
                "size": size,
                "sha256": facts.sha256
                if (facts := self._facts_of(name)) and facts.size == size
                else "",
            }
            for name, size in self._files(self._images)
        ]

    def uploads(self) -> list[dict]:
        return [
            {"name": name, "size": facts.size, "offset": offset}
            for name, offset in self._files(self._incoming)
            if (facts := self._facts_of(name))
        ]

    def room(self) -> dict:
        """What may still be added, of both bounds the nearer, and what is there."""
        used = self._used()
        return {
            "used": used,
            "most": self._most,
            "left": max(0, min(self._left(used), self._on_disk())),
        }

    def path_of(self, name: object) -> Path:
        path = self._images / check_name(name)
        with contextlib.suppress(OSError):
            if stat.S_ISREG(path.lstat().st_mode):
                return path
        raise ApiError(404, "There is no image called {name}.", name=name)

    # --- An upload ---

    def begin(
        self,
        name: object,
        size: object,
        sha256: object = "",
        tag: object = "",
        *,
        url: str = "",
        version: str = "",
    ) -> Upload:
        """A new one, or the same one again, which goes on where it was."""
        name = check_name(name)
        image = check_name(image_of(name))
        if name.lower().endswith(ARCHIVES):
            raise ApiError(
                400,
                "{name} is an archive: send the image that is in it, which may be compressed with xz, gzip or zstd.",
                name=name,
            )
        if type(size) is not int or not 1 <= size <= self._most:
            raise ApiError(
                400,
                "The size must be a whole number of bytes from 1 to {most}: more is not kept on this device.",
                most=self._most,
            )
        if not isinstance(sha256, str) or not (sha256 == "" or SHA256.fullmatch(sha256)):
            raise ApiError(400, "sha256 must be 64 hexadecimal digits in lower case, or empty.")
        if not isinstance(tag, str) or len(tag) > LONGEST_TAG or not tag.isprintable():
            raise ApiError(400, "tag must have at most {most} characters.", most=LONGEST_TAG)
        wanted = Facts(size, sha256, tag, url, version)
        self._check_free(image, but=name)
        if (self._incoming / name).exists():
            upload = self.upload(name)
            if upload.facts != wanted:
                raise ApiError(
                    409,
                    "Another file called {name} is being uploaded: continue that one, or delete it first.",
                    name=name,
                )
            return upload
        if len(self.uploads()) >= UPLOADS_MAX:
            raise ApiError(
                409,
                "{most} uploads are not complete: continue one of them, or delete it first.",
                most=UPLOADS_MAX,
            )
        packed = [each for each, _ in self._files(self._incoming) if _ending(each)]
        if packed and image != name:
            raise ApiError(
                409,
                "{other} is compressed, too, and one is unpacked at a time: continue it, or delete it first.",
                other=packed[0],
            )
        self._take_room(self._incoming / name, size)
        try:
            self._write_facts(name, wanted)
        except OSError:
            (self._incoming / name).unlink()
            raise
        return self.upload(name)

    def upload(self, name: object) -> Upload:
        name = check_name(name)
        facts = self._facts_of(name)
        if not facts or name not in dict(self._files(self._incoming)):
            raise ApiError(404, "Nothing called {name} is being uploaded.", name=name)
        if name not in self._uploads:
            self._uploads[name] = Upload(self._incoming / name, facts, self._unpacking(name))
        return self._uploads[name]

    def _unpacking(self, name: str) -> Callable[[], Unpacked] | None:
        if not (ending := _ending(name)):
            return None
        path = self._unpacked / image_of(name)
        grow = functools.partial(self._growing, name)
        return lambda: Unpacked(name, path, Unpacker(DECODERS[ending]), grow)

    def find_upload(self, name: str) -> Upload | None:
        return self.upload(name) if name in dict(self._files(self._incoming)) else None

    def finish(self, name: str) -> str:
        """Of an upload that has arrived; returns the image's checksum. May take as long as reading it does."""
        upload = self.upload(name)
        sha256 = upload.sha256()
        if upload.facts.sha256 not in ("", sha256):
            self.cancel(name)
            raise ApiError(
                409,
                "{name} did not arrive as it was sent, and was deleted: its SHA-256 is {sha256}. Upload it again.",
                name=name,
                sha256=sha256,
            )
        image, whole, size = image_of(name), upload.path, upload.facts.size
        if upload.unpacked:
            sha256 = upload.unpacked.finish()
            whole, size = upload.unpacked.path, upload.unpacked.size
        os.replace(whole, self._images / image)
        _sync_folder(self._images)
        self._uploads.pop(name, None)
        if upload.unpacked:
            upload.path.unlink()
            self._forget(name)
        _sync_folder(self._incoming)
        # If that fails, or the power, the image is there all the same; nobody knows its checksum then.
        with contextlib.suppress(OSError):
            self._write_facts(image, Facts(size, sha256))
        return sha256

    def cancel(self, name: object) -> None:
        upload = self.upload(name)
        self._uploads.pop(upload.path.name, None)
        if upload.unpacked:
            upload.unpacked.path.unlink(missing_ok=True)
        upload.path.unlink()
        self._forget(upload.path.name)

    # --- An image ---

    def make_disk(self, name: object, size: object) -> None:
        """An empty one, with a FAT file system on all of it, as on most USB sticks."""
        name = check_name(name)
        if (
            type(size) is not int
            or size % SECTOR_BYTES
            or not SMALLEST_DISK_BYTES <= size <= self._most
        ):
            raise ApiError(
                400,
                "A disk's size must be a multiple of {sector} bytes, from {least} to {most}.",
                sector=SECTOR_BYTES,
                least=SMALLEST_DISK_BYTES,
                most=self._most,
            )
        self._check_free(name)
        # A power cut leaves it without facts, and so nothing of it.
        path = self._incoming / name
        self._take_room(path, size)
        try:
            os.truncate(path, size)
            _format(path)
        except (OSError, subprocess.SubprocessError) as error:
            path.unlink()
            raise ApiError(
                503,
                "The disk could not be formatted: mkfs.vfat (package dosfstools) did not do its work.",
            ) from error
        os.replace(path, self._images / name)
        _sync_folder(self._images)

    def delete(self, name: object) -> None:
        path = self.path_of(name)
        path.unlink()
        self._forget(path.name)

    def will_change(self, name: str) -> None:
        """A computer may write to it: its checksum holds no longer. It has all its blocks from now on."""
        path = self.path_of(name)
        size = path.stat().st_size
        self._take_room(path, size, is_new=False)
        self._write_facts(name, Facts(size))

    # --- Files ---

    def _check_free(self, image: str, but: str = "") -> None:
        """No image has this name, and no other upload becomes one of it."""
        if image in dict(self._files(self._images)):
            raise ApiError(409, "There is an image called {name}: delete it first.", name=image)
        for other, _ in self._files(self._incoming):
            if other != but and image_of(other) == image:
                raise ApiError(
                    409,
                    "{other} becomes {name}, too: continue it, or delete it first.",
                    other=other,
                    name=image,
                )

    @staticmethod
    def _files(folder: Path) -> list[tuple[str, int]]:
        """Regular ones alone: what somebody has put there by hand may be a link to anything."""
        with os.scandir(folder) as entries:
            return sorted(
                (entry.name, entry.stat(follow_symlinks=False).st_size)
                for entry in entries
                if entry.is_file(follow_symlinks=False) and NAME.fullmatch(entry.name)
            )

    def _facts_of(self, name: str) -> Facts | None:
        try:
            return Facts(**json.loads((self._facts / f"{name}.json").read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError):
            return None

    def _write_facts(self, name: str, facts: Facts) -> None:
        whole_files.replace_all({self._facts / f"{name}.json": json.dumps(asdict(facts)) + "\n"})

    def _forget(self, name: str) -> None:
        with contextlib.suppress(OSError):
            (self._facts / f"{name}.json").unlink()

    def _forget_halves(self) -> None:
        """What a power cut left of the begin of an upload, or of making a disk; and of unpacking, which begins anew."""
        for name, _ in self._files(self._unpacked):
            (self._unpacked / name).unlink()
        images = dict(self._files(self._images))
        for name, _ in self._files(self._incoming):
            was_unpacked = image_of(name) != name and image_of(name) in images
            if was_unpacked or not self._facts_of(name):
                (self._incoming / name).unlink()
                self._forget(name)

    # --- Room ---

    def _used(self) -> int:
        """With what is still to arrive."""
        whole = [*self._files(self._images), *self._files(self._unpacked)]
        return sum(size for _, size in whole) + sum(upload["size"] for upload in self.uploads())

    def _left(self, used: int) -> int:
        return self._most - used

    def _on_disk(self) -> int:
        """What the file system has beyond what stays free, and beyond what uploads were promised that have no blocks
        yet, where a file system can't give them in advance."""
        status = os.statvfs(self._images)
        promised = sum(
            max(0, upload["size"] - (self._incoming / upload["name"]).stat().st_blocks * 512)
            for upload in self.uploads()
        )
        return status.f_bavail * status.f_frsize - promised - self._free

    @contextlib.contextmanager
    def _growing(self, name: str, size: int) -> Iterator[None]:
        """Of what is unpacked from this upload."""
        with self._taking:
            if size > self.room()["left"]:
                raise UnpackingError(
                    507,
                    "{name} has no room for what is in it, and was deleted: unpacked it is larger than what images may "
                    "have together, or than what is left of that.",
                    name=name,
                )
            yield

    def _take_room(self, path: Path, size: int, is_new: bool = True) -> None:
        with self._taking:
            self._take_room_now(path, size, is_new)

    def _take_room_now(self, path: Path, size: int, is_new: bool) -> None:
        """Takes blocks for all of the file, whose size stays. Raises ApiError, and leaves nothing of a new one."""
        if is_new:
            # Of an image that somebody has deleted by hand.
            self._forget(path.name)
            if len(self._files(self._images)) + len(self.uploads()) >= IMAGES_MAX:
                raise ApiError(507, "There are {most} images: delete one first.", most=IMAGES_MAX)
            used = self._used()
            if size > self._left(used):
                raise ApiError(
                    507,
                    "{size} MiB do not fit: images may have {most} MiB together, and have {used}. Delete one first.",
                    size=_mib(size),
                    most=self._most // MIB,
                    used=_mib(used),
                )
        missing = size if is_new else size - path.stat().st_blocks * 512
        if missing > 0 and missing > self._on_disk():
            raise _no_room(missing)
        with _opened(path, os.O_RDWR | (os.O_CREAT | os.O_EXCL if is_new else 0)) as file:
            failed = _libc.fallocate(file, FALLOC_FL_KEEP_SIZE, 0, size)
            reason = ctypes.get_errno() if failed else 0
            os.fsync(file)
        # Some file systems can't: then it takes blocks as it grows.
        if reason in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            if is_new:
                path.unlink()
            raise _no_room(missing)
        _sync_folder(path.parent)


def _write_all(file: io.FileIO, block: bytes | bytearray) -> None:
    rest = memoryview(block)
    while rest:
        rest = rest[file.write(rest) :]


def _format(path: Path) -> None:
    command = ["/usr/sbin/mkfs.vfat", "-n", "KVM", "--", str(path)]
    subprocess.run(command, check=True, capture_output=True, timeout=FORMAT_SECONDS)


@contextlib.contextmanager
def _opened(path: Path, flags: int) -> Iterator[int]:
    file = os.open(path, flags | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        yield file
    finally:
        os.close(file)


def _sync_folder(folder: Path) -> None:
    with _opened(folder, os.O_RDONLY) as opened:
        os.fsync(opened)


def _mib(size: int) -> int:
    """Rounded up: what is said to be missing must be enough."""
    return -(-size // MIB)


def _no_room(size: int) -> ApiError:
    return ApiError(
        507,
        "The device's disk has no room for {size} MiB more, beside what must stay free.",
        size=_mib(size),
    )
