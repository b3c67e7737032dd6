# SPDX-License-Identifier: MIT
"""Sequences: power on, wait for the picture, press a key until the firmware's screen comes. They are stored for all,
and one runs at a time, by whom it was started and no longer than that session holds."""

import json
import socket
import sqlite3
import threading
import time
import traceback
import unicodedata
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from tinypilot import audit
from tinypilot.auth.auth import Auth
from tinypilot.auth.sessions import Session, check_still_may
from tinypilot.auth.store import Store
from tinypilot.config import Config
from tinypilot.errors import ApiError
from tinypilot.hid import client
from tinypilot.hid.programs import KEEP_SECONDS, NO_INPUT
from tinypilot.power.front_panel import FrontPanel
from tinypilot.power.hooks import Hooks
from tinypilot.power.machines import Machines
from tinypilot.video import screenshot

SEQUENCES_MAX = 100
NAME_MAX = 64
STEPS_MAX = 50
WAIT_SECONDS_MAX = 600
# One that is stopped, or whose session has ended, goes no further than this.
LOOK_SECONDS = 0.25
ASK_SECONDS = 1.0
KEYBOARD_STEPS = ("chord", "repeat", "text")


class Sequences:
    """Steps are as routes/sequences.py has checked them."""

    def __init__(self, store: Store):
        self._store = store

    def all(self) -> list[dict]:
        rows = self._store.all(
            "SELECT number, name, steps FROM sequences ORDER BY name COLLATE NOCASE, number"
        )
        return [{**row, "steps": json.loads(row["steps"])} for row in rows]

    def get(self, number: int) -> dict:
        for sequence in self.all():
            if sequence["number"] == number:
                return sequence
        raise _unknown()

    def add(self, by: Session, name: str, steps: list[dict]) -> int:
        name = _normalized(name)
        with self._store.transaction() as database:
            check_still_may("admin", by, database)
            (count,) = database.execute("SELECT count(*) FROM sequences").fetchone()
            if count >= SEQUENCES_MAX:
                raise ApiError(
                    409, "There are {most} sequences already. Remove one first.", most=SEQUENCES_MAX
                )
            number = _write(
                database,
                "INSERT INTO sequences (name, steps) VALUES (?, ?)",
                *(name, json.dumps(steps)),
            ).lastrowid
        audit.note("sequence_added", f"{called(by)} added the sequence {name}", by=by.user)
        assert number is not None
        return number

    def change(self, number: int, by: Session, name: str, steps: list[dict]) -> None:
        name = _normalized(name)
        with self._store.transaction() as database:
            check_still_may("admin", by, database)
            done = _write(
                database,
                "UPDATE sequences SET name = ?, steps = ? WHERE number = ?",
                *(name, json.dumps(steps), number),
            )
            if not done.rowcount:
                raise _unknown()
        audit.note("sequence_changed", f"{called(by)} changed the sequence {name}", by=by.user)

    def remove(self, number: int, by: Session) -> None:
        with self._store.transaction() as database:
            check_still_may("admin", by, database)
            if not database.execute("DELETE FROM sequences WHERE number = ?", (number,)).rowcount:
                raise _unknown()
        audit.note("sequence_removed", f"{called(by)} removed sequence {number}", by=by.user)


def called(by: Session) -> str:
    return by.user or "provisioning"


def _normalized(name: str) -> str:
    name = unicodedata.normalize("NFC", " ".join(name.split()))
    if not name or not name.isprintable():
        raise ApiError(400, "The sequence's name must have 1 to {most} characters.", most=NAME_MAX)
    return name


def _write(database: sqlite3.Connection, statement: str, *values: object) -> sqlite3.Cursor:
    try:
        return database.execute(statement, values)
    except sqlite3.IntegrityError:
        raise ApiError(409, "A sequence with this name already exists.") from None


def _unknown() -> ApiError:
    return ApiError(404, "There is no such sequence.")


# --- Running one ---


class _Stopped(Exception):
    """Somebody has stopped it."""


@dataclass
class Run:
    """step: which one is underway, from 0 on; error: why it ended before its end."""

    number: int
    name: str
    steps: list[dict]
    by: Session
    step: int = 0
    is_over: bool = False
    is_stopped: bool = False
    error: ApiError | None = None


class Runner:
    """One sequence at a time, in a thread of the web app. Keys go the way of all programs' (hid/programs.py), so that
    whatever becomes of this program, none stays down."""

    def __init__(self, config: Config, auth: Auth):
        self._config = config
        self._auth = auth
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._ours, self._theirs = socket.socketpair()
        self.last: Run | None = None

    def start(self, sequence: Mapping, by: Session, credential: str) -> threading.Thread:
        with self._lock:
            if self.last and not self.last.is_over:
                raise ApiError(
                    409, "The sequence {name} is running. Stop it first.", name=self.last.name
                )
            self._stop = threading.Event()
            for end in (self._ours, self._theirs):
                end.close()
            self._ours, self._theirs = socket.socketpair()
            run = Run(sequence["number"], sequence["name"], sequence["steps"], by)
            self.last = run
        audit.note("sequence_run", f"{called(by)} ran the sequence {run.name}", by=by.user)
        thread = threading.Thread(target=self._run, args=(run, credential), daemon=True)
        thread.start()
        return thread

    def stop(self, by: Session) -> None:
        with self._lock:
            run = self.last
            if not run or run.is_over:
                raise ApiError(409, "No sequence is running.")
            run.is_stopped = True
            self._stop.set()
            # What waits for the HID service sees it as a client that is gone.
            self._theirs.close()
        audit.note("sequence_stopped", f"{called(by)} stopped the sequence {run.name}", by=by.user)

    def _run(self, run: Run, credential: str) -> None:
        try:
            for number, step in enumerate(run.steps):
                run.step = number
                _Step(self, run, credential).do(step)
        except (_Stopped, client.Gone):
            pass
        except ApiError as refusal:
            run.error = refusal
        # Nobody else sees what becomes of this thread.
        except Exception:
            traceback.print_exc()
            run.error = ApiError(
                500,
                "The sequence was ended by a fault of this device. See `journalctl -u tinypilot`.",
            )
        finally:
            try:
                self._give_up(run, credential)
            finally:
                with self._lock:
                    run.is_over = True

    def _give_up(self, run: Run, credential: str) -> None:
        if any(step["do"] in KEYBOARD_STEPS for step in run.steps):
            try:
                client.act(self._config.hid_socket, credential, {"type": "give_up"})
            except ApiError:
                return  # they end by themselves


class _Step:
    def __init__(self, runner: Runner, run: Run, credential: str):
        self._config = runner._config
        self._auth = runner._auth
        self._caller = runner._ours
        self._stop = runner._stop
        self._credential = credential
        self._holds_controls = any(step["do"] in KEYBOARD_STEPS for step in run.steps)
        self._asked_at = 0.0
        self._kept_at = 0.0

    def do(self, step: dict) -> None:
        self._go_on()
        kinds: dict[str, Callable[[dict, Session], None]] = {
            "power": lambda step, by: FrontPanel.from_config(self._config).press(step["press"], by),
            "wake": self._wake,
            "hook": lambda step, by: Hooks.from_config(self._config).run(step["hook"], by),
            "wait": lambda step, by: self._wait(step["seconds"]),
            "wait_for_picture": self._wait_for_picture,
            "chord": lambda step, by: self._act(step),
            "text": lambda step, by: self._act(step),
            "repeat": self._repeat,
        }
        kinds[step["do"]](step, self._session())

    def _session(self) -> Session:
        session = self._auth.holder_of(self._credential)
        if session is None:
            raise ApiError(401, "Log in first.")
        if not session.may("operator"):
            raise ApiError(
                403,
                "This needs the role {needed}. Your role is {role}.",
                needed="operator",
                role=session.role,
            )
        return session

    def _go_on(self) -> None:
        """Raises if it is stopped, or its session has ended. Keeps the controls between two steps that need them."""
        if self._stop.is_set():
            raise _Stopped
        now = time.monotonic()
        if now - self._asked_at >= ASK_SECONDS:
            self._asked_at = now
            self._session()
        if self._holds_controls and now - self._kept_at >= KEEP_SECONDS / 3:
            self._kept_at = now
            self._ask({"type": "take", "force": False})

    def _ask(self, action: dict) -> None:
        client.act(self._config.hid_socket, self._credential, action, self._caller)

    def _act(self, step: dict) -> None:
        fields = {name: value for name, value in step.items() if name != "do"}
        self._ask({"type": step["do"], **fields})

    def _wake(self, step: dict, by: Session) -> None:
        machines = Machines(self._auth.store, self._config.wake_socket)
        machines.wake(machines.number_of(step["machine"]), by)

    def _wait(self, seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while (left_seconds := deadline - time.monotonic()) > 0:
            self._go_on()
            self._stop.wait(min(LOOK_SECONDS, left_seconds))
        self._go_on()

    def _wait_for_picture(self, step: dict, _: Session) -> None:
        deadline = time.monotonic() + step["seconds"]
        while not screenshot.has_picture(self._config.ustreamer_socket):
            if time.monotonic() >= deadline:
                raise ApiError(409, "No picture came within {seconds} s.", seconds=step["seconds"])
            self._wait(LOOK_SECONDS)

    def _repeat(self, step: dict, _: Session) -> None:
        """While the computer starts, it takes nothing for moments."""
        began = time.monotonic()
        press = {"type": "chord", "keys": step["keys"], "hold_ms": 50}
        while time.monotonic() - began < step["seconds"]:
            pressed_at = time.monotonic()
            try:
                self._ask(press)
            except ApiError as refusal:
                if refusal.sentence not in NO_INPUT:
                    raise
            self._wait(pressed_at + step["every_ms"] / 1000 - time.monotonic())
