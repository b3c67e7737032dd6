# SPDX-License-Identifier: MIT
"""The attached computer as its keyboard and mouse see it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from tinypilot.input.gadget import Device, Port
from tinypilot.input.keys import USAGES
from tinypilot.input.layouts import Layout
from tinypilot.input.reports import Keyboard, Pointer, RelativeMouse

CAPS_LOCK_LED = 2
# Computers that miss keys at the pace of USB keep up with this one: 125 characters a second.
STROKE_SECONDS = 0.008


class Computer:
    """`paths` are those of keyboard, absolute mouse and relative mouse. `on_change` is called when `port` or
    `leds` are others than before."""

    def __init__(self, paths: Sequence[str], on_change: Callable[[], None]):
        self.keyboard = Keyboard()
        self.pointer = Pointer()
        self.relative_mouse = RelativeMouse()
        self.leds = 0
        self._on_change = on_change
        self._keyboard_device = Device(
            paths[0],
            self.keyboard,
            probe=self.keyboard.state,
            on_port=lambda port: on_change(),
            on_leds=self._note_leds,
        )
        self._devices = [
            self._keyboard_device,
            Device(paths[1], self.pointer),
            # One that was killed may have left a button down.
            Device(paths[2], self.relative_mouse, on_open=self.relative_mouse.repeat_buttons),
        ]

    def open(self) -> None:
        for device in self._devices:
            device.open()

    def close(self) -> None:
        self.release_all()
        for device in self._devices:
            device.close()

    @property
    def port(self) -> Port:
        return self._keyboard_device.port

    @property
    def anything_down(self) -> bool:
        mice = (self.pointer, self.relative_mouse)
        return self.keyboard.anything_down or any(mouse.anything_down for mouse in mice)

    def send(self) -> None:
        """Writes what was put into the lines of keyboard and mice."""
        for device in self._devices:
            device.kick()

    def release_all(self) -> None:
        for line in (self.keyboard, self.pointer, self.relative_mouse):
            line.release_all()
        self.send()

    def combine(self, codes: Sequence[str]) -> None:
        """Presses the keys one after the other, and lets them go in the other order."""
        for code in codes:
            self.keyboard.change(code, True)
        for code in reversed(codes):
            self.keyboard.change(code, False)
        self.send()

    async def type(self, text: str, layout: Layout, on_progress: Callable[[int], None]) -> bool:
        """Types a text that the layout can type. False if the computer went away meanwhile."""
        self.release_all()
        had_caps_lock = bool(self.leds & CAPS_LOCK_LED)
        if had_caps_lock:
            await self._tap(USAGES["CapsLock"])
        try:
            for count, character in enumerate(text, 1):
                for stroke in layout.strokes(character):
                    await self._tap(stroke.usage, stroke.modifiers)
                    if self.port is not Port.CONNECTED and self.port is not Port.SILENT:
                        return False
                on_progress(count)
        finally:
            if had_caps_lock:
                self.keyboard.tap(USAGES["CapsLock"], 0)
                self.send()
        return True

    async def _tap(self, usage: int, modifiers: int = 0) -> None:
        self.keyboard.tap(usage, modifiers)
        self._keyboard_device.kick()
        await self._keyboard_device.drained()
        await asyncio.sleep(STROKE_SECONDS)

    def _note_leds(self, leds: int) -> None:
        if leds != self.leds:
            self.leds = leds
            self._on_change()
