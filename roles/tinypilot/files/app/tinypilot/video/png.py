# SPDX-License-Identifier: MIT
"""A JPEG as PNG, for programs that read no JPEG. libjpeg-turbo decodes it, by ctypes: its functions here are those of
version 1.3, which the newer ones keep."""

import ctypes
import struct
import zlib
from functools import cache

LIBRARY = "libturbojpeg.so.0"
_RGB, _RGB_BYTES = 0, 3
# A screen compresses well, and the device has better things to do.
_COMPRESSION = 1
SIGNATURE = b"\x89PNG\r\n\x1a\n"


@cache
def _library() -> ctypes.CDLL:
    """Raises OSError where it is missing."""
    library = ctypes.CDLL(LIBRARY)
    library.tjInitDecompress.restype = ctypes.c_void_p
    library.tjDestroy.argtypes = [ctypes.c_void_p]
    number = ctypes.POINTER(ctypes.c_int)
    library.tjDecompressHeader3.argtypes = [
        *(ctypes.c_void_p, ctypes.c_char_p, ctypes.c_ulong),
        *(number, number, number, number),
    ]
    library.tjDecompress2.argtypes = [
        *(ctypes.c_void_p, ctypes.c_char_p, ctypes.c_ulong, ctypes.c_char_p),
        *(ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.c_int),
    ]
    return library


def from_jpeg(jpeg: bytes) -> bytes:
    """Raises ValueError if it is none."""
    width, height, pixels = _decoded(jpeg)
    line = width * _RGB_BYTES
    # Before each line, that it is not filtered.
    lines = b"".join(b"\0" + pixels[at : at + line] for at in range(0, len(pixels), line))
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        SIGNATURE
        + _chunk(b"IHDR", header)
        + _chunk(b"IDAT", zlib.compress(lines, _COMPRESSION))
        + _chunk(b"IEND", b"")
    )


def _decoded(jpeg: bytes) -> tuple[int, int, bytes]:
    library = _library()
    decoder = library.tjInitDecompress()
    try:
        width, height, kind, space = (ctypes.c_int() for _ in range(4))
        size = ctypes.byref(width), ctypes.byref(height)
        if library.tjDecompressHeader3(
            decoder, jpeg, len(jpeg), *size, ctypes.byref(kind), ctypes.byref(space)
        ):
            raise ValueError("this is no JPEG")
        pixels = ctypes.create_string_buffer(width.value * height.value * _RGB_BYTES)
        if library.tjDecompress2(
            decoder, jpeg, len(jpeg), pixels, width.value, 0, height.value, _RGB, 0
        ):
            raise ValueError("this JPEG is damaged")
        return width.value, height.value, pixels.raw
    finally:
        library.tjDestroy(decoder)


def _chunk(kind: bytes, content: bytes) -> bytes:
    return (
        struct.pack(">I", len(content))
        + kind
        + content
        + struct.pack(">I", zlib.crc32(kind + content))
    )
