# SPDX-License-Identifier: MIT
"""Entries of the audit log, as they reach the journal."""

import json

import pytest
from systemd import journal
from tinypilot import audit as audit_module

# Not audit.note, in whose place the tests have something else.
from tinypilot.audit import note


@pytest.fixture
def entries(monkeypatch):
    """What python3-systemd was told, with its own signature."""
    sent = []

    def send(MESSAGE, MESSAGE_ID=None, CODE_FILE=None, CODE_LINE=None, CODE_FUNC=None, **fields):
        sent.append({"MESSAGE": MESSAGE, **fields})

    monkeypatch.setattr(journal, "send", send)
    return sent


def test_an_entry_has_a_sentence_and_the_facts_by_name(entries):
    note("login", "ada logged in", user="ada", network="192.0.2.1")
    assert entries == [
        {
            "MESSAGE": "ada logged in",
            "PRIORITY": 5,
            "SYSLOG_IDENTIFIER": "tinypilot-audit",
            "TINYPILOT_EVENT": "login",
            "TINYPILOT_USER": "ada",
            "TINYPILOT_NETWORK": "192.0.2.1",
        }
    ]


def test_what_was_refused_is_a_warning(entries):
    note("login_refused", "login of ada refused", refused=True)
    assert entries[0]["PRIORITY"] == 4


def test_without_a_journal_the_entry_is_on_standard_error(monkeypatch, capsys):
    def fail(*_, **__):
        raise ConnectionRefusedError

    monkeypatch.setattr(journal, "send", fail)
    note("login", "ada logged in", user="ada")
    entry = json.loads(capsys.readouterr().err)
    assert (entry["MESSAGE"], entry["TINYPILOT_USER"]) == ("ada logged in", "ada")


def test_refusals_without_end_leave_the_journal_its_room(entries, monkeypatch):
    now = 1000.0
    monkeypatch.setattr(audit_module.time, "monotonic", lambda: now)
    monkeypatch.setattr(audit_module, "_refusals", audit_module._Refusals())
    for _ in range(10_000):
        note("request_refused", "refused", refused=True)
    assert len(entries) == audit_module.REFUSALS_AT_ONCE
    # What was done is noted all the same.
    note("login", "ada logged in", user="ada")
    assert entries[-1]["TINYPILOT_EVENT"] == "login"
    now += audit_module.REFUSAL_SECONDS
    note("request_refused", "refused", refused=True)
    left_out = 10_000 - audit_module.REFUSALS_AT_ONCE
    assert (
        entries[-1]["MESSAGE"]
        == f"refused (and {left_out} other refusals before, which are not listed)"
    )
