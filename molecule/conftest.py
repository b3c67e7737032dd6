# SPDX-License-Identifier: MIT
"""A failed test of a scenario prints what its device logged meanwhile."""

from tests.support.failures import pytest_runtest_makereport

__all__ = ["pytest_runtest_makereport"]
