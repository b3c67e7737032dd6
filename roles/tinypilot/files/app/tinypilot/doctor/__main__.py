# SPDX-License-Identifier: MIT
"""Names the broken link on the way of a frame or of a key, and says what to do. Nothing is changed.

tinypilot doctor             on the device, as root; exit code 0: all is well, 1: it is not
tinypilot doctor --json      the same for programs
python3 -m tinypilot.doctor --show FILE     prints what --json has said elsewhere
"""

import argparse
import json
import os
import sys
from pathlib import Path

from tinypilot.doctor import report

FACTS = Path("/etc/kvm-facts")


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="tinypilot doctor",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--json", action="store_true", help="for programs")
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
    if arguments.json:
        print(json.dumps(report.as_json(findings), indent=2))
    else:
        coloured = sys.stdout.isatty() and not os.environ.get("NO_COLOR")
        print(report.as_text(findings, coloured))
    sys.stdout.flush()
    # A question that still waits for its answer must not keep the program.
    os._exit(int(not report.is_well(findings)))


def look(folder: Path) -> list[report.Finding]:
    # Here, so that --show needs nothing of a device.
    from tinypilot.config import Config, ConfigError
    from tinypilot.doctor import evidence, links

    facts = evidence.read_facts(folder)
    try:
        config = Config.from_environment()
    except ConfigError:
        # It is one of the links; its defaults are those of the roles.
        config = Config(name="")
    return links.examine(evidence.gather(facts, config))


if __name__ == "__main__":
    main()
