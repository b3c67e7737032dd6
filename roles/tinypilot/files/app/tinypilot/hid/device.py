# SPDX-License-Identifier: MIT
"""Writes reports into one file of the USB gadget, /dev/hidgN, without ever waiting for it.

    open()   ENOENT while there is no gadget
    write()  EAGAIN while the attached computer has not fetched what was written before; ESHUTDOWN while it is
             off or not connected; while it is asleep one or the other, by USB controller
    read()   what the computer sends: the keyboard's LEDs

Linux does not say by itself that a computer has gone. So the keyboard's present state, which changes nothing,
is written each second, and the answer tells. While reports wait, poll() tells when there is room, but not that
nobody is there any more, so what waits is tried every now and then, on each of the devices. Nor does poll()
know of sleep: it says that there is room where write() says EAGAIN.
"""

from __future__ import annotations

import asyncio
import errno
import os
from collections.abc import Callable
from enum import StrEnum
from typing import Protocol

AGAIN_SECONDS = 0.25
PROBE_SECONDS = 1.0
SILENCE_SECONDS = 1.0
# Less than a computer takes to come back from a reset.
RETRY_SECONDS = 0.05
_LED_REPORT = 8  # bytes, more than it has
_FLAGS = os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC


class ReportQueue(Protocol):
    """Reports that wait (see reports.py)."""

    def next_report(self) -> bytes | None: ...

    def pop(self) -> None: ...

    def clear(self) -> None: ...


class UsbState(StrEnum):
    """What the page says of the USB side."""

    CONNECTED = "connected"
    SILENT = "silent"  # connected, and the computer does not fetch reports
    DISCONNECTED = "disconnected"
    MISSING = "missing"  # there is no gadget


class HidDevice:
    """`probe` gives the report that tells whether the computer is there; without one only use does.
    `on_open` may put into the queue what the computer is to hear first."""

    def __init__(
        self,
        path: str,
        queue: ReportQueue,
        *,
        probe: Callable[[], bytes] | None = None,
        on_open: Callable[[], None] = lambda: None,
        on_usb_state: Callable[[UsbState], None] = lambda usb_state: None,
        on_leds: Callable[[int], None] = lambda leds: None,
    ):
        self.usb_state = UsbState.MISSING
        self._path = path
        self._queue = queue
        self._probe = probe
        self._on_open = on_open
        self._on_usb_state = on_usb_state
        self._on_leds = on_leds
        self._fd: int | None = None
        self._loop = asyncio.get_running_loop()
        self._stalled = False
        self._told_room = False  # by poll(), and nothing was written since
        self._timer: asyncio.TimerHandle | None = None
        self._silence: asyncio.TimerHandle | None = None
        self._empty = asyncio.Event()
        self._empty.set()

    def open(self) -> None:
        try:
            self._fd = os.open(self._path, _FLAGS)
        except OSError:
            self._say(UsbState.MISSING)
            self._later(AGAIN_SECONDS, self.open)
            return
        self._on_open()
        if self._probe:
            self._loop.add_reader(self._fd, self._read)
            self._look()
        else:
            self.flush()

    def close(self) -> None:
        if self._timer:
            self._timer.cancel()
        self._drop_file()

    def flush(self) -> None:
        """Writes what the queue holds, or as much as the computer takes now."""
        if self._fd is None:
            self._queue.clear()
        while self._fd is not None and not self._stalled and self._queue.next_report():
            self._write_next()
        if self._queue.next_report() is None:
            self._empty.set()
        else:
            self._empty.clear()

    @property
    def _open_fd(self) -> int:
        """For what runs only while the file is open: _drop_file() ends all that waits for it."""
        assert self._fd is not None
        return self._fd

    async def drained(self) -> None:
        """Until the queue is empty, by writing or because the computer went away."""
        await self._empty.wait()

    def _write_next(self) -> None:
        """What waits, else the probe."""
        report = self._queue.next_report()
        if report:
            if self._write(report):
                self._queue.pop()
        elif self._probe:
            self._write(self._probe())

    def _write(self, report: bytes) -> bool:
        try:
            self._write_or_reopen(report)
        except BlockingIOError:
            self._wait()
            return False
        except OSError as error:
            self._lose(error)
            return False
        self._stop_waiting()
        self._say(UsbState.CONNECTED)
        return True

    def _write_or_reopen(self, report: bytes) -> None:
        """A file that was open while the computer or the gadget went and came back may be dead for good."""
        try:
            os.write(self._open_fd, report)
        except BlockingIOError:
            raise
        except OSError:
            # A keyboard is opened anew all the time, and what has waited is not meant for who is there now.
            if self._probe or self._stalled:
                raise
            os.close(self._open_fd)
            self._fd = None
            self._fd = os.open(self._path, _FLAGS)
            os.write(self._open_fd, report)

    def _wait(self) -> None:
        self._stalled = True
        self._empty.clear()
        if not self._told_room:
            self._loop.add_writer(self._open_fd, self._go_on)
        self._later(RETRY_SECONDS, self._look)
        if not self._silence:
            self._silence = self._loop.call_later(SILENCE_SECONDS, self._say, UsbState.SILENT)

    def _go_on(self) -> None:
        self._told_room = True
        self._look()

    def _stop_waiting(self) -> None:
        self._stalled = self._told_room = False
        if self._silence:
            self._silence.cancel()
            self._silence = None

    def _look(self) -> None:
        """Only a write tells whether the computer is there."""
        self._loop.remove_writer(self._open_fd)
        self._write_next()
        self.flush()
        if self._probe and self._fd is not None and not self._stalled:
            self._later(PROBE_SECONDS, self._look)

    def _read(self) -> None:
        try:
            leds = os.read(self._open_fd, _LED_REPORT)
        except BlockingIOError:
            return
        except OSError as error:
            self._lose(error)
            return
        if leds:
            self._on_leds(leds[-1])

    def _lose(self, error: OSError) -> None:
        self._drop_file()
        self._on_leds(0)
        gone = error.errno in (errno.ENODEV, errno.ENXIO)
        self._say(UsbState.MISSING if gone else UsbState.DISCONNECTED)
        self._later(AGAIN_SECONDS, self.open)

    def _drop_file(self) -> None:
        if self._fd is not None:
            self._loop.remove_reader(self._fd)
            self._loop.remove_writer(self._fd)
            os.close(self._fd)
        self._fd = None
        self._stop_waiting()
        # A computer that comes back must not get what was meant for it before.
        self._queue.clear()
        self._empty.set()

    def _later(self, seconds: float, action: Callable[[], None]) -> None:
        if self._timer:
            self._timer.cancel()
        self._timer = self._loop.call_later(seconds, action)

    def _say(self, usb_state: UsbState) -> None:
        if usb_state is not self.usb_state:
            self.usb_state = usb_state
            self._on_usb_state(usb_state)
