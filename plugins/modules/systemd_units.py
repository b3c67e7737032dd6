#!/usr/bin/python
# SPDX-License-Identifier: MIT
"""Keep systemd units enabled, running, and no older than what they run from."""

import os
import shutil
import time

from ansible.module_utils.basic import AnsibleModule

DOCUMENTATION = r"""
module: systemd_units
short_description: Keep systemd units enabled, running, and no older than what they run from
description:
  - Enables and starts the units of each group. Restarts all units of a group together when the unit file, a
    drop-in or one of the group's files changed after one of them was started.
  - All groups in one task, because a task costs the device more than looking at a unit does.
  - The decision is made from the state of the host, not from what this play changed, so a play that was
    killed between writing a file and restarting a service is completed by the next one. That is why the
    roles of this project need no handlers.
options:
  groups:
    description: What is started and restarted together, in the order in which it is looked at.
    type: list
    elements: dict
    required: true
    suboptions:
      units:
        description: Unit names with suffix, in the order in which they are to be started.
        type: list
        elements: str
        required: true
      files:
        description: Files and directories (searched recursively) the units run from; absent ones are passed over.
        type: list
        elements: path
        default: []
      wanted:
        description: If false the group is passed over, such as that of hardware which this host does not have.
        type: bool
        default: true
  absent:
    description: >-
      Paths of files and folders that an earlier version of the role has left on the host. Units among them are
      stopped and disabled before anything is started, because their successors may need what they hold.
    type: list
    elements: path
    default: []
"""

RETURN = r"""
reasons:
  description: Why something was changed, one sentence each.
  type: list
  elements: str
  returned: always
"""

PROPERTIES = (
    "Id",
    "LoadState",
    "ActiveState",
    "UnitFileState",
    "NeedDaemonReload",
    "FragmentPath",
    "DropInPaths",
    "InactiveExitTimestampMonotonic",
)
RUNNING = ("active", "reloading")
UNITS = "/etc/systemd/system"


def changed_at(path):
    """Newest inode change time (seconds since the epoch) at or below `path`, with the path it was found at.

    ctime, because it moves with every rename and attribute change and can't be set backwards; of
    directories as well, because it moves when an entry is removed; of `path` itself also where it is a link, which
    may point to something older now.
    """
    newest = (os.lstat(path).st_ctime if os.path.islink(path) else 0.0, path)
    paths = [path]
    for folder, folders, files in os.walk(path):
        paths += [os.path.join(folder, name) for name in folders + files]
    for candidate in paths:
        try:
            newest = max(newest, (os.stat(candidate).st_ctime, candidate))
        except OSError:
            continue
    return newest


class Units:
    def __init__(self, module, names):
        self.module = module
        self.names = names

    def systemctl(self, *arguments, check=True):
        code, out, err = self.module.run_command(["systemctl", *arguments])
        if code and check:
            self.fail(f"`systemctl {' '.join(arguments)}` failed: {err.strip() or out.strip()}")
        return out

    def fail(self, text):
        journal = self.module.run_command(
            ["journalctl", "--no-pager", "--output=cat", "--lines=15"]
            + [f"--unit={name}" for name in self.names]
        )[1]
        self.module.fail_json(msg=text, journal=journal.splitlines())

    def show(self):
        """Properties of each unit, in the order of `units`."""
        out = self.systemctl("show", f"--property={','.join(PROPERTIES)}", *self.names)
        return [
            dict(line.split("=", 1) for line in block.splitlines())
            for block in out.strip().split("\n\n")
        ]


def restart_reasons(unit, files):
    """Sentences that say why a running unit no longer matches what is on disk."""
    name = unit["Id"]
    if unit["NeedDaemonReload"] == "yes":
        return [f"{name}: its unit file changed"]
    # The clock may have been set since the start (a Pi has none of its own), so count back from now.
    elapsed = (
        time.clock_gettime(time.CLOCK_MONOTONIC) - int(unit["InactiveExitTimestampMonotonic"]) / 1e6
    )
    started = time.time() - elapsed
    paths = [unit["FragmentPath"], *unit["DropInPaths"].split(), *files]
    when, path = max((changed_at(path) for path in paths if path), default=(0.0, ""))
    return [f"{name}: {path} changed after the start"] if when > started else []


def refresh(module, names, files):
    """Sentences that say what had to be done with one group; outside check mode it is done when this returns."""
    units = Units(module, names)
    before = units.show()

    missing = [unit["Id"] for unit in before if unit["LoadState"] not in ("loaded", "masked")]
    # systemd takes an empty unit file, which is what a power cut can leave of a new one, for a masked unit. If the play
    # has written it anew, systemd has not read it yet.
    masked = [
        unit["Id"]
        for unit in before
        if unit["LoadState"] == "masked" and unit["NeedDaemonReload"] == "no"
    ]
    if masked:
        units.fail(
            f"{', '.join(masked)} is masked: `systemctl unmask` it, then run the play again."
        )
    # static: has no [Install] section, something else starts it
    disabled = [unit["Id"] for unit in before if unit["UnitFileState"] not in ("enabled", "static")]
    reasons = [f"{name}: not enabled" for name in disabled]
    idle = [unit["Id"] for unit in before if unit["ActiveState"] not in RUNNING]
    stale = [
        reason
        for unit in before
        if unit["ActiveState"] in RUNNING
        for reason in restart_reasons(unit, files)
    ]
    reasons += [f"{name}: not running" for name in idle] + stale

    if reasons and not module.check_mode:
        if missing or any(unit["NeedDaemonReload"] == "yes" for unit in before):
            units.systemctl("daemon-reload")
        if disabled:
            units.systemctl("enable", *disabled)
        units.systemctl("reset-failed", *names, check=False)
        if stale and len(names) == 1:
            # Not stop and start: what a unit keeps over a restart (descriptors, runtime folders) stays.
            units.systemctl("restart", *names)
        elif stale:
            # A socket can't be restarted under its running service.
            units.systemctl("stop", *reversed(names))
        if stale or idle:
            units.systemctl("start", *names)
        dead = [unit["Id"] for unit in units.show() if unit["ActiveState"] not in RUNNING]
        if dead:
            units.fail(f"{', '.join(dead)} does not stay up; its last words are below.")
    return reasons


def remove(module, paths):
    """Sentences that say what was removed of these files; units are stopped and disabled first."""
    paths = [path for path in paths if os.path.lexists(path)]
    in_folder = [path for path in paths if os.path.dirname(path) == UNITS]
    names = [os.path.basename(path) for path in in_folder if not os.path.isdir(path)]
    if not module.check_mode:
        units = Units(module, names)
        if names:
            units.systemctl("disable", "--now", *names)
        for path in paths:
            if os.path.isdir(path) and not os.path.islink(path):
                shutil.rmtree(path)
            else:
                os.unlink(path)
        if names:
            units.systemctl("daemon-reload")
            units.systemctl("reset-failed", *names, check=False)
    return [f"{path} is not used any more" for path in paths]


def main():
    module = AnsibleModule(
        argument_spec={
            "absent": {"type": "list", "elements": "path", "default": []},
            "groups": {
                "type": "list",
                "elements": "dict",
                "required": True,
                "options": {
                    "units": {"type": "list", "elements": "str", "required": True},
                    "files": {"type": "list", "elements": "path", "default": []},
                    "wanted": {"type": "bool", "default": True},
                },
            },
        },
        supports_check_mode=True,
    )
    reasons = remove(module, module.params["absent"])
    for group in module.params["groups"]:
        if group["wanted"]:
            reasons += refresh(module, group["units"], group["files"])
    module.exit_json(changed=bool(reasons), reasons=reasons)


if __name__ == "__main__":
    main()
