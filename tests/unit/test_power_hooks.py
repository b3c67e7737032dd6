# SPDX-License-Identifier: MIT
"""The operator's own commands: how they are run, what becomes of those that fail, and who may run them."""

import contextlib
import fcntl
import functools
import json
import os
import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from ansible.parsing.dataloader import DataLoader
from ansible.template import Templar
from tinypilot.config import Config
from tinypilot.power import hook

ROLE = Path(__file__).parents[2] / "roles/tinypilot"


def python(program):
    return [sys.executable, "-c", program]


def test_a_command_is_run_without_a_shell():
    ended = hook.run(["/bin/echo", "$HOME; exit 3", "*"], 10)
    assert ended == hook.Ended(0, "$HOME; exit 3 *\n")


def test_its_exit_code_and_what_it_wrote_are_told():
    ended = hook.run(
        python("import sys; print('one'); print('two', file=sys.stderr); sys.exit(3)"), 10
    )
    assert ended.code == 3
    assert sorted(ended.output.split()) == ["one", "two"]


def test_of_what_it_writes_the_end_is_kept():
    ended = hook.run(python("print('x' * 300_000 + 'end')"), 10)
    assert (len(ended.output), ended.output[-4:]) == (hook.OUTPUT_BYTES, "end\n")


def test_it_gets_no_input():
    assert hook.run(["/bin/cat"], 10) == hook.Ended(0, "")


@pytest.mark.parametrize(
    "program",
    [
        "import time; print('begun', flush=True); time.sleep(60)",
        # It writes without end, and does not mind being asked to stop.
        "import signal; signal.signal(15, signal.SIG_IGN)\nwhile True: print('begun', flush=True)",
        # It closes what it could write to.
        "import os, time; print('begun', flush=True); os.close(1); os.close(2); time.sleep(60)",
    ],
)
def test_when_its_time_is_over_it_is_ended(program):
    ended = hook.run(python(program), 1)
    assert ended.code is None
    assert "begun" in ended.output


def test_what_it_leaves_behind_keeps_nobody_waiting():
    """It holds the pipe open."""
    ended = hook.run(["/bin/sh", "-c", "sleep 60 & echo $!"], 30)
    assert ended.code == 0
    os.kill(int(ended.output), 9)


@pytest.fixture
def file(tmp_path):
    file = tmp_path / "hooks.json"
    commands = [
        {"name": "plug", "command": ["/bin/echo", "plugged"], "timeout_seconds": 10},
        {"name": "nothing", "command": ["/nowhere/plug"], "timeout_seconds": 10},
    ]
    file.write_text(json.dumps(commands))
    return file


def ask(file, request):
    return subprocess.run(
        [sys.executable, "-m", "tinypilot.power.hook", file],
        input=request + "\n",
        capture_output=True,
        text=True,
        cwd=hook.__file__.rpartition("/tinypilot/")[0],
    ).stdout


def test_the_program_answers_in_a_line(file):
    assert json.loads(ask(file, '{"hook": "plug"}')) == {"code": 0, "output": "plugged\n"}


def test_a_program_that_is_not_there_is_said(file):
    told = json.loads(ask(file, '{"hook": "nothing"}'))
    assert told == {"code": 2, "output": "/nowhere/plug: No such file or directory"}


@pytest.mark.parametrize("request_", ['{"hook": "x"}', "{}", "7", ""])
def test_what_is_no_command_is_not_run(file, request_):
    assert ask(file, request_) == ""


def test_one_runs_at_a_time(file):
    with file.open() as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        assert json.loads(ask(file, '{"hook": "plug"}')) == {"busy": True}


# --- Preflight ---


HOOK = {"name": "Plug on", "command": ["/usr/local/bin/plug", "on"], "timeout_seconds": 10}


@pytest.fixture(scope="module")
def is_taken():
    """Whether preflight takes an entry of tinypilot_power_hooks."""
    loader = DataLoader()
    load = functools.partial(loader.load_from_file, trusted_as_template=True)
    [task] = [
        task
        for task in load(str(ROLE / "tasks/preflight.yml"))
        if task["name"].endswith("the commands that switch machines")
    ]
    fields = load(str(ROLE / "vars/main.yml"))["__tinypilot_hook_fields"]

    def ask(entry):
        templar = Templar(loader, {"item": entry, "__tinypilot_hook_fields": fields})
        conditions = task["ansible.builtin.assert"]["that"]
        return all(templar.evaluate_conditional(condition) for condition in conditions)

    return ask


def test_a_command_is_taken(is_taken):
    assert is_taken(HOOK)
    assert is_taken({**HOOK, "name": "x", "command": ["/x"], "timeout_seconds": 120})


@pytest.mark.parametrize(
    "entry",
    [
        "plug on",
        {},
        {**HOOK, "shell": True},
        {**HOOK, "name": ""},
        {**HOOK, "name": " plug"},
        {**HOOK, "name": "x" * 65},
        {**HOOK, "name": "a\nb"},
        {**HOOK, "name": 7},
        {**HOOK, "command": "/usr/local/bin/plug on"},
        {**HOOK, "command": []},
        {**HOOK, "command": ["plug"]},
        {**HOOK, "command": ["/usr/local/bin/plug", 1]},
        {**HOOK, "command": ["/usr/local/bin/plug", True]},
        {**HOOK, "timeout_seconds": 0},
        {**HOOK, "timeout_seconds": 121},
        {**HOOK, "timeout_seconds": "10"},
        {**HOOK, "timeout_seconds": True},
        {**HOOK, "timeout_seconds": 1.5},
    ],
)
def test_what_is_no_command_is_refused(is_taken, entry):
    assert not is_taken(entry)


# --- The web app ---


@contextlib.contextmanager
def service(path, answer):
    def serve():
        connection, _ = listener.accept()
        with connection, connection.makefile("rwb") as lines:
            lines.readline()
            lines.write(answer)

    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()
        thread = threading.Thread(target=serve)
        thread.start()
        yield
        thread.join(timeout=10)


@pytest.fixture
def connected(config, tmp_path):
    object.__setattr__(config, "power_hooks", (("Plug on", 10), ("Plug off", 10)))
    object.__setattr__(config, "hook_socket", tmp_path / "hook.sock")
    return config


def test_an_operator_sees_and_runs_them(logged_in, connected, audited):
    operator = logged_in("operator")
    listed = operator.ask("GET", "/api/power-hooks").get_json()
    assert listed == {"hooks": ["Plug on", "Plug off"]}
    with service(connected.hook_socket, b'{"code": 0, "output": ""}\n'):
        answer = operator.ask("POST", "/api/power-hooks", {"hook": "Plug on"})
    assert answer.status_code == 200
    assert (audited[-1][0], audited[-1][1]["hook"]) == ("hook_run", "Plug on")


@pytest.mark.parametrize(
    ("told", "status", "said"),
    [
        (b'{"code": 3, "output": "no route\\n"}\n', 409, "Plug on failed (3). It wrote: no route"),
        (b'{"code": 1, "output": " \\n"}\n', 409, "Plug on failed (1). It wrote: -"),
        (b'{"code": null, "output": "x"}\n', 409, "ended after 10 s"),
        (b'{"busy": true}\n', 409, "Another command is running."),
        (b"", 503, "does not answer"),
        (b"{}\n", 503, "does not answer"),
    ],
)
def test_what_failed_is_said(logged_in, connected, told, status, said):
    with service(connected.hook_socket, told):
        answer = logged_in("operator").ask("POST", "/api/power-hooks", {"hook": "Plug on"})
    assert (answer.status_code, said in answer.get_json()["error"]) == (status, True)


def test_what_is_not_in_the_inventory_is_not_asked_for(logged_in, connected, audited):
    answer = logged_in("operator").ask("POST", "/api/power-hooks", {"hook": "/bin/sh"})
    assert answer.status_code == 404
    assert "hook_run" not in [event for event, _ in audited]


def test_the_web_app_knows_names_and_no_commands():
    assert Config.from_values({"power_hooks": {"plug": 5}}).power_hooks == (("plug", 5),)
    assert Config.from_values({}).power_hooks == ()
