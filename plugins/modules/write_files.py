#!/usr/bin/python
# SPDX-License-Identifier: MIT
"""Write a role's folders and configuration files in one round trip."""

import grp
import os
import pwd
import secrets
import shlex
import shutil
import tempfile

from ansible.module_utils.parsing.convert_bool import boolean

from ..module_utils.files import QuietModule, is_owned, own, write

DOCUMENTATION = r"""
module: write_files
short_description: Write a role's folders and configuration files in one round trip
description:
  - Does for many files what M(ansible.builtin.file) and M(ansible.builtin.template) do for one. Each of their tasks
    takes several round trips to the device; this takes one for all.
  - A file is checked by its own program (O(files[].validate)) before it replaces the old one, by renaming.
  - In check mode, owners and groups that do not exist yet are passed over, as the first run on a bare host needs it.
options:
  copies:
    description: >-
      Folders that an earlier version of the role has elsewhere, as C({from, to}). Before folders and files are written,
      C(from) is copied to C(to), with owners and modes, unless C(to) is there. C(from) stays, because something may
      still run from it; M(systemd_units) removes it (its C(absent)).
    type: list
    elements: dict
    default: []
  folders:
    description: >-
      Folders, made in this order, as C({path, owner, group, mode, wanted}). Owner and group default to root, mode to
      0755. Those with C(wanted=false) are passed over.
    type: list
    elements: dict
    default: []
  files:
    description: >-
      Files, written in this order, as C({dest, template or content or generate, owner, group, mode, validate,
      secret, wanted}). C(template) is a name in the role's C(templates). C(generate) is a text whose C(%s) stands for
      64 random hexadecimal digits: such a file is made on the device, once, and its content stays. Owner and group
      default to root, mode to 0644. In C(validate), C(%s) stands for a temporary copy. With C(secret), the content is
      left out of the diff.
    type: list
    elements: dict
    default: []
  accounts:
    description: >-
      Users and groups of the role, as the text of a file in C(/etc/sysusers.d). It is written first, and
      C(systemd-sysusers) makes what is missing, also where the file is as it was.
    type: dict
"""

RETURN = r"""
written:
  description: Paths that were written or whose owner, group or mode was set.
  type: list
  elements: str
  returned: always
"""

# What systemd-sysusers writes.
ACCOUNT_FILES = ("/etc/group", "/etc/passwd")


class Writer:
    def __init__(self, module):
        self.module = module
        self.written = []
        self.diffs = []

    def ids(self, entry):
        """Numeric owner and group of an entry; None for one that is not there yet in check mode."""
        ids: list[int | None] = []
        for key, find in (("owner", pwd.getpwnam), ("group", grp.getgrnam)):
            name = entry.get(key, "root")
            try:
                ids.append(find(name)[2])
            except KeyError:
                if not self.module.check_mode:
                    self.module.fail_json(
                        msg=f"There is no {key} {name} for {entry.get('dest') or entry['path']}."
                    )
                ids.append(None)
        return ids

    def copy(self, entry):
        source, target = os.path.realpath(entry["from"]), entry["to"]
        if os.path.lexists(target) or not os.path.isdir(source):
            return
        self.written.append(target)
        if self.module.check_mode:
            return
        os.makedirs(os.path.dirname(target), exist_ok=True)
        # What a play that was killed left behind. Mostly there is none, and one that can't be removed fails the copy.
        new = f"{target}.new"
        shutil.rmtree(new, ignore_errors=True)
        code, out, err = self.module.run_command(["cp", "--archive", source, new])
        if code:
            self.module.fail_json(
                msg=f"{source} can't be copied to {target}: {(err or out).strip()}"
            )
        os.rename(new, target)

    def folder(self, entry):
        path, mode = entry["path"], int(entry.get("mode", "0755"), 8)
        uid, gid = self.ids(entry)
        if os.path.isdir(path) and is_owned(path, uid, gid, mode):
            return
        self.written.append(path)
        if not self.module.check_mode:
            os.makedirs(path, exist_ok=True)
            own(path, uid, gid, mode)

    def file(self, entry):
        path, mode = entry["dest"], int(entry.get("mode", "0644"), 8)
        uid, gid = self.ids(entry)
        try:
            with open(path, "rb") as file:
                before = file.read()
        except OSError:
            before = None
        if "generate" in entry:
            # An empty one is what a power cut can leave.
            content = before or (entry["generate"] % secrets.token_hex()).encode()
        else:
            content = entry["content"].encode()
        if before == content and is_owned(path, uid, gid, mode):
            return
        self.written.append(path)
        if not (entry.get("secret") or "generate" in entry):
            self.diffs.append(
                {
                    "before": (before or b"").decode(errors="replace"),
                    "after": entry["content"],
                    "before_header": path,
                    "after_header": path,
                }
            )
        if self.module.check_mode:
            return
        folder = tempfile.mkdtemp(dir=self.module.tmpdir)
        try:
            # Under its own name, because some checkers look at the suffix.
            copy = os.path.join(folder, os.path.basename(path))
            with open(copy, "wb") as file:
                file.write(content)
            if entry.get("validate"):
                self.validate(entry["validate"], copy, path)
            write(path, content, uid, gid, mode)
        finally:
            shutil.rmtree(folder)

    def accounts(self, entry):
        before = [text_of(path) for path in ACCOUNT_FILES]
        self.folder({"path": os.path.dirname(entry["dest"])})
        self.file(entry)
        dry = self.module.check_mode
        code, out, err = self.module.run_command(
            ["systemd-sysusers", *(["--dry-run", "-"] if dry else [entry["dest"]])],
            data=without_members(entry["content"]) if dry else None,
        )
        if code:
            self.module.fail_json(
                msg=f"systemd-sysusers refuses {entry['dest']}: {(err or out).strip()}"
            )
        # It says nothing of members that it adds, so the files tell.
        if "Would write" in out + err or before != [text_of(path) for path in ACCOUNT_FILES]:
            self.written.extend(ACCOUNT_FILES)

    def validate(self, command, copy, path):
        code, out, err = self.module.run_command(
            [word.replace("%s", copy) for word in shlex.split(command)]
        )
        if code:
            self.module.fail_json(
                msg=f"{path} is not written, because its own program refuses it: {(err or out).strip()}"
            )


def is_wanted(entry):
    return boolean(entry.get("wanted", True))


def without_members(accounts):
    """The accounts without the memberships that are there: a dry run does not look whether they are."""
    return "".join(
        line for line in accounts.splitlines(keepends=True) if not is_membership(line.split())
    )


def is_membership(words):
    """Whether these are words such as `m user group`, and the user is a member of the group."""
    if words[:1] != ["m"]:
        return False
    try:
        return words[1] in grp.getgrnam(words[2]).gr_mem
    except KeyError:
        return False


def text_of(path):
    with open(path, encoding="utf-8") as file:
        return file.read()


def main():
    module = QuietModule(
        argument_spec={
            "copies": {"type": "list", "elements": "dict", "default": []},
            "folders": {"type": "list", "elements": "dict", "default": []},
            "files": {"type": "list", "elements": "dict", "default": []},
            "accounts": {"type": "dict"},
        },
        supports_check_mode=True,
    )
    # Of folders above those that are named here.
    os.umask(0o022)
    writer = Writer(module)
    if module.params["accounts"]:
        writer.accounts(module.params["accounts"])
    for entry in module.params["copies"]:
        writer.copy(entry)
    for entry in filter(is_wanted, module.params["folders"]):
        writer.folder(entry)
    for entry in filter(is_wanted, module.params["files"]):
        writer.file(entry)
    module.exit_json(changed=bool(writer.written), written=writer.written, diff=writer.diffs)


if __name__ == "__main__":
    main()
