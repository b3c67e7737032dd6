# SPDX-License-Identifier: MIT
"""Modules of Ansible: their parts with a module that runs commands here or answers from a table, and whole, with
parameters as a play gives them."""

import json
import os
import subprocess
from types import SimpleNamespace

import pytest
from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.testing import patch_module_args


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


@pytest.fixture
def run_module(monkeypatch, capsys):
    """Runs a module whole: run_module(pinned_source, check_mode=True, name="program"). Returns its answer, and the
    answer has the commands; all succeed, and say nothing."""

    def run(module, check_mode=False, **params):
        commands = []

        def run_command(self, command, **_):
            commands.append(" ".join(command))
            return 0, "", ""

        monkeypatch.setattr(AnsibleModule, "run_command", run_command)
        before = os.umask(0o077)
        try:
            with (
                patch_module_args({"_ansible_check_mode": check_mode, **params}),
                pytest.raises(SystemExit),
            ):
                module.main()
        finally:
            os.umask(before)
        answer = json.loads(capsys.readouterr().out)
        return {**answer, "commands": commands}

    return run
