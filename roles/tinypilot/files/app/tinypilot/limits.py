# SPDX-License-Identifier: MIT
"""How much one person may have, of what all share.

Who may only watch must not take anything from the others, so each thing that can be used up has a bound, here or beside
what it bounds; docs/security.md has the table.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

from tinypilot.auth.sessions import Session


class Budget:
    """So many at once, and so many a second from then on."""

    def __init__(
        self, at_once: float, per_second: float, clock: Callable[[], float] = time.monotonic
    ):
        self._at_once = at_once
        self._per_second = per_second
        self._clock = clock
        self._left = float(at_once)
        self._at = clock()

    def take(self, amount: float = 1) -> bool:
        """Whether there was as much; if not, nothing is taken."""
        now = self._clock()
        self._left = min(self._at_once, self._left + (now - self._at) * self._per_second)
        self._at = now
        if self._left < amount:
            return False
        self._left -= amount
        return True


def person_of(session: Session) -> str:
    """Whom a session's share counts for: its user, who may have many sessions."""
    return session.user or f"session {session.number}"


@dataclass(eq=False)
class Place:
    """What somebody has of a thing that all share. `end` takes it away; it must not wait."""

    person: str
    session: int
    end: Callable[[], None]
    weight: int = 1


class Shares:
    """Places for all, of which one session and one person have no more than so many.

    When all are taken, who has fewer than others gets one of those who have most: their newest. So whoever comes first
    with a hundred sockets keeps nobody out, and whoever watches alone may have all that there are.
    """

    def __init__(self, places: int, per_session: int, per_person: int):
        self._most = places
        self._per_session = per_session
        self._per_person = per_person
        self._places: list[Place] = []

    def take(self, session: Session, end: Callable[[], None], weight: int = 1) -> Place | None:
        """None: this session or person has had its share, or nobody has more than this one."""
        place = Place(person_of(session), session.number, end, weight)
        return place if self.grow(place, weight) else None

    def grow(self, place: Place, weight: int) -> bool:
        """Whether the place may be of this weight now. It is taken, if it was not before."""
        others = [each for each in self._places if each is not place]
        if not self._has_right(others, place, weight):
            return False
        by_person = Counter[str]()
        for each in others:
            by_person[each.person] += each.weight
        taken = by_person.total()
        ended: list[Place] = []
        while taken + weight > self._most:
            # The newest of who has most goes, if that one has more than this one will have.
            person = max(by_person, key=by_person.__getitem__, default=None)
            if person is None or by_person[person] <= by_person[place.person] + weight:
                return False
            victim = next(
                each
                for each in reversed(others)
                if each.person == person and each.weight and each not in ended
            )
            ended.append(victim)
            by_person[person] -= victim.weight
            taken -= victim.weight
        for each in ended:
            self.leave(each)
            each.end()
        place.weight = weight
        if place not in self._places:
            self._places.append(place)
        return True

    def _has_right(self, others: list[Place], place: Place, weight: int) -> bool:
        same_person = [each for each in others if each.person == place.person]
        of_person = sum(each.weight for each in same_person)
        of_session = sum(each.weight for each in same_person if each.session == place.session)
        return of_session + weight <= self._per_session and of_person + weight <= self._per_person

    def leave(self, place: Place) -> None:
        if place in self._places:
            self._places.remove(place)
