# SPDX-License-Identifier: MIT
"""The device and the pages of tests/e2e, with this scenario's virtual Pi."""

import pytest

from tests.support.device import Device
from tests.support.fixtures import artifacts, browser, device, live, new_screen, playwright, screen

__all__ = ["artifacts", "browser", "device", "live", "new_screen", "playwright", "screen"]


@pytest.fixture(scope="session")
def virtual_pi():
    return Device("kvm-broken-builds")
