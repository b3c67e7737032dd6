#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Measures for a second what the software encoder of a build holds, keeps that beside the build, and prints a sentence.

    measure_encoder.py BUILD FORMAT WISHED_SIZE WISHED_FPS

BUILD is the folder of a build; what is there already is not measured again. WISHED_SIZE (such as 1280x720) and
WISHED_FPS are what the play asks for.
"""

import json
import os
import subprocess
import sys

SIZES = ["640x480", "1280x720", "1920x1080"]
# Of all sizes together.
MILLISECONDS = 1000
PATIENCE_SECONDS = 60
# A screen in motion needs no more.
SMOOTH_FPS = 30
AS_NOBODY = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--no-new-privs"]


def measured(build, picture_format, sizes):
    file = os.path.join(build, f"encoder-speed.{picture_format}.json")
    try:
        with open(file, encoding="utf-8") as kept:
            known = json.load(kept)
        if {*sizes} <= {each["size"] for each in known["sizes"]}:
            return known
    except (OSError, ValueError, LookupError, TypeError):
        pass
    command = [
        os.path.join(build, "bin/ustreamer-encoder"),
        *(f"--measure={','.join(sizes)}", f"--milliseconds={MILLISECONDS // len(sizes)}"),
        f"--format={picture_format}",
    ]
    # Whoever watches meanwhile comes first.
    told = subprocess.run(
        ["nice", "-n", "19", *AS_NOBODY, *command],
        stdout=subprocess.PIPE,
        timeout=PATIENCE_SECONDS,
        check=True,
    )
    found = {"format": picture_format, "cores": len(os.sched_getaffinity(0)), "sizes": []}
    for each in json.loads(told.stdout)["sizes"]:
        each["size"] = f"{each['width']}x{each['height']}"
        found["sizes"].append(each)
    with open(file + ".new", "w", encoding="utf-8") as new:
        json.dump(found, new, indent=1)
        os.fchmod(new.fileno(), 0o644)
    os.replace(file + ".new", file)
    return found


def sentence(found, wished_size, wished_fps):
    rates = {each["size"]: int(each["frames_per_second"]) for each in found["sizes"]}
    held = ", ".join(f"{size} at {rate}" for size, rate in rates.items())
    cores = f"{found['cores']} core{'s' if found['cores'] > 1 else ''}"
    said = (
        f"software H.264 on {cores} holds {held} frames per second (measured, {found['format']})."
    )
    rate = rates[wished_size]
    if rate >= wished_fps:
        return said
    return (
        f"{said} {wished_size} at {wished_fps} is more than that, so frames are left out: set ustreamer_frame_rate to "
        f"{max(rate, 1)}, or a smaller ustreamer_resolution."
    )


def main():
    build, picture_format, wished_size, wished_fps = sys.argv[1:]
    sizes = [*SIZES, *([wished_size] if wished_size not in SIZES else [])]
    found = measured(build, picture_format, sizes)
    print(sentence(found, wished_size, int(wished_fps) or SMOOTH_FPS))


if __name__ == "__main__":
    main()
