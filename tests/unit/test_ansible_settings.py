# SPDX-License-Identifier: MIT
"""Ansible behaves in a scenario of molecule as it does in a checkout."""

import configparser
from pathlib import Path

import yaml

ROOT = Path(__file__).parents[2]
# molecule has an inventory of its own for each scenario, no files for retries, and no device behind ssh.
CHECKOUT_ALONE = {"inventory", "retry_files_enabled", "ssh_connection"}


def test_molecule_has_the_settings_of_the_checkout():
    checkout = configparser.ConfigParser()
    checkout.read(ROOT / "ansible.cfg")
    scenario = yaml.safe_load((ROOT / ".config/molecule/config.yml").read_text())["ansible"]["cfg"]
    here = {
        section: {
            key: value for key, value in checkout[section].items() if key not in CHECKOUT_ALONE
        }
        for section in checkout.sections()
        if section not in CHECKOUT_ALONE
    }
    there = {
        section: {
            key: str(value)
            .removeprefix("${MOLECULE_PROJECT_DIRECTORY}/")
            .replace("False", "false")
            .replace("True", "true")
            for key, value in settings.items()
        }
        for section, settings in scenario.items()
    }
    assert there == here
