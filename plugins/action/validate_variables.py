# SPDX-License-Identifier: MIT
"""Answer a mistake in a role's variables in one sentence, before anything is changed."""

from __future__ import annotations

import difflib
import re
from pathlib import Path

import yaml
from ansible.errors import AnsibleError
from ansible.plugins.action import ActionBase

KINDS = {
    "int": "a whole number",
    "float": "a number",
    "bool": "true or false",
    "str": "text",
    "path": "an absolute path",
    "list": "a list",
    "dict": "a mapping",
}


# As all programs read them: 0443 is octal to some, +443 a mistake, and digits of other scripts are none.
WHOLE = r"-?(0|[1-9][0-9]*)"


def is_kind(value, kind):
    """Whether `value` is of the argument_specs type `kind`, with YAML's types taken at their word.

    Numbers and booleans written as text are accepted, because `-e name=value` can give nothing else. A text that YAML
    has read as a number with a point is not: of 1.10 only 1.1 is left.
    """
    if kind == "int":
        return not isinstance(value, bool) and re.fullmatch(WHOLE, str(value)) is not None
    if kind == "float":
        return (
            not isinstance(value, bool)
            and re.fullmatch(rf"{WHOLE}(\.[0-9]+)?", str(value)) is not None
        )
    if kind == "bool":
        return str(value).lower() in ("true", "false", "yes", "no")
    if kind == "path":
        return isinstance(value, str) and value.startswith("/") and value.isprintable()
    if kind == "str":
        return isinstance(value, str | int) and not isinstance(value, bool)
    return isinstance(value, {"list": list, "dict": dict}[kind])


def allowed(name, spec, ranges, patterns):
    """What may be given for `name`, as the end of the sentence "... must be"."""
    if "choices" in spec:
        return "one of " + ", ".join(str(choice) for choice in spec["choices"])
    if name in patterns:
        return patterns[name][1]
    kind = KINDS[spec.get("type", "str")]
    if name in ranges:
        return "{} from {} to {}".format(kind, *ranges[name])
    return kind


def errors(values, options, prefix, ranges, patterns, renamed, most=None):
    """Sentences, one for each error.

    values: variables of the host by name; options: the role's argument_specs; prefix: of its variables; renamed: the
    new name of each variable that had another one; most: how many items a list may have.
    """
    found = []
    most = most or {}
    for name in sorted(values):
        if name in renamed:
            found.append(f"{name} is called {renamed[name]} now: rename it in the inventory.")
        elif name.startswith(prefix) and name not in options:
            close = difflib.get_close_matches(name, options, n=1)
            hint = f" Did you mean {close[0]}?" if close else " docs/variables.md lists all."
            found.append(f"{name}: there is no such variable.{hint}")
    for name, spec in options.items():
        if name not in values:
            if spec.get("required"):
                found.append(f"{name} is not set.")
            continue
        value = values[name]
        kind = spec.get("type", "str")
        good = is_kind(value, kind)
        if good and "choices" in spec:
            good = value in spec["choices"]
        if good and spec.get("elements") == "str":
            good = all(is_kind(each, "str") for each in value)
        if good and name in ranges:
            lowest, highest = ranges[name]
            good = lowest <= float(value) <= highest
        if good and name in patterns:
            texts = value if isinstance(value, list) else [value]
            good = all(re.fullmatch(patterns[name][0], str(text)) for text in texts)
            good = good and len(texts) <= most.get(name, len(texts))
        if not good:
            shown = "(not shown)" if spec.get("no_log") else as_yaml_reads(value)
            wanted = allowed(name, spec, ranges, patterns)
            # What looks like a number, a date or a truth value is one to YAML.
            is_text = kind == "str" and "choices" not in spec
            if is_text and not isinstance(value, str | list | dict | None):
                wanted += ", in quotes"
            found.append(f"{name} is {shown}: it must be {wanted}.")
    return found


def as_yaml_reads(value):
    if value is None:
        return "empty"
    return repr(value) if isinstance(value, str | list | dict) else str(value)


def bounds(settings):
    """The ranges and patterns of settings that the web UI may change, out of their JSON Schemas."""
    schemas = {name: setting["schema"] for name, setting in settings.items()}
    ranges = {
        name: [schema["minimum"], schema["maximum"]]
        for name, schema in schemas.items()
        if schema["type"] == "integer"
    }
    patterns = {
        name: [schema.get("items", schema)["pattern"], schema["description"]]
        for name, schema in schemas.items()
        if name not in ranges
    }
    return ranges, patterns


def most_items(settings):
    """How many items the lists among these settings may have."""
    schemas = {name: setting["schema"] for name, setting in settings.items()}
    return {name: schema["maxItems"] for name, schema in schemas.items() if "maxItems" in schema}


class ActionModule(ActionBase):
    TRANSFERS_FILES = False
    _requires_connection = False

    def run(self, tmp=None, task_vars=None):
        result = super().run(tmp, task_vars)
        role = self._task._role
        if role is None:
            raise AnsibleError("validate_variables belongs into a role's tasks.")
        specification = Path(role._role_path, "meta", "argument_specs.yml")
        options = yaml.safe_load(specification.read_text())["argument_specs"]["main"]["options"]
        # Not its full name, which it has in a collection.
        prefix = f"{role.get_name(include_role_fqcn=False)}_"
        renamed = self._task.args.get("renamed", {})
        values = {
            name: self._templar.template(task_vars[name])
            for name in task_vars
            if name.startswith(prefix) and name not in renamed
        }
        # Not templated: what such a value is made of may have another name now as well.
        values |= {name: task_vars[name] for name in renamed if name in task_vars}
        ranges, patterns = bounds(self._task.args.get("settings", {}))
        found = errors(
            values,
            options,
            prefix,
            {**ranges, **self._task.args.get("ranges", {})},
            {**patterns, **self._task.args.get("patterns", {})},
            renamed,
            most_items(self._task.args.get("settings", {})),
        )
        result.update(changed=False, failed=bool(found), msg=" ".join(found))
        return result
