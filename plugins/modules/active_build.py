#!/usr/bin/python
# SPDX-License-Identifier: MIT
"""Choose which of the builds on the host runs, remember the one that proved itself, and go back to it."""

import os
import shutil

from ansible.module_utils.basic import AnsibleModule

DOCUMENTATION = r"""
module: active_build
short_description: Choose which of the builds on the host runs
description:
  - The active build is a link beside the folder in which M(native_build) puts builds. C(active) points it to the
    desired build, C(known_good) remembers that the active one works and with which files, C(rolled_back) goes back to
    the build that was known good last, and to its files, unless the active one is known good.
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
    description: Files that belong to the way the build runs (configuration, unit), kept with what is known good.
    type: list
    elements: path
    default: []
"""

RETURN = r"""
build:
  description: Name of the build the link points to.
  type: str
  returned: always
instead_of:
  description: With C(rolled_back), name of the build that was left; empty when nothing was done.
  type: str
  returned: when state is rolled_back
"""


class Builds:
    def __init__(self, module):
        self.module = module
        self.link, self.files = module.params["link"], module.params["files"]
        self.folder = self.link + ".builds"
        self.known_good_folder = os.path.join(self.folder, "known_good")

    def active(self):
        """Name of the active build; empty when there is none."""
        return os.path.basename(os.readlink(self.link)) if os.path.islink(self.link) else ""

    def point_to(self, build):
        target = os.path.join(os.path.basename(self.folder), build)
        if os.path.islink(self.link) and os.readlink(self.link) == target:
            return False
        if not self.module.check_mode:
            os.symlink(target, self.link + ".new")
            os.replace(self.link + ".new", self.link)
        return True

    def known_good(self):
        """Names of builds that are known good and still there, the latest first."""
        names = os.listdir(self.known_good_folder) if os.path.isdir(self.known_good_folder) else []
        names = [name for name in names if os.path.isdir(os.path.join(self.folder, name))]
        return sorted(
            names, key=lambda name: -os.stat(os.path.join(self.known_good_folder, name)).st_mtime
        )

    def kept(self, build, path):
        return os.path.join(self.known_good_folder, build, path.strip("/").replace("/", "%"))

    def activate(self):
        try:
            desired = os.readlink(os.path.join(self.folder, "desired"))
        except OSError:
            # Check mode on a bare host
            return self.module.check_mode
        return self.point_to(desired)

    def mark_known_good(self):
        """Keeps the files of the active build, and of the other builds the one that would be gone back to."""
        active = self.active()
        if not active:
            return False
        different = [path for path in self.files if not same(path, self.kept(active, path))]
        others = [name for name in self.known_good() if name != active]
        # Also of a build that is gone back to after a newer one: it is the one that ran last.
        new = self.known_good()[:1] != [active]
        superfluous = [
            name
            for name in os.listdir(self.folder)
            if name not in {active, "desired", "known_good", *others[:1]} and new
        ]
        if self.module.check_mode:
            return bool(different or new)
        os.makedirs(os.path.join(self.known_good_folder, active), exist_ok=True)
        # A copied configuration may hold a secret.
        os.chmod(self.known_good_folder, 0o700)
        for path in different:
            replace(path, self.kept(active, path))
        if different or new:
            os.utime(os.path.join(self.known_good_folder, active))
        for name in superfluous:
            shutil.rmtree(os.path.join(self.folder, name), ignore_errors=True)
            shutil.rmtree(os.path.join(self.known_good_folder, name), ignore_errors=True)
        return bool(different or new)

    def roll_back(self):
        """Name of the build that was left, or nothing."""
        active, known_good = self.active(), self.known_good()
        if not known_good or active in known_good:
            return ""
        if not self.module.check_mode:
            for path in self.files:
                if os.path.exists(self.kept(known_good[0], path)):
                    replace(self.kept(known_good[0], path), path)
            self.point_to(known_good[0])
        return active


def same(one, other):
    try:
        with open(one, "rb") as first, open(other, "rb") as second:
            return first.read() == second.read()
    except OSError:
        return False


def replace(source, target):
    """Copies with owner and mode, and puts the copy in place by renaming."""
    status = os.stat(source)
    shutil.copy2(source, target + ".new")
    os.chown(target + ".new", status.st_uid, status.st_gid)
    os.replace(target + ".new", target)


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
    builds, state = Builds(module), module.params["state"]
    if os.path.isdir(builds.link) and not os.path.islink(builds.link):
        module.fail_json(
            msg=f"{builds.link} is a folder, not a link to a build: move it away, then run the play again."
        )
    if state == "active":
        changed, left = builds.activate(), ""
    elif state == "known_good":
        changed, left = builds.mark_known_good(), ""
    else:
        left = builds.roll_back()
        changed = bool(left)
    module.exit_json(changed=changed, build=builds.active(), instead_of=left)


if __name__ == "__main__":
    main()
