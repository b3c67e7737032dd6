# SPDX-License-Identifier: MIT
"""The USB drives of the attached computer: what is in them, which configfs knows and nobody else.

usb-gadget.service makes them and lets this program's group write three files of each (role usb_gadget). An image is
put in by its path: the kernel opens it with the rights of this program, so nothing else can be put in. What is read
there may be the path of an earlier start of this program, in a sandbox that is gone; its last part is the image's name
all the same.
"""

import errno
import os
from dataclasses import dataclass
from pathlib import Path

from tinypilot.errors import ApiError

CONTROLLERS = Path("/sys/class/udc")


@dataclass(frozen=True)
class Drive:
    """image: the name of what is in it, or empty."""

    number: int
    kind: str
    image: str
    is_writable: bool


class Drives:
    def __init__(self, function: Path, controllers: Path = CONTROLLERS):
        self._function = function
        self._controllers = controllers

    def all(self) -> list[Drive]:
        return [
            drive
            for lun in sorted(self._function.glob("lun.[0-9]"))
            if (drive := self._read(lun)) is not None
        ]

    def check_there_are_any(self) -> None:
        if self._function.is_dir():
            return
        try:
            has_controller = any(self._controllers.iterdir())
        except OSError:
            has_controller = False
        if not has_controller:
            raise ApiError(
                503,
                "This device has no USB controller that could be a drive: is dtoverlay=dwc2 in config.txt?",
            )
        raise ApiError(
            503,
            "The USB gadget has no drives: the kernel lacks usb_f_mass_storage, or provisioning wants none. See "
            "`journalctl -u usb-gadget`.",
        )

    def drive(self, number: int) -> Drive:
        self.check_there_are_any()
        for drive in self.all():
            if drive.number == number:
                return drive
        raise ApiError(
            404,
            "There is no drive {number}: there are {count}, counted from 0.",
            number=number,
            count=len(self.all()),
        )

    def of(self, image: str) -> Drive | None:
        return next((drive for drive in self.all() if drive.image == image), None)

    def insert(self, number: int, path: Path, is_writable: bool) -> None:
        """Into a drive that is empty."""
        lun = self._lun(number)
        try:
            if self.drive(number).kind != "cdrom":
                _write(lun / "ro", "0" if is_writable else "1")
            _write(lun / "file", str(path))
        except OSError as error:
            raise ApiError(
                409,
                "The drive does not take {name}: {reason}.",
                name=path.name,
                reason=error.strerror or str(error),
            ) from error

    def eject(self, number: int, is_forced: bool = False) -> None:
        lun = self._lun(number)
        try:
            _write(lun / "file", "\n")
        except OSError as error:
            if error.errno != errno.EBUSY:
                raise
            if not is_forced:
                raise ApiError(
                    409,
                    "The computer has locked the drive: eject it there, or by force, which may cost it data.",
                ) from error
            try:
                _write(lun / "forced_eject", "1")
            except FileNotFoundError:
                raise ApiError(
                    409,
                    "The computer has locked the drive, and this kernel can't eject by force: eject it there.",
                ) from error

    def _lun(self, number: int) -> Path:
        return self._function / f"lun.{number}"

    @staticmethod
    def _read(lun: Path) -> Drive | None:
        """None: it is being taken away."""
        try:
            path = (lun / "file").read_text(encoding="utf-8") if (lun / "file").exists() else ""
            return Drive(
                number=int(lun.suffix[1:]),
                kind="cdrom" if (lun / "cdrom").read_text().strip() == "1" else "disk",
                image=Path(path.strip("\n")).name,
                is_writable=(lun / "ro").read_text().strip() == "0",
            )
        except OSError:
            return None


def _write(file: Path, value: str) -> None:
    """configfs takes a value in one write()."""
    # Not made, where there is none.
    opened = os.open(file, os.O_WRONLY | os.O_TRUNC | os.O_CLOEXEC)
    try:
        os.write(opened, value.encode())
    finally:
        os.close(opened)
