# SPDX-License-Identifier: MIT
"""Each role has a copy of the sandbox, so that it works without the others. What they have in common is equal."""

import itertools
from pathlib import Path

import pytest

ROLES = Path(__file__).parents[2] / "roles"
FIRST, *OTHERS = [
    ROLES / "tinypilot/templates/sandbox.j2",
    ROLES / "ustreamer/templates/sandbox.j2",
    ROLES / "gateway/templates/sandbox.j2",
    ROLES / "janus/templates/janus.service.j2",
    ROLES / "usb_gadget/templates/usb-gadget.service.j2",
]
# What a service needs of devices, of the network and of the shared memory of its user is its own affair.
OWN = {
    *("PrivateDevices", "DeviceAllow"),
    *("PrivateNetwork", "RestrictAddressFamilies", "IPAddressDeny", "SocketBindDeny"),
    "RemoveIPC",
}


def common_lines(template):
    """Directives from PrivateDevices on, until the next empty line, in their order."""
    lines = itertools.dropwhile(
        lambda line: not line.startswith("PrivateDevices="), template.read_text().splitlines()
    )
    block = itertools.takewhile(bool, lines)
    return [line for line in block if line[0].isupper() and line.partition("=")[0] not in OWN]


@pytest.mark.parametrize("other", OTHERS, ids=lambda path: path.parts[-3])
def test_common_lines_of_the_sandboxes_are_equal(other):
    lines = common_lines(FIRST)
    assert {"NoNewPrivileges=yes", "SystemCallErrorNumber=EPERM"} <= {*lines}
    assert common_lines(other) == lines
