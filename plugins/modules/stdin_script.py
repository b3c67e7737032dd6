# SPDX-License-Identifier: MIT
"""Documentation of stdin_script; plugins/action/stdin_script.py does the work, on the controller."""

DOCUMENTATION = r"""
module: stdin_script
short_description: Run a script on the device that gets it by standard input
description:
  - Does what M(ansible.builtin.script) does, in one round trip instead of five, because no file is put on the device.
  - The script finds nothing more at its standard input. In check mode it is not run, unless the task sets
    C(check_mode=false).
options:
  cmd:
    description: Name of a file in C(files), and its arguments.
    type: str
    required: true
  executable:
    description: Path of the interpreter, a Python or a shell. Without it, the one that the script's first line names.
    type: path
"""

RETURN = r"""
rc:
  description: Exit code of the script. Every other than 0 is a failure.
  type: int
  returned: when it was run
stdout:
  description: What the script printed, also line by line in C(stdout_lines).
  type: str
  returned: when it was run
stderr:
  description: What the script complained about, also line by line in C(stderr_lines).
  type: str
  returned: when it was run
"""
