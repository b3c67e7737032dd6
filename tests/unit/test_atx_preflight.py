# SPDX-License-Identifier: MIT
"""GPIO lines that can't be are refused before the first change, in a sentence that says which."""

import functools
import json
from pathlib import Path

import pytest
from ansible.parsing.dataloader import DataLoader
from ansible.template import Templar

ROOT = Path(__file__).parents[2]
ROLE = ROOT / "roles/tinypilot"
CHIP = "/dev/gpiochip0"


def told(lines=54, reason="", **holders):
    """What the kernel would say of the chip."""
    return {
        "stdout": json.dumps(
            {
                "lines": lines,
                "holders": {key[1:]: holder for key, holder in holders.items()},
                "reason": reason,
            }
        )
    }


# The variables without their prefix, what the kernel says, and what is said then.
CASES = {
    "good": ({"chip": CHIP, "power_button_line": 17, "disk_led_line": 53}, told(), None),
    "none": ({}, told(None), None),
    "own": ({"chip": CHIP, "power_button_line": 17}, told(l17="tinypilot-atx"), None),
    "chipless": (
        {"reset_button_line": 27},
        told(),
        "tinypilot_atx_reset_button_line is set, and tinypilot_atx_chip is empty",
    ),
    "buttonless": ({"chip": CHIP, "power_led_line": 22}, told(), "and no button is connected"),
    "twice": (
        {"chip": CHIP, "power_button_line": 17, "reset_button_line": 5, "disk_led_line": 17},
        told(),
        "tinypilot_atx_power_button_line and tinypilot_atx_disk_led_line are the same line, 17:",
    ),
    "unconnected": (
        {"chip": CHIP, "power_button_line": 17, "active_low": ["power_button", "power_led"]},
        told(),
        "tinypilot_atx_active_low names power_led, which has no line:",
    ),
    "unknown": (
        {"chip": CHIP, "power_button_line": 17},
        told(None, "No such file or directory"),
        "rack has no such GPIO chip (No such file or directory).",
    ),
    "beyond": (
        {"chip": CHIP, "power_button_line": 17, "power_led_line": 54},
        told(),
        "tinypilot_atx_power_led_line is 54: /dev/gpiochip0 has the lines 0 to 53.",
    ),
    "held": (
        {"chip": CHIP, "power_button_line": 17, "reset_button_line": 2},
        told(l2="the kernel"),
        "Line 2 of /dev/gpiochip0 is held by the kernel:",
    ),
}


@pytest.fixture(scope="module")
def checks():
    """What preflight asserts, by the sentence that it says otherwise."""
    loader = DataLoader()
    load = functools.partial(loader.load_from_file, trusted_as_template=True)
    tasks = [
        task
        for task in load(str(ROLE / "tasks/preflight.yml"))
        if task["name"].endswith(("what belongs together", "the GPIO lines"))
        if "ansible.builtin.assert" in task
    ]
    assert len(tasks) == 2
    variables = {
        **load(str(ROLE / "defaults/main.yml")),
        **load(str(ROLE / "vars/main.yml")),
        "ansible_facts": {"distribution": "Debian", "distribution_major_version": "13"},
        "inventory_hostname": "rack",
    }

    def complaints(own):
        found = []
        for task in tasks:
            templar = Templar(loader, {**variables, **own, **task.get("vars", {})})
            if all(templar.evaluate_conditional(each) for each in task.get("when", [])):
                found += [
                    templar.template(item["otherwise"])
                    for item in task["loop"]
                    if not templar.template(item["good"])
                ]
        return found

    return complaints


@pytest.mark.parametrize(("variables", "kernel", "said"), CASES.values(), ids=CASES)
def test_lines_that_can_not_be_are_refused_in_a_sentence(checks, variables, kernel, said):
    own = {f"tinypilot_atx_{name}": value for name, value in variables.items()}
    complaints = checks({**own, "__tinypilot_atx_answer": kernel})
    assert len(complaints) == (1 if said else 0), complaints
    assert said is None or said in complaints[0]
