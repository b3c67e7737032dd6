# SPDX-License-Identifier: MIT
"""Lines of a GPIO chip, by the kernel's own interface: <linux/gpio.h>, whose second version Linux 5.10 brought.

gpio.py CHIP LINE...
    Prints as JSON how many lines the chip has, and who holds these; for preflight, which runs this file alone.
"""

import errno
import fcntl
import json
import os
import struct
import sys
from collections.abc import Collection, Mapping

LINES_MAX = 64
ATTRIBUTES_MAX = 10
USED, ACTIVE_LOW, INPUT, OUTPUT = 1 << 0, 1 << 1, 1 << 2, 1 << 3
ATTRIBUTE_FLAGS = 1

CHIP_INFO = struct.Struct("=32s32sI")
# Name, consumer, offset, count of attributes, flags, the attributes, padding.
LINE_INFO = struct.Struct(f"=32s32sIIQ{16 * ATTRIBUTES_MAX}x16x")
# Identifier, padding, value, mask of the lines that it is for.
ATTRIBUTE = struct.Struct("=I4xQQ")
# Offsets, consumer, flags, count of attributes, padding, attributes, count of lines, size of the buffer for events,
# padding, file descriptor.
LINE_REQUEST = struct.Struct(f"={LINES_MAX}I32sQI20x{ATTRIBUTE.size * ATTRIBUTES_MAX}sII20xi")
LINE_VALUES = struct.Struct("=QQ")


def _number(direction: int, number: int, of: struct.Struct) -> int:
    """As _IOR() and _IOWR() make it."""
    return direction << 30 | of.size << 16 | 0xB4 << 8 | number


GET_CHIP_INFO = _number(2, 0x01, CHIP_INFO)
GET_LINE_INFO = _number(3, 0x05, LINE_INFO)
GET_LINE = _number(3, 0x07, LINE_REQUEST)
GET_VALUES = _number(3, 0x0E, LINE_VALUES)
SET_VALUES = _number(3, 0x0F, LINE_VALUES)


def open_chip(path: str) -> int:
    return os.open(path, os.O_RDWR | os.O_CLOEXEC)


class Lines:
    """Lines that nobody else has from now on, until release() or the end of this process. True is active, whatever the
    level. Outputs are inactive from the first moment on; which level they have after the end is the driver's affair."""

    def __init__(
        self,
        chip: str,
        consumer: str,
        outputs: Collection[int],
        inputs: Collection[int],
        active_low: Collection[int],
    ):
        lines = [*outputs, *inputs]
        self._bit = {line: 1 << place for place, line in enumerate(lines)}
        # The first attribute that is for a line is all that counts for it. Outputs without a value are inactive.
        masks: dict[int, int] = {}
        for line in lines:
            flags = OUTPUT if line in outputs else INPUT
            if line in active_low:
                flags |= ACTIVE_LOW
            masks[flags] = masks.get(flags, 0) | self._bit[line]
        attributes = b"".join(
            ATTRIBUTE.pack(ATTRIBUTE_FLAGS, flags, mask) for flags, mask in masks.items()
        )
        padding = [0] * (LINES_MAX - len(lines))
        request = bytearray(
            LINE_REQUEST.pack(
                *lines, *padding, consumer.encode(), INPUT, len(masks), attributes, len(lines), 0, 0
            )
        )
        file = open_chip(chip)
        try:
            fcntl.ioctl(file, GET_LINE, request)
        finally:
            os.close(file)
        self._file = LINE_REQUEST.unpack(request)[-1]

    def set(self, line: int, is_active: bool) -> None:
        mask = self._bit[line]
        fcntl.ioctl(self._file, SET_VALUES, LINE_VALUES.pack(mask if is_active else 0, mask))

    def get(self, line: int) -> bool:
        values = bytearray(LINE_VALUES.pack(0, self._bit[line]))
        fcntl.ioctl(self._file, GET_VALUES, values)
        return bool(LINE_VALUES.unpack(values)[0])

    def release(self) -> None:
        os.close(self._file)


def facts(chip: str, lines: Collection[int]) -> Mapping[str, object]:
    """lines: how many the chip has, None if it is none; holders: who has one of these lines, by its number."""
    try:
        file = open_chip(chip)
    except OSError as error:
        return {"lines": None, "holders": {}, "reason": os.strerror(error.errno or errno.EIO)}
    try:
        information = bytearray(CHIP_INFO.size)
        fcntl.ioctl(file, GET_CHIP_INFO, information)
        count = CHIP_INFO.unpack(information)[2]
        holders = {}
        for line in lines:
            if line < count:
                information = bytearray(LINE_INFO.pack(b"", b"", line, 0, 0))
                fcntl.ioctl(file, GET_LINE_INFO, information)
                _, consumer, _, _, flags = LINE_INFO.unpack(information)
                if flags & USED:
                    name = consumer.rstrip(b"\0").decode(errors="replace")
                    holders[line] = name or "the kernel"
        return {"lines": count, "holders": holders, "reason": ""}
    except OSError as error:
        return {"lines": None, "holders": {}, "reason": os.strerror(error.errno or errno.EIO)}
    finally:
        os.close(file)


if __name__ == "__main__":
    print(json.dumps(facts(sys.argv[1], [int(line) for line in sys.argv[2:]])))
