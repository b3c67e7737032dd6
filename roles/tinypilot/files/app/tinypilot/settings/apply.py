# SPDX-License-Identifier: MIT
"""What only root may do for the page: apply settings, restart, switch off, read the journal. One thing, and it ends.

python3 -m tinypilot.settings.apply answer
    One request on standard input, a JSON object in a line, and its answer. systemd starts it for each connection to a
    socket that the web app alone may open.
python3 -m tinypilot.settings.apply reconcile
    Make what runs fit to what is set: after a power cut, and by the play.
"""

import contextlib
import fcntl
import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from tinypilot import audit, healing, whole_files
from tinypilot.config import Config
from tinypilot.errors import ApiError
from tinypilot.settings.model import Settings

LONGEST_REQUEST_BYTES = 64 * 1024
# A program that refuses what it is given ends at once. It must have stayed up for so long.
MIN_UPTIME_SECONDS = 2
LOOK_SECONDS = 0.1
RESPONSE_DRAIN_SECONDS = 1
# Days of a device where nothing happens, and a file of two MB at the most.
LOG_LINES = 10_000
# What the supervisor may have ended.
HEALABLE = {
    *("ustreamer.service", "ustreamer-encoder.service", "kvm-hdmi.service", "janus.service"),
    *("nginx.service", "tinypilot.service"),
}


class UnitFailed(Exception):
    """A unit does not run with the new settings, which are rolled back;
    `rolled_back_ok`: whether it runs with the previous ones."""

    def __init__(self, unit: str, rolled_back_ok: bool):
        self.unit, self.rolled_back_ok = unit, rolled_back_ok


class Applier:
    def __init__(self, settings: Settings):
        self.settings = settings

    def change(self, changes: Mapping[str, object]) -> list[str]:
        """All of it or nothing. Raises ApiError or UnitFailed.

        Returns the units to restart when whoever asked was told."""
        with self._locked():
            self.settings.check(changes)
            before = self.settings.overrides()
            after = {**before, **changes}
            after = {name: value for name, value in after.items() if value is not None}
            units = self._write(after)
            failed = _restart(units)
            if failed:
                self._write(before)
                raise UnitFailed(failed, not _restart(units))
            return self._restart_after(before, after)

    def reconcile(self) -> None:
        """Renames what was set under former names, discards what provisioning has fixed since or no longer allows, and
        applies the rest."""
        with self._locked():
            before = self.settings.with_new_names(self.settings.overrides())
            after = {name: value for name, value in before.items() if self._is_allowed(name, value)}
            for name in before.keys() - after.keys():
                audit.note("setting_forgotten", f"{name} has its default again", setting=name)
            failed = _restart(self._write(after))
        _restart_later(self._restart_after(before, after))
        if failed:
            sys.exit(
                f"{failed} does not run with what was set in the web UI: `journalctl -u {failed}`."
            )

    def _is_allowed(self, name: str, value: object) -> bool:
        try:
            self.settings.check({name: value})
        except ApiError:
            return False
        return True

    def _write(self, overrides: Mapping[str, object]) -> list[str]:
        """Returns the units whose environment changed. All is on the disk before anything is replaced, so a full one
        changes nothing. The one file is replaced first: if the power fails in between, reconcile() does the rest at the
        next start."""
        environments: dict[tuple[str, Path], str] = {}
        for name, setting in self.settings.declared().items():
            if setting.group.service:
                # A group that names a service names its file, too (see model.Group).
                assert setting.group.environment_file
                place = setting.group.service, setting.group.environment_file
                line = f"{name}={overrides[name]}\n" if name in overrides else ""
                environments[place] = environments.get(place, "") + line
        kept = json.dumps(overrides, indent=2, sort_keys=True) + "\n"
        texts = {
            self.settings.file: kept,
            **{file: text for (_, file), text in environments.items()},
        }
        changed = whole_files.replace_all(texts)
        return [unit for unit, file in environments if file in changed]

    def _restart_after(
        self, before: Mapping[str, object], after: Mapping[str, object]
    ) -> list[str]:
        declared = self.settings.declared()
        changed = [name for name in declared if before.get(name) != after.get(name)]
        return [unit for name in changed for unit in declared[name].group.restart_after]

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        with open(self.settings.file.with_name("lock"), "w") as lock:
            while True:
                healing.give_sign_of_life()
                try:
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except BlockingIOError:
                    time.sleep(LOOK_SECONDS)
            yield


def _restart(units: list[str]) -> str | None:
    """Restarts those that run. Returns the first that does not stay up."""
    for unit in units:
        # What somebody has stopped stays so.
        if _state(unit) == "inactive":
            continue
        _systemctl("restart", unit)
        began, process = time.monotonic(), _main_process(unit)
        while time.monotonic() < began + MIN_UPTIME_SECONDS:
            if _state(unit) != "active" or _main_process(unit) != process:
                return unit
            time.sleep(LOOK_SECONDS)
    return None


def _restart_later(units: Sequence[str]) -> None:
    """Without waiting for it: one of them may have to end first whoever asked."""
    if units:
        _systemctl("--no-block", "restart", *units)


def _state(unit: str) -> str:
    return _systemctl("show", "--property=ActiveState", "--value", unit)


def _main_process(unit: str) -> str:
    return _systemctl("show", "--property=MainPID", "--value", unit)


def _systemctl(*arguments: str) -> str:
    return _run("/usr/bin/systemctl", *arguments).strip()


def _run(*command: str) -> str:
    """What it writes. However long it takes, systemd need not think that this program hangs."""
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, errors="replace") as process:
        while True:
            healing.give_sign_of_life()
            with contextlib.suppress(subprocess.TimeoutExpired):
                return process.communicate(timeout=healing.SIGN_OF_LIFE_SECONDS)[0]


def power_commands(services: Sequence[str]) -> dict[str, list[str]]:
    """What may be asked for besides settings, and what systemctl is told."""
    return {"restart": ["restart", *services], "reboot": ["reboot"], "poweroff": ["poweroff"]}


def _journal(units: Sequence[str]) -> str:
    """The last lines that these units and the product's own wrote, the oldest first."""
    command = ["/usr/bin/journalctl", "--quiet", "--output=short-iso", f"--lines={LOG_LINES}"]
    command += [f"--unit={unit}" for unit in (*units, "tinypilot*")]
    return _run(*command)


def _heal(unit: str, reason: str) -> None:
    """Ends all its processes. systemd, which starts it anew, waits for no good-bye."""
    if unit not in HEALABLE or not re.fullmatch(r"[\w ,.;:'-]{1,200}", reason):
        raise ValueError
    healing.note(unit, reason)
    _systemctl("kill", "--kill-whom=all", "--signal=KILL", unit)


def answer(
    applier: Applier, services: Sequence[str], line: bytes, log_units: Sequence[str] = ()
) -> tuple[dict, Sequence[str]]:
    """What whoever asks is told, and what systemctl is to do after that. The web app has checked already what it
    sends; whoever has taken it over may send anything."""
    try:
        request = json.loads(line)
        by = str(request["by"])
        if "power" in request:
            command = power_commands(services)[request["power"]]
            audit.note("power", f"{by} asked for: {request['power']}", by=by)
            return {}, command
        if "heal" in request:
            _heal(request["heal"], request["reason"])
            return {}, ()
        if "log" in request:
            audit.note("log_read", f"{by} read the log", by=by)
            return {"log": _journal((*services, *log_units))}, ()
        changes = dict(request["set"])
    except (ValueError, KeyError, TypeError, RecursionError):
        return {"error": "Malformed request."}, ()
    try:
        restart_after = applier.change(changes)
    except (ApiError, OSError, UnitFailed) as error:
        audit.note("settings_refused", f"settings of {by} were not applied", refused=True, by=by)
        if isinstance(error, UnitFailed):
            return {"failed": error.unit, "rolled_back_ok": error.rolled_back_ok}, ()
        if isinstance(error, OSError):
            return {
                "error": f"The device's disk is full, defective or read-only ({error.strerror})."
            }, ()
        return {"error": str(error)}, ()
    # Their values may be secret.
    audit.note("settings_changed", f"{by} set {', '.join(changes)}", by=by)
    return {}, ["restart", *restart_after] if restart_after else ()


def main() -> None:
    os.umask(0o027)
    config = Config.from_environment()
    applier = Applier(Settings.from_config(config))
    command = sys.argv[1]
    if command == "answer":
        line = sys.stdin.buffer.readline(LONGEST_REQUEST_BYTES)
        told, then = answer(applier, config.services, line, config.log_units)
        print(json.dumps(told), flush=True)
        if then:
            # The answer has to get through web app and nginx before these end.
            time.sleep(RESPONSE_DRAIN_SECONDS)
            _systemctl("--no-block", *then)
    elif command == "reconcile":
        applier.reconcile()


if __name__ == "__main__":
    main()
