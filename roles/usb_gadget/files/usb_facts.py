#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What is on a device before anything is changed: USB device controller, firmware's configuration, an old group.

Arguments: the firmware's configuration file, the name of the group. Prints the facts as JSON.
"""

import grp
import json
import re
import sys
import time
from pathlib import Path


def has_usb_overlay(text):
    """Whether a line that holds for a Pi 4 asks for it. Raspberry Pi OS has one in the section of the CM5."""
    section = "all"
    for line in text.splitlines():
        if found := re.match(r"\[(.*)\]", line):
            section = found[1]
        elif section in ("all", "pi4", "cm4") and re.match(r"dtoverlay=dwc2(,|$)", line):
            return True
    return False


def facts(boot_config, old_group):
    """Whether there is a USB device controller, what would bring one, and whether a reboot is due for it."""
    file = Path(boot_config)
    text = file.read_text(encoding="utf-8", errors="replace") if file.is_file() else ""
    booted = time.time() - time.clock_gettime(time.CLOCK_BOOTTIME)
    controllers = Path("/sys/class/udc")
    return {
        "controller": controllers.is_dir() and any(controllers.iterdir()),
        "boot_config": file.is_file(),
        "overlay": has_usb_overlay(text),
        "old_group": any(group.gr_name == old_group for group in grp.getgrall()),
        "reboot_due": file.is_file() and file.stat().st_mtime > booted,
    }


if __name__ == "__main__":
    print(json.dumps(facts(*sys.argv[1:])))
