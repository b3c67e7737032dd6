# SPDX-License-Identifier: MIT
"""What a person reads while a play runs, and afterwards."""

import json
import os
import threading
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

    def __init__(self, failures=1, unreachable=0):
        self.bad = {"failures": failures, "unreachable": unreachable}

    def summarize(self, host):
        bad = self.bad if host == "other" else {"failures": 0, "unreachable": 0}
        return {"ok": 3, "changed": 1, **bad}


@pytest.fixture
def make_calm(monkeypatch):
    """What writes to a terminal or elsewhere, and whose clock tells nothing unless a test lets it."""
    started = []
    monkeypatch.setattr(threading.Thread, "start", lambda thread: started.append(thread))

    def make(is_terminal, kind="xterm"):
        monkeypatch.setenv("TERM", kind)
        monkeypatch.setattr("sys.stdout.isatty", lambda: is_terminal, raising=False)
        callback = CallbackModule()
        # Ansible does not wait for its end, or it would never come to its own.
        assert [(each, each.daemon) for each in started] == [(callback._clock, True)]
        return callback

    return make


@pytest.fixture
def calm(make_calm):
    return make_calm(is_terminal=False)


@pytest.fixture
def let_pass(monkeypatch):
    """Lets the clock look at these seconds after the task's beginning, and then ends."""

    def let_pass(calm, *moments):
        coming = iter(moments)
        # Not on the second: a sum of floats may lie just below it.
        began = calm._task_began + 0.01

        def wait(_):
            now = next(coming, None)
            monkeypatch.setattr("time.monotonic", lambda: began + (now or 0))
            return now is None

        monkeypatch.setattr(calm._finished, "wait", wait)
        calm._tick()

    return let_pass


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
    """ignore_errors is the argument by which Ansible says that the task has it set."""
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


def test_what_a_program_said_is_shown_to_its_end(calm, capsys):
    begin(calm, "one")
    calm.v2_runner_on_failed(
        result(
            msg="can't be compiled",
            stdout_lines=[f"out {number}" for number in range(30)],
            stderr_lines=["err"],
            journal=["last words"],
            failed_modules={"setup": {"msg": "no python"}},
        )
    )
    shown = [" ".join(words) for words in lines(capsys)]
    assert shown[1:] == [
        "can't be compiled",
        *(f"out {number}" for number in range(8, 30)),
        "err",
        "last words",
        "no python",
    ]


def test_a_sentence_is_shown_and_what_is_no_sentence_too(calm, capsys):
    begin(calm, "one")
    calm.v2_runner_on_ok(result(action="ansible.builtin.debug", msg=["a", "b"]))
    assert "good             ['a', 'b']\n" in capsys.readouterr().out


def test_only_what_is_there_to_speak_speaks(calm, capsys):
    begin(calm, "one")
    calm.v2_runner_on_ok(result(action="ansible.builtin.debug"))
    assert lines(capsys) == []


def test_a_task_that_takes_long_says_so_each_half_minute(calm, capsys, let_pass):
    begin(calm, "one")
    let_pass(calm, 1, 29, 30, 31, 59, 60, 61, 125)
    assert [" ".join(words) for words in lines(capsys)] == [
        "... Install the packages: 30 s so far",
        "... Install the packages: 60 s so far",
        "... Install the packages: 125 s so far",
    ]


def test_what_a_task_has_reached_is_told_until_the_next_begins(calm, capsys, let_pass):
    begin(calm, "one", task="Compile")
    calm.v2_runner_retry(result(progress="cc a.c"))
    let_pass(calm, 30)
    assert "  ... Compile: cc a.c: 30 s so far\n" in capsys.readouterr().out
    calm.v2_runner_retry(result())
    let_pass(calm, 30)
    assert "  ... Compile: 30 s so far\n" in capsys.readouterr().out
    calm.v2_runner_retry(result(progress="cc a.c"))
    begin(calm, "one", task="Install")
    let_pass(calm, 30)
    assert "  ... Install: 30 s so far\n" in capsys.readouterr().out


@pytest.mark.parametrize("is_terminal", [False, True])
def test_before_the_first_task_the_clock_tells_nothing(make_calm, capsys, let_pass, is_terminal):
    let_pass(make_calm(is_terminal), 30, 60)
    assert capsys.readouterr().out == ""


def test_on_a_terminal_the_last_line_is_the_running_task(make_calm, capsys, let_pass, monkeypatch):
    calm = make_calm(is_terminal=True)
    monkeypatch.setattr("os.get_terminal_size", lambda: os.terminal_size((20, 5)))
    begin(calm, "one")
    assert "\033[1mMake the appliance of it\033[0m" in capsys.readouterr().out
    let_pass(calm, 5.9)
    # It fits into a line: what is longer could not be cleared.
    assert capsys.readouterr().out == "\r\033[K\033[2m   5 s\033[0m  Install the "
    calm.v2_runner_on_ok(result(changed=True))
    assert capsys.readouterr().out.startswith("\r\033[K  \033[33mchanged\033[0m ")


def test_a_terminal_that_can_do_nothing_gets_plain_lines(make_calm, capsys):
    begin(make_calm(is_terminal=True, kind="dumb"), "one")
    assert capsys.readouterr().out == "\nMake the appliance of it\n"


def test_a_host_that_is_away_is_named(calm, capsys):
    begin(calm, "one")
    calm.v2_runner_on_unreachable(result(msg="no route"))
    assert "unreachable  one: no route" in capsys.readouterr().out


def test_the_totals_are_of_all_hosts(calm, capsys, tmp_path, monkeypatch):
    monkeypatch.setenv("KVM_RUN_FILE", str(tmp_path / "run.json"))
    monkeypatch.setattr("time.monotonic", lambda: calm._began + 61.26)
    calm.v2_playbook_on_stats(Stats())
    assert capsys.readouterr().out == "\nfailed in 61 s: ok=6 changed=2 failed=1 unreachable=0\n"
    assert json.loads((tmp_path / "run.json").read_text()) == {
        "ok": 6,
        "changed": 2,
        "failures": 1,
        "unreachable": 0,
        "seconds": 61.3,
    }
    # The clock ends.
    assert calm._finished.is_set()


@pytest.mark.parametrize(
    ("stats", "word"),
    [(Stats(0), "done"), (Stats(1), "failed"), (Stats(0, 1), "failed"), (Stats(1, 1), "failed")],
)
def test_the_first_word_of_the_totals_is_how_it_ended(calm, capsys, monkeypatch, stats, word):
    monkeypatch.delenv("KVM_RUN_FILE", raising=False)
    calm.v2_playbook_on_stats(stats)
    assert capsys.readouterr().out.startswith(f"\n{word} in ")


@pytest.mark.parametrize(
    ("failures", "word"), [(0, "\033[32mdone\033[0m"), (1, "\033[31mfailed\033[0m")]
)
def test_on_a_terminal_how_it_ended_has_a_colour(make_calm, capsys, failures, word):
    make_calm(is_terminal=True).v2_playbook_on_stats(Stats(failures))
    assert f"\n{word} in " in capsys.readouterr().out


def test_how_long_a_task_took_stands_before_it(calm, capsys, monkeypatch):
    begin(calm, "one")
    began = calm._task_began
    monkeypatch.setattr("time.monotonic", lambda: began + 12.34)
    calm.v2_runner_on_ok(result(changed=True))
    calm.v2_runner_on_failed(result(msg="No such package"))
    out = capsys.readouterr().out
    assert "  changed  12.3 s  Install the packages\n" in out
    assert "  failed   12.3 s  Install the packages\n" in out


def test_the_clock_goes_on_when_the_first_task_begins(calm, capsys, monkeypatch):
    looks = iter(["nothing yet", "begin", "end"])

    def wait(_):
        look = next(looks)
        if look == "begin":
            calm.v2_playbook_on_task_start(SimpleNamespace(get_name=lambda: "Compile"), False)
            began = calm._task_began
            monkeypatch.setattr("time.monotonic", lambda: began + 30)
        return look == "end"

    monkeypatch.setattr(calm._finished, "wait", wait)
    calm._tick()
    assert capsys.readouterr().out == "  ... Compile: 30 s so far\n"
