# SPDX-License-Identifier: MIT
"""The attached computer as its keyboard and mouse see it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from tinypilot.hid.device import HidDevice, UsbState
from tinypilot.hid.keycodes import USAGES
from tinypilot.hid.layouts import Layout, Stroke
from tinypilot.hid.reports import AbsoluteMouse, Keyboard, RelativeMouse

CAPS_LOCK_LED = 2
# How long text waits after each press and each release. Between the two of a stroke none is needed where a computer
# takes each report, as systems do. Firmware that looks at the newest each 30 ms alone sees all at the slowest, also
# where one of its looks is late.
PACES = {"fast": (0.0, 0.008), "medium": (0.02, 0.02), "slow": (0.08, 0.08)}


class HidOutputs:
    """`paths` are those of keyboard, absolute mouse and relative mouse. `on_change` is called when `port` or
    `leds` are others than before."""

    def __init__(self, paths: Sequence[str], on_change: Callable[[], None]):
        self.keyboard = Keyboard()
        self.absolute_mouse = AbsoluteMouse()
        self.relative_mouse = RelativeMouse()
        self.leds = 0
        self._on_change = on_change
        self._keyboard_device = HidDevice(
            paths[0],
            self.keyboard,
            probe=self.keyboard.state,
            on_usb_state=lambda usb_state: on_change(),
            on_leds=self._note_leds,
        )
        self._devices = [
            self._keyboard_device,
            HidDevice(paths[1], self.absolute_mouse),
            # One that was killed may have left a button down.
            HidDevice(paths[2], self.relative_mouse, on_open=self.relative_mouse.repeat_buttons),
        ]

    def open(self) -> None:
        for device in self._devices:
            device.open()

    def close(self) -> None:
        self.release_all()
        for device in self._devices:
            device.close()

    @property
    def usb_state(self) -> UsbState:
        return self._keyboard_device.usb_state

    @property
    def anything_down(self) -> bool:
        mice = (self.absolute_mouse, self.relative_mouse)
        return self.keyboard.anything_down or any(mouse.anything_down for mouse in mice)

    def send(self) -> None:
        """Writes what was put into the queues of keyboard and mice."""
        for device in self._devices:
            device.flush()

    async def drained(self) -> None:
        """Until the computer has fetched all that was sent, or is gone."""
        for device in self._devices:
            await device.drained()

    def release_all(self) -> None:
        for queue in (self.keyboard, self.absolute_mouse, self.relative_mouse):
            queue.release_all()
        self.send()

    def leave(self, most: int) -> None:
        """Lets go of all; of what waits so many reports of each device go to the computer at most."""
        for queue in (self.keyboard, self.absolute_mouse, self.relative_mouse):
            queue.cut(most)
        self.send()

    async def type(
        self, text: str, layout: Layout, pace: str, on_progress: Callable[[int], None]
    ) -> bool:
        """Types a text that the layout can type. False if the computer went away meanwhile."""
        self.release_all()
        caps_lock = Stroke(USAGES["CapsLock"])
        had_caps_lock = bool(self.leds & CAPS_LOCK_LED)
        if had_caps_lock:
            await self._tap(caps_lock, pace)
        try:
            for count, character in enumerate(text, 1):
                for stroke in layout.strokes(character):
                    await self._tap(stroke, pace)
                    if (
                        self.usb_state is not UsbState.CONNECTED
                        and self.usb_state is not UsbState.SILENT
                    ):
                        return False
                on_progress(count)
            if had_caps_lock:
                await self._tap(caps_lock, pace)
                had_caps_lock = False
        finally:
            self.keyboard.release_all()
            if had_caps_lock:
                # Stopped: whoever comes next does not wait.
                self.keyboard.tap(caps_lock.usage, caps_lock.modifiers)
            self.send()
        return True

    async def _tap(self, stroke: Stroke, pace: str) -> None:
        held_seconds, pause_seconds = PACES[pace]
        self.keyboard.hold(stroke.usage, stroke.modifiers)
        if held_seconds:
            await self._wait(held_seconds)
        self.keyboard.release_all()
        await self._wait(pause_seconds)

    async def _wait(self, seconds: float) -> None:
        """From the moment on that the computer has fetched all."""
        self._keyboard_device.flush()
        await self._keyboard_device.drained()
        await asyncio.sleep(seconds)

    def _note_leds(self, leds: int) -> None:
        if leds != self.leds:
            self.leds = leds
            self._on_change()
