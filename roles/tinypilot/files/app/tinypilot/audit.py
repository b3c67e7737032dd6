# SPDX-License-Identifier: MIT
"""The audit log: logins, refusals, changes and who had keyboard and mouse, as structured entries of the journal:

    journalctl -t tinypilot-audit            # sentences
    journalctl TINYPILOT_EVENT=login_refused -o json

User input is never logged, except names of existing accounts: people type passwords into the field of the name.
"""

import json
import sys
import threading
import time

from systemd import journal

WARNING, NOTICE = 4, 5
# Anybody can be refused, as often as he likes: what is noted of that must not fill the journal, which has a bound. So
# many at once, and then one in so many seconds; the next one says how many were left out.
REFUSALS_AT_ONCE = 200
REFUSAL_SECONDS = 30


class _Refusals:
    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._full_at = 0.0
        self._left_out = 0

    def take(self) -> int | None:
        """How many were left out before this one; None: it is left out, too."""
        with self._lock:
            now = time.monotonic()
            full_at = max(self._full_at, now) + REFUSAL_SECONDS
            if full_at > now + REFUSALS_AT_ONCE * REFUSAL_SECONDS:
                self._left_out += 1
                return None
            self._full_at = full_at
            left_out, self._left_out = self._left_out, 0
            return left_out


_refusals = _Refusals()


def note(event: str, sentence: str, *, refused: bool = False, **facts: object) -> None:
    if refused:
        left_out = _refusals.take()
        if left_out is None:
            return
        if left_out:
            sentence += f" (and {left_out} other refusals before, which are not listed)"
    fields = {
        "PRIORITY": WARNING if refused else NOTICE,
        "SYSLOG_IDENTIFIER": "tinypilot-audit",
        "TINYPILOT_EVENT": event,
        **{f"TINYPILOT_{name.upper()}": value for name, value in facts.items()},
    }
    try:
        journal.send(sentence, **fields)
    except OSError:
        print(json.dumps({"MESSAGE": sentence, **fields}), file=sys.stderr, flush=True)
