# SPDX-License-Identifier: MIT
"""One question to a service of its own at a unix socket: a JSON object in a line each way."""

import json
import socket
from pathlib import Path

# Far more than an answer has.
ANSWER_BYTES = 64 * 1024


def ask(path: Path, question: dict, patience_seconds: float) -> dict:
    """Raises OSError if nobody answers in time, and ValueError if the answer is none."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(patience_seconds)
        connection.connect(str(path))
        connection.sendall(json.dumps(question).encode() + b"\n")
        with connection.makefile("rb") as lines:
            answer = json.loads(lines.readline(ANSWER_BYTES))
    if not isinstance(answer, dict):
        raise ValueError("not an object")
    return answer
