#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Ends an uStreamer whose H.264 encoder has failed for good; systemd starts it anew.

uStreamer 5.12 and newer close an encoder that once took longer than a second, and open it again only for a picture of
another format. Older ones wait for it for ever.

encoder_watch.py SOCKET    of uStreamer's HTTP server, as uStreamer's own user
"""

import contextlib
import http.client
import json
import os
import signal
import socket
import struct
import sys
import time

LOOK_SECONDS = 1
ANSWER_SECONDS = 2
# An encoder that is all right brings its first frame within one second.
FIRST_PATIENCE_SECONDS = 5
# One that never works is no reason to interrupt again and again those who see JPEGs.
LONGEST_PATIENCE_SECONDS = 600


class Connection(http.client.HTTPConnection):
    """To a server on a unix socket."""

    def __init__(self, path: str):
        super().__init__("localhost")
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(ANSWER_SECONDS)
        self.sock.connect(self._path)

    @property
    def server(self) -> int:
        """Its process id."""
        credentials = struct.Struct("3i")
        found = self.sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, credentials.size)
        return credentials.unpack(found)[0]


def look(path: str) -> tuple[int, bool, bool]:
    """uStreamer's process id, whether it encodes, and whether it should."""
    connection = Connection(path)
    try:
        connection.request("GET", "/state")
        server = connection.server
        state = json.load(connection.getresponse())["result"]
    finally:
        connection.close()
    encodes = state["h264"]["online"]
    return server, encodes, state["source"]["online"] and state["sinks"]["h264"]["has_clients"]


def main() -> None:
    (path,) = sys.argv[1:]
    patience, failing_since = FIRST_PATIENCE_SECONDS, None
    while True:
        time.sleep(LOOK_SECONDS)
        try:
            server, encodes, should_encode = look(path)
        # It is just starting, or has no sink.
        except (OSError, http.client.HTTPException, ValueError, LookupError):
            failing_since = None
            continue
        if encodes:
            patience = FIRST_PATIENCE_SECONDS
        if encodes or not should_encode:
            failing_since = None
            continue
        failing_since = failing_since or time.monotonic()
        if time.monotonic() - failing_since < patience:
            continue
        print(
            f"Somebody watches, and the H.264 encoder has brought nothing for {patience} s: uStreamer is started anew.",
            flush=True,
        )
        # By force: it may be waiting for the encoder. Who reads the sink goes on without noticing.
        with contextlib.suppress(ProcessLookupError):
            os.kill(server, signal.SIGKILL)
        patience, failing_since = min(2 * patience, LONGEST_PATIENCE_SECONDS), None


if __name__ == "__main__":
    main()
