# SPDX-License-Identifier: MIT
"""What the tests of authentication share."""

import io
import os

import pytest
from tinypilot import __main__ as command
from tinypilot.auth import passwords
from tinypilot.errors import ApiError

from .conftest import PASSWORD

HOUR = 3600


def refused(action, *arguments):
    with pytest.raises(ApiError) as refusal:
        action(*arguments)
    return refusal.value


def guess(auth, client_info, name="ada", attempts=1):
    """The statuses of this many wrong tries."""
    return [
        refused(auth.log_in, name, "wrong password", "", client_info).status
        for _ in range(attempts)
    ]


def entry(name, role="viewer", password=PASSWORD):
    return {"name": name, "role": role, "password": passwords.hash_password(password)}


def run_command(monkeypatch, capsys, config, typed, *arguments):
    monkeypatch.setattr(command.Config, "from_environment", lambda: config)
    monkeypatch.setattr("sys.argv", ["tinypilot", *arguments])
    monkeypatch.setattr("sys.stdin", io.StringIO(typed))
    # It is a program of its own, which sets that for good.
    before = os.umask(0o022)
    try:
        command.main()
    finally:
        os.umask(before)
    return capsys.readouterr().out.strip()
