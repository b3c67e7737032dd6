#!/usr/bin/python
# SPDX-License-Identifier: MIT
"""Choose which of the builds on the host runs, remember the one that proved itself, and go back to it."""

import os

from ansible.module_utils.basic import AnsibleModule

from ..module_utils.builds import BuildsFolder
from ..module_utils.files import copy, is_same

DOCUMENTATION = r"""
module: active_build
short_description: Choose which of the builds on the host runs
description:
  - The active build is a link beside the folder in which M(kvm.appliance.native_build) puts builds.
  - C(active) points it to the desired build, C(known_good) remembers that the active one works and with which files,
    C(rolled_back) goes back to the build that was known good last, and to its files, unless the active one is known
    good.
  - Decided from the state of the host, so a play that was killed after the switch is completed, or undone, by the next.
options:
  state:
    description: See above.
    type: str
    choices: [active, known_good, rolled_back]
    required: true
  link:
    description: Path of the link.
    type: path
    required: true
  files:
    description: >-
      Files that belong to the way the build runs (configuration, unit), kept with what is known good. Those that are
      absent then are left alone.
    type: list
    elements: path
    default: []
"""

RETURN = r"""
build:
  description: Name of the build the link points to.
  type: str
  returned: always
known_good:
  description: Whether the active build is the one that was known good last, with the files that are there.
  type: bool
  returned: always
instead_of:
  description: With C(rolled_back), name of the build that was left; empty when nothing was done.
  type: str
  returned: when state is rolled_back
"""


class ActiveBuild:
    def __init__(self, builds, files):
        self.builds, self.files = builds, files

    def activate(self):
        """Whether another build runs now."""
        desired = self.builds.desired()
        # None is there in check mode on a bare host, or with the names that an earlier version gave.
        return self.builds.activate(desired) if desired else self.builds.check_mode

    def different_files(self, active):
        """Those that are not as they were when the active build was known good. One may be absent then and now."""
        kept = {path: self.builds.kept(active, path) for path in self.files}
        return [
            path
            for path in self.files
            if not is_same(path, kept[path])
            and (os.path.exists(path) or os.path.exists(kept[path]))
        ]

    def is_known_good(self):
        active = self.builds.active()
        return self.builds.known_good()[:1] == [active] and not self.different_files(active)

    def mark_known_good(self):
        """Keeps the files of the active build, and of the other builds the one that would be gone back to."""
        builds, active = self.builds, self.builds.active()
        if not active:
            return False
        different = self.different_files(active)
        known_good = builds.known_good()
        # Also of a build that is gone back to after a newer one: it is the one that ran last.
        new = known_good[:1] != [active]
        if builds.check_mode or not (different or new):
            return bool(different or new)
        builds.mark_known_good(active)
        for path in different:
            if os.path.exists(path):
                copy(path, builds.kept(active, path))
            else:
                os.unlink(builds.kept(active, path))
        if new:
            before = [name for name in known_good if name != active][:1]
            for name in set(builds.names()) - {active, *before}:
                builds.remove(name)
        return True

    def go_back(self):
        """Name of the build that was left, or nothing."""
        builds, active, known_good = self.builds, self.builds.active(), self.builds.known_good()
        if not known_good or active in known_good:
            return ""
        if not builds.check_mode:
            for path in self.files:
                if os.path.exists(builds.kept(known_good[0], path)):
                    copy(builds.kept(known_good[0], path), path)
            builds.activate(known_good[0])
        return active


def main():
    module = AnsibleModule(
        argument_spec={
            "state": {
                "type": "str",
                "choices": ["active", "known_good", "rolled_back"],
                "required": True,
            },
            "link": {"type": "path", "required": True},
            "files": {"type": "list", "elements": "path", "default": []},
        },
        supports_check_mode=True,
    )
    os.umask(0o022)
    link, state = module.params["link"], module.params["state"]
    if os.path.isdir(link) and not os.path.islink(link):
        module.fail_json(
            msg=f"{link} is a folder, not a link to a build: move it away, then run the play again."
        )
    builds, left = BuildsFolder(link, module.check_mode), ""
    build = ActiveBuild(builds, module.params["files"])
    changed = builds.take_over()
    if state == "active":
        changed = build.activate() or changed
    elif state == "known_good":
        changed = build.mark_known_good() or changed
    else:
        left = build.go_back()
        changed = bool(left) or changed
    module.exit_json(
        changed=changed,
        build=builds.active(),
        known_good=build.is_known_good(),
        instead_of=left,
    )


if __name__ == "__main__":
    main()
