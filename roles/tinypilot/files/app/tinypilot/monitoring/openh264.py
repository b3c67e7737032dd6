# SPDX-License-Identifier: MIT
"""Decodes H.264 by Debian's OpenH264, and says whether there was a picture in it without any damage.

libav would bring 190 packages and 500 MB for the same; this library is one package of 1 MB. Its C interface is called
by ctypes; structures and the order of functions are those of codec_api.h, which has kept them since version 1.
"""

import contextlib
import ctypes
from collections.abc import Iterator
from functools import cache

# Of Debian 13 and 12.
LIBRARIES = ("libopenh264.so.8", "libopenh264.so.7")
# The table of an ISVCDecoder.
INITIALIZE, UNINITIALIZE, DECODE_FRAME_NO_DELAY, FUNCTIONS = 0, 1, 3, 10
LARGEST_EDGE_PIXELS = 4096

_Table = ctypes.c_void_p * FUNCTIONS
_Decoder = ctypes.POINTER(ctypes.POINTER(_Table))
_Planes = ctypes.c_void_p * 3
_LIFE = ctypes.CFUNCTYPE(ctypes.c_long, _Decoder, ctypes.c_void_p)
_DECODE = ctypes.CFUNCTYPE(
    ctypes.c_int, _Decoder, ctypes.c_char_p, ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p
)


class _Parameters(ctypes.Structure):
    """SDecodingParam. All zeros: no concealment of damage, AVC."""

    _fields_ = (
        ("file_name", ctypes.c_char_p),
        ("cpu_load", ctypes.c_uint),
        ("target_layer", ctypes.c_ubyte),
        ("concealment", ctypes.c_int),
        ("parses_only", ctypes.c_bool),
        ("property_size", ctypes.c_uint),
        ("bitstream_type", ctypes.c_int),
    )


class _Output(ctypes.Structure):
    """SBufferInfo."""

    _fields_ = (
        ("is_ready", ctypes.c_int),
        ("time_in", ctypes.c_ulonglong),
        ("time_out", ctypes.c_ulonglong),
        ("width", ctypes.c_int),
        ("height", ctypes.c_int),
        ("format", ctypes.c_int),
        ("strides", ctypes.c_int * 2),
        ("planes", _Planes),
    )


class NoDecoderError(Exception):
    """OpenH264 is not there: nothing can be said of the picture."""


class DamagedError(Exception):
    """A sentence: what was decoded is no picture, or not a whole one."""


@cache
def load() -> ctypes.CDLL:
    for name in LIBRARIES:
        with contextlib.suppress(OSError):
            library = ctypes.CDLL(name)
            library.WelsCreateDecoder.argtypes = [ctypes.POINTER(_Decoder)]
            library.WelsCreateDecoder.restype = ctypes.c_long
            library.WelsDestroyDecoder.argtypes = [_Decoder]
            library.WelsDestroyDecoder.restype = None
            return library
    raise NoDecoderError(f"none of {' and '.join(LIBRARIES)} can be loaded")


class Decoder:
    def __init__(self, handle: "ctypes._Pointer"):
        self._handle = handle
        self._decode = _DECODE(handle.contents.contents[DECODE_FRAME_NO_DELAY] or 0)

    def decode(self, unit: bytes) -> tuple[int, int]:
        """The picture's width and height. Raises DamagedError."""
        output, planes = _Output(), _Planes()
        state = self._decode(
            self._handle, unit, len(unit), ctypes.byref(planes), ctypes.byref(output)
        )
        if state:
            raise DamagedError(
                f"what the encoder makes can't be decoded (OpenH264 says {state:#x})"
            )
        if output.is_ready != 1 or not planes[0]:
            raise DamagedError("what the encoder makes holds no picture")
        return output.width, output.height


@contextlib.contextmanager
def decoder() -> Iterator[Decoder]:
    """With the memory that it takes given back afterwards. Raises NoDecoderError."""
    library = load()
    handle = _Decoder()
    if library.WelsCreateDecoder(ctypes.byref(handle)):
        raise NoDecoderError("OpenH264 makes no decoder")
    try:
        functions = handle.contents.contents
        if _LIFE(functions[INITIALIZE] or 0)(handle, ctypes.byref(_Parameters())):
            raise NoDecoderError("OpenH264's decoder does not start")
        try:
            yield Decoder(handle)
        finally:
            _LIFE(functions[UNINITIALIZE] or 0)(handle, None)
    finally:
        library.WelsDestroyDecoder(handle)
