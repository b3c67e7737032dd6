# SPDX-License-Identifier: MIT
"""Controller's half of native_build: inspects without Ansible's library where nothing is to be done."""

from __future__ import annotations

from pathlib import Path

from ansible.plugins.action import ActionBase

# Not imported: outside of a collection the plugins are no package.
LOOKING = Path(__file__).parents[1] / "plugin_utils/looking.py"
looking: dict = {"__file__": str(LOOKING)}
exec(LOOKING.read_text(), looking)


class ActionModule(ActionBase):
    def run(self, tmp=None, task_vars=None):
        result = super().run(tmp, task_vars)
        arguments = self._task.args
        if arguments.get("state") == "inspected":
            return {**result, **looking["run_module"](self, arguments, task_vars)}
        return {**result, **self._execute_module(task_vars=task_vars)}
