# SPDX-License-Identifier: MIT
"""Fixtures of all scenarios. A failed test prints what its device logged meanwhile."""

import pytest

from tests.support.device import Device
from tests.support.failures import pytest_runtest_makereport
from tests.support.fixtures import encoder_chip, software_encoder

__all__ = ["encoder_chip", "pytest_runtest_makereport", "software_encoder"]


@pytest.fixture
def device(host) -> Device:
    return Device(host.check_output("hostname"))
