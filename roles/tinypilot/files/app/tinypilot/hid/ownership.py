# SPDX-License-Identifier: MIT
"""Who has the controls. One person has, the others watch; who wants them asks."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass


@dataclass
class Person:
    """Somebody with the page open, or a program that has the controls. `may_control` is False for those who may only
    watch; one who `yields` gives the controls to whoever asks."""

    number: int
    name: str | None
    may_control: bool
    asked_at: float | None = None
    yields: bool = False


class Ownership:
    def __init__(self, idle_seconds: float, clock: Callable[[], float] = time.monotonic):
        self._idle_seconds = idle_seconds
        self._clock = clock
        self._used_at = 0.0
        self._number = 0
        self._held_until = 0.0
        self.people: dict[int, Person] = {}
        self.owner: Person | None = None

    def join(self, name: str | None, may_control: bool) -> Person:
        self._number += 1
        person = self.people[self._number] = Person(self._number, name, may_control)
        return person

    def leave(self, person: Person, hold_seconds: float = 0) -> None:
        """Nobody else gets the controls for so long: their owner may only have been cut off."""
        self.people.pop(person.number, None)
        if self.owner is person and hold_seconds:
            self._hand(None)
            self.hold(hold_seconds)
        elif self.owner is person:
            self._hand_to_next()

    def hold(self, seconds: float) -> None:
        self._held_until = self._clock() + seconds

    def end_hold(self) -> None:
        """If its time has come, whoever asked first gets the controls."""
        if self._held_until and self._clock() >= self._held_until:
            self._held_until = 0
            if self.owner is None:
                self._hand_to_next()

    def come_back(self, person: Person) -> None:
        """The owner from before, or the same session, on another connection."""
        if person.may_control:
            self._hand(person)

    @property
    def is_idle(self) -> bool:
        """The owner has done nothing for a while, or yields: whoever asks gets the controls."""
        if self.owner and self.owner.yields:
            return True
        return self._clock() - self._used_at >= self._idle_seconds

    @property
    def is_held(self) -> bool:
        """For an owner who was cut off."""
        return self.owner is None and bool(self._held_until)

    def use(self, person: Person) -> bool:
        """Whether this person may do something now; if so, it counts as not idle."""
        if self.owner is not person:
            return False
        self._used_at = self._clock()
        return True

    def ask(self, person: Person) -> None:
        """Gets the controls if nobody has or uses them; else the owner is asked."""
        if not person.may_control or self.owner is person:
            return
        if self.is_idle if self.owner else not self._held_until:
            self._hand(person)
        else:
            person.asked_at = self._clock()

    def answer(self, owner: Person, number: int, yes: bool) -> None:
        """The owner gives the controls to somebody who asked, or refuses."""
        asking = self.people.get(number)
        if self.owner is not owner or not asking or asking.asked_at is None:
            return
        if yes:
            self._hand(asking)
        else:
            asking.asked_at = None

    def give_up(self, person: Person) -> None:
        if self.owner is person:
            self._hand_to_next()

    def _hand(self, person: Person | None) -> None:
        self.owner = person
        self._held_until = 0
        self._used_at = self._clock()
        if person:
            person.asked_at = None

    def _hand_to_next(self) -> None:
        waiting = [
            (each.asked_at, each.number)
            for each in self.people.values()
            if each.asked_at is not None
        ]
        self._hand(self.people[min(waiting)[1]] if waiting else None)
