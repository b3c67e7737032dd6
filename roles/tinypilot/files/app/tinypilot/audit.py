# SPDX-License-Identifier: MIT
"""The audit log: logins, refusals, changes and who had keyboard and mouse, as structured entries of the journal:

    journalctl -t tinypilot-audit            # sentences
    journalctl TINYPILOT_EVENT=login_refused -o json

User input is never logged, except names of existing accounts: people type passwords into the field of the name.
"""

import json
import sys

from systemd import journal

WARNING, NOTICE = 4, 5


def note(event: str, sentence: str, *, refused: bool = False, **facts: object) -> None:
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
