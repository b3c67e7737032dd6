# SPDX-License-Identifier: MIT
"""Stops one thread of a program on the virtual Pi, as a driver or a deadlock would; the other threads live on.

python -m tests.support.stuck_thread THREAD...    by numbers of this machine, until it is ended or they are
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from . import ROOT
from .device import Device, docker

PTRACE_SEIZE, PTRACE_INTERRUPT = 0x4206, 0x4207
ALL_CHILDREN = 0x40000000  # __WALL


@contextlib.contextmanager
def stuck_threads(device: Device, service: str, name: str) -> Iterator[None]:
    """All threads of the service's main process that have this name."""
    process = _on_this_machine(device, device.main_pid(service))
    tasks = Path(f"/proc/{process}/task")
    threads = [task.name for task in tasks.iterdir() if (task / "comm").read_text().strip() == name]
    assert threads, f"{service} has no thread {name}"
    tracer = subprocess.Popen(
        [sys.executable, "-m", "tests.support.stuck_thread", *threads],
        cwd=ROOT,
        stdout=subprocess.PIPE,
    )
    try:
        assert tracer.stdout and tracer.stdout.readline() == b"stopped\n"
        yield
    finally:
        tracer.kill()
        tracer.wait()


def _on_this_machine(device: Device, process: int) -> int:
    container = docker("inspect", "-f", "{{.Id}}", device.name).strip()
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            numbers = next(
                line
                for line in (folder / "status").read_text().splitlines()
                if line.startswith("NSpid:")
            ).split()[1:]
            if numbers[-1] == str(process) and container in (folder / "cgroup").read_text():
                return int(folder.name)
    raise AssertionError(f"process {process} of {device.name} is not there")


def _stop(threads: list[int]) -> None:
    ptrace = ctypes.CDLL(None, use_errno=True).ptrace
    ptrace.argtypes = [ctypes.c_long, ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p]
    for request in (PTRACE_SEIZE, PTRACE_INTERRUPT):
        for thread in threads:
            if ptrace(request, thread, None, None):
                raise OSError(ctypes.get_errno(), f"thread {thread} can't be stopped")
    print("stopped", flush=True)
    # Their ends are taken note of, else their process would not be gone.
    with contextlib.suppress(ChildProcessError):
        while True:
            os.waitpid(-1, ALL_CHILDREN)


if __name__ == "__main__":
    _stop([int(each) for each in sys.argv[1:]])
