# SPDX-License-Identifier: MIT
"""Whether an EDID is a good one, by edid-decode (Debian's, of the v4l-utils project)."""

import subprocess

from tinypilot.errors import ApiError

PROGRAM = "/usr/bin/edid-decode"
PATIENCE_SECONDS = 10


def check(digits: str) -> None:
    """Raises ApiError with the first thing that edid-decode has against it. It parses what somebody uploaded, in C++:
    that is for the web app's sandbox, and not for root's program."""
    try:
        done = subprocess.run(
            [PROGRAM, "--check"],
            input=digits,
            capture_output=True,
            text=True,
            timeout=PATIENCE_SECONDS,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise ApiError(
            503, "The EDID can't be checked: edid-decode does not run on this device."
        ) from error
    if done.returncode:
        _, _, failures = done.stdout.partition("Failures:")
        reasons = [line.strip() for line in failures.splitlines() if line.startswith("  ")]
        raise ApiError(
            400, "edid-decode refuses this EDID: {reason}", reason=(reasons or ["it is none."])[0]
        )
