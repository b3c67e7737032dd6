# SPDX-License-Identifier: MIT
"""Images that are sent compressed, unpacked while they arrive.

However much a few bytes unpack to, one block at a time is in memory: how many there may be is for the caller to say. A
decoder has a bound of memory as well.
"""

from __future__ import annotations

import ctypes
import functools
import lzma
import zlib
from collections.abc import Callable, Iterator
from typing import NamedTuple, Protocol

BLOCK_BYTES = 1024 * 1024
# What `xz -9` needs is 65 MiB, what `zstd -19` needs 8. More than one at a time is not unpacked (images.py).
WINDOW_BYTES = 64 * 1024 * 1024
DECODER_BYTES = WINDOW_BYTES + 16 * 1024 * 1024
# What follows the end of a stream is copied for the next one, and a stream may be as short as 9 bytes.
SLICE_BYTES = 16 * 1024
# Each stream costs time, whatever is in it. Of those that parallel compressors write each has more, but the last.
SHORT_STREAM_BYTES = 32 * 1024
SHORT_STREAMS_MAX = 1000


class DamagedError(ValueError):
    """It is damaged, no such file, or needs more memory."""


class Step(NamedTuple):
    """Of what was given, `rest` was not looked at yet; there is more to come without it if `is_full`."""

    block: bytes
    rest: bytes
    is_full: bool
    has_ended: bool


class Decoder(Protocol):
    def step(self, data: bytes) -> Step: ...


class Unpacker:
    """Of one file, which may have several streams one after the other, as parallel compressors write them."""

    def __init__(self, decoder: Callable[[], Decoder]):
        self._begin = decoder
        self._decoder: Decoder | None = None
        self._has_ended_one = False
        self._stream_bytes = 0
        self._short_streams = 0

    @property
    def is_complete(self) -> bool:
        return self._has_ended_one and self._decoder is None

    def feed(self, data: bytes) -> Iterator[bytes]:
        for start in range(0, len(data), SLICE_BYTES):
            yield from self._feed(data[start : start + SLICE_BYTES])

    def _feed(self, rest: bytes) -> Iterator[bytes]:
        is_full = False
        while rest or is_full:
            if self._decoder is None:
                # Streams are padded with zeros.
                rest = rest.lstrip(b"\0") if self._has_ended_one else rest
                if not rest:
                    return
                self._decoder = self._begin()
            block, rest, is_full, has_ended = self._decoder.step(rest)
            self._stream_bytes += len(block)
            if block:
                yield block
            if has_ended:
                self._end_stream()

    def _end_stream(self) -> None:
        self._short_streams += self._stream_bytes < SHORT_STREAM_BYTES
        if self._short_streams > SHORT_STREAMS_MAX:
            raise DamagedError
        self._decoder, self._has_ended_one, self._stream_bytes = None, True, 0


class Xz:
    def __init__(self) -> None:
        self._decoder = lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=DECODER_BYTES)

    def step(self, data: bytes) -> Step:
        try:
            block = self._decoder.decompress(data, BLOCK_BYTES)
        except (lzma.LZMAError, MemoryError) as error:
            raise DamagedError from error
        if self._decoder.eof:
            return Step(block, self._decoder.unused_data, False, True)
        # What is left of it the decoder has kept.
        return Step(block, b"", not self._decoder.needs_input, False)


class Gzip:
    def __init__(self) -> None:
        self._decoder = zlib.decompressobj(wbits=16 + zlib.MAX_WBITS)

    def step(self, data: bytes) -> Step:
        try:
            block = self._decoder.decompress(data, BLOCK_BYTES)
        except zlib.error as error:
            raise DamagedError from error
        if self._decoder.eof:
            return Step(block, self._decoder.unused_data, False, True)
        return Step(block, self._decoder.unconsumed_tail, len(block) == BLOCK_BYTES, False)


class _Buffer(ctypes.Structure):
    """ZSTD_inBuffer and ZSTD_outBuffer."""

    _fields_ = (
        ("data", ctypes.c_void_p),
        ("size", ctypes.c_size_t),
        ("position", ctypes.c_size_t),
    )


@functools.cache
def _libzstd() -> ctypes.CDLL:
    """dpkg needs it, so it is there. Python has a module of its own from 3.14 on."""
    library = ctypes.CDLL("libzstd.so.1")
    context, buffer = ctypes.c_void_p, ctypes.POINTER(_Buffer)
    library.ZSTD_createDCtx.restype = context
    library.ZSTD_freeDCtx.argtypes = (context,)
    library.ZSTD_DCtx_setParameter.argtypes = (context, ctypes.c_int, ctypes.c_int)
    library.ZSTD_DCtx_setParameter.restype = ctypes.c_size_t
    library.ZSTD_decompressStream.argtypes = (context, buffer, buffer)
    library.ZSTD_decompressStream.restype = ctypes.c_size_t
    library.ZSTD_isError.argtypes = (ctypes.c_size_t,)
    return library


ZSTD_D_WINDOW_LOG_MAX = 100
# What it likes to be asked for; a frame may have nine bytes, and each has one of these.
ZSTD_BLOCK_BYTES = 128 * 1024


class Zstandard:
    def __init__(self) -> None:
        self._library = _libzstd()
        self._context = self._library.ZSTD_createDCtx()
        if not self._context:
            raise MemoryError
        window_log = WINDOW_BYTES.bit_length() - 1
        self._library.ZSTD_DCtx_setParameter(self._context, ZSTD_D_WINDOW_LOG_MAX, window_log)
        self._block = ctypes.create_string_buffer(ZSTD_BLOCK_BYTES)

    def __del__(self) -> None:
        self._library.ZSTD_freeDCtx(self._context)

    def step(self, data: bytes) -> Step:
        given = _Buffer(ctypes.cast(ctypes.c_char_p(data), ctypes.c_void_p), len(data), 0)
        taken = _Buffer(ctypes.cast(self._block, ctypes.c_void_p), ZSTD_BLOCK_BYTES, 0)
        told = self._library.ZSTD_decompressStream(
            self._context, ctypes.byref(taken), ctypes.byref(given)
        )
        if self._library.ZSTD_isError(told):
            raise DamagedError
        block, rest = ctypes.string_at(self._block, taken.position), data[given.position :]
        return Step(block, rest, told != 0 and taken.position == ZSTD_BLOCK_BYTES, told == 0)


DECODERS: dict[str, Callable[[], Decoder]] = {".xz": Xz, ".gz": Gzip, ".zst": Zstandard}
