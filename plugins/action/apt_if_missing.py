# SPDX-License-Identifier: MIT
"""Controller's half of apt_if_missing: asks dpkg, and hands over to ansible.builtin.apt only if it must."""

from __future__ import annotations

import shlex

from ansible.plugins.action import ActionBase

# Without Python on the device: this is what saves the time.
QUESTION = (
    "dpkg-query --show --showformat='${db:Status-Status} ${Package}\\n' -- %s 2>/dev/null; "
    "ls /var/lib/apt/lists | grep -q _Packages || echo no-lists"
)
# Another program may be installing packages, such as unattended-upgrades.
LOCK_PATIENCE_SECONDS = 600


class ActionModule(ActionBase):
    def run(self, tmp=None, task_vars=None):
        result = super().run(tmp, task_vars)
        names = self._task.args["name"]
        answer = self._low_level_execute_command(QUESTION % shlex.join(names))
        # dpkg-query fails as soon as it does not know one of them, and tells of the others all the same.
        if set(names) <= installed(answer["stdout"]):
            return {**result, "changed": False}
        defaults = {"install_recommends": False, "lock_timeout": LOCK_PATIENCE_SECONDS}
        arguments = {**defaults, **self._task.args}
        # A device that has never asked its mirrors knows no package; in check mode it is not made to ask.
        if "no-lists" in answer["stdout"].split():
            if self._task.check_mode:
                return {**result, "changed": True}
            arguments |= {"update_cache": True, "cache_valid_time": 0}
        return self._execute_module("ansible.builtin.apt", arguments, task_vars=task_vars)


def installed(answer: str) -> set[str]:
    """Names of the packages that are whole: neither removed nor half configured."""
    words = (line.split() for line in answer.splitlines())
    return {line[1] for line in words if line[:1] == ["installed"] and len(line) == 2}
