# SPDX-License-Identifier: MIT
"""Which broken link is the cause, and how the doctor says it."""

from __future__ import annotations

import subprocess
import textwrap
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from tinypilot.doctor.chain import BrokenLink
from tinypilot.doctor.evidence import Evidence
from tinypilot.doctor.links import LINKS, Link, Skipped

GOOD, CAUSE, CONSEQUENCE, SKIPPED, UNKNOWN = "good", "cause", "consequence", "skipped", "unknown"
SIGNS = {GOOD: "✓", CAUSE: "✗", CONSEQUENCE: "↳", SKIPPED: "·", UNKNOWN: "?"}
COLOURS = {GOOD: "32", CAUSE: "1;31", CONSEQUENCE: "33", SKIPPED: "2", UNKNOWN: "35"}
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


def examine(evidence: Evidence, links: Sequence[Link] = LINKS) -> list[Finding]:
    broken: dict[str, BrokenLink] = {}
    findings = []
    for link in links:
        try:
            findings.append(Finding(link.name, link.title, GOOD, link.check(evidence)))
        except BrokenLink as found:
            broken[link.name] = found
            do = found.do[:1].upper() + found.do[1:]
            findings.append(
                Finding(link.name, link.title, CAUSE, _sentence(found.what), _sentence(do))
            )
        except Skipped as reason:
            findings.append(Finding(link.name, link.title, SKIPPED, str(reason)))
        # One look that fails must not hide what the others have found.
        except Exception as error:
            is_late = isinstance(error, subprocess.TimeoutExpired)
            why = "no answer in time" if is_late else f"{type(error).__name__}: {error}"
            what = f"could not be looked at ({why})"
            findings.append(Finding(link.name, link.title, UNKNOWN, what))
    by_name = {link.name: link for link in links}
    findings = list(map(_harmless, findings))
    return [
        _as_consequence(each, by_name, broken) if each.state in (CAUSE, UNKNOWN) else each
        for each in findings
    ]


def _sentence(text: str) -> str:
    return text if text.endswith((".", "?")) else f"{text}."


def _harmless(finding: Finding) -> Finding:
    """Names of processes and answers of services are not the doctor's own words, and go to root's terminal."""
    words = {
        name: "".join(each if each.isprintable() else " " for each in text)
        for name, text in asdict(finding).items()
    }
    return Finding(**words)


def _as_consequence(finding: Finding, links: dict[str, Link], broken: dict[str, Any]) -> Finding:
    cause = _first_cause(links[finding.link], links, broken)
    if not cause:
        return finding
    return Finding(
        finding.link, finding.title, CONSEQUENCE, finding.what, follows_from=links[cause].title
    )


def _first_cause(link: Link, links: dict[str, Link], broken: dict[str, Any]) -> str:
    """The name of a broken link that this one needs, and that needs no broken one itself."""
    for name in link.needs:
        deeper = _first_cause(links[name], links, broken)
        if deeper or name in broken:
            return deeper or name
    return ""


def is_well(findings: Sequence[Finding]) -> bool:
    """Of what could not be looked at nobody knows."""
    return all(each.state in (GOOD, SKIPPED) for each in findings)


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
    for each in causes:
        lines += [
            "",
            f"{paint(CAUSE, each.title)}",
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
