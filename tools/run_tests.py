# SPDX-License-Identifier: MIT
"""All that `make test` and `make test-long` promise, stage by stage.   run_tests.py test|test-long

Stages stand in lanes, of which two run at once, and three where there are four processors: a lane waits much, for
packages to be unpacked, services to start and builds to fail. More at once take no less time: pages go on drawing while
they wait for their turn.
All virtual Pis are made before and removed afterwards, also after a failure, because a network that comes or goes on
this machine breaks what a browser loads. What a stage prints is shown in one piece when it ends, and is in build/stages
while it runs; what a failed test leaves behind is in build/failures, and the last lines name each test that failed.
"""

import contextlib
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
BUILD = ROOT / "build"
TARGET = sys.argv[1]
LOGS = BUILD / "stages" / TARGET
ENVIRONMENT = {
    **os.environ,
    "PATH": f"{ROOT}/.venv/bin:{os.environ['PATH']}",
    # Ansible loads its plugins anew for each task. Compiled once, and not beside the sources, which are not root's.
    "PYTHONPYCACHEPREFIX": str(BUILD / "pycache"),
    "PYTHONDONTWRITEBYTECODE": "",
    # For the reason in pytest's line on a test that failed.
    "COLUMNS": "200",
}


def in_browsers(*names: str) -> list[str]:
    return [f"tests/e2e/test_{name}.py" for name in names]


# What `make test` leaves to `make test-long`: bounds, outages and strangers that are tried one by one.
LONG = in_browsers("acme", "attacks", "disk", "memory", "metrics", "supply_chain", "turn")
# About half of what the other tests in browsers take, by the clock; they run on a virtual Pi of their own, beside them.
SECOND_HALF = in_browsers(
    *("accessibility", "doctor", "firefox", "healing", "power"),
    *("recovery", "settings", "source", "transport"),
)
A_SECOND_PI = ("a second one for browsers", "molecule converge --scenario-name browsers")


def without(files: list[str]) -> str:
    return " ".join(f"--ignore={file}" for file in files)


LANES = {
    "test": (
        (
            (
                "a bare host becomes an appliance",
                "molecule test --destroy=never --scenario-name default",
            ),
            (
                "a browser and viewers use it",
                f"pytest tests/e2e --device=kvm-default {without(SECOND_HALF + LONG)}",
            ),
        ),
        (
            ("lint and unit tests", "make --no-print-directory check"),
            ("the collection is used elsewhere", "pytest tests/collection"),
            (
                "wrong input is refused",
                "molecule test --destroy=never --scenario-name invalid_input",
            ),
        ),
        (
            A_SECOND_PI,
            ("browsers use the second", f"pytest {' '.join(SECOND_HALF)} --device=kvm-browsers"),
        ),
    ),
    "test-long": (
        (("builds that go wrong", "molecule test --destroy=never --scenario-name broken_builds"),),
        (
            A_SECOND_PI,
            ("bounds, outages and strangers", f"pytest {' '.join(LONG)} --device=kvm-browsers"),
        ),
    ),
}
SCENARIOS = {
    "test": ("invalid_input", "default", "browsers"),
    "test-long": ("broken_builds", "browsers"),
}
LANES_AT_ONCE = 3 if (os.cpu_count() or 1) >= 4 else 2

running: set[subprocess.Popen] = set()
failures: list[str] = []
ended = threading.Event()
speaking = threading.Lock()


def run(name: str, command: str) -> bool:
    """One stage; whether it was good."""
    if ended.is_set():
        return False
    log = LOGS / f"{name.replace(' ', '-')}.log"
    began = time.monotonic()
    with speaking:
        print(f"=== {name} ...", flush=True)
    with log.open("w") as output:
        stage = subprocess.Popen(
            command.split(),
            cwd=ROOT,
            env=ENVIRONMENT,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        running.add(stage)
        code = stage.wait()
        running.discard(stage)
    verdict = f"failed (exit code {code})" if code else "good"
    if code:
        named = re.findall(
            r"(?:FAILED|ERROR)(?:\x1b\[0m)? \S+::.*", log.read_text(errors="replace")
        )
        failures.extend([f"{name}: {verdict}", *(f"  {line}" for line in dict.fromkeys(named))])
    with speaking:
        print(f"\n=== {name}", log.read_text(errors="replace"), sep="\n", end="")
        print(f"=== {name}: {verdict}, {time.monotonic() - began:.0f} s\n", flush=True)
    return code == 0


def run_lanes(lanes: Iterator[tuple[tuple[str, str], ...]], verdicts: list[bool]) -> None:
    """One lane after the other, as long as there are some that nobody has begun: the stages of each in turn, up to the
    first that fails."""
    for stages in lanes:
        verdicts.append(all(run(*stage) for stage in stages))


def end(signal_number: int, _: object) -> None:
    sys.exit(f"ended by {signal.Signals(signal_number).name}")


def remove_hosts() -> None:
    for scenario in SCENARIOS[TARGET]:
        subprocess.run(
            ["molecule", "destroy", "--scenario-name", scenario],
            cwd=ROOT,
            env=ENVIRONMENT,
            capture_output=True,
        )


def clean_up() -> None:
    ended.set()
    for stage in list(running):
        # It may have ended just now.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(stage.pid, signal.SIGTERM)
        stage.wait()
    remove_hosts()
    # Under sudo: what the tests built is the user's to build again.
    subprocess.run(["chown", "--recursive", "--reference=Makefile", BUILD], cwd=ROOT, check=True)


def main() -> None:
    began = time.monotonic()
    shutil.rmtree(LOGS, ignore_errors=True)
    LOGS.mkdir(parents=True)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, end)
    try:
        # A run that was ended by force may have left some.
        remove_hosts()
        verdicts = [
            all(
                run(f"virtual Pis of {each}", f"molecule create --scenario-name {each}")
                for each in SCENARIOS[TARGET]
            )
        ]
        if verdicts[0]:
            lanes = iter(LANES[TARGET])
            threads = [
                threading.Thread(target=run_lanes, args=(lanes, verdicts))
                for _ in range(LANES_AT_ONCE)
            ]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
    finally:
        clean_up()
    seconds = f"{time.monotonic() - began:.0f} s"
    if not all(verdicts):
        sys.exit("\n".join([*failures, f"failed after {seconds}"]))
    print(f"all good in {seconds}")


if __name__ == "__main__":
    main()
