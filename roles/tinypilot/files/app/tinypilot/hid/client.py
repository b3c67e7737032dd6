# SPDX-License-Identifier: MIT
"""What the web app asks the HID service to do for a program (see programs.py)."""

import contextlib
import http.client
import json
import select
import socket
from pathlib import Path

from tinypilot.errors import ApiError
from tinypilot.hid.programs import ACTION_SECONDS
from tinypilot.unix_http import UnixConnection

# Longer than the longest action.
PATIENCE_SECONDS = ACTION_SECONDS + 5
ANSWER_BYTES = 64 * 1024


class Gone(Exception):
    """Who asked is no longer there."""


def act(path: Path, token: str, action: dict, caller: socket.socket | None = None) -> dict:
    """Raises ApiError if it is refused. caller: if whoever is at its other end goes, the action is ended, and Gone
    raised."""
    try:
        with contextlib.closing(UnixConnection(path, PATIENCE_SECONDS)) as service:
            body = json.dumps({"token": token, "action": action})
            service.request("POST", "/act", body, {"Content-Type": "application/json"})
            _wait_for_answer(service.sock, caller)
            answer = service.getresponse()
            told = json.loads(answer.read(ANSWER_BYTES))
    except (OSError, ValueError, http.client.HTTPException) as error:
        raise ApiError(
            503,
            "The service for keyboard and mouse does not answer. See `journalctl -u tinypilot-hid`.",
        ) from error
    if answer.status != 200:
        refusal = ApiError.of_another_program(answer.status, told["sentence"], told["values"])
        refusal.retry_after = told["retry_after"]
        raise refusal
    return told


def _wait_for_answer(service: socket.socket, caller: socket.socket | None) -> None:
    poll = select.poll()
    poll.register(service, select.POLLIN)
    if caller:
        poll.register(caller, select.POLLRDHUP)
    ready = {file for file, _ in poll.poll(PATIENCE_SECONDS * 1000)}
    if not ready:
        raise TimeoutError
    if service.fileno() not in ready:
        raise Gone


def is_gone(caller: socket.socket) -> bool:
    poll = select.poll()
    poll.register(caller, select.POLLRDHUP)
    return bool(poll.poll(0))
