# SPDX-License-Identifier: MIT
"""Slows guessing: how many tries are answered, by whom they come and for whom they are.

Each key has a bucket of tries that fills again at 20 per hour. A bucket is one number: the moment when it
is full again.
"""

import ipaddress
import time

from tinypilot.store import Store

REFILL_SECONDS = 3600 / 20
# A network's tries. An account holds more, so that one network that guesses without end uses up what flows
# back to the account, and leaves the rest to its owner, wherever the owner is.
NETWORK_TRIES = 20
ACCOUNT_TRIES = 40


class TooManyTries(Exception):
    """retry_after: seconds until the next try is answered."""

    def __init__(self, retry_after: int):
        super().__init__(f"too many tries, next in {retry_after} s")
        self.retry_after = retry_after


def network_of(address: str) -> str:
    """Whom a try is counted against: an IPv4 address, or the /64 that one IPv6 line has."""
    ip = ipaddress.ip_address(address)
    if ip.version == 6 and ip.ipv4_mapped:
        ip = ip.ipv4_mapped
    return str(ip if ip.version == 4 else ipaddress.ip_network((ip, 64), strict=False))


def take(store: Store, tries: dict[str, int]) -> None:
    """Takes a try from each bucket ({key: its size}), or from none and raises TooManyTries."""
    now = time.time()
    with store.transaction() as database:
        database.execute("DELETE FROM throttle WHERE free_at <= ?", (now,))
        taken = []
        for key, size in tries.items():
            row = database.execute("SELECT free_at FROM throttle WHERE key = ?", (key,)).fetchone()
            # Not further ahead than an empty bucket: the clock of a Pi may be set back.
            free_at = min(row["free_at"], now + size * REFILL_SECONDS) if row else now
            wait = free_at + REFILL_SECONDS - (now + size * REFILL_SECONDS)
            if wait > 0:
                raise TooManyTries(int(wait) + 1)
            taken.append((key, free_at + REFILL_SECONDS))
        database.executemany("INSERT OR REPLACE INTO throttle VALUES (?, ?)", taken)


def give_back(store: Store, tries: dict[str, int]) -> None:
    """The try was none: the right password."""
    with store.transaction() as database:
        database.executemany(
            "UPDATE throttle SET free_at = free_at - ? WHERE key = ?",
            [(REFILL_SECONDS, key) for key in tries],
        )
