# SPDX-License-Identifier: MIT
"""ComputerSystem.Reset by what this device has: the buttons and the LED of the attached computer (ATX), commands of the
inventory, Wake-on-LAN. What it has nothing for it does not offer."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

from tinypilot.auth.auth import Auth
from tinypilot.auth.sessions import Session
from tinypilot.config import Config
from tinypilot.power.front_panel import FrontPanel
from tinypilot.power.hooks import Hooks
from tinypilot.power.machines import Machines

RESET_TYPES = ("On", "ForceOff", "GracefulShutdown", "ForceRestart", "PushPowerButton")
Press = Callable[[Session], object]


@dataclass(frozen=True)
class Power:
    """is_on: None, where no LED tells. resets: what each type does, of those that are offered."""

    is_on: bool | None
    resets: Mapping[str, Press]

    @classmethod
    def of_this_device(cls, config: Config, auth: Auth) -> "Power":
        """Raises ApiError if the buttons' service does not answer."""
        assert config.redfish is not None
        resets: dict[str, Press] = {}
        is_on = None
        machines = Machines(auth.store, config.wake_socket)
        for machine in machines.all():
            if machine["name"] == config.redfish.machine:
                resets["On"] = partial(machines.wake, machine["number"])
        if config.atx:
            panel = FrontPanel.from_config(config)
            is_on = panel.state()["power"]
            resets |= _by_buttons(panel, is_on)
        hooks = Hooks.from_config(config)
        resets |= {kind: partial(hooks.run, name) for kind, name in config.redfish.hooks.items()}
        return cls(is_on, {kind: resets[kind] for kind in RESET_TYPES if kind in resets})


def _by_buttons(panel: FrontPanel, is_on: bool | None) -> dict[str, Press]:
    resets: dict[str, Press] = {}
    if "power" in panel.presses:
        resets["PushPowerButton"] = partial(panel.press, "power")
        # A short press switches on what is off, and asks what is on to shut down: without the LED nobody knows which.
        if is_on is not None:
            short: Press = partial(panel.press, "power")
            resets["On"] = _nothing if is_on else short
            resets["GracefulShutdown"] = short if is_on else _nothing
    if "force_off" in panel.presses:
        resets["ForceOff"] = _nothing if is_on is False else partial(panel.press, "force_off")
    if "reset" in panel.presses:
        resets["ForceRestart"] = partial(panel.press, "reset")
    return resets


def _nothing(_: Session) -> None:
    """It is so already."""
