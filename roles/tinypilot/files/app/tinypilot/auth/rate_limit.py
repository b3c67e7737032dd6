# SPDX-License-Identifier: MIT
"""Slows guessing: how many attempts are answered, by whom they come and for whom they are.

Each key has a bucket of attempts that fills again at 20 per hour. A bucket is one number: the moment when it
is full again.
"""

import ipaddress

from tinypilot.auth.store import Store

REFILL_SECONDS = 3600 / 20
# A network's attempts. An account holds more, so that one network that guesses without end uses up what flows
# back to the account, and leaves the rest to its owner, wherever the owner is.
NETWORK_ATTEMPTS = 20
ACCOUNT_ATTEMPTS = 40


class TooManyAttempts(Exception):
    """retry_after: seconds until the next try is answered."""

    def __init__(self, retry_after: int):
        super().__init__(f"too many attempts, next in {retry_after} s")
        self.retry_after = retry_after


def network_of(address: str) -> str:
    """Whom an attempt is counted against: an IPv4 address, or the /64 that one IPv6 line has."""
    ip = ipaddress.ip_address(address)
    if ip.version == 6 and ip.ipv4_mapped:
        ip = ip.ipv4_mapped
    return str(ip if ip.version == 4 else ipaddress.ip_network((ip, 64), strict=False))


def consume(store: Store, attempts: dict[str, int]) -> None:
    """Takes an attempt from each bucket ({key: its size}), or from none and raises TooManyAttempts."""
    now = store.now()
    for key, size in attempts.items():
        # Not further ahead than an empty bucket: a Pi may be started with a clock that is late. Kept, also where the
        # attempt is refused: else the end would go ahead with the time.
        empty = now + size * REFILL_SECONDS
        store.do(
            "UPDATE rate_limits SET free_at = ? WHERE key = ? AND free_at > ?", empty, key, empty
        )
    with store.transaction() as database:
        database.execute("DELETE FROM rate_limits WHERE free_at <= ?", (now,))
        taken = []
        for key, size in attempts.items():
            row = database.execute(
                "SELECT free_at FROM rate_limits WHERE key = ?", (key,)
            ).fetchone()
            free_at = row["free_at"] if row else now
            wait = free_at + REFILL_SECONDS - (now + size * REFILL_SECONDS)
            if wait > 0:
                raise TooManyAttempts(int(wait) + 1)
            taken.append((key, free_at + REFILL_SECONDS))
        database.executemany("INSERT OR REPLACE INTO rate_limits VALUES (?, ?)", taken)


def refund(store: Store, attempts: dict[str, int]) -> None:
    """Gives the attempts back: the password was right."""
    with store.transaction() as database:
        database.executemany(
            "UPDATE rate_limits SET free_at = free_at - ? WHERE key = ?",
            [(REFILL_SECONDS, key) for key in attempts],
        )
