# SPDX-License-Identifier: MIT
"""The folder LINK.builds: builds side by side, which one is desired, and which ones are known good."""

from __future__ import annotations

import json
import os
import shutil

from .files import link, write

DESIRED = "desired"
KNOWN_GOOD = "known_good"
STAMP = "built-from"
# What they were called before the first release.
FORMER_NAMES = {"wanted": DESIRED, "proven": KNOWN_GOOD}


class BuildsFolder:
    def __init__(self, link, check_mode=False):
        self.link = link
        self.check_mode = check_mode
        self.path = f"{link}.builds"

    def names(self):
        """Names of the builds, finished or not."""
        found = os.listdir(self.path) if os.path.isdir(self.path) else []
        return sorted(set(found) - {DESIRED, KNOWN_GOOD, *FORMER_NAMES})

    def build(self, name):
        return os.path.join(self.path, name)

    # --- Which one runs, and which one is to run ---

    def active(self):
        """Name of the build that the link points to; empty when there is none."""
        return os.path.basename(os.readlink(self.link)) if os.path.islink(self.link) else ""

    def desired(self):
        """Name of the build that was asked for last; empty when there is none."""
        path = self.build(DESIRED)
        return os.readlink(path) if os.path.islink(path) else ""

    def activate(self, name):
        """Points the link to a build. Returns whether that is new."""
        return self._point(self.link, os.path.join(os.path.basename(self.path), name))

    def set_desired(self, name):
        """Asks for a build. Returns whether that is new."""
        return self._point(self.build(DESIRED), name)

    def _point(self, path, target):
        if os.path.islink(path) and os.readlink(path) == target:
            return False
        if not self.check_mode:
            link(path, target)
        return True

    # --- What a build was made from ---

    def stamp(self, name):
        """What the build was made from; nothing when it is not finished."""
        try:
            with open(os.path.join(self.build(name), STAMP)) as file:
                return json.load(file)
        except (OSError, ValueError):
            return {}

    # --- Known good ---

    def known_good(self):
        """Names of the builds that are known good and still there, the latest first."""
        folder = self.build(KNOWN_GOOD)
        names = os.listdir(folder) if os.path.isdir(folder) else []
        names = [name for name in names if os.path.isdir(self.build(name))]
        return sorted(names, key=lambda name: -os.stat(os.path.join(folder, name)).st_mtime)

    def kept(self, name, path):
        """Where the copy of a file lies that belongs to a build which is known good."""
        return os.path.join(self.build(KNOWN_GOOD), name, path.strip("/").replace("/", "%"))

    def mark_known_good(self, name):
        """Makes a build the latest that is known good."""
        os.makedirs(os.path.join(self.build(KNOWN_GOOD), name), exist_ok=True)
        # A copied configuration may hold a secret.
        os.chmod(self.build(KNOWN_GOOD), 0o700)
        os.utime(os.path.join(self.build(KNOWN_GOOD), name))

    def forget_known_good(self, name):
        """What takes the place of this build has to prove itself anew."""
        # Most builds have never been known good: there is nothing to remove then.
        shutil.rmtree(os.path.join(self.build(KNOWN_GOOD), name), ignore_errors=True)

    def remove(self, name):
        shutil.rmtree(self.build(name), ignore_errors=True)
        self.forget_known_good(name)

    # --- Former names ---

    def take_over(self):
        """Gives what an earlier version of this project left the names of today. Returns whether there was any."""
        former = [name for name in FORMER_NAMES if os.path.lexists(self.build(name))]
        stamps = [name for name in self.names() if self._former_inputs(self.stamp(name))]
        if self.check_mode:
            return bool(former or stamps)
        for name in stamps:
            path, stamp = os.path.join(self.build(name), STAMP), self.stamp(name)
            for key, new in self._former_inputs(stamp).items():
                stamp["inputs"][new] = stamp["inputs"].pop(key)
            content = json.dumps(stamp, indent=1, sort_keys=True).encode()
            write(path, content, os.geteuid(), os.getegid(), 0o644)
        for name in former:
            # Only after an earlier version ran again; what that one left is the newer of both.
            shutil.rmtree(self.build(FORMER_NAMES[name]), ignore_errors=True)
            os.rename(self.build(name), self.build(FORMER_NAMES[name]))
        return bool(former or stamps)

    @staticmethod
    def _former_inputs(stamp):
        """Inputs that are folders below a link which had another name: the new names by the old ones. Without them a
        build would be made again, from the very same."""
        return {
            key: key.replace(".builds/wanted/", f".builds/{DESIRED}/")
            for key in stamp.get("inputs", {})
            if ".builds/wanted/" in key
        }
