# SPDX-License-Identifier: MIT
"""A script that is handed over by standard input runs as one that is a file."""

import subprocess
import sys
from types import SimpleNamespace

import pytest

from plugins.action import stdin_script


@pytest.fixture
def run(monkeypatch, tmp_path):
    """Runs a script by the plugin, with this machine as the device."""
    monkeypatch.setattr(stdin_script.ActionBase, "run", lambda *arguments: {})

    def on_the_device(command, in_data):
        done = subprocess.run(["sh", "-c", command], input=in_data, capture_output=True)
        return {
            "rc": done.returncode,
            "stdout": done.stdout.decode(),
            "stderr": done.stderr.decode(),
        }

    def make(script: str, arguments: str = "", check_mode=False, **options) -> dict:
        (tmp_path / "facts").write_text(script)
        action = stdin_script.ActionModule.__new__(stdin_script.ActionModule)
        action._task = SimpleNamespace(
            args={"cmd": f"facts {arguments}", **options}, check_mode=check_mode
        )
        action._find_needle = lambda kind, name: str(tmp_path / name)
        action._low_level_execute_command = on_the_device
        return stdin_script.ActionModule.run(action)

    return make


def test_arguments_arrive_as_they_are(run):
    arguments = """'two words' '"$HOME"' '' "it's" """
    words = ["two words", '"$HOME"', "", "it's"]
    python = run("import sys; print(sys.argv[1:])", arguments, executable=sys.executable)
    assert python["stdout"].strip() == repr(words)
    python = run("#!/usr/bin/env python3\nimport sys; print(sys.argv[1:])", arguments)
    assert python["stdout"].strip() == repr(words)
    shell = run('#!/bin/sh\nprintf "%s\\n" "$@"', arguments)
    assert shell["stdout"].split("\n")[:-1] == words


def test_options_of_the_interpreter_count(run):
    result = run(f"#!{sys.executable} -I\nimport sys; print(sys.flags.isolated)")
    assert result["stdout"] == "1\n"


def test_a_shells_commands_do_not_read_the_script(run):
    result = run("#!/bin/sh\ncat\necho second line\n")
    assert result["stdout"] == "second line\n"


def test_a_script_that_fails_is_a_failure(run):
    result = run("#!/bin/sh\necho out; echo why >&2; exit 3")
    assert (result["failed"], result["rc"]) == (True, 3)
    assert (result["stdout"], result["stderr"]) == ("out\n", "why\n")
    assert result["msg"] == "facts ended with exit code 3."
    assert "failed" not in run("#!/bin/sh\nexit 0")


def test_check_mode_runs_nothing(run, tmp_path):
    result = run(f"#!/bin/sh\ntouch {tmp_path}/ran", check_mode=True)
    assert result["skipped"] and not (tmp_path / "ran").exists()
