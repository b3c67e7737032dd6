# SPDX-License-Identifier: MIT
"""What an EDID offers to the attached computer, by edid-decode (Debian's, of the v4l-utils project).

It parses what somebody uploaded, in C++: that is for the web app's sandbox, and not for root's program. Whether an EDID
can be used at all is for the program to say that its role declares (`check` of a group of settings)."""

import re
import subprocess
from dataclasses import dataclass

PROGRAM = "/usr/bin/edid-decode"
PATIENCE_SECONDS = 10
# At the beginning of its line: a monitor may be called like a mode.
MODE = re.compile(
    r"^ +(?:HDMI )?(?:DTD|VIC|DMT|CVT|GTF|IBM|Apple)\b[^:\n]*: +"
    r"([0-9]{1,5})x([0-9]{1,5})(i?) +([0-9]{1,5}(?:\.[0-9]+)?) Hz",
    re.MULTILINE,
)


@dataclass(frozen=True, order=True)
class Mode:
    """Sizes in pixels, rate in frames (of an interlaced mode: in fields) per second."""

    width: int
    height: int
    rate_hz: float
    interlaced: bool

    @property
    def pixels_per_second(self) -> float:
        return self.width * self.height * self.rate_hz / (2 if self.interlaced else 1)


def describe(digits: str) -> tuple[list[Mode], list[str]]:
    """The modes that it offers, the largest first, and what edid-decode dislikes of it. Both are empty where that does
    not run, or does not come to its end: that says nothing of the EDID."""
    try:
        done = subprocess.run(
            [PROGRAM, "--check"],
            input=digits,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=PATIENCE_SECONDS,
        )
    except (OSError, subprocess.TimeoutExpired):
        return [], []
    if done.returncode < 0:
        # Killed by a signal: some files make it abort half-way.
        return [], []
    return read(done.stdout)


def read(told: str) -> tuple[list[Mode], list[str]]:
    """The same of what edid-decode has said."""
    modes = {
        Mode(int(width), int(height), round(float(rate)), bool(interlaced))
        for width, height, interlaced, rate in MODE.findall(told)
    }
    return sorted(modes, reverse=True), _complaints(told)


def _complaints(told: str) -> list[str]:
    """Lines of its sections Warnings and Failures, each with what is indented below it."""
    _, _, complaints = told.partition("\nWarnings:\n")
    if not complaints:
        _, _, complaints = told.partition("\nFailures:\n")
    found: list[str] = []
    for line in complaints.splitlines():
        if line.startswith("    ") and found:
            found[-1] += f" {line.strip()}"
        elif line.startswith("  "):
            found.append(line.strip())
    return found
