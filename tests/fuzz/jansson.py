# SPDX-License-Identifier: MIT
"""JSON as Janus reads it: by its library, and with the flags that its WebSockets' transport has."""

import ctypes
import functools
import json

REFUSE_WHAT_IS_TWICE = 0x1
SORTED, COMPACT, ANY = 0x80, 0x20, 0x200


@functools.cache
def _library() -> ctypes.CDLL:
    library = ctypes.CDLL("libjansson.so.4")
    library.json_loadb.restype = library.json_dumps.restype = ctypes.c_void_p
    library.json_loadb.argtypes = [
        *(ctypes.c_char_p, ctypes.c_size_t, ctypes.c_size_t),
        ctypes.c_void_p,
    ]
    library.json_dumps.argtypes = [ctypes.c_void_p, ctypes.c_size_t]
    library.json_delete.argtypes = [ctypes.c_void_p]
    return library


def read_as_janus(text: str) -> object:
    """What Janus understands; a ValueError if it refuses the text, or would keep one of two fields of one name."""
    data = text.encode()
    library = _library()
    found = library.json_loadb(data, len(data), REFUSE_WHAT_IS_TWICE, None)
    if not found:
        raise ValueError(f"Janus does not read this: {text}")
    written = library.json_dumps(found, SORTED | COMPACT | ANY)
    again = json.loads(ctypes.string_at(written))
    ctypes.CDLL(None).free(ctypes.c_void_p(written))
    library.json_delete(found)
    return again
