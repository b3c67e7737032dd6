# SPDX-License-Identifier: MIT
"""Documentation of apt_if_missing; plugins/action/apt_if_missing.py does the work, on the controller."""

DOCUMENTATION = r"""
module: apt_if_missing
short_description: Install Debian packages, and ask only dpkg where all of them are there
description:
  - M(ansible.builtin.apt) opens the whole list of packages before it sees that nothing is to be done, which takes
    seconds on a Raspberry Pi. This asks dpkg first, and calls it only for a package that is missing or not configured.
  - A device without any package list asks its mirrors first. In check mode it does not, and all is taken to be there.
  - Recommended packages are not installed unless O(install_recommends) says so.
  - A lock that another program holds is waited for, up to ten minutes.
options:
  name:
    description: Names of packages, without versions.
    type: list
    elements: str
    required: true
  install_recommends:
    description: As in M(ansible.builtin.apt), where all further options go.
    type: bool
    default: false
"""

RETURN = r"""
stdout:
  description: What apt-get printed.
  type: str
  returned: when a package was installed
"""
