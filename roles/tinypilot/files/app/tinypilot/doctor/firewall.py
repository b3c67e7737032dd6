# SPDX-License-Identifier: MIT
"""Whether a firewall of this device keeps a new connection from outside away, by the rules that `nft --json` lists.

What is not understood here counts for the firewall's owner: a rule that might let the packet in lets it in.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

ACCEPTED, DROPPED = "accept", "drop"


def blocking(ruleset: Sequence[Mapping], protocol: str, port: int) -> str:
    """Where a packet to this port is dropped, as "chain input of table inet filter"; empty: it may come in."""
    chains = [each["chain"] for each in ruleset if "chain" in each]
    for chain in chains:
        if chain.get("hook") == "input" and chain["family"] in ("ip", "inet"):
            verdict = _verdict(ruleset, chain, protocol, port, 0) or chain.get("policy")
            if verdict == DROPPED:
                return f"chain {chain['name']} of table {chain['family']} {chain['table']}"
    return ""


def _verdict(
    ruleset: Sequence[Mapping], chain: Mapping, protocol: str, port: int, depth: int
) -> str | None:
    """None: no rule decides."""
    place = (chain["family"], chain["table"], chain["name"])
    for rule in (each["rule"] for each in ruleset if "rule" in each):
        if (rule["family"], rule["table"], rule["chain"]) != place:
            continue
        matches: list[bool | None] = [
            _matches(each["match"], protocol, port) if "match" in each else None
            for each in rule["expr"]
            if "match" in each or "xt" in each
        ]
        if False in matches:
            continue
        is_sure = None not in matches
        for expression in rule["expr"]:
            if "accept" in expression:
                return ACCEPTED
            if is_sure and ("drop" in expression or "reject" in expression):
                return DROPPED
            target = (expression.get("jump") or expression.get("goto") or {}).get("target")
            if target and depth < 16:
                inner = {**chain, "name": target}
                found = _verdict(ruleset, inner, protocol, port, depth + 1)
                if found == ACCEPTED or (found and is_sure):
                    return found
    return None


def _matches(match: Mapping, protocol: str, port: int) -> bool | None:
    """None: it may, or may not."""
    left, right = match["left"], match["right"]
    meta, payload = left.get("meta", {}).get("key"), left.get("payload", {})
    if meta in ("iif", "iifname") and right == "lo":
        found: bool | None = False
    elif meta in ("l4proto", "protocol") or payload.get("field") in ("protocol", "nexthdr"):
        found = _is_in(right, protocol)
    elif payload.get("field") == "dport":
        is_other = payload.get("protocol") not in (protocol, "th")
        found = False if is_other else _is_in(right, port)
    elif left.get("ct", {}).get("key") == "state":
        found = _is_in(right, "new")
    else:
        found = None
    return not found if match["op"] == "!=" and found is not None else found


def _is_in(right: Any, value: str | int) -> bool | None:
    if isinstance(right, dict):
        if "range" in right:
            first, last = right["range"]
            return first <= value <= last
        if "set" in right:
            return _is_in(right["set"], value)
        return None
    if isinstance(right, list):
        found = [_is_in(each, value) for each in right]
        return True if True in found else None if None in found else False
    # A set that has a name.
    if isinstance(right, str) and right.startswith("@"):
        return None
    return right == value
