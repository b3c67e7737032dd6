# SPDX-License-Identifier: MIT
"""Runs a script of the role on the device, which gets it by standard input: one round trip, nothing to clean up."""

from __future__ import annotations

import shlex
from pathlib import Path

from ansible.plugins.action import ActionBase


def command_line(executable: str, name: str, arguments: list[str]) -> str:
    """What the device's shell is to run, with the script at its standard input."""
    if Path(executable).name.startswith("python"):
        return shlex.join([executable, "-", *arguments])
    # Read to its end first: a command in the script must not find the rest of it at its own standard input.
    return f'{shlex.quote(executable)} -c "$(cat)" {shlex.join([name, *arguments])}'


class ActionModule(ActionBase):
    def run(self, tmp=None, task_vars=None):
        result = super().run(tmp, task_vars)
        name, *arguments = shlex.split(self._task.args["cmd"])
        if self._task.check_mode:
            return {**result, "skipped": True, "msg": f"{name} is not run in check mode."}
        script = Path(self._find_needle("files", name)).read_bytes()
        executable = self._task.args.get("executable", "/bin/sh")
        answer = self._low_level_execute_command(
            command_line(executable, name, arguments), in_data=script
        )
        result.update(answer, changed=True)
        if answer["rc"]:
            result.update(failed=True, msg=f"{name} ended with exit code {answer['rc']}.")
        return result
