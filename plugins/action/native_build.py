# SPDX-License-Identifier: MIT
"""Controller's half of native_build: inspects without Ansible's library where nothing is to be done, and refuses a
build that was made elsewhere and is not what was asked for."""

from __future__ import annotations

import base64
import hashlib
from pathlib import Path

from ansible.plugins.action import ActionBase

# Not imported: outside of a collection the plugins are no package.
PLUGINS = Path(__file__).parents[1]


def load(path: str) -> dict:
    names: dict = {"__file__": str(PLUGINS / path), "__name__": Path(path).stem}
    exec((PLUGINS / path).read_text(), names)
    return names


looking = load("plugin_utils/looking.py")
sync_directory = load("action/sync_directory.py")
prebuilt = load("module_utils/prebuilt.py")


def source_checksum(folder, exclude=(), prebuilt_file=None):
    """Checksum of what a tree holds on a device when this play has put it there; None if only the device knows."""
    if prebuilt_file is not None:
        return prebuilt["read"](prebuilt_file).tree_checksum(folder) if prebuilt_file else None
    files = sync_directory["read_tree"](Path(folder), exclude)
    return prebuilt["files_checksum"](
        {
            name: hashlib.sha256(base64.b64decode(file["content"])).digest()
            for name, file in files.items()
        }
    )


def checked(file, arguments, sources, facts):
    """The build in the tarball, if it is for this device, and of what this play asks for."""
    build = prebuilt["read"](file, arguments["name"], arguments.get("links"))
    build.check_device(facts.get("architecture", ""), facts.get("distribution_release", ""))
    inputs = {key: str(value) for key, value in arguments["inputs"].items()}
    trees = {
        folder: source_checksum(**sources[folder]) if folder in sources else None
        for folder in arguments.get("trees", [])
    }
    build.check_inputs({**inputs, **trees})
    build.check_objects(arguments["objects"])
    return build


class ActionModule(ActionBase):
    def run(self, tmp=None, task_vars=None):
        result = super().run(tmp, task_vars)
        arguments = self._task.args.copy()
        file, sources = arguments.pop("prebuilt", ""), arguments.pop("sources", {})
        if not file:
            return {**result, **self.module(arguments, task_vars)}
        try:
            build = checked(file, arguments, sources, (task_vars or {}).get("ansible_facts", {}))
        except prebuilt["Refused"] as error:
            sentence = f"{arguments['name']}_prebuilt is {file}: {error}"
            return {**result, "failed": True, "changed": False, "msg": sentence}
        if arguments["state"] == "checked":
            return {**result, "changed": False}
        arguments["stamp"] = build.stamp
        if self._task.check_mode:
            # What would be in there has not been put there.
            arguments["trees"] = []
        if arguments["state"] == "brought" and not self._task.check_mode:
            return {**result, **self.bring(arguments, build.tarball, task_vars)}
        packages = sorted(build.manifest["packages"])
        return {**result, **self.module(arguments, task_vars), "packages": packages}

    def module(self, arguments, task_vars):
        if arguments["state"] == "inspected":
            return looking["run_module"](self, arguments, task_vars)
        return self._execute_module(module_args=arguments, task_vars=task_vars)

    def bring(self, arguments, tarball, task_vars):
        """Hands over what was checked."""
        folder = self._make_tmp_path()
        try:
            there = self._connection._shell.join_path(folder, "prebuilt")
            self._transfer_data(there, tarball)
            # For a person who becomes root by another than root.
            self._fixup_perms2((folder, there))
            return self.module({**arguments, "prebuilt": there}, task_vars)
        finally:
            self._remove_tmp_path(folder)
