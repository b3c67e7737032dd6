# SPDX-License-Identifier: MIT
"""Which settings the web UI may change, within which bounds, and what is set now.

Each role lays down files in one folder that declare its own settings, with the JSON Schemas that preflight checks the
role's variables with. The web app and the program that applies settings (settings/apply.py, as root) check with this
module. docs/architecture.md, "Settings of the web UI", describes the files.
"""

import itertools
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tinypilot.config import Config
from tinypilot.errors import ApiError

# The same text in all languages, or {language: text}.
Text = str | dict[str, str]


@dataclass(frozen=True)
class Group:
    """The settings of one file: one form in the web UI, applied by one service. `service` reads the values from
    `environment_file`; units `restart_after` are restarted when the client has its answer; a `widget` is a form that
    is not made of the schemas alone; groups are shown by `order`. `check` is a program that gets a value as its last
    argument and prints why that is refused, or nothing. Of a group that is an input's EDID, `most_pixels_per_second`
    is what the input takes; None: that is not known. `most_encoded_pixels` is what the encoder takes in each direction.
    """

    name: str
    title: Text
    order: int
    widget: str | None
    service: str | None
    check: tuple[str, ...]
    most_pixels_per_second: int | None
    most_encoded_pixels: int | None
    restart_after: tuple[str, ...]
    environment_file: Path | None


@dataclass(frozen=True)
class Setting:
    """`default` is the provisioned value, effective while nothing is set; `schema` is a JSON Schema of the few
    keywords that conforms() knows; `choices` are suggested values by label; a `fixed` one can't be changed here."""

    group: Group
    default: object
    schema: Mapping
    label: Text
    hint: Text
    unit: Text
    choices: Mapping[str, object]
    fixed: bool

    @property
    def secret(self) -> bool:
        """Whether its value is never shown."""
        return self.schema.get("writeOnly", False)

    def check(self, name: str, value: object) -> None:
        """Raises ApiError if the value is wrong, and never shows it: it may be secret."""
        if conforms(value, self.schema):
            return
        if self.schema["type"] == "integer":
            raise ApiError(
                400,
                "{name} must be a whole number from {minimum} to {maximum}.",
                name=name,
                minimum=self.schema["minimum"],
                maximum=self.schema["maximum"],
            )
        raise ApiError(400, "{name} must be {what}.", name=name, what=self.schema["description"])

    def redacted(self, value: object) -> object:
        """What may be told of a value: of a secret, whether there is one."""
        return bool(value) if self.secret else value


def conforms(value: object, schema: Mapping) -> bool:
    """Whether the value fits a JSON Schema of these types."""
    if schema["type"] == "integer":
        # bool is an int in Python
        return type(value) is int and schema["minimum"] <= value <= schema["maximum"]
    if schema["type"] == "array":
        return (
            isinstance(value, list)
            and len(value) <= schema.get("maxItems", len(value))
            and all(conforms(each, schema["items"]) for each in value)
        )
    if schema["type"] == "string":
        return isinstance(value, str) and re.fullmatch(schema["pattern"], value) is not None
    raise ValueError(f"A setting has the type {schema['type']}, which is not known.")


class Settings:
    def __init__(self, declarations: Path, folder: Path):
        self._declarations = declarations
        self.file = folder / "settings.json"

    @classmethod
    def from_config(cls, config: Config) -> "Settings":
        return cls(config.settings_declarations, config.settings_dir)

    def _files(self) -> dict[str, dict]:
        return {
            file.stem: json.loads(file.read_text(encoding="utf-8"))
            for file in sorted(self._declarations.glob("*.json"))
        }

    def declared(self) -> dict[str, Setting]:
        """All settings by name, in the order of their groups."""
        files = self._files()
        fixed = {name for content in files.values() for name in content.get("fixed", ())}
        return {
            name: Setting(
                group,
                content["defaults"][name],
                declared["schema"],
                declared["label"],
                declared.get("hint", ""),
                declared.get("unit", ""),
                declared.get("choices", {}),
                name in fixed,
            )
            for group, content in sorted(
                ((_group(stem, content), content) for stem, content in files.items()),
                key=lambda pair: pair[0].order,
            )
            for name, declared in content["settings"].items()
        }

    def overrides(self) -> dict[str, object]:
        """What was set in the web UI, by name. All else has its default."""
        try:
            return json.loads(self.file.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return {}

    def with_new_names(self, overrides: Mapping[str, object]) -> dict[str, object]:
        """What was set under a name that a role has changed since, under the new one, if that is not set as well."""
        new_names = {
            old: new
            for content in self._files().values()
            for old, new in content.get("renamed", {}).items()
        }
        moved = {new_names[name]: value for name, value in overrides.items() if name in new_names}
        kept = {name: value for name, value in overrides.items() if name not in new_names}
        return {**moved, **kept}

    def effective(self, changes: Mapping[str, object] | None = None) -> dict[str, object]:
        """The effective values by name, secrets too; or what they would be with these changes."""
        overrides = {**self.overrides(), **(changes or {})}
        return {
            name: setting.default if overrides.get(name) is None else overrides[name]
            for name, setting in self.declared().items()
        }

    def check(self, changes: Mapping[str, object]) -> None:
        """Raises ApiError if anything is wrong with {name: value, or None for the default}."""
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
                "default": setting.redacted(setting.default),
                "is_set": name in overrides,
                "fixed": setting.fixed,
                "secret": setting.secret,
                "group": setting.group.title,
                "label": setting.label,
                "hint": setting.hint,
                "unit": setting.unit,
                "choices": setting.choices,
                "schema": setting.schema,
            }
            for name, setting in self.declared().items()
        }

    def groups(self) -> list[tuple[Group, dict[str, dict]]]:
        """The same by group, for the settings page."""
        declared = self.declared()
        of_group = itertools.groupby(self.as_dict().items(), lambda item: declared[item[0]].group)
        return [(group, dict(items)) for group, items in of_group]


def _group(name: str, content: Mapping) -> Group:
    return Group(
        name,
        content["group"],
        content["order"],
        content.get("widget"),
        content.get("service"),
        tuple(content.get("check", ())),
        content.get("most_pixels_per_second"),
        content.get("most_encoded_pixels"),
        tuple(content.get("restart_after", ())),
        Path(content["environment_file"]) if "environment_file" in content else None,
    )
