# SPDX-License-Identifier: MIT
"""Commands of the operator's that switch machines on or off, by name: what the web app knows of them."""

from dataclasses import dataclass
from pathlib import Path

from tinypilot import audit
from tinypilot.auth.sessions import Session
from tinypilot.config import Config
from tinypilot.errors import ApiError
from tinypilot.power.ask import ask

# Besides the time that the command may take.
PATIENCE_SECONDS = 5


@dataclass(frozen=True)
class Hooks:
    """timeouts: how many seconds each may take, by its name."""

    socket: Path
    timeouts: dict[str, int]

    @classmethod
    def from_config(cls, config: Config) -> "Hooks":
        return cls(config.hook_socket, dict(config.power_hooks))

    def run(self, name: str, by: Session) -> None:
        if name not in self.timeouts:
            raise ApiError(
                404, "There is no such command. The inventory has them: tinypilot_power_hooks."
            )
        person = by.user or "provisioning"
        audit.note("hook_run", f"{person} asked to run: {name}", by=person, hook=name)
        try:
            told = ask(self.socket, {"hook": name}, self.timeouts[name] + PATIENCE_SECONDS)
            if told.get("busy"):
                raise ApiError(409, "Another command is running. Try again in a moment.")
            code, output = told["code"], str(told["output"]).strip() or "-"
        except (OSError, ValueError, KeyError) as error:
            raise ApiError(
                503,
                "The service for commands does not answer. See `journalctl -u 'tinypilot-hook@*'`.",
            ) from error
        if code is None:
            raise ApiError(
                409,
                "{name} was ended after {seconds} s, before it was done. It wrote: {output}",
                name=name,
                seconds=self.timeouts[name],
                output=output,
            )
        if code:
            raise ApiError(
                409,
                "{name} failed ({code}). It wrote: {output}",
                name=name,
                code=code,
                output=output,
            )
