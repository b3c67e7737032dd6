# SPDX-License-Identifier: MIT
"""A line to the device that stalls, both ways: a TCP proxy. Nothing is lost, as TCP has it: it comes at once later."""

from __future__ import annotations

import contextlib
import random
import socket
import threading
from collections.abc import Iterator

_BLOCK_BYTES = 65536


class StallingLine:
    """From 127.0.0.1, `port`, to an address. It flows until stall() has been called."""

    def __init__(self, address: tuple[str, int], seed: int):
        self._address = address
        self._chance = random.Random(seed)
        self._flows = threading.Event()
        self._flows.set()
        self._ended = threading.Event()
        self._sockets: list[socket.socket] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self.stalls = 0  # so far
        self._start(self._accept)

    def stall(self, longest_seconds: float) -> None:
        """From now on, now and then, for as long as this at most."""
        self._start(self._stall_now_and_then, longest_seconds)

    def end(self) -> None:
        self._ended.set()
        self._flows.set()
        for each in (self._listener, *self._sockets):
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()

    def _start(self, action, *arguments) -> None:
        threading.Thread(target=action, args=arguments, daemon=True).start()

    def _stall_now_and_then(self, longest_seconds: float) -> None:
        while not self._ended.wait(self._chance.uniform(0.05, 1.0)):
            self._flows.clear()
            self.stalls += 1
            self._ended.wait(self._chance.uniform(0.1, longest_seconds))
            self._flows.set()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                near, _ = self._listener.accept()
                far = socket.create_connection(self._address)
                self._sockets += [near, far]
                for each in (near, far):
                    each.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                self._start(self._pump, near, far)
                self._start(self._pump, far, near)

    def _pump(self, source: socket.socket, target: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while block := source.recv(_BLOCK_BYTES):
                self._flows.wait()
                target.sendall(block)
            target.shutdown(socket.SHUT_WR)


@contextlib.contextmanager
def stalling_line(address: str, port: int, seed: int) -> Iterator[StallingLine]:
    line = StallingLine((address, port), seed)
    try:
        yield line
    finally:
        line.end()
