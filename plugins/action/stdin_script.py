# SPDX-License-Identifier: MIT
"""Runs a script of the role on the device, which gets it by standard input: one round trip, nothing to clean up."""

from __future__ import annotations

import shlex
from pathlib import Path

from ansible.plugins.action import ActionBase


def interpreter(script: bytes) -> list[str]:
    """The one that the first line names, as in `#!/usr/bin/env python3` and `#!/usr/bin/python3 -I`."""
    words = script.partition(b"\n")[0].decode().removeprefix("#!").split()
    return words[1:] if Path(words[0]).name == "env" else words


def command_line(interpreter: list[str], name: str, arguments: list[str]) -> str:
    """What the device's shell is to run, with the script at its standard input."""
    if Path(interpreter[0]).name.startswith("python"):
        return shlex.join([*interpreter, "-", *arguments])
    # Read to its end first: a command in the script must not find the rest of it at its own standard input.
    return f'{shlex.join(interpreter)} -c "$(cat)" {shlex.join([name, *arguments])}'


class ActionModule(ActionBase):
    def run(self, tmp=None, task_vars=None):
        result = super().run(tmp, task_vars)
        name, *arguments = shlex.split(self._task.args["cmd"])
        if self._task.check_mode:
            return {**result, "skipped": True, "msg": f"{name} is not run in check mode."}
        script = Path(self._find_needle("files", name)).read_bytes()
        named = self._task.args.get("executable")
        command = command_line([named] if named else interpreter(script), name, arguments)
        answer = self._low_level_execute_command(command, in_data=script)
        result.update(answer, changed=True)
        if answer["rc"]:
            result.update(failed=True, msg=f"{name} ended with exit code {answer['rc']}.")
        return result
