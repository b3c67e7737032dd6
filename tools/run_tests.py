# SPDX-License-Identifier: MIT
"""Everything that `make test` promises, stage by stage.

Two lanes of stages run at once: a lane waits much, for packages to be unpacked and services to start. The stages
with browsers come after them, one by one: a network that is made or removed on this machine breaks what a browser
loads. What a stage prints is shown in one piece when it ends, and is in build/stages while it runs. The virtual Pis
of the tests are removed at the end, also after a failure; what a failed test leaves behind is in build/failures.
"""

import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

ROOT = Path(__file__).parents[1]
BUILD = ROOT / "build"
LOGS = BUILD / "stages"
ENVIRONMENT = {
    **os.environ,
    "PATH": f"{ROOT}/.venv/bin:{os.environ['PATH']}",
    "PYTHONDONTWRITEBYTECODE": "1",
}
SCENARIOS = ("refusals", "default", "standin")
# The image that the others share is made once.
FIRST = ("the base image", "molecule create --scenario-name refusals")
LANES = (
    (
        (
            "a bare host becomes an appliance",
            "molecule test --scenario-name default --destroy=never",
        ),
    ),
    (
        ("lint and unit tests", "make --no-print-directory check"),
        ("wrong input is refused", "molecule test --scenario-name refusals"),
    ),
)
LAST = (
    ("a browser and viewers use it", "pytest tests/e2e --device=kvm-default"),
    ("builds that go wrong", "molecule test --scenario-name standin"),
)

running: set[subprocess.Popen] = set()
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
    with speaking:
        print(f"\n=== {name}", log.read_text(errors="replace"), sep="\n", end="")
        print(f"=== {name}: {verdict}, {time.monotonic() - began:.0f} s\n", flush=True)
    return code == 0


def run_lane(stages: tuple[tuple[str, str], ...], verdicts: list[bool]) -> None:
    """Its stages in turn, up to the first that fails."""
    verdicts.append(all(run(*stage) for stage in stages))


def end(signal_number: int, _: object) -> None:
    sys.exit(f"ended by {signal.Signals(signal_number).name}")


def clean_up() -> None:
    ended.set()
    for stage in list(running):
        os.killpg(stage.pid, signal.SIGTERM)
        stage.wait()
    for scenario in SCENARIOS:
        subprocess.run(
            ["molecule", "destroy", "--scenario-name", scenario],
            cwd=ROOT,
            env=ENVIRONMENT,
            capture_output=True,
        )
    # Under sudo: what the tests built is the user's to build again.
    subprocess.run(["chown", "--recursive", "--reference=Makefile", BUILD], cwd=ROOT, check=True)


def main() -> None:
    began = time.monotonic()
    shutil.rmtree(LOGS, ignore_errors=True)
    LOGS.mkdir(parents=True)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, end)
    try:
        verdicts = [run(*FIRST)]
        if verdicts[0]:
            lanes = [threading.Thread(target=run_lane, args=(lane, verdicts)) for lane in LANES]
            for lane in lanes:
                lane.start()
            for lane in lanes:
                lane.join()
        if all(verdicts):
            run_lane(LAST, verdicts)
    finally:
        clean_up()
    seconds = f"{time.monotonic() - began:.0f} s"
    if not all(verdicts):
        sys.exit(f"failed after {seconds}")
    print(f"all good in {seconds}")


if __name__ == "__main__":
    main()
