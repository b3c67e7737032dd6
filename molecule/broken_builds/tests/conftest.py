# SPDX-License-Identifier: MIT
"""The device and the pages of tests/e2e, with this scenario's virtual Pi."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[3] / "tests"))
sys.path.insert(0, str(Path(__file__).parents[1] / "standin"))

from e2e.conftest import (
    browser,
    device,
    evidence,
    live,
    new_screen,
    pytest_runtest_makereport,
    screen,
)
from e2e.device import Device

__all__ = [
    "browser",
    "device",
    "evidence",
    "live",
    "new_screen",
    "pytest_runtest_makereport",
    "screen",
]


@pytest.fixture(scope="session")
def virtual_pi():
    return Device("kvm-broken-builds")
