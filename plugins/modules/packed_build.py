#!/usr/bin/python
# SPDX-License-Identifier: MIT
"""Pack the known good build of a program, for devices that are not to compile it."""

import base64
import os
import re

from ansible.module_utils.basic import AnsibleModule

from ..module_utils.builds import STAMP, BuildsFolder
from ..module_utils.prebuilt import Refused, is_program, library_packages, pack

DOCUMENTATION = r"""
module: packed_build
short_description: Pack the known good build of a program, for devices that are not to compile it
description:
  - Writes the build that was known good last as a tarball on the controller, which M(kvm.appliance.native_build) takes
    as O(kvm.appliance.native_build#module:prebuilt).
  - The same build makes the same tarball, byte for byte, as long as the packages of its libraries are the same.
options:
  name:
    description: Name of the program.
    type: str
    required: true
  link:
    description: Path of the link to the active build.
    type: path
    required: true
  dest:
    description: Folder on the controller. The file is called C(NAME-SUITE-ARCHITECTURE.tar.xz).
    type: path
    required: true
"""

RETURN = r"""
path:
  description: The tarball, on the controller.
  type: str
  returned: always
build:
  description: Name of the build.
  type: str
  returned: always
"""


class Packed:
    def __init__(self, module, root="/"):
        self.module, self.root = module, root
        self.builds = BuildsFolder(module.params["link"])

    def run(self, *command):
        return self.module.run_command(list(command))

    def suite(self):
        with open(os.path.join(self.root, "etc/os-release")) as file:
            found = re.search(r'^VERSION_CODENAME="?(\w+)', file.read(), re.MULTILINE)
        return found[1] if found else ""

    def libraries(self, folder):
        """Packages of the libraries that it is linked with, and their versions."""
        programs = []
        for parent, _, names in os.walk(folder):
            for path in (os.path.join(parent, name) for name in names):
                if not os.path.islink(path):
                    with open(path, "rb") as file:
                        programs += [path] if is_program(file.read(4)) else []
        owners = library_packages(self.run, programs)
        form = "--showformat=${Package} ${Version}\\n"
        out = self.run("dpkg-query", "--show", form, *owners)[1] if owners else ""
        return dict(line.split(" ", 1) for line in out.splitlines())

    def pack(self):
        """The name of the build, what its manifest says of it, and the tarball."""
        name = self.module.params["name"]
        known_good = self.builds.known_good()
        if not known_good:
            raise Refused(
                f"{self.builds.path} has no build of {name} that is known good: provision the device first "
                "(playbooks/site.yml), until it shows a picture."
            )
        build = known_good[0]
        folder, stamp = self.builds.build(build), self.builds.stamp(build)
        if not stamp:
            raise Refused(f"{folder} is damaged: provision the device, then pack it.")
        facts = {
            **stamp,
            "name": name,
            "build": build,
            "suite": self.suite(),
            "architecture": os.uname().machine,
            "packages": self.libraries(folder),
        }
        return build, facts, pack(folder, facts, leave_out=STAMP)


def main():
    module = AnsibleModule(
        argument_spec={
            "name": {"type": "str", "required": True},
            "link": {"type": "path", "required": True},
            "dest": {"type": "path", "required": True},
        },
        supports_check_mode=True,
    )
    try:
        build, facts, tarball = Packed(module).pack()
    except Refused as error:
        module.fail_json(msg=str(error))
    else:
        file = f"{module.params['name']}-{facts['suite']}-{facts['architecture']}.tar.xz"
        # The action writes it.
        module.exit_json(
            changed=False,
            build=build,
            path=os.path.join(module.params["dest"], file),
            content=base64.b64encode(tarball).decode(),
        )


if __name__ == "__main__":
    main()
