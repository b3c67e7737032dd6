# SPDX-License-Identifier: MIT
"""Runs a command of the operator's, such as one that switches a smart plug.

python3 -m tinypilot.power.hook FILE
    One request on standard input, {"hook": NAME} in a line, and its answer. FILE says which command that is. systemd
    starts it for each connection to a socket that the web app alone may open, and ends with it all that the command has
    left behind.
"""

import contextlib
import fcntl
import json
import os
import selectors
import signal
import subprocess
import sys
import time
from dataclasses import dataclass

LONGEST_REQUEST_BYTES = 4096
# The end of what a command writes, for people.
OUTPUT_BYTES = 2000


@dataclass(frozen=True)
class Ended:
    """code: None if its time was over."""

    code: int | None
    output: str


def run(command: list[str], timeout_seconds: float) -> Ended:
    """Without a shell. Raises OSError if it can't be started."""
    deadline = time.monotonic() + timeout_seconds
    with (
        subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        ) as process,
        selectors.DefaultSelector() as selector,
    ):
        assert process.stdout
        pipe = process.stdout.fileno()
        os.set_blocking(pipe, False)
        # Others whom it has started may have the pipe open for longer than it lives.
        end = os.pidfd_open(process.pid)
        selector.register(pipe, selectors.EVENT_READ)
        selector.register(end, selectors.EVENT_READ)
        output, has_ended = b"", False
        while not has_ended and (left_seconds := deadline - time.monotonic()) > 0:
            ready = {key.fd for key, _ in selector.select(left_seconds)}
            has_ended = end in ready
            if pipe in ready:
                # As much as a pipe holds.
                part = os.read(pipe, 65536)
                output = (output + part)[-OUTPUT_BYTES:]
                if not part:
                    selector.unregister(pipe)
        os.close(end)
        if not has_ended:
            # Whatever else it has started ends with this program, see the unit.
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
        code = process.wait()
    return Ended(code if has_ended else None, output.decode(errors="replace"))


def answer(request: dict, hooks: list[dict]) -> dict:
    [hook] = [each for each in hooks if each["name"] == request["hook"]]
    try:
        ended = run(hook["command"], hook["timeout_seconds"])
    except OSError as error:
        return {"code": error.errno, "output": f"{hook['command'][0]}: {error.strerror}"}
    return {"code": ended.code, "output": ended.output}


def main() -> None:
    request = json.loads(sys.stdin.buffer.readline(LONGEST_REQUEST_BYTES))
    with open(sys.argv[1], encoding="utf-8") as file:
        try:
            # One at a time.
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            told: dict = {"busy": True}
        else:
            told = answer(request, json.load(file))
        print(json.dumps(told), flush=True)


if __name__ == "__main__":
    main()
