# SPDX-License-Identifier: MIT
"""How the doctor says what it has found. Needs nothing of a device: `make doctor` prints elsewhere."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import asdict, dataclass

GOOD, CAUSE, CONSEQUENCE, SKIPPED, UNKNOWN = "good", "cause", "consequence", "skipped", "unknown"
# Works, and could do better: only where it was measured.
POOR = "poor"
SIGNS = {GOOD: "✓", CAUSE: "✗", CONSEQUENCE: "↳", SKIPPED: "·", UNKNOWN: "?", POOR: "!"}
COLOURS = {GOOD: "32", CAUSE: "1;31", CONSEQUENCE: "33", SKIPPED: "2", UNKNOWN: "35", POOR: "33"}
COLUMNS = 100


@dataclass(frozen=True)
class Finding:
    """what: a sentence, or some words of a good link; do: what to do about a broken one; follows_from: the title of the
    cause of a consequence."""

    link: str
    title: str
    state: str
    what: str
    do: str = ""
    follows_from: str = ""


def is_well(findings: Sequence[Finding]) -> bool:
    """Of what could not be looked at nobody knows."""
    return all(each.state in (GOOD, SKIPPED, POOR) for each in findings)


def as_json(findings: Sequence[Finding]) -> dict:
    return {"well": is_well(findings), "links": [asdict(each) for each in findings]}


def as_text(findings: Sequence[Finding], coloured: bool) -> str:
    def paint(state: str, text: str) -> str:
        return f"\033[{COLOURS[state]}m{text}\033[0m" if coloured else text

    wide = max(len(each.title) for each in findings)
    lines = []
    for each in findings:
        # What it says of itself would only repeat the cause.
        words = f"follows from: {each.follows_from}" if each.follows_from else each.what
        shown = "see below" if each.state == CAUSE else words
        lines.append(f"  {paint(each.state, SIGNS[each.state])} {each.title:{wide}}  {shown}")
    causes = [each for each in findings if each.state == CAUSE]
    for each in findings:
        if not each.do:
            continue
        lines += [
            "",
            f"{paint(each.state, each.title)}",
            *_wrapped("What   ", each.what),
            *_wrapped("To do  ", each.do),
        ]
    if is_well(findings):
        lines += ["", paint(GOOD, "All is well.")]
    elif not causes:
        lines += ["", paint(UNKNOWN, "Nothing broken was found, and not all could be looked at.")]
    return "\n".join(lines)


def _wrapped(label: str, text: str) -> list[str]:
    return textwrap.wrap(
        text,
        COLUMNS,
        initial_indent=f"  {label}",
        subsequent_indent=" " * (2 + len(label)),
        break_long_words=False,
        break_on_hyphens=False,
    )
