# SPDX-License-Identifier: MIT
"""Files and links that are in their place whole, or not at all: written beside it, then renamed."""

from __future__ import annotations

import os
import stat
from contextlib import suppress

from ansible.module_utils.basic import AnsibleModule


class QuietModule(AnsibleModule):
    """Ansible writes each module's parameters into the device's journal; contents may be secret, and are long."""

    def _log_invocation(self):
        pass


def is_owned(path, uid, gid, mode):
    """Whether `path` itself, not what a link points to, has this owner, group and mode."""
    try:
        status = os.lstat(path)
    except OSError:
        return False
    return (status.st_uid, status.st_gid, stat.S_IMODE(status.st_mode)) == (uid, gid, mode)


def own(path, uid, gid, mode):
    os.chown(path, uid, gid, follow_symlinks=False)
    # After chown, which clears setgid.
    os.chmod(path, mode)


def write(path, content, uid, gid, mode):
    """Replaces `path` by a file of these bytes."""
    new = f"{path}.new"
    # What a play that was killed left behind.
    with suppress(FileNotFoundError):
        os.unlink(new)
    # Nobody else may open it before owner and mode are right: it may hold a secret.
    with open(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        own(new, uid, gid, mode)
        file.write(content)
    os.replace(new, path)


def copy(source, target):
    """Replaces `target` by a copy of `source`, with its owner, group and mode."""
    status = os.stat(source)
    with open(source, "rb") as file:
        write(target, file.read(), status.st_uid, status.st_gid, stat.S_IMODE(status.st_mode))


def is_same(one, other):
    """Whether both are files with the same content."""
    try:
        with open(one, "rb") as first, open(other, "rb") as second:
            return first.read() == second.read()
    except OSError:
        return False


def link(path, target):
    """Replaces `path` by a link to `target`."""
    new = f"{path}.new"
    with suppress(FileNotFoundError):
        os.unlink(new)
    os.symlink(target, new)
    os.replace(new, path)
