#!/usr/bin/python
# SPDX-License-Identifier: MIT
"""Make a folder on the host equal to a folder of the project, in one round trip."""

import base64
import hashlib
import os
import shutil

from ..module_utils.files import QuietModule, is_owned, write

DOCUMENTATION = r"""
module: sync_directory
short_description: Make a folder on the host equal to a folder of the project
description:
  - Copies a folder with everything below it, and removes from the host what is not in it. Unlike
    C(ansible.builtin.copy), which takes several round trips for each file, this takes one for all.
  - Each file is replaced by renaming. Files are owned by root, with the mode they have in the project
    reduced to readable, and executable where they are executable for their owner.
options:
  src:
    description: Folder in the role's C(files).
    type: str
    required: true
  dest:
    description: Folder on the host.
    type: path
    required: true
  exclude:
    description: Names (of files or folders, at any depth) that are left out.
    type: list
    elements: str
    default: []
  tree:
    description: Filled in by the action. Content (base64) and mode by relative path.
    type: dict
    default: {}
"""

RETURN = r"""
checksum:
  description: SHA-256 over the paths, modes and contents of the tree.
  type: str
  returned: always
different:
  description: Relative paths that were written or removed.
  type: list
  elements: str
  returned: always
"""


def checksum(tree):
    digest = hashlib.sha256()
    for path in sorted(tree):
        digest.update(f"{path}\0{tree[path]['mode']}\0{tree[path]['content']}\0".encode())
    return digest.hexdigest()


def is_in_place(path, content, mode):
    try:
        with open(path, "rb") as file:
            return is_owned(path, 0, 0, mode) and file.read() == content
    except OSError:
        return False


def main():
    module = QuietModule(
        argument_spec={
            "src": {"type": "str", "required": True},
            "dest": {"type": "path", "required": True},
            "exclude": {"type": "list", "elements": "str", "default": []},
            "tree": {"type": "dict", "default": {}},
        },
        supports_check_mode=True,
    )
    dest, tree = module.params["dest"], module.params["tree"]
    os.umask(0o022)

    different = []
    for name, entry in sorted(tree.items()):
        path, content = os.path.join(dest, name), base64.b64decode(entry["content"])
        mode = int(entry["mode"], 8)
        if not is_in_place(path, content, mode):
            different.append(name)
            if not module.check_mode:
                os.makedirs(os.path.dirname(path), mode=0o755, exist_ok=True)
                write(path, content, 0, 0, mode)

    wanted = {os.path.join(dest, name) for name in tree}
    wanted_folders = {os.path.dirname(path) for path in wanted}
    for folder, folders, files in os.walk(dest, topdown=False):
        extra = [os.path.join(folder, name) for name in files]
        extra = [path for path in extra if path not in wanted]
        extra += [
            path
            for path in (os.path.join(folder, name) for name in folders)
            if not any(f"{kept}/".startswith(f"{path}/") for kept in wanted_folders)
        ]
        for path in extra:
            different.append(os.path.relpath(path, dest))
            if module.check_mode:
                continue
            if os.path.isdir(path) and not os.path.islink(path):
                shutil.rmtree(path)
            else:
                os.remove(path)

    module.exit_json(changed=bool(different), different=different, checksum=checksum(tree))


if __name__ == "__main__":
    main()
