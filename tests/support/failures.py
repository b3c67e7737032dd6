# SPDX-License-Identifier: MIT
"""What a failed test on a virtual Pi leaves behind: the device's journal, at the end of its report and in a file.

A conftest.py imports the hook.
"""

from __future__ import annotations

import re
import time
from pathlib import Path

import pytest

from . import BUILD
from .device import Device

# What happened just before belongs to it; of the rest only the end is shown, the file has all of it.
BEFORE_SECONDS = 5
SHOWN_LINES = 60

failed = pytest.StashKey[bool]()
_began = pytest.StashKey[float]()


def folder_of(item: pytest.Item) -> Path:
    return BUILD / "failures" / re.sub(r"\W+", "-", item.name).strip("-")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo):
    report = yield
    began = item.stash.setdefault(_began, call.start)
    if report.failed:
        item.stash[failed] = True
        for device in _devices(item):
            journal = device.journal(time.time() - began + BEFORE_SECONDS)
            folder = folder_of(item)
            folder.mkdir(parents=True, exist_ok=True)
            (folder / "journal.txt").write_text(journal)
            shown = "\n".join(journal.splitlines()[-SHOWN_LINES:])
            report.sections.append((f"journal of {device.name}", shown))
    return report


def _devices(item: pytest.Item) -> list[Device]:
    """That the test was given: as the fixture `device`, or as testinfra's `host`."""
    given = getattr(item, "funcargs", {})
    if "device" in given:
        return [given["device"]]
    return [Device(given["host"].backend.host)] if "host" in given else []
