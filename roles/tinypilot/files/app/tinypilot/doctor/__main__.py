# SPDX-License-Identifier: MIT
"""Names the broken link on the way of a frame or of a key, and says what to do. Nothing is changed.

tinypilot doctor             on the device, as root; exit code 0: all is well, 1: it is not
tinypilot doctor --json      the same for programs
tinypilot doctor --measure   measures encoder, picture, disk, ports and USB, too, as the settings page does
python3 -m tinypilot.doctor --show FILE     prints what --json has said elsewhere
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from tinypilot.doctor import report

if TYPE_CHECKING:
    from tinypilot.config import Config

FACTS = Path("/etc/kvm-facts")
# What the doctor calls what verdicts.py says. What can't be measured now, such as a computer that is off, is no fault.
STATES = {"good": report.GOOD, "poor": report.POOR, "bad": report.CAUSE, "unknown": report.SKIPPED}


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="tinypilot doctor",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--json", action="store_true", help="for programs")
    parser.add_argument("--measure", action="store_true", help="takes up to 20 seconds more")
    parser.add_argument("--show", type=Path, metavar="FILE", help="print what --json has said")
    parser.add_argument("--facts", type=Path, default=FACTS, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.show:
        told = json.loads(arguments.show.read_text(encoding="utf-8"))
        findings = [report.Finding(**each) for each in told["links"]]
    elif os.geteuid() != 0:
        print(
            "The doctor looks at what only root may see: run `sudo tinypilot doctor`.",
            file=sys.stderr,
        )
        sys.exit(2)
    else:
        findings = look(arguments.facts)
        if arguments.measure:
            findings += measured()
    if arguments.json:
        print(json.dumps(report.as_json(findings), indent=2))
    else:
        coloured = sys.stdout.isatty() and not os.environ.get("NO_COLOR")
        print(report.as_text(findings, coloured))
    sys.stdout.flush()
    # A question that still waits for its answer must not keep the program.
    os._exit(int(not report.is_well(findings)))


# Here, so that --show needs nothing of a device.
def look(folder: Path) -> list[report.Finding]:
    from tinypilot.doctor import evidence, links

    return links.examine(evidence.gather(evidence.read_facts(folder), configuration()))


def configuration() -> Config:
    from tinypilot.config import Config, ConfigError

    try:
        return Config.from_environment()
    except ConfigError:
        # It is one of the links; its defaults are those of the roles.
        return Config(name="")


def measured() -> list[report.Finding]:
    """By the same program, in the same sandbox, as when the page asks."""
    from tinypilot.doctor import verdicts
    from tinypilot.video.hdmi import in_english

    try:
        figures = verdicts.ask(configuration().device_test_socket)
    except verdicts.NoFigures as error:
        what = f"The program that measures does not answer ({error})."
        do = "Look again in half a minute: it answers one at a time. `journalctl -u 'tinypilot-device-test@*'`."
        return [report.Finding("measured", "Measured", report.CAUSE, what, do)]
    return [
        report.Finding(
            f"measured {each.part}",
            f"Measured: {each.title}",
            STATES[each.state],
            each.figure,
            each.words if STATES[each.state] in (report.CAUSE, report.POOR) else "",
        )
        for each in verdicts.judge(figures, in_english)
    ]


if __name__ == "__main__":
    main()
