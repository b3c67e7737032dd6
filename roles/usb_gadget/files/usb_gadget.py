#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Makes the device a USB keyboard, two mice and USB drives for the attached computer, or undoes it: start or stop. The
word describe prints the report descriptors in hexadecimal, one a line, in the order of /dev/hidg0, 1 and 2.

What it is called comes from the environment: USB_VENDOR_ID, USB_PRODUCT_ID, USB_MANUFACTURER, USB_PRODUCT,
USB_SERIAL. Reports are written to /dev/hidg0 (keyboard), /dev/hidg1 (absolute mouse) and /dev/hidg2 (relative
mouse). USB_DRIVES has a word for each drive, cdrom or disk; the group USB_DRIVES_GROUP may put images into them, by the
files in functions/mass_storage.media/lun.N.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

GADGETS = Path("/sys/kernel/config/usb_gadget")
CONTROLLERS = Path("/sys/class/udc")
NAME = "kvm"
ENGLISH = "0x409"


@dataclass(frozen=True)
class Function:
    """`protocol` and `subclass` say whether firmware understands it (1, 1: keyboard; 2, 1: mouse)."""

    name: str
    protocol: int
    subclass: int
    report_bytes: int
    descriptor: bytes


def items(text: str) -> bytes:
    """A report descriptor in hexadecimal, one item a line, with comments."""
    return b"".join(bytes.fromhex(line.partition("#")[0]) for line in text.splitlines())


# The boot protocol's own form, which firmware that reads no descriptor expects.
KEYBOARD = Function(
    "hid.keyboard",
    protocol=1,
    subclass=1,
    report_bytes=8,
    descriptor=items("""
        05 01        # Usage page: generic desktop
        09 06        # Usage: keyboard
        A1 01        # Collection: application
        05 07        #   Usage page: keyboard
        19 E0        #   Usages: left control
        29 E7        #     to right GUI
        15 00 25 01  #   0 or 1
        75 01 95 08  #   1 bit, 8 times
        81 02        #   Input: the modifiers
        75 08 95 01  #   8 bits, once
        81 01        #   Input: nothing
        05 08        #   Usage page: LEDs
        19 01 29 05  #   Usages: num lock to kana
        75 01 95 05  #   1 bit, 5 times
        91 02        #   Output: the LEDs
        75 03 95 01  #   3 bits, once
        91 01        #   Output: nothing
        05 07        #   Usage page: keyboard
        19 00        #   Usages: none
        2A FF 00     #     to 255
        15 00        #   0
        26 FF 00     #     to 255
        75 08 95 06  #   8 bits, 6 times
        81 00        #   Input: the keys that are down
        C0           # End
    """),
)
_BUTTONS = """
        05 09        # Usage page: buttons
        19 01 29 05  # Usages: 1 to 5
        15 00 25 01  # 0 or 1
        75 01 95 05  # 1 bit, 5 times
        81 02        # Input: the buttons
        75 03 95 01  # 3 bits, once
        81 01        # Input: nothing
"""
_WHEELS = """
        05 01        # Usage page: generic desktop
        09 38        # Usage: wheel
        15 81 25 7F  # -127 to 127
        75 08 95 01  # 8 bits, once
        81 06        # Input, relative
        05 0C        # Usage page: consumer
        0A 38 02     # Usage: AC pan
        75 08 95 01  # 8 bits, once
        81 06        # Input, relative
"""
POINTER = Function(
    "hid.pointer",
    protocol=0,
    subclass=0,
    report_bytes=7,
    descriptor=items(f"""
        05 01        # Usage page: generic desktop
        09 02        # Usage: mouse
        A1 01        # Collection: application
        {_BUTTONS}
        05 01        # Usage page: generic desktop
        09 30 09 31  # Usages: x, y
        15 00        # 0
        26 FF 7F     #   to 32767
        75 10 95 02  # 16 bits, twice
        81 02        # Input, absolute
        {_WHEELS}
        C0           # End
    """),
)
RELATIVE_MOUSE = Function(
    "hid.mouse",
    protocol=2,
    subclass=1,
    report_bytes=5,
    descriptor=items(f"""
        05 01        # Usage page: generic desktop
        09 02        # Usage: mouse
        A1 01        # Collection: application
        09 01        # Usage: pointer
        A1 00        # Collection: physical
        {_BUTTONS}
        05 01        # Usage page: generic desktop
        09 30 09 31  # Usages: x, y
        15 81 25 7F  # -127 to 127
        75 08 95 02  # 8 bits, twice
        81 06        # Input, relative
        {_WHEELS}
        C0           # End
        C0           # End
    """),
)
# In the order of /dev/hidg0, 1, 2.
FUNCTIONS = (KEYBOARD, POINTER, RELATIVE_MOUSE)

# The function with the drives, one LUN each. A computer reads what kind a LUN is when it finds it, and never again: so
# how many there are, and of which kind, is said here once, and only their images change.
DRIVES = "mass_storage.media"
KINDS = {"cdrom": "1", "disk": "0"}
# What whoever exchanges images writes to. Kernels before 6.0 have no forced_eject.
LUN_FILES = ("file", "ro", "forced_eject")


def write(file: Path, value: str | bytes) -> None:
    """configfs takes a value in one write()."""
    file.write_bytes(value if isinstance(value, bytes) else value.encode())


def start(
    names: Mapping[str, str], gadgets: Path = GADGETS, controllers: Path = CONTROLLERS
) -> None:
    stop(gadgets)  # whatever an end without stop left behind
    gadget = gadgets / NAME
    gadget.mkdir()
    write(gadget / "idVendor", names["USB_VENDOR_ID"])
    write(gadget / "idProduct", names["USB_PRODUCT_ID"])
    write(gadget / "bcdDevice", "0x0100")
    write(gadget / "bcdUSB", "0x0200")
    strings = gadget / "strings" / ENGLISH
    strings.mkdir(parents=True)
    write(strings / "manufacturer", names["USB_MANUFACTURER"])
    write(strings / "product", names["USB_PRODUCT"])
    write(strings / "serialnumber", names["USB_SERIAL"])
    configuration = gadget / "configs" / "c.1"
    configuration.mkdir(parents=True)
    write(configuration / "MaxPower", "250")  # mA
    for function in FUNCTIONS:
        folder = gadget / "functions" / function.name
        folder.mkdir(parents=True)
        write(folder / "protocol", str(function.protocol))
        write(folder / "subclass", str(function.subclass))
        write(folder / "report_length", str(function.report_bytes))
        write(folder / "report_desc", function.descriptor)
        # Firmware sets LEDs over the control endpoint and may not like another. Kernels before 5.16 have none such.
        if (folder / "no_out_endpoint").exists():
            write(folder / "no_out_endpoint", "1")
        (configuration / function.name).symlink_to(folder)
    kinds, group = names.get("USB_DRIVES", "").split(), names.get("USB_DRIVES_GROUP")
    try:
        _make_drives(gadget, kinds, group)
    except (OSError, LookupError) as error:
        kinds = []
        _give_up_drives(gadget, f"{error}. Does the kernel have usb_f_mass_storage?")
    controller = next(iter(sorted(os.listdir(controllers))), None)
    if controller is None:
        raise SystemExit("There is no USB device controller: is dtoverlay=dwc2 in config.txt?")
    try:
        write(gadget / "UDC", controller)
    except OSError as error:
        if not kinds:
            raise
        _give_up_drives(gadget, f"the controller does not take them ({error.strerror}).")
        write(gadget / "UDC", controller)


def _make_drives(gadget: Path, kinds: list[str], group: str | None) -> None:
    """Empty ones."""
    if not kinds:
        return
    function = gadget / "functions" / DRIVES
    function.mkdir(parents=True)
    for number, kind in enumerate(kinds):
        lun = function / f"lun.{number}"
        lun.mkdir(exist_ok=True)  # the kernel makes the first
        write(lun / "removable", "1")
        write(lun / "cdrom", KINDS[kind])
        write(lun / "ro", "1")
        for name in LUN_FILES:
            if group and (lun / name).exists():
                shutil.chown(lun / name, group=group)
                (lun / name).chmod(0o660)
    (gadget / "configs" / "c.1" / DRIVES).symlink_to(function)


def _give_up_drives(gadget: Path, reason: str) -> None:
    """There are keyboard and mice all the same."""
    print(f"There are no USB drives: {reason}", file=sys.stderr)
    with contextlib.suppress(FileNotFoundError):
        (gadget / "configs" / "c.1" / DRIVES).unlink()
    for folder in _folders_of_drives(gadget):
        with contextlib.suppress(FileNotFoundError):
            folder.rmdir()


def _folders_of_drives(gadget: Path) -> list[Path]:
    """In the order in which they go. The first LUN goes with the function."""
    function = gadget / "functions" / DRIVES
    return [*sorted(function.glob("lun.[1-9]*")), function]


def stop(gadgets: Path = GADGETS) -> None:
    """In the opposite order: configfs removes nothing that is in use."""
    gadget = gadgets / NAME
    if not gadget.exists():
        return
    with contextlib.suppress(OSError):  # not bound
        write(gadget / "UDC", "\n")
    configuration = gadget / "configs" / "c.1"
    functions = [function.name for function in FUNCTIONS]
    for name in (*functions, DRIVES):
        with contextlib.suppress(FileNotFoundError):
            (configuration / name).unlink()
    folders = [
        configuration,
        *_folders_of_drives(gadget),
        *(gadget / "functions" / name for name in functions),
        gadget / "strings" / ENGLISH,
        gadget,
    ]
    for folder in folders:
        with contextlib.suppress(FileNotFoundError):
            folder.rmdir()


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["start"]:
            start(os.environ)
        case ["stop"]:
            stop()
        case ["describe"]:
            print(*(function.descriptor.hex() for function in FUNCTIONS), sep="\n")
        case _:
            raise SystemExit(__doc__)
