#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""The EDID of an HDMI input: what it tells the attached computer about the display.

kvm-edid read DEVICE          prints it, as hexadecimal digits
kvm-edid write DEVICE EDID    writes it, and sees that the device has it
"""

import ctypes
import fcntl
import os
import sys

BLOCK_BYTES = 128
BLOCKS_MAX = 4


class Request(ctypes.Structure):
    """struct v4l2_edid"""

    _fields_ = (
        ("pad", ctypes.c_uint32),
        ("start_block", ctypes.c_uint32),
        ("blocks", ctypes.c_uint32),
        ("reserved", ctypes.c_uint32 * 5),
        ("edid", ctypes.c_void_p),
    )


def _ioctl_number(number: int) -> int:
    """_IOWR('V', number, struct v4l2_edid)"""
    return 3 << 30 | ctypes.sizeof(Request) << 16 | ord("V") << 8 | number


GET, SET = _ioctl_number(40), _ioctl_number(41)


def read(device: int) -> bytes:
    memory = ctypes.create_string_buffer(BLOCKS_MAX * BLOCK_BYTES)
    request = Request(blocks=BLOCKS_MAX, edid=ctypes.addressof(memory))
    fcntl.ioctl(device, GET, request)
    return memory.raw[: request.blocks * BLOCK_BYTES]


def write(device: int, edid: bytes) -> None:
    memory = ctypes.create_string_buffer(edid, len(edid))
    request = Request(blocks=len(edid) // BLOCK_BYTES, edid=ctypes.addressof(memory))
    fcntl.ioctl(device, SET, request)
    if read(device) != edid:
        sys.exit("The device has taken the EDID, and reads back another one.")


def main() -> None:
    action, path, *edid = sys.argv[1:]
    try:
        device = os.open(path, os.O_RDWR)
        if action == "read":
            print(read(device).hex())
        else:
            write(device, bytes.fromhex(*edid))
    except OSError as error:
        sys.exit(f"{path}: {error.strerror}. Is it an HDMI input that has an EDID?")


if __name__ == "__main__":
    main()
