# SPDX-License-Identifier: MIT
"""Controller's half of write_files: renders the templates and hands the texts to the module."""

from __future__ import annotations

from pathlib import Path

from ansible.plugins.action import ActionBase
from ansible.template import trust_as_template

# Not imported: outside of a collection the plugins are no package.
LOOKING = Path(__file__).parents[1] / "plugin_utils/looking.py"
looking: dict = {"__file__": str(LOOKING)}
exec(LOOKING.read_text(), looking)
MANAGED = "Written by Ansible: a change here is lost with the next play."


class ActionModule(ActionBase):
    def run(self, tmp=None, task_vars=None):
        result = super().run(tmp, task_vars)
        arguments = self._task.args.copy()
        arguments["files"] = [
            self._rendered(entry, task_vars) for entry in arguments.get("files", [])
        ]
        if "accounts" in arguments:
            arguments["accounts"] = self._rendered(arguments["accounts"], task_vars)
        result.update(looking["run_module"](self, arguments, task_vars))
        # Contents may be secret, and long.
        result.pop("invocation", None)
        return result

    def _rendered(self, entry, task_vars):
        """The entry with `content` instead of `template`."""
        if "template" not in entry:
            return entry
        path = Path(self._find_needle("templates", f"{entry['template']}.j2"))
        templar = self._templar.copy_with_new_env(
            searchpath=[str(path.parent)],
            available_variables={**task_vars, "ansible_managed": MANAGED},
        )
        content = templar.template(
            trust_as_template(path.read_text()),
            escape_backslashes=False,
            preserve_trailing_newlines=True,
        )
        return {**{key: entry[key] for key in entry if key != "template"}, "content": content}
