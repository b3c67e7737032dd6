# SPDX-License-Identifier: MIT
"""Asks a module of this collection whether it has anything to do before Ansible runs it.

Ansible wraps a module in its own library, and unpacks and loads that library on the device for each task, which takes
longer than what the module does. looker.py runs the same module in check mode without the library. So nothing is
checked less.
"""

from __future__ import annotations

import json
from pathlib import Path

from ansible.plugins.action import ActionBase

PLUGINS = Path(__file__).parents[1]
# In this order each finds those that it imports.
MODULE_UTILS = ("files", "builds")
FURTHER_MODULE_UTILS = {"native_build": ("prebuilt",)}


def script(module: str, arguments: dict) -> bytes:
    """For the device's Python: prints what the module answers, or ends with another exit code than 0."""
    names = (*MODULE_UTILS, *FURTHER_MODULE_UTILS.get(module, ()))
    sources = [
        *((f"module_utils.{name}", f"module_utils/{name}.py") for name in names),
        (f"modules.{module}", f"modules/{module}.py"),
    ]
    texts = [(name, (PLUGINS / path).read_text()) for name, path in sources]
    looker = (PLUGINS / "plugin_utils/looker.py").read_text()
    return f"{looker}\nlook({json.dumps([texts, arguments])!r})\n".encode()


def nothing_to_do(stdout: str) -> dict | None:
    """The module's answer, if it says that nothing is to be changed."""
    try:
        answer = json.loads(stdout.splitlines()[-1])
        return answer if answer["changed"] is False else None
    except (IndexError, KeyError, TypeError, ValueError):
        return None


def run_module(action: ActionBase, arguments: dict, task_vars: dict | None) -> dict:
    """What the module of this action answers. Ansible runs it if it has something to do, or could not be asked."""
    module = action._task.action.rpartition(".")[2]
    looked = action._low_level_execute_command(
        "/usr/bin/python3 -", in_data=script(module, arguments)
    )
    answer = nothing_to_do(looked["stdout"]) if looked["rc"] == 0 else None
    return answer or action._execute_module(module_args=arguments, task_vars=task_vars)
