# SPDX-License-Identifier: MIT
"""Measures, prints tables and writes them into docs/performance.md.

python -m tests.bench --device NAME [--only PART]... [--provision]
python -m tests.bench --side-by-side
"""

from __future__ import annotations

import argparse

from tests.support.device import Device
from tests.support.remote_screen import launch_browser

from . import (
    buttons,
    document,
    fallback,
    first_picture,
    keys,
    latency,
    load,
    machine,
    mode_changes,
    provisioning,
    rate,
    recovery,
    side_by_side,
    sound,
    transports,
)

PARTS = {
    "latency": latency.measure,
    "keys": keys.measure,
    "buttons": buttons.measure,
    "rate": rate.measure,
    "transports": transports.measure,
    "fallback": fallback.measure,
    "first-picture": first_picture.measure,
    "recovery": recovery.measure,
    "mode-changes": mode_changes.measure,
    "load": load.measure,
    "sound": sound.measure,
}


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("--device", help="container of a virtual Pi; some parts break its services")
    parser.add_argument("--only", action="append", choices=PARTS, help="this part (repeatable)")
    parser.add_argument(
        "--provision", action="store_true", help="make a container of its own and time that, too"
    )
    parser.add_argument(
        "--side-by-side",
        action="store_true",
        help="compare this project's plugin with upstream's, in a container of its own",
    )
    arguments = parser.parse_args()
    arguments.parts = list(PARTS) if arguments.only is None else arguments.only
    if not arguments.device:
        if not (arguments.provision or arguments.side_by_side) or arguments.only:
            parser.error("--device NAME is needed for all but --provision and --side-by-side")
        arguments.parts = []
    return arguments


def stream(device: Device) -> str:
    """A sentence on what uStreamer encodes, as it was provisioned."""
    if device.encodes_in_software:
        return "H.264 of the software encoder, as it was provisioned."
    h264 = device.state()["h264"]
    return f"H.264 at {h264['bitrate']} kbit/s, a key frame each {h264['gop']} frames."


def publish(part: str, where: str, text: str) -> None:
    print(f"\n{part}\n\n{text}\n\n{where}", flush=True)
    document.write(part, f"{text}\n\n{where}")


def main() -> None:
    arguments = parse()
    if arguments.parts:
        device = Device(arguments.device)
        device.restore()
        with launch_browser() as browser:
            for part in arguments.parts:
                where = f"{machine.describe()} {stream(device)}"
                try:
                    publish(part, where, PARTS[part](browser, device))
                finally:
                    device.restore()
    if arguments.side_by_side:
        where = machine.describe()
        with launch_browser() as browser:
            publish("side-by-side", where, side_by_side.measure(browser))
    if arguments.provision:
        where = machine.describe()
        publish("provisioning", where, provisioning.measure())


if __name__ == "__main__":
    main()
