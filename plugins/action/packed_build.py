# SPDX-License-Identifier: MIT
"""Controller's half of packed_build: writes the tarball."""

from __future__ import annotations

import base64
import os
from pathlib import Path

from ansible.plugins.action import ActionBase


def write(path: Path, content: bytes) -> bool:
    """Whether that is new. It is there whole, or not at all."""
    if path.is_file() and path.read_bytes() == content:
        return False
    path.parent.mkdir(parents=True, exist_ok=True)
    new = path.with_name(f"{path.name}.new")
    new.write_bytes(content)
    # Of the person who called sudo.
    if os.geteuid() == 0 and (person := os.environ.get("SUDO_UID")):
        os.chown(new, int(person), -1)
    new.replace(path)
    return True


class ActionModule(ActionBase):
    def run(self, tmp=None, task_vars=None):
        result = super().run(tmp, task_vars)
        result |= self._execute_module(task_vars=task_vars)
        content = result.pop("content", None)
        if content is None:
            return result
        try:
            result["changed"] = self._task.check_mode or write(
                Path(result["path"]), base64.b64decode(content)
            )
        except OSError as error:
            message = f"{result['path']} can't be written ({error.strerror}): name another folder."
            return {**result, "failed": True, "msg": message}
        return result
