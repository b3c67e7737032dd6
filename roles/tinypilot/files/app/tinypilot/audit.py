# SPDX-License-Identifier: MIT
"""Who came in, was refused, changed something or had the controls, as structured entries of the journal:

    journalctl -t tinypilot-audit            # sentences
    journalctl TINYPILOT_EVENT=login_refused -o json

Nothing that somebody typed is written, but names of accounts that exist: people type passwords into the
field of the name.
"""

import json
import socket
import sys

JOURNAL = "/run/systemd/journal/socket"
WARNING, NOTICE = 4, 5


def note(event: str, sentence: str, *, refused: bool = False, **facts: object) -> None:
    entry = {
        "MESSAGE": sentence,
        "PRIORITY": WARNING if refused else NOTICE,
        "SYSLOG_IDENTIFIER": "tinypilot-audit",
        "TINYPILOT_EVENT": event,
        **{f"TINYPILOT_{name.upper()}": value for name, value in facts.items()},
    }
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as journal:
            journal.sendto(b"".join(map(_field, entry, entry.values())), JOURNAL)
    except OSError:
        print(json.dumps(entry), file=sys.stderr, flush=True)


def _field(name: str, value: object) -> bytes:
    """One field of the journal's native protocol, in the form that may hold any byte."""
    data = str(value).encode()
    return name.encode() + b"\n" + len(data).to_bytes(8, "little") + data + b"\n"
