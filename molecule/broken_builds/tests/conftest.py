# SPDX-License-Identifier: MIT
"""The device and the pages of tests/e2e, with this scenario's virtual Pi."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[3]))
sys.path.insert(0, str(Path(__file__).parents[1] / "standin"))

from tests.e2e.conftest import (
    artifacts,
    browser,
    device,
    live,
    new_screen,
    pytest_runtest_makereport,
    screen,
)
from tests.support.device import Device

__all__ = [
    "artifacts",
    "browser",
    "device",
    "live",
    "new_screen",
    "pytest_runtest_makereport",
    "screen",
]


@pytest.fixture(scope="session")
def virtual_pi():
    return Device("kvm-broken-builds")
