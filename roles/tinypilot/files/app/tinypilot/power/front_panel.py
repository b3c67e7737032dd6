# SPDX-License-Identifier: MIT
"""The attached computer's buttons and lights (ATX), for the web app: what the service (atx.py) does with the lines."""

from dataclasses import dataclass
from pathlib import Path

from tinypilot import audit
from tinypilot.auth.sessions import Session
from tinypilot.config import Config
from tinypilot.errors import ApiError
from tinypilot.power.ask import ask
from tinypilot.power.atx import PRESSES

# Longer than the longest press.
PATIENCE_SECONDS = 10
SENTENCES = {
    "power": "{by} asked to press the power button of the attached computer",
    "reset": "{by} asked to press the reset button of the attached computer",
    "force_off": "{by} asked to hold the power button of the attached computer",
}


@dataclass(frozen=True)
class FrontPanel:
    """presses: what the buttons that are connected can be used for."""

    socket: Path
    presses: tuple[str, ...]

    @classmethod
    def from_config(cls, config: Config) -> "FrontPanel":
        """Raises ApiError where no button is connected."""
        if not config.atx:
            raise ApiError(
                404,
                "No button of the attached computer is connected. The inventory says where they are: "
                "tinypilot_atx_chip.",
            )
        lines = config.atx.lines
        presses = tuple(press for press, (button, _) in PRESSES.items() if button in lines)
        return cls(config.atx_socket, presses)

    def state(self) -> dict:
        told = self._ask({})
        return {
            "power": told["power"],
            "disk": told["disk"],
            "pressing": told["pressing"],
            "presses": list(self.presses),
        }

    def press(self, press: str, by: Session) -> None:
        if press not in PRESSES:
            raise ApiError(400, "press must be one of {presses}.", presses=", ".join(PRESSES))
        if press not in self.presses:
            raise ApiError(404, "This button of the attached computer is not connected.")
        name = by.user or "provisioning"
        audit.note("button_pressed", SENTENCES[press].format(by=name), by=name, press=press)
        self._ask({"press": press})

    def _ask(self, question: dict) -> dict:
        try:
            told = ask(self.socket, question, PATIENCE_SECONDS)
        except (OSError, ValueError) as error:
            raise ApiError(
                503, "The ATX service does not answer. See `journalctl -u tinypilot-atx`."
            ) from error
        if told.get("error") == "busy":
            raise ApiError(409, "A button is being pressed. Try again in a moment.")
        if "error" in told:
            raise ApiError(
                503,
                "The buttons of the attached computer can't be used: {reason}. See `journalctl -u tinypilot-atx`.",
                reason=told["reason"],
            )
        return told
