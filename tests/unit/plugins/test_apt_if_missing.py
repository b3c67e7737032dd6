# SPDX-License-Identifier: MIT
"""apt is asked only where dpkg lacks something."""

from types import SimpleNamespace

import pytest

from plugins.action import apt_if_missing

NAMES = ["nginx", "python3-flask"]


def run(answer: str, check_mode: bool = False) -> tuple[dict, list]:
    """What the action returns where the device answers so, and what was handed over to apt."""
    action = apt_if_missing.ActionModule.__new__(apt_if_missing.ActionModule)
    action._task = SimpleNamespace(args={"name": NAMES}, async_val=0, check_mode=check_mode)
    handed_over = []
    action._low_level_execute_command = lambda command: {"stdout": answer}
    action._execute_module = lambda name, arguments, task_vars: (
        handed_over.append((name, arguments)) or {"changed": True}
    )
    return action.run(), handed_over


@pytest.fixture(autouse=True)
def base(monkeypatch):
    monkeypatch.setattr(apt_if_missing.ActionBase, "run", lambda *arguments: {})


def test_nothing_is_asked_of_apt_where_all_are_installed():
    result, handed_over = run("installed nginx\ninstalled python3-flask\n")
    assert result == {"changed": False}
    assert handed_over == []


@pytest.mark.parametrize(
    "answer",
    [
        "",
        "installed nginx\n",
        "installed nginx\nconfig-files python3-flask\n",
        "installed nginx\nhalf-configured python3-flask\n",
        "installed nginx\nnot-installed python3-flask\n",
    ],
)
def test_apt_gets_all_names_where_one_is_missing(answer):
    result, handed_over = run(answer)
    assert result["changed"]
    arguments = {"install_recommends": False, "lock_timeout": 600, "name": NAMES}
    assert handed_over == [("ansible.builtin.apt", arguments)]


def test_a_device_that_knows_no_package_asks_its_mirrors_first():
    _, handed_over = run("not-installed nginx\nno-lists\n")
    assert handed_over == [
        (
            "ansible.builtin.apt",
            {
                "install_recommends": False,
                "lock_timeout": 600,
                "name": NAMES,
                "update_cache": True,
                "cache_valid_time": 0,
            },
        )
    ]


def test_a_device_that_knows_no_package_is_left_alone_in_check_mode():
    assert run("no-lists\n", check_mode=True) == ({"changed": True}, [])
    result, handed_over = run("installed nginx\ninstalled python3-flask\nno-lists\n", True)
    assert (result, handed_over) == ({"changed": False}, [])
