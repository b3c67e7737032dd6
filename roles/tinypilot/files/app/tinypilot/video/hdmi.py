# SPDX-License-Identifier: MIT
"""What the attached computer sends, whether this device can take it, and what to do if not: the only place that makes
words of it. The facts are those of the ustreamer role's kvm-hdmi, which asks the driver of the HDMI input.

HDCP is not among them: the driver of the TC358743 does not tell. A computer that insists on it sends black, or nothing.
"""

import contextlib
import json
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

PATIENCE_SECONDS = 1
# Far more than an answer has.
ANSWER_BYTES = 4096

# The modes that people choose from, the largest first: (width, height, frames per second).
COMMON_MODES = [
    (3840, 2160, 60),
    (3840, 2160, 30),
    (2560, 1440, 60),
    (1920, 1200, 60),
    (1920, 1080, 60),
    (1920, 1080, 50),
    (1920, 1080, 30),
    (1280, 720, 60),
    (1280, 720, 30),
    (640, 480, 60),
]

PRESENT = "present"
TOO_LARGE = "too_large"
TOO_SMALL = "too_small"
INTERLACED = "interlaced"
UNLOCKED = "unlocked"
ASLEEP = "asleep"
DISCONNECTED = "disconnected"
NO_SIGNAL = "no_signal"
NO_DEVICE = "no_device"
NOT_ENCODED = "not_encoded"
UNKNOWN = "unknown"
STATES = (
    *(PRESENT, TOO_LARGE, TOO_SMALL, INTERLACED, UNLOCKED),
    *(ASLEEP, DISCONNECTED, NO_SIGNAL, NO_DEVICE, NOT_ENCODED, UNKNOWN),
)


@dataclass(frozen=True)
class Signal:
    """state: one of STATES; sends: what the computer sends; takes: the largest common mode that this device takes;
    least: what it takes at least, of TOO_SMALL alone; as far as these are known. rate_hz counts frames, or fields of an
    interlaced picture."""

    state: str
    sends: dict | None = None
    takes: dict | None = None
    least: dict | None = None
    # Of NOT_ENCODED: the size of the picture, and how many pixels the encoder takes in each direction.
    picture: dict | None = None
    most_encoded_pixels: int | None = None


def ask(path: Path) -> dict:
    """The facts; {} if nobody answers in time."""
    answer, deadline = b"", time.monotonic() + PATIENCE_SECONDS
    with (
        contextlib.suppress(OSError, ValueError, RecursionError),
        socket.socket(socket.AF_UNIX) as client,
    ):
        client.settimeout(PATIENCE_SECONDS)
        client.connect(str(path))
        while part := client.recv(ANSWER_BYTES):
            answer += part
            left_seconds = deadline - time.monotonic()
            if left_seconds <= 0 or len(answer) > ANSWER_BYTES:
                return {}
            client.settimeout(left_seconds)
        facts = json.loads(answer)
        return facts if isinstance(facts, dict) else {}
    return {}


def judge(facts: dict) -> Signal:
    """Of another version's facts nothing is known."""
    try:
        return _judge(facts)
    except (ArithmeticError, AttributeError, LookupError, TypeError):
        return Signal(UNKNOWN)


def _judge(facts: dict) -> Signal:
    state, sends = facts.get("state", UNKNOWN), facts.get("sends")
    limits, most = facts.get("takes"), facts.get("most_pixels_per_second")
    takes, least = _largest(limits, most), (limits or {}).get("least")
    if sends and not sends["rate_hz"]:
        # Measured while the mode changed.
        state, sends = UNLOCKED if state == "out_of_range" else state, None
    if sends:
        rate = _pixels_per_second(sends)
        takes_interlaced = limits and limits["interlaced"]
        if state == "out_of_range" and sends["interlaced"] and not takes_interlaced:
            state = INTERLACED
        elif state == "out_of_range" and least and _is_less(sends, least):
            state = TOO_SMALL
        elif state == "out_of_range" or (most and rate > most):
            state = TOO_LARGE
        sends = {name: sends[name] for name in ("width", "height", "rate_hz", "interlaced")}
    # What the input takes is not yet what the encoder does.
    picture, most_encoded = sends or facts.get("hands_out"), facts.get("most_encoded_pixels")
    pixels = max(picture["width"], picture["height"]) if picture else 0
    if state in (PRESENT, UNKNOWN) and most_encoded and pixels > most_encoded:
        return Signal(NOT_ENCODED, sends, takes, None, picture, most_encoded)
    if state == "none":
        state = {True: ASLEEP, False: DISCONNECTED, None: NO_SIGNAL}[facts.get("power")]
    if state != TOO_SMALL:
        least = None
    return Signal(state if state in STATES else UNKNOWN, sends, takes, least)


def _is_less(sends: dict, least: dict) -> bool:
    return any(sends[name] < least[name] for name in ("width", "height", "pixel_clock_hz"))


def _largest(limits: dict | None, most_pixels_per_second: int | None) -> dict | None:
    if not limits:
        return None
    for width, height, rate in COMMON_MODES:
        pixels = width * height * rate
        # The clock counts the blanking as well, which is an eighth at the least that anybody uses.
        if (
            width <= limits["width"]
            and height <= limits["height"]
            and pixels <= (most_pixels_per_second or pixels)
            and pixels * 9 / 8 <= limits["pixel_clock_hz"]
        ):
            return {"width": width, "height": height, "rate_hz": rate}
    return None


def describe(signal: Signal, t: Callable[..., str]) -> tuple[str, str]:
    """A title, and what to do, in the language of `t`."""
    no_signal = t("No signal")
    match signal.state:
        case "present":
            return t("The computer sends a picture"), _present(signal, t)
        case "too_large":
            return t("Mode not supported"), _too_large(signal, t)
        case "too_small":
            return t("Mode not supported"), _too_small(signal, t)
        case "interlaced":
            return t("Mode not supported"), t(
                "The computer sends {sends}, which is interlaced, and this device takes no interlaced pictures. "
                "Choose a progressive mode (p, not i) on the computer, or apply an EDID that offers only what fits.",
                sends=_size(signal.sends),
            )
        case "unlocked":
            return t("No stable signal"), t(
                "Something comes over the video cable, and this device can't lock to it. Plug the cable in again, or "
                "try a shorter one, without an adapter. A player of protected content (HDCP) may cause this, too."
            )
        case "asleep":
            why = t(
                "The computer is connected and on, and sends no picture: it is asleep, its video output is switched "
                "off, or it shows protected content (HDCP) only to displays that can decrypt it."
            )
            advice = t(
                "Press a key to wake it: on the web page, by who has the controls, or at the computer. One that is "
                "suspended may need its power button."
            )
            return no_signal, f"{why} {advice}"
        case "disconnected":
            return no_signal, t(
                "Nothing comes over the video cable, not even its 5 volts: the cable is out at one end, or the "
                "computer is switched off."
            )
        case "not_encoded":
            return t("Mode not supported"), _not_encoded(signal, t)
        case "no_device":
            return no_signal, t(
                "This device does not find its video input: it is unplugged, or its driver is not loaded."
            )
    return no_signal, t(
        "The attached computer is off or asleep, or its video cable is not connected."
    )


def _present(signal: Signal, t: Callable[..., str]) -> str:
    if not signal.sends:
        return t("This device can take it.")
    return t(
        "The computer sends {sends}, which this device can take.", sends=_mode(signal.sends, t)
    )


def _too_large(signal: Signal, t: Callable[..., str]) -> str:
    advice = t(
        "Choose a smaller resolution on the computer, or apply an EDID that offers only what fits."
    )
    if not (signal.sends and signal.takes):
        return f"{t('The computer sends more than this device takes.')} {advice}"
    (width, height), takes = (signal.sends["width"], signal.sends["height"]), signal.takes
    if width <= takes["width"] and height <= takes["height"]:
        if _pixels_per_second(signal.sends) <= _pixels_per_second({**takes, "interlaced": False}):
            # Less than the least that it takes, or with more blanking.
            return t(
                "The computer sends {sends}, with timings that this device does not take. "
                "Choose another resolution on the computer, or apply an EDID that offers only what fits.",
                sends=_mode(signal.sends, t),
            )
        advice = t(
            "Choose a lower refresh rate on the computer, or apply an EDID that offers only what fits."
        )
    said = t(
        "The computer sends {sends}, and this device takes at most {takes}.",
        sends=_mode(signal.sends, t),
        takes=_mode(takes, t),
    )
    return f"{said} {advice}"


def _not_encoded(signal: Signal, t: Callable[..., str]) -> str:
    return t(
        "The picture is {picture}, and this device encodes at most {most} pixels in each direction. Choose a smaller "
        "resolution on the computer, such as 1920 x 1080. If the picture stays so large, provision the device with a "
        "smaller resolution of its video input: a dongle scales.",
        picture=_size(signal.picture),
        most=signal.most_encoded_pixels or "?",
    )


def _too_small(signal: Signal, t: Callable[..., str]) -> str:
    if not (signal.sends and signal.least):
        return t(
            "The computer sends less than this device takes. Choose a larger resolution on the computer, or apply an "
            "EDID that offers only what fits."
        )
    if any(signal.sends[name] < signal.least[name] for name in ("width", "height")):
        return t(
            "The computer sends {sends}, and this device takes no less than {least}. "
            "Choose a larger resolution on the computer, or apply an EDID that offers only what fits.",
            sends=_mode(signal.sends, t),
            least=_size(signal.least),
        )
    return t(
        "The computer sends {sends}, and this device takes no less than {least} million pixels a second, with those "
        "between the pictures. "
        "Choose a higher refresh rate on the computer, or apply an EDID that offers only what fits.",
        sends=_mode(signal.sends, t),
        least=f"{signal.least['pixel_clock_hz'] / 1e6:g}",
    )


def _pixels_per_second(mode: dict) -> float:
    return mode["width"] * mode["height"] * mode["rate_hz"] / (1 + mode["interlaced"])


def _mode(mode: dict, t: Callable[..., str]) -> str:
    return t("{size} at {rate} Hz", size=_size(mode), rate=mode["rate_hz"])


def _size(mode: dict | None) -> str:
    return f"{mode['width']} x {mode['height']}" if mode else "?"


def in_english(text: str, /, **values: object) -> str:
    """For programs that read no language."""
    return text.format(**values) if values else text
