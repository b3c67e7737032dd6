# SPDX-License-Identifier: MIT
"""Modules of Ansible without Ansible: a module that runs commands here, or answers from a table."""

import subprocess
from types import SimpleNamespace

import pytest


class Failed(Exception):
    """The module has ended with a sentence."""


class FakeModule:
    def __init__(self, tmpdir, check_mode=False, answers=None, **params):
        self.tmpdir, self.check_mode, self.params = tmpdir, check_mode, params
        # Exit code, standard output and error by the first words of a command; any other command is run.
        self.answers = answers or {}
        self.commands = []

    def run_command(self, command, data=None):
        self.commands.append(command)
        for words, answer in self.answers.items():
            if " ".join(map(str, command)).startswith(words):
                return answer
        done = subprocess.run(command, input=data, capture_output=True, text=True, check=False)
        return done.returncode, done.stdout, done.stderr

    def fail_json(self, msg, **more):
        raise Failed(msg, SimpleNamespace(**more))


@pytest.fixture
def make_module(tmp_path):
    """Makes modules: make_module(check_mode=True, answers={"gcc": (0, "14.2.0", "")}, link="/opt/program")."""
    return lambda **options: FakeModule(tmp_path, **options)


@pytest.fixture
def failure():
    """What a module raises that ends with a sentence."""
    return Failed
