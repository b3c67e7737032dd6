# SPDX-License-Identifier: MIT
"""Runs a module in check mode without Ansible's library. looking.py sends this to the device, with the module."""

import json
import os
import subprocess
import sys
import types
from typing import Any, ClassVar

TYPES: dict[str, Any] = {
    "str": str,
    "path": str,
    "list": list,
    "dict": dict,
    "bool": bool,
    "int": int,
}


def typed(option, value):
    """The value. What Ansible would convert, or refuse, is left to it: this raises an exception then."""
    if value is None:
        return None
    kind = option.get("type", "str")
    if type(value) is not TYPES[kind] or value not in option.get("choices", [value]):
        raise ValueError(f"an argument is not of type {kind}")
    if kind == "path" and os.path.expandvars(os.path.expanduser(value)) != value:
        raise ValueError("a path is a pattern")
    if kind == "list":
        return [typed({**option, "type": option["elements"]}, each) for each in value]
    return filled(option["options"], value) if "options" in option else value


def filled(options, given):
    """The arguments with what is left to its default."""
    if given.keys() - options.keys() or None in given.values():
        raise ValueError("there is no such argument, or it has no value")
    for name, option in options.items():
        if option.get("required") and name not in given:
            raise ValueError(f"{name} is missing")
    return {
        name: typed(option, given.get(name, option.get("default")))
        for name, option in options.items()
    }


def boolean(value):
    return typed({"type": "bool"}, value)


class AnsibleModule:
    """Has what this collection's modules use of Ansible's class, and only looks."""

    given: ClassVar[dict] = {}
    check_mode = True

    def __init__(self, argument_spec, supports_check_mode):
        if not supports_check_mode:
            raise ValueError("this module can't look")
        self.params = filled(argument_spec, self.given)

    def run_command(self, command, data=None):
        done = subprocess.run(
            command, input=data, capture_output=True, text=True, errors="surrogateescape"
        )
        return done.returncode, done.stdout, done.stderr

    def exit_json(self, **answer):
        print(json.dumps(answer))
        sys.exit(0)

    def fail_json(self, **answer):
        sys.exit(1)


def look(message):
    texts, AnsibleModule.given = json.loads(message)
    for name, contents in (
        ("ansible.module_utils.basic", {"AnsibleModule": AnsibleModule}),
        ("ansible.module_utils.parsing.convert_bool", {"boolean": boolean}),
    ):
        sys.modules[name] = types.ModuleType(name)
        sys.modules[name].__dict__.update(contents)
    for name, text in texts:
        module = sys.modules[f"looked.{name}"] = types.ModuleType(f"looked.{name}")
        module.__package__ = f"looked.{name.rpartition('.')[0]}"
        exec(compile(text, name, "exec"), module.__dict__)
    # What the last one defines is the module itself.
    sys.modules[f"looked.{texts[-1][0]}"].main()
