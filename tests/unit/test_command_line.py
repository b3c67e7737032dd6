# SPDX-License-Identifier: MIT
"""What root does on the device."""

import json

import pytest
from tinypilot.auth import passwords

from .auth_helpers import entry, run_command
from .conftest import PASSWORD


def test_the_command_line_lets_in(monkeypatch, capsys, config, auth, client_info):
    def run(*arguments, typed=""):
        return run_command(monkeypatch, capsys, config, typed, *arguments)

    code = run("setup-code", "--unless-users")
    auth.set_up(code, "ada", PASSWORD, client_info("192.0.2.1"))
    assert run("setup-code", "--unless-users") == ""
    assert len(run("setup-code")) == len(code)
    name, _, token = run("session", "--role", "operator").partition("=")
    assert (name, auth.session_for(token).role) == (auth.session_cookie, "operator")
    hashed = run("hash", typed=f"{PASSWORD}\n")
    assert passwords.matches(PASSWORD, hashed)
    with pytest.raises(SystemExit, match="10 to 256"):
        run("hash", typed="short\n")


@pytest.mark.usefixtures("any_cost")
def test_the_command_line_sets_the_users_of_the_play(monkeypatch, capsys, config, auth):
    users = json.dumps([entry("carol")])
    for answer in ("changed", "unchanged"):
        assert run_command(monkeypatch, capsys, config, users, "provisioned-users") == answer
    with pytest.raises(SystemExit, match="scrypt"):
        run_command(
            monkeypatch,
            capsys,
            config,
            '[{"name": "", "role": "", "password": ""}]',
            "provisioned-users",
        )
