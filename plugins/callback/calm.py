# SPDX-License-Identifier: MIT
"""Ansible's output for the person in front of it: what is being done, for how long, and errors as sentences."""

from __future__ import annotations

import json
import os
import sys
import threading
import time

from ansible.plugins.callback import CallbackBase

DOCUMENTATION = r"""
name: calm
type: stdout
short_description: One line for each change, a running clock for what takes long
description:
  - On a terminal the running task and its seconds stand in the last line; what changed stays on the screen.
  - Elsewhere (CI, a file) each change is a line, and a task that takes long says so each half minute.
  - With E(KVM_RUN_FILE) set, totals of the run are written to that file as JSON.
"""

LONG_SECONDS = 30
SAYS_NOTHING = ("All assertions passed", "All items completed")
GREEN, YELLOW, RED, DIM, BOLD = "32", "33", "31", "2", "1"


class CallbackModule(CallbackBase):
    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "stdout"
    CALLBACK_NAME = "calm"

    def __init__(self):
        super().__init__()
        self._terminal = sys.stdout.isatty() and os.environ.get("TERM") != "dumb"
        self._began = time.monotonic()
        self._task, self._task_began, self._progress = "", self._began, ""
        self._names_hosts = False
        self._lock = threading.Lock()
        self._finished = threading.Event()
        self._clock = threading.Thread(target=self._tick, daemon=True)
        self._clock.start()

    # --- Lines ---

    def _paint(self, text, colour):
        return f"\033[{colour}m{text}\033[0m" if self._terminal else text

    def _line(self, text):
        with self._lock:
            print(("\r\033[K" if self._terminal else "") + text, flush=True)

    def _tick(self):
        """Keeps the last line of a terminal, or tells a log now and then, what is being waited for."""
        told = 0
        while not self._finished.wait(0.2 if self._terminal else 1):
            task, seconds = self._task, int(time.monotonic() - self._task_began)
            if not task:
                continue
            doing = f"{task}: {self._progress}" if self._progress else task
            if self._terminal:
                width = os.get_terminal_size().columns - 8
                with self._lock:
                    print(
                        f"\r\033[K{self._paint(f'{seconds:4d} s', DIM)}  {doing[:width]}",
                        end="",
                        flush=True,
                    )
            elif seconds >= LONG_SECONDS and seconds // LONG_SECONDS != told:
                told = seconds // LONG_SECONDS
                self._line(f"  ... {doing}: {seconds} s so far")

    def _seconds(self):
        return f"{time.monotonic() - self._task_began:5.1f} s"

    # --- Ansible's events ---

    def _of(self, result, text):
        """The text, with the name of its host where there is more than one, and it does not begin with it."""
        host = result.host.get_name()
        is_named = text.startswith((f"{host}:", f"{host} "))
        return f"{host}: {text}" if self._names_hosts and not is_named else text

    def v2_playbook_on_play_start(self, play):
        inventory = play.get_variable_manager()._inventory
        self._names_hosts = len(inventory.get_hosts(play.hosts)) > 1
        self._line(f"\n{self._paint(play.get_name(), BOLD)}")

    def v2_playbook_on_task_start(self, task, is_conditional):
        self._task, self._task_began, self._progress = task.get_name(), time.monotonic(), ""

    def v2_runner_retry(self, result):
        self._progress = result.result.get("progress") or ""

    def v2_runner_on_ok(self, result):
        told = result.result.get("msg")
        speaks = result.task.action.rpartition(".")[2] in ("assert", "debug")
        if result.result.get("changed"):
            self._line(
                f"  {self._paint('changed', YELLOW)} {self._seconds()}  {self._of(result, self._task)}"
            )
        elif speaks and told and told not in SAYS_NOTHING:
            self._line(f"  {self._paint('good', GREEN)}             {self._of(result, str(told))}")

    def v2_runner_on_failed(self, result, ignore_errors=False):
        if ignore_errors:
            return
        outcome = result.result
        self._line(
            f"  {self._paint('failed', RED)}  {self._seconds()}  {self._of(result, self._task)}"
        )
        failed = [item for item in outcome.get("results", []) if item.get("failed")] or [outcome]
        for one in failed:
            lines = [str(one.get("msg") or "")]
            lines += [
                *one.get("stdout_lines", []),
                *one.get("stderr_lines", []),
                *one.get("journal", []),
                *(str(part.get("msg")) for part in (one.get("failed_modules") or {}).values()),
            ][-25:]
            for line in "\n".join(lines).strip().splitlines():
                self._line(f"          {line}")

    def v2_runner_on_unreachable(self, result):
        self._line(
            f"  {self._paint('unreachable', RED)}  {result.host.get_name()}: {result.result.get('msg')}"
        )

    def v2_playbook_on_stats(self, stats):
        self._finished.set()
        totals = {key: 0 for key in ("ok", "changed", "failures", "unreachable")}
        for host in stats.processed:
            summary = stats.summarize(host)
            for key in totals:
                totals[key] += summary[key]
        seconds = round(time.monotonic() - self._began, 1)
        bad = totals["failures"] + totals["unreachable"]
        self._line(
            f"\n{self._paint('failed' if bad else 'done', RED if bad else GREEN)} in {seconds:.0f} s: "
            f"ok={totals['ok']} changed={totals['changed']} failed={totals['failures']} "
            f"unreachable={totals['unreachable']}"
        )
        if os.environ.get("KVM_RUN_FILE"):
            with open(os.environ["KVM_RUN_FILE"], "w") as file:
                json.dump({**totals, "seconds": seconds}, file)
