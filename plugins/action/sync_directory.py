# SPDX-License-Identifier: MIT
"""Controller's half of sync_directory: reads the folder and hands it to the module."""

from __future__ import annotations

import base64
from pathlib import Path

from ansible.plugins.action import ActionBase

# Not imported: outside of a collection the plugins are no package.
LOOKING = Path(__file__).parents[1] / "plugin_utils/looking.py"
looking: dict = {"__file__": str(LOOKING)}
exec(LOOKING.read_text(), looking)


def read_tree(folder, exclude):
    """Content (base64) and mode (octal text) of each file below `folder`, by relative path."""
    tree = {}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder)
        if path.is_dir() or set(name.parts) & {"__pycache__", *exclude}:
            continue
        tree[str(name)] = {
            "content": base64.b64encode(path.read_bytes()).decode(),
            "mode": "755" if path.stat().st_mode & 0o100 else "644",
        }
    return tree


class ActionModule(ActionBase):
    def run(self, tmp=None, task_vars=None):
        result = super().run(tmp, task_vars)
        arguments = self._task.args.copy()
        folder = Path(self._find_needle("files", arguments["src"]))
        arguments["tree"] = read_tree(folder, arguments.get("exclude", []))
        result.update(looking["run_module"](self, arguments, task_vars))
        # The contents would fill the screen.
        result.get("invocation", {}).get("module_args", {}).pop("tree", None)
        return result
