#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""The EDID of an HDMI input: what it tells the attached computer about the display.

kvm-edid read DEVICE          prints it, as hexadecimal digits
kvm-edid write DEVICE EDID    writes it, and sees that the device has it
kvm-edid refusal EDID         says why no computer could use it; prints nothing if one could
kvm-edid digits FILE          prints the hexadecimal digits of a file, binary or text

What monitors tell of themselves breaks rules of the standard in most cases, and works: edid-decode's opinion is for
people to read. Refused is only what a computer can't read, or what offers it no mode.
"""

import ctypes
import fcntl
import os
import re
import sys
from collections.abc import Iterator

BLOCK_BYTES = 128
BLOCKS_MAX = 4

HEADER = bytes.fromhex("00ffffffffffff00")
# Places in the base block.
ESTABLISHED_TIMINGS, STANDARD_TIMINGS, EXTENSIONS = slice(35, 38), range(38, 54, 2), 126
DESCRIPTORS = range(54, 126, 18)
# Bits of the last byte of established timings that only their maker knows.
MAKERS_TIMINGS = 0x7F
# Descriptors that are no detailed timing, by their tag: more timings of other kinds.
ESTABLISHED_3, CVT, STANDARD = 0xF7, 0xF8, 0xFA
# Extension blocks, and data blocks in that of CTA-861.
CTA, VIDEO_TIMINGS, DISPLAY_ID = 0x02, 0x10, 0x70
VIDEO, VENDOR, EXTENDED, MORE_EXTENSIONS = 2, 3, 7, 0x78
HDMI = bytes.fromhex("030c00")
# Extended data blocks that hold modes: for YCbCr 4:2:0 alone, and DisplayID's types VII, VIII and X.
EXTENDED_VIDEO = {b"\x0e", b"\x22", b"\x23", b"\x2a"}


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


def digits(content: bytes) -> str:
    """Of a file: its bytes, or its text without what people put between bytes."""
    if content.startswith(HEADER):
        return content.hex()
    text = content.decode("utf-8-sig", errors="replace").lower()
    return re.sub(r"0x|\\x|[\s,;:]", "", text)


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


def refusal(edid: bytes) -> str:
    """Why no computer could use it, in a sentence; nothing if one could."""
    count, rest = divmod(len(edid), BLOCK_BYTES)
    if not edid.startswith(HEADER):
        return "It does not begin with 00 ff ff ff ff ff ff 00, as each EDID does."
    if rest or not 1 <= count <= BLOCKS_MAX:
        return f"It has {len(edid)} bytes, and an EDID has one to {BLOCKS_MAX} blocks of {BLOCK_BYTES}."
    blocks = [edid[at : at + BLOCK_BYTES] for at in range(0, len(edid), BLOCK_BYTES)]
    for number, block in enumerate(blocks):
        if sum(block) % 256:
            return f"The checksum of block {number} is wrong: the file is damaged."
    if 1 + extensions(blocks) != count:
        return f"It says that it has {1 + extensions(blocks)} blocks, and it has {count}."
    if not any(map(has_timing, blocks)):
        return "It offers no display mode."
    return ""


def extensions(blocks: list[bytes]) -> int:
    """How many blocks follow the first. HDMI 2.1 has another place for it, for those who know more than one."""
    counted = blocks[0][EXTENSIONS]
    for block in blocks[1:2]:
        # From byte 4 on there are data blocks, unless timings begin there.
        has_data = block[0] == CTA and block[2] != 4
        if has_data and block[4] >> 5 == EXTENDED and block[5] == MORE_EXTENSIONS:
            return max(counted, block[6])
    return counted


def has_timing(block: bytes) -> bool:
    """Whether the block offers a display mode, of whichever kind."""
    if block.startswith(HEADER):
        *established, last = block[ESTABLISHED_TIMINGS]
        return (
            any(established)
            or bool(last & ~MAKERS_TIMINGS)
            or any(block[at] > 1 for at in STANDARD_TIMINGS)
            or any(has_detailed_timing(block[at : at + 18]) for at in DESCRIPTORS)
        )
    if block[0] == CTA:
        detailed = block[2] or BLOCK_BYTES
        found = list(data_blocks(block[4:detailed]))
        videos = (data for tag, data in found if tag == VIDEO)
        others = (data for tag, data in found if tag == EXTENDED and data[:1] in EXTENDED_VIDEO)
        hdmi = (data for tag, data in found if tag == VENDOR)
        return (
            any(any(map(is_video_code, data)) for data in videos)
            or any(any(data[1:]) for data in others)
            or any(map(has_hdmi_mode, hdmi))
            or any(
                has_detailed_timing(block[at : at + 18])
                for at in range(detailed, BLOCK_BYTES - 18, 18)
            )
        )
    # Not read here: what it offers is taken on trust.
    return block[0] in (VIDEO_TIMINGS, DISPLAY_ID)


def has_hdmi_mode(data: bytes) -> bool:
    """Whether this vendor's block is HDMI's, and has modes of its own (HDMI_VIC)."""
    flags = data[7] if data.startswith(HDMI) and len(data) > 7 else 0
    # Latencies and those of interlaced modes stand in front, and what there is of 3D.
    lengths = 9 + 2 * (flags >> 7) + 2 * (flags >> 6 & 1)
    return bool(flags >> 5 & 1) and len(data) > lengths and data[lengths] >> 5 > 0


def is_video_code(code: int) -> bool:
    """A mode of CTA-861; 1 to 64 are also written with 128 added, where a display likes them best."""
    return 1 <= code <= 127 or 129 <= code <= 219


def has_detailed_timing(descriptor: bytes) -> bool:
    """A pixel clock, pixels and lines; without a clock it is a descriptor of something else."""
    if any(descriptor[:2]):
        width = descriptor[2] | (descriptor[4] & 0xF0) << 4
        height = descriptor[5] | (descriptor[7] & 0xF0) << 4
        return width > 0 and height > 0
    tag, content = descriptor[3], descriptor[5:]
    if tag == ESTABLISHED_3:
        return any(content[1:7])
    if tag == STANDARD:
        return any(code > 1 for code in content[:12:2])
    return tag == CVT


def data_blocks(collection: bytes) -> Iterator[tuple[int, bytes]]:
    at = 0
    while at < len(collection):
        tag, length = collection[at] >> 5, collection[at] & 31
        yield tag, collection[at + 1 : at + 1 + length]
        at += 1 + length


def main() -> None:
    action, path, *edid = sys.argv[1:]
    if action == "refusal":
        print(refusal(bytes.fromhex(path)), end="")
        return
    if action == "digits":
        with open(path, "rb") as file:
            print(digits(file.read()), end="")
        return
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
