# SPDX-License-Identifier: MIT
"""Whether the device is well, in sentences: the only place that makes words of the facts."""

from __future__ import annotations

import contextlib
import http.client
import json
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tinypilot.unix_http import UnixConnection
from tinypilot.video import hdmi

PATIENCE_SECONDS = 3
# Far more than an answer has.
ANSWER_BYTES = 64 * 1024
# Whoever asks more often gets the same, strangers, too.
FRESH_SECONDS = 2.0
MIB = 1024 * 1024
# A device that has less can't be relied on to save anything.
LEAST_FREE_BYTES = 16 * MIB


@dataclass(frozen=True)
class Part:
    """is_ok: None, if that is not known yet; that is no fault."""

    name: str
    is_ok: bool | None
    words: str

    def told(self) -> dict:
        return {"part": self.name, "ok": self.is_ok, "words": self.words}


class Informant:
    """Asks the program that tells of the device, one question at a time."""

    def __init__(self, path: Path):
        self._path = path
        self._asking = threading.Lock()
        self._facts: dict | None = None
        self._asked_at = 0.0

    def facts(self) -> dict:
        """{}: nobody answers. While one asks, all others are told what was so before: strangers must not keep the web
        app's threads."""
        if not self._asking.acquire(blocking=self._facts is None):
            return self._facts or {}
        try:
            if self._facts is None or time.monotonic() - self._asked_at >= FRESH_SECONDS:
                self._facts, self._asked_at = self._ask(), time.monotonic()
            return self._facts
        finally:
            self._asking.release()

    def _ask(self) -> dict:
        with (
            contextlib.suppress(OSError, ValueError, http.client.HTTPException),
            contextlib.closing(UnixConnection(self._path, PATIENCE_SECONDS)) as connection,
        ):
            connection.request("GET", "/facts")
            facts = json.loads(connection.getresponse().read(ANSWER_BYTES))
            return facts if isinstance(facts, dict) else {}
        return {}


def parts_of(facts: dict, t: Callable[..., str]) -> list[Part]:
    """t: gives a sentence in the reader's language."""
    if not facts:
        return [
            Part(
                "monitoring",
                False,
                t("Nobody tells how the device is: tinypilot-metrics.service does not answer."),
            )
        ]
    return [
        *_services(facts, t),
        _picture(facts, t),
        *_disks(facts, t),
        *_certificate(facts, t),
    ]


def _services(facts: dict, t: Callable[..., str]) -> list[Part]:
    troubles = facts.get("troubles") or {}
    found = []
    for unit, is_active in (facts.get("units") or {}).items():
        if not is_active:
            found.append(Part(unit, False, t("{unit} does not run.", unit=unit)))
        elif troubles.get(unit):
            words = t("{unit} runs and does not do its work. It is started anew soon.", unit=unit)
            found.append(Part(unit, False, words))
        else:
            found.append(Part(unit, True, t("{unit} runs.", unit=unit)))
    return found


def _picture(facts: dict, t: Callable[..., str]) -> Part:
    has_signal, is_proven = facts.get("has_signal"), facts.get("is_picture_proven")
    if has_signal is None:
        is_ok, words = None, t("Whether there is a signal is not known yet.")
    elif not has_signal:
        signal = hdmi.Signal(**(facts.get("signal") or {"state": hdmi.UNKNOWN}))
        # The computer may be off: that is no fault of the device's.
        is_ok, words = signal.state != hdmi.NO_DEVICE, hdmi.describe(signal, t)[1]
    elif is_proven is None:
        is_ok, words = None, t("Whether there is a picture is being looked at.")
    elif is_proven:
        is_ok, words = True, t("There is a picture: frames of the last minute were decoded.")
    else:
        is_ok = False
        words = t(
            "There is a signal and no picture: no frames could be decoded. The log of tinypilot-metrics.service says "
            "why."
        )
    return Part("picture", is_ok, words)


def _disks(facts: dict, t: Callable[..., str]) -> list[Part]:
    found = []
    for path, disk in (facts.get("disks") or {}).items():
        free = disk["free_bytes"] // MIB
        if disk["is_read_only"]:
            is_ok, words = (
                False,
                t("Nothing can be saved to {path}: the disk is read-only.", path=path),
            )
        elif disk["free_bytes"] < LEAST_FREE_BYTES:
            is_ok, words = (
                False,
                t("The disk of {path} is full: {free} MiB are free.", path=path, free=free),
            )
        else:
            is_ok, words = True, t("The disk of {path} has {free} MiB free.", path=path, free=free)
        found.append(Part(f"disk {path}", is_ok, words))
    return found


def _certificate(facts: dict, t: Callable[..., str]) -> list[Part]:
    ends = facts.get("certificate_ends")
    if ends is None:
        return []
    date = time.strftime("%Y-%m-%d", time.gmtime(ends))
    if ends < time.time():
        return [Part("certificate", False, t("The certificate has ended on {date}.", date=date))]
    return [Part("certificate", True, t("The certificate is valid until {date}.", date=date))]
