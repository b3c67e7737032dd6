# SPDX-License-Identifier: MIT
"""What may be set in the page: which settings there are, within which bounds, and what is set now.

Each role lays down a file in one folder that says what of its own may be set, with the very ranges and patterns that
the play checks its variables with. The web app and the program that applies (apply.py, root's) both check with this
module.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tinypilot.config import Config
from tinypilot.errors import ApiError


@dataclass(frozen=True)
class Setting:
    """`play` is the play's value, which counts while nothing is set; `bounds` are a range of numbers, or a pattern
    of texts, or of the texts of a list, and words for it; `choices` are good values by what people call them; `unit`
    reads the value from `environment_file`; units `restart_after` are restarted when whoever asked has been told; a
    `fixed` one is the operator's alone; a `secret` one goes to nobody who asks."""

    play: object
    bounds: tuple
    choices: Mapping[str, object]
    unit: str | None
    restart_after: tuple[str, ...]
    environment_file: Path | None
    fixed: bool
    secret: bool

    def check(self, name: str, value: object) -> None:
        """Raises ApiError if the value is wrong, and never shows it: it may be secret."""
        one, other = self.bounds
        if isinstance(self.play, int):
            # bool is an int in Python
            if type(value) is not int or not one <= value <= other:
                raise ApiError(
                    400,
                    "{name} must be a whole number from {minimum} to {maximum}.",
                    name=name,
                    minimum=one,
                    maximum=other,
                )
            return
        texts = value if isinstance(self.play, list) else [value]
        if not isinstance(texts, list) or not all(
            isinstance(text, str) and re.fullmatch(one, text) for text in texts
        ):
            raise ApiError(400, "{name} must be {what}.", name=name, what=other)

    def redacted(self, value: object) -> object:
        """What may be told of a value: of a secret, whether there is one."""
        return bool(value) if self.secret else value

    @property
    def schema(self) -> dict:
        """The bounds as JSON Schema."""
        one, other = self.bounds
        if isinstance(self.play, int):
            return {"type": "integer", "minimum": one, "maximum": other}
        text = {"type": "string", "pattern": f"^(?:{one})$"}
        if isinstance(self.play, list):
            return {"type": "array", "items": text, "description": other}
        secrecy = {"format": "password", "writeOnly": True} if self.secret else {}
        return {**text, "description": other, **secrecy}


class Settings:
    def __init__(self, declarations: Path, folder: Path):
        self._declarations = declarations
        self.file = folder / "settings.json"

    @classmethod
    def from_config(cls, config: Config) -> "Settings":
        return cls(config.settings_declarations, config.settings_dir)

    def _roles(self) -> list[dict]:
        return [
            json.loads(file.read_text(encoding="utf-8"))
            for file in sorted(self._declarations.glob("*.json"))
        ]

    def declared(self) -> dict[str, Setting]:
        roles = self._roles()
        fixed = {name for role in roles for name in role.get("fixed", ())}
        return {
            name: Setting(
                play,
                tuple(({**role.get("ranges", {}), **role.get("patterns", {})})[name]),
                role.get("choices", {}).get(name, {}),
                role.get("unit"),
                tuple(role.get("afterwards", ())),
                Path(role["environment_file"]) if "environment_file" in role else None,
                name in fixed,
                name in role.get("secrets", ()),
            )
            for role in roles
            for name, play in role["play"].items()
        }

    def overrides(self) -> dict[str, object]:
        """What was set in the page, by name. All else is as the play has it."""
        try:
            return json.loads(self.file.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return {}

    def effective(self, changes: Mapping[str, object] | None = None) -> dict[str, object]:
        """What counts, by name, secrets too; or what would, with these changes."""
        overrides = {**self.overrides(), **(changes or {})}
        return {
            name: setting.play if overrides.get(name) is None else overrides[name]
            for name, setting in self.declared().items()
        }

    def check(self, changes: Mapping[str, object]) -> None:
        """Raises ApiError if anything is wrong with {name: value, or None for the play's}."""
        declared = self.declared()
        if not changes:
            raise ApiError(400, "The request must name a setting.")
        for name, value in changes.items():
            if name not in declared:
                raise ApiError(
                    400,
                    "There is no such setting. The settings are: {names}.",
                    names=", ".join(declared),
                )
            if declared[name].fixed:
                raise ApiError(400, "{name} is fixed by provisioning.", name=name)
            if value is not None:
                declared[name].check(name, value)

    def as_dict(self) -> dict[str, dict]:
        """All settings, for people and programs."""
        overrides, effective = self.overrides(), self.effective()
        return {
            name: {
                "value": setting.redacted(effective[name]),
                "default": setting.redacted(setting.play),
                "is_set": name in overrides,
                "fixed": setting.fixed,
                "secret": setting.secret,
                "choices": setting.choices,
                "schema": setting.schema,
            }
            for name, setting in self.declared().items()
        }
