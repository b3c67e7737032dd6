# SPDX-License-Identifier: MIT
"""Measures what this device holds: encoder, picture, disk, ports, USB. One after the other, in 20 s at the most.

python3 -m tinypilot.doctor.measure --facts=DIR     figures as a JSON object in a line, on standard output

systemd starts it for each connection to a socket, one at a time, as a user without privilege: the web app and
`tinypilot doctor --measure` ask there. verdicts.py makes words of the figures.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import pwd
import statistics
import subprocess
import time
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from tinypilot.config import Config
from tinypilot.doctor import evidence
from tinypilot.monitoring import observations
from tinypilot.settings.model import Settings
from tinypilot.video import hdmi, memsink

SIZES = ("640x480", "1280x720", "1920x1080")
# For each size; with the first frame and the card that is painted, a slow board takes a few times as long.
ENCODING_MILLISECONDS = 400
# What each part may take at the most: together less than the unit's 20 s.
ENCODER_SECONDS = 6.0
ANSWER_SECONDS = 3.0
DISK_PATIENCE_SECONDS = 4.0
# uStreamer sleeps while nobody reads, and takes a second to be at its full rate.
FIRST_FRAMES_SECONDS = 2.5
COUNTED_SECONDS = 2.0
POLL_SECONDS = 0.004
# Readers give a sign of life with each look.
SIGN_SECONDS = 2.0
DISK_SECONDS = 2.0
MIB = 1024 * 1024
WRITTEN_MIB = 8
# A disk that has less is full, and is not written to.
SPARED_BYTES = 64 * MIB
SYNCED_BYTES = 4096
SYNCS = 8
LISTENING = "0A"


def filled_in(words: Iterable[str], settings: Mapping[str, object]) -> list[str]:
    """What a role has told, with the {settings} of the page that it names. Without a setting, without the word."""
    found = []
    for word in words:
        with contextlib.suppress(LookupError):
            found.append(word.format_map(settings))
    return found


def encoder(facts: Mapping[str, Mapping], settings: Mapping[str, object]) -> dict:
    """What the software encoder holds at each size, by its own code. A chip is not tried: it encodes one picture, and a
    second one would take it from who watches."""
    command = filled_in(facts.get("ustreamer", {}).get("measure_encoder") or [], settings)
    if not command:
        return {"kind": "chip", "sizes": []}
    options = [f"--measure={','.join(SIZES)}", f"--milliseconds={ENCODING_MILLISECONDS}"]
    found: dict = {"kind": "software", "sizes": []}
    try:
        done = subprocess.run(
            [*command, *options],
            capture_output=True,
            text=True,
            timeout=ENCODER_SECONDS,
            check=True,
        )
        return {**found, **json.loads(done.stdout)}
    except subprocess.CalledProcessError as error:
        lines = error.stderr.strip().splitlines()
        return {**found, "error": lines[-1] if lines else f"exit code {error.returncode}"}
    except (OSError, ValueError, subprocess.TimeoutExpired) as error:
        return {**found, "error": str(error)}


def is_watched(sink: Path) -> bool:
    """Whether somebody reads now. Who only looks whether there is a picture leaves an older sign (Memsink.wake)."""
    with contextlib.closing(memsink.Memsink(sink)) as reader:
        reader.refresh()
        glance = reader.glance()
        return glance is not None and 0 <= memsink.now() - glance[1] < SIGN_SECONDS


def stream(sink: Path) -> dict:
    """What comes into the H.264 sink while this reads it, as each viewer's reader does."""
    with contextlib.closing(memsink.Memsink(sink)) as reader:
        reader.refresh()
        if reader.glance() is None:
            return {"is_there": False}
        frames = list(_frames(reader))
    found: dict = {"is_there": True, "frames": len(frames)}
    if len(frames) > 1:
        seconds = frames[-1].captured - frames[0].captured
        found["frames_per_second"] = round((len(frames) - 1) / seconds, 1) if seconds > 0 else 0
        found["frame_ms"] = round(
            statistics.median(each.encoding_seconds for each in frames) * 1000, 2
        )
    return found


def _frames(reader: memsink.Memsink) -> Iterator[memsink.Frame]:
    begin = time.monotonic() + FIRST_FRAMES_SECONDS
    while (now := time.monotonic()) < begin + COUNTED_SECONDS:
        frame = reader.fetch(wants_key=False)
        if frame and now >= begin:
            yield frame
        time.sleep(POLL_SECONDS)


def capture(config: Config) -> dict:
    """What comes over the cable, and what uStreamer makes of it."""
    socket = str(config.ustreamer_socket)
    questions = {
        "signal": lambda: hdmi.ask(config.hdmi_socket),
        "source": lambda: asyncio.run(evidence.ask_ustreamer(socket))["source"],
    }
    answers = evidence.ask_all(questions, ANSWER_SECONDS)
    return {name: answer for name, answer in answers.items() if isinstance(answer, dict)}


def disk_in_time(folder: Path) -> dict:
    """One that is defective may not answer at all."""
    answer = evidence.ask_all({"disk": lambda: disk(folder)}, DISK_PATIENCE_SECONDS).get("disk")
    if isinstance(answer, dict):
        return answer
    return {"error": str(answer or f"no answer within {DISK_PATIENCE_SECONDS:.0f} s")}


def disk(folder: Path) -> dict:
    """How fast is written what is kept, and how long it takes until it is safe. The file has no name, so nothing is
    left of it."""
    state = os.statvfs(folder)
    found: dict = {"free_bytes": state.f_bavail * state.f_frsize}
    if found["free_bytes"] < SPARED_BYTES:
        return found
    try:
        file = os.open(folder, os.O_TMPFILE | os.O_RDWR)
    except OSError as error:
        return {**found, "error": error.strerror or str(error)}
    with contextlib.closing(os.fdopen(file, "wb", buffering=0)) as output:
        try:
            # Some file systems compress.
            block, began, written = os.urandom(MIB), time.monotonic(), 0
            while written < WRITTEN_MIB and time.monotonic() < began + DISK_SECONDS / 2:
                output.write(block)
                os.fdatasync(file)
                written += 1
            seconds = time.monotonic() - began
            syncs: list[float] = []
            while len(syncs) < SYNCS and time.monotonic() < began + DISK_SECONDS:
                start = time.monotonic()
                os.pwrite(file, block[:SYNCED_BYTES], len(syncs) * SYNCED_BYTES)
                os.fdatasync(file)
                syncs.append(time.monotonic() - start)
        except OSError as error:
            return {**found, "error": error.strerror or str(error)}
    return {
        **found,
        "mib_per_second": round(written / seconds, 1),
        "sync_ms": round(statistics.median(syncs or [seconds]) * 1000, 1),
    }


def ports(facts: Mapping[str, Mapping], root: Path = Path("/proc/1/net")) -> dict:
    """Who has which port, by name of the user. This program has no network itself: what systemd has, the first process,
    is the device's."""
    return {
        "tcp": _bound(root, "tcp"),
        "udp": _bound(root, "udp"),
        "https_port": facts.get("gateway", {}).get("https_port"),
        "rtp_ports": facts.get("janus", {}).get("rtp_ports"),
        "rtp_user": facts.get("janus", {}).get("user"),
    }


def _bound(root: Path, kind: str) -> dict[str, str]:
    """By port that is open to others than the device itself."""
    found: dict[int, str] = {}
    for name in (kind, f"{kind}6"):
        with contextlib.suppress(OSError):
            for line in (root / name).read_text().splitlines()[1:]:
                fields = line.split()
                address, _, port = fields[1].rpartition(":")
                if (kind == "udp" or fields[3] == LISTENING) and not _is_loopback(address):
                    found[int(port, 16)] = _user(int(fields[7]))
    return {str(port): found[port] for port in sorted(found)}


def _is_loopback(address: str) -> bool:
    """As the kernel writes it: words of the machine's byte order."""
    return address.endswith("7F") if len(address) == 8 else address == "0" * 24 + "01000000"


def _user(number: int) -> str:
    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:
        return str(number)


def measure(facts: Mapping[str, Mapping], config: Config) -> dict:
    settings = Settings.from_config(config).effective()
    limit = filled_in([facts.get("ustreamer", {}).get("frame_rate_limit", "0")], settings)
    # In this order, one after the other: the encoder would take the processor from the rest, and reading is a sign.
    return {
        "watched": is_watched(config.h264_sink),
        "encoder": encoder(facts, settings),
        "stream": stream(config.h264_sink),
        "capture": capture(config),
        "disk": disk_in_time(config.auth_file.parent),
        "ports": ports(facts),
        "usb": observations.read("hid").get("usb"),
        "frame_rate_limit": int(limit[0]) if limit else 0,
        "at": time.time(),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--facts", type=Path, required=True)
    told = measure(evidence.read_facts(parser.parse_args().facts), Config.from_environment())
    print(json.dumps(told), flush=True)
    # A disk that does not answer must not keep the program.
    os._exit(0)


if __name__ == "__main__":
    main()
