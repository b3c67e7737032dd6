#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Shows the box that ends `make appliance`, from what the plays wrote to build/.

    show_appliance.py BUILD_DIR

Reads BUILD_DIR/picture.json (playbooks/verify.yml) and BUILD_DIR/run.json (plugins/callback/calm.py), writes
BUILD_DIR/appliance.json with the facts of both. BUILD_DIR/setup-code (playbooks/setup_code.yml) is shown and removed.
"""

import json
import sys
import unicodedata
from pathlib import Path


def width(text):
    """Columns that `text` takes on a terminal."""
    return sum(2 if unicodedata.east_asian_width(character) in "WF" else 1 for character in text)


def box(lines):
    columns = max(map(width, lines))
    rule = "─" * (columns + 4)
    body = [f"│  {line}{' ' * (columns - width(line))}  │" for line in lines]
    return "\n".join([f"╭{rule}╮", *body, f"╰{rule}╯"])


def main():
    build = Path(sys.argv[1])
    facts = json.loads((build / "picture.json").read_text())
    run = json.loads((build / "run.json").read_text())
    facts.update(changed=run["changed"], seconds=run["seconds"])
    (build / "appliance.json").write_text(json.dumps(facts, indent=2) + "\n")
    if facts["signal"]:
        picture = f"{facts['width']}x{facts['height']}, {facts['fps']:.1f} frames per second"
        if facts["latency_ms"] is not None:
            picture += f", {facts['latency_ms']:.0f} ms from capture to decoded pixel"
    else:
        picture = "no signal: the attached computer is off, or its cable is out"
    if run["changed"]:
        changes = f"{run['changed']} changes in {run['seconds']:.0f} s"
    else:
        changes = f"nothing had to be changed ({run['seconds']:.0f} s)"
    code_file = build / "setup-code"
    code = code_file.read_text() if code_file.exists() else ""
    code_file.unlink(missing_ok=True)
    try_it = "take the controls and type: the picture shows the computer that you control"
    set_up = [f"Code      {code}", "          (makes you its first user; good once, for 24 hours)"]
    print(
        box(
            [
                f"{facts['host']} is up",
                "",
                f"Open      {facts['url']}",
                "          (the certificate was made on the device: the browser asks once)",
                *(set_up if code else []),
                f"Picture   {picture}",
                *([f"Try       {try_it}"] if facts["signal"] else []),
                f"Run       {changes}",
                f"Stop      {facts['stop']}",
            ]
        )
    )


if __name__ == "__main__":
    main()
