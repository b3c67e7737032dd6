# SPDX-License-Identifier: MIT
"""What measured figures mean, in sentences: one verdict for each part of the device. measure.py measures."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

from tinypilot.video import hdmi

GOOD, POOR, BAD, UNKNOWN = "good", "poor", "bad", "unknown"
STATES = (GOOD, POOR, BAD, UNKNOWN)
# Fewer frames than a screen in motion needs.
SMOOTH_FPS = 30
# A part of the frames that are captured: those of a second are counted in another second.
ENOUGH = 0.9
MIB = 1024 * 1024
LEAST_FREE_MIB = 64
# Longer than the unit that measures may take.
PATIENCE_SECONDS = 25
ANSWER_BYTES = 64 * 1024
SLOW_MIB_PER_SECOND = 2
SLOW_SYNC_MS = 100

Translate = Callable[..., str]


@dataclass(frozen=True)
class Verdict:
    """figure: what was measured; words: what it means and what to do, or empty where nothing is to be done."""

    part: str
    title: str
    state: str
    figure: str
    words: str = ""

    def told(self) -> dict:
        return asdict(self)


class NoFigures(Exception):
    """The program that measures does not answer."""


def ask(path: Path) -> dict:
    """The figures, from the program that systemd starts for whoever connects."""
    try:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(PATIENCE_SECONDS)
            connection.connect(str(path))
            with connection.makefile("rb") as answer:
                return json.loads(answer.readline(ANSWER_BYTES))
    except (OSError, ValueError) as error:
        raise NoFigures(str(error)) from error


def judge(figures: dict, t: Translate) -> list[Verdict]:
    """figures: as measure.py has them; t: gives a sentence in the reader's language."""
    return [
        *_encoder(figures, t),
        _capture(figures, t),
        _stream(figures, t),
        _disk(figures["disk"], t),
        _ports(figures["ports"], t),
        _usb(figures["usb"], t),
    ]


def _size(size: dict, t: Translate) -> str:
    return t("{width} × {height}", width=size["width"], height=size["height"])


def _encoder(figures: dict, t: Translate) -> list[Verdict]:
    encoder = figures["encoder"]
    if encoder["kind"] == "chip":
        words = t(
            "It encodes one picture. To try other sizes would take it from who watches, so the present picture tells."
        )
        return [Verdict("encoder", t("H.264 encoder"), UNKNOWN, t("A chip"), words)]
    if "error" in encoder:
        words = t(
            "The software encoder can't be measured ({reason}). Provision the device again.",
            reason=encoder["error"],
        )
        return [Verdict("encoder", t("H.264 encoder"), BAD, t("No figure"), words)]
    return [_held(size, figures["watched"], t) for size in encoder["sizes"]]


def _held(size: dict, is_watched: bool, t: Translate) -> Verdict:
    title = t("H.264 encoder, {size}", size=_size(size, t))
    rate = int(size["frames_per_second"])
    is_smooth = rate >= SMOOTH_FPS
    figure = t("{rate} frames per second, {time} ms each", rate=rate, time=size["frame_ms"])
    words = []
    if not is_smooth:
        words.append(
            t(
                "At this size motion is not smooth. Choose a smaller mode on the attached computer, or a frame rate "
                "limit of {rate} fps.",
                rate=max(rate, 1),
            )
        )
    if is_watched:
        words.append(t("Somebody watched meanwhile: this is what was left."))
    part = f"encoder {size['width']}x{size['height']}"
    return Verdict(part, title, GOOD if is_smooth else POOR, figure, " ".join(words))


def _capture(figures: dict, t: Translate) -> Verdict:
    title, source = t("Video input"), figures["capture"].get("source")
    signal = hdmi.judge(figures["capture"].get("signal", {}))
    if not source:
        words = t("uStreamer does not answer. `sudo tinypilot doctor` on the device says why.")
        return Verdict("capture", title, BAD, t("No figure"), words)
    if source["online"]:
        figure = t(
            "{size}, {rate} frames per second",
            size=_size(source["resolution"], t),
            rate=source["captured_fps"],
        )
        return Verdict("capture", title, GOOD, figure)
    head, words = hdmi.describe(signal, t)
    # The computer may be off: that is no fault of the device's.
    is_off = signal.state in (hdmi.UNKNOWN, hdmi.NO_SIGNAL, hdmi.ASLEEP, hdmi.DISCONNECTED)
    return Verdict("capture", title, UNKNOWN if is_off else BAD, head, words)


def _stream(figures: dict, t: Translate) -> Verdict:
    title, stream = t("H.264 picture"), figures["stream"]
    source = figures["capture"].get("source") or {"online": False}
    doctor = t("`sudo tinypilot doctor` on the device says why.")
    if not stream["is_there"]:
        return Verdict("stream", title, BAD, t("No sink"), doctor)
    if not source["online"]:
        return Verdict("stream", title, UNKNOWN, t("No picture to encode"))
    if "frames_per_second" not in stream:
        return Verdict("stream", title, BAD, t("No frames"), doctor)
    rate, captured = stream["frames_per_second"], source["captured_fps"]
    figure = t("{rate} frames per second, {time} ms each", rate=rate, time=stream["frame_ms"])
    wanted = min(captured, figures["frame_rate_limit"] or captured)
    if rate >= ENOUGH * wanted:
        return Verdict("stream", title, GOOD, figure)
    words = t(
        "Frames are left out: {captured} per second are captured. Choose a smaller mode on the attached computer, or "
        "a lower frame rate limit.",
        captured=captured,
    )
    return Verdict("stream", title, POOR, figure, words)


def _disk(disk: dict, t: Translate) -> Verdict:
    title, free = t("Disk"), disk.get("free_bytes", 0) // MIB
    if "error" in disk:
        words = t(
            "Nothing can be saved ({reason}): the SD card may be worn out. Replace it.",
            reason=disk["error"],
        )
        figure = t("{free} MiB free", free=free) if free else t("No figure")
        return Verdict("disk", title, BAD, figure, words)
    if free < LEAST_FREE_MIB:
        words = t("The disk is nearly full: make room on the device. Its speed was not measured.")
        return Verdict("disk", title, BAD, t("{free} MiB free", free=free), words)
    figure = t(
        "{free} MiB free, {speed} MiB/s written, saved after {time} ms",
        free=free,
        speed=disk["mib_per_second"],
        time=disk["sync_ms"],
    )
    is_slow = disk["mib_per_second"] < SLOW_MIB_PER_SECOND or disk["sync_ms"] > SLOW_SYNC_MS
    words = t("The disk is slow. An SD card may be worn out: use another one.") if is_slow else ""
    return Verdict("disk", title, POOR if is_slow else GOOD, figure, words)


def _ports(ports: dict, t: Translate) -> Verdict:
    title, tcp, udp = t("Network ports"), ports["tcp"], ports["udp"]
    first, last = ports["rtp_ports"] or (0, -1)
    media = [str(port) for port in range(first, last + 1)]
    taken = {udp[port] for port in media if udp.get(port, ports["rtp_user"]) != ports["rtp_user"]}
    free = sum(port not in udp for port in media)
    others = ", ".join(port for port in udp if port not in media)
    figure = t(
        "TCP: {tcp}. UDP {first} to {last}, for pictures: {free} of {all} are free.",
        tcp=", ".join(tcp) or "-",
        first=first,
        last=last,
        free=free,
        all=len(media),
    )
    if others:
        figure += " " + t("Other UDP: {others}.", others=others)
    if str(ports["https_port"]) not in tcp:
        words = t(
            "Nobody listens on TCP port {port}, where browsers come.", port=ports["https_port"]
        )
        return Verdict("ports", title, BAD, figure, words)
    if taken:
        words = t(
            "Ports for pictures are taken by {users}. End that program, or give Janus another range in the inventory.",
            users=", ".join(sorted(taken)),
        )
        return Verdict("ports", title, POOR, figure, words)
    words = t(
        "Each viewer over WebRTC needs one of the UDP ports. Whether a firewall between device and browser lets them "
        "through, only a browser can tell."
    )
    return Verdict("ports", title, GOOD, figure, words)


def _usb(state: str | None, t: Translate) -> Verdict:
    title = t("USB keyboard and mouse")
    match state:
        case "connected":
            return Verdict("usb", title, GOOD, t("The attached computer takes keys"))
        case "silent":
            words = t(
                "The attached computer does not accept keys: it hangs, or suspends USB. Wake it, or plug the cable in "
                "again."
            )
            return Verdict("usb", title, BAD, t("Silent"), words)
        case "disconnected":
            # It may be off.
            words = t("The attached computer is not connected by USB, is off, or sleeps.")
            return Verdict("usb", title, UNKNOWN, t("Not connected"), words)
        case "missing":
            words = t("This device has no USB port to the attached computer.")
            return Verdict("usb", title, POOR, t("Missing"), words)
    words = t("The HID service does not answer. `sudo tinypilot doctor` on the device says why.")
    return Verdict("usb", title, BAD, t("No figure"), words)
