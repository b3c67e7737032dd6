# SPDX-License-Identifier: MIT
"""What a person reads while a play runs, and afterwards."""

import json
from types import SimpleNamespace

import pytest

from plugins.callback.calm import CallbackModule


class Play:
    def __init__(self, *hosts):
        self.hosts = list(hosts)

    def get_name(self):
        return "Make the appliance of it"

    def get_variable_manager(self):
        return SimpleNamespace(
            _inventory=SimpleNamespace(get_hosts=lambda pattern: pattern),
        )


class Stats:
    processed = ("one", "other")

    def summarize(self, host):
        return {"ok": 3, "changed": 1, "failures": int(host == "other"), "unreachable": 0}


@pytest.fixture
def calm(monkeypatch):
    monkeypatch.setattr("sys.stdout.isatty", lambda: False, raising=False)
    callback = CallbackModule()
    yield callback
    callback._finished.set()


def result(host="one", action="ansible.builtin.apt", **outcome):
    return SimpleNamespace(
        host=SimpleNamespace(get_name=lambda: host),
        task=SimpleNamespace(action=action),
        result=outcome,
    )


def begin(calm, *hosts, task="Install the packages"):
    calm.v2_playbook_on_play_start(Play(*hosts))
    calm.v2_playbook_on_task_start(SimpleNamespace(get_name=lambda: task), False)


def lines(capsys):
    return [line.split(maxsplit=3) for line in capsys.readouterr().out.splitlines() if line][1:]


def test_with_one_host_its_name_is_left_out(calm, capsys):
    begin(calm, "one")
    calm.v2_runner_on_ok(result(changed=True))
    calm.v2_runner_on_failed(result(msg="No such package"))
    out = capsys.readouterr().out
    assert "one:" not in out
    assert "s  Install the packages\n" in out


def test_with_several_hosts_each_line_names_one(calm, capsys):
    begin(calm, "one", "other")
    calm.v2_runner_on_ok(result("one", changed=True))
    calm.v2_runner_on_failed(result("other", msg="No such package"))
    calm.v2_runner_on_ok(result("one", "ansible.builtin.debug", msg="Set it up"))
    out = capsys.readouterr().out
    assert "s  one: Install the packages\n" in out
    assert "s  other: Install the packages\n          No such package\n" in out
    assert "good             one: Set it up\n" in out


def test_a_sentence_that_begins_with_the_host_names_it_once(calm, capsys):
    begin(calm, "one", "other")
    calm.v2_runner_on_ok(result("one", "ansible.builtin.assert", msg="one: video flows"))
    assert "good             one: video flows\n" in capsys.readouterr().out


def test_the_next_play_may_be_of_one_host_again(calm, capsys):
    begin(calm, "one", "other")
    begin(calm, "one")
    calm.v2_runner_on_ok(result(changed=True))
    assert "one:" not in capsys.readouterr().out


@pytest.mark.parametrize(
    "quiet",
    [
        result(changed=False),
        result(changed=False, msg="as it should be"),
        result(action="ansible.builtin.assert", msg="All assertions passed"),
    ],
)
def test_what_changed_nothing_is_not_shown(calm, capsys, quiet):
    begin(calm, "one")
    calm.v2_runner_on_ok(quiet)
    assert lines(capsys) == []


def test_an_error_that_is_expected_is_not_shown(calm, capsys):
    begin(calm, "one")
    calm.v2_runner_on_failed(result(msg="expected"), ignore_errors=True)
    assert lines(capsys) == []


def test_an_error_comes_with_its_journal_and_of_a_loop_with_the_failed_items_alone(calm, capsys):
    begin(calm, "one")
    calm.v2_runner_on_failed(
        result(
            msg="One or more items failed",
            results=[
                {"msg": "fine"},
                {"failed": True, "msg": "does not stay up", "journal": ["its last words"]},
            ],
        )
    )
    out = capsys.readouterr().out
    assert "          does not stay up\n          its last words\n" in out
    assert "fine" not in out and "One or more" not in out


def test_a_host_that_is_away_is_named(calm, capsys):
    begin(calm, "one")
    calm.v2_runner_on_unreachable(result(msg="no route"))
    assert "unreachable  one: no route" in capsys.readouterr().out


def test_the_totals_are_of_all_hosts(calm, capsys, tmp_path, monkeypatch):
    monkeypatch.setenv("KVM_RUN_FILE", str(tmp_path / "run.json"))
    calm.v2_playbook_on_stats(Stats())
    assert "ok=6 changed=2 failed=1 unreachable=0" in capsys.readouterr().out
    written = json.loads((tmp_path / "run.json").read_text())
    assert {key: written[key] for key in ("ok", "changed", "failures")} == {
        "ok": 6,
        "changed": 2,
        "failures": 1,
    }
