# SPDX-License-Identifier: MIT
"""Controller's half of systemd_units: runs the module only where it has something to do."""

from __future__ import annotations

import runpy
from pathlib import Path

from ansible.plugins.action import ActionBase

# Not imported: outside of a collection the plugins are no package.
looking = runpy.run_path(str(Path(__file__).parents[1] / "plugin_utils/looking.py"))


class ActionModule(ActionBase):
    def run(self, tmp=None, task_vars=None):
        result = super().run(tmp, task_vars)
        return {**result, **looking["run_module"](self, self._task.args, task_vars)}
