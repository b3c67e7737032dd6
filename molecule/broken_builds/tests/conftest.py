# SPDX-License-Identifier: MIT
"""The device and the pages of tests/e2e, with this scenario's virtual Pi."""

import pytest

from tests.support.device import Device
from tests.support.fixtures import artifacts, browser, device, live, new_screen, playwright, screen

__all__ = ["artifacts", "browser", "device", "live", "new_screen", "playwright", "screen"]


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--each-build", action="store_true", help="all that may go wrong, not one of each kind"
    )


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "each_build: one of a kind that is tried by another test")


def pytest_report_header(config: pytest.Config) -> str:
    if config.getoption("--each-build"):
        return "all that may go wrong with a build"
    return "one of each kind of what may go wrong with a build; `make test-builds` tries all"


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if config.getoption("--each-build"):
        return
    left_out = [item for item in items if item.get_closest_marker("each_build")]
    config.hook.pytest_deselected(items=left_out)
    items[:] = [item for item in items if item not in left_out]


@pytest.fixture(scope="session")
def virtual_pi():
    return Device("kvm-broken-builds")
