# SPDX-License-Identifier: MIT
"""Whether sessions of open WebSockets still hold, as relay and HID service ask."""

import asyncio
import sqlite3
import threading
from types import SimpleNamespace

import pytest
from tinypilot.auth import watcher
from tinypilot.auth.sessions import Session
from tinypilot.auth.watcher import RECHECK_SECONDS, SessionWatcher

from .test_hid import NOTHING, Cable, in_control, keys, run, serving


class FakeAuth:
    """Auth and its store in one. `asked`: how often it was asked for a session."""

    def __init__(self):
        self.revision = 1
        self.sessions = {"ann": Session(1, "ann", "operator"), "bob": Session(2, "bob", "viewer")}
        self.asked = 0
        self.disk = threading.Event()  # which answers while it is set
        self.disk.set()
        self.is_broken = False

    @property
    def store(self):
        return self

    @staticmethod
    def token_in(cookies):
        return cookies.removeprefix("token=")

    def session_for(self, token):
        self.asked += 1
        self.disk.wait(2)
        if self.is_broken:
            raise sqlite3.OperationalError("disk I/O error")
        return self.sessions.get(token)

    holder_of = session_for


@pytest.fixture
def fake():
    return FakeAuth()


@pytest.fixture
def look(fake, monkeypatch):
    """Asks again whose session no longer holds, so many seconds later: look(0)."""
    keeper, now = SessionWatcher(fake), [0.0]
    monkeypatch.setattr(watcher, "time", SimpleNamespace(monotonic=lambda: now[0]))

    def again(seconds):
        now[0] += seconds
        return asyncio.run(keeper.expired({"ann", "bob"}))

    assert again(0) == set()
    return again


def test_a_token_has_the_session_that_auth_knows(fake):
    async def scenario():
        keeper = SessionWatcher(fake)
        assert await keeper.session_in("token=ann") == ("ann", fake.sessions["ann"])
        assert await keeper.session_in("token=eve") == ("eve", None)

    run(scenario())


def test_nobody_is_let_in_whose_session_can_not_be_looked_up(fake):
    fake.is_broken = True

    async def scenario():
        with pytest.raises(sqlite3.Error):
            await SessionWatcher(fake).session_in("token=ann")

    run(scenario())


def test_a_slow_disk_holds_up_nothing_else(fake):
    fake.disk.clear()

    async def scenario():
        keeper = SessionWatcher(fake)
        questions = [keeper.session_in("token=ann"), keeper.expired({"eve"})]
        answers = asyncio.gather(*questions)
        await asyncio.sleep(0.05)
        assert not answers.done()
        fake.disk.set()
        assert await answers == [("ann", fake.sessions["ann"]), {"eve"}]

    run(scenario())


def test_a_session_that_was_ended_is_told_at_the_next_look(fake, look):
    del fake.sessions["ann"]
    fake.revision += 1
    assert look(0) == {"ann"}


def test_a_session_that_time_has_ended_is_told_within_a_second(fake, look):
    assert RECHECK_SECONDS <= 1
    del fake.sessions["ann"]
    assert look(RECHECK_SECONDS) == {"ann"}


def test_while_nothing_changes_the_database_is_left_alone(fake, look):
    asked = fake.asked
    for _ in range(3):
        assert look(RECHECK_SECONDS / 4) == set()
    assert fake.asked == asked


def test_a_database_that_can_not_be_read_ends_nobody_and_is_asked_again(fake, look):
    fake.is_broken = True
    fake.revision += 1
    assert look(0) == set()
    fake.is_broken = False
    del fake.sessions["bob"]
    assert look(0) == {"bob"}


def test_a_page_ends_with_its_session(auth, ada, monkeypatch):
    """With the real database. The clock stands still, so it is not time that ends it."""
    cable = Cable(monkeypatch)

    async def scenario():
        async with serving(SessionWatcher(auth)) as page:
            ann = await in_control(page, ada.session)
            await ann.say("key", code="KeyA", down=True)
            assert await cable.next_unlike(NOTHING) == keys(0x04)
            auth.sessions.log_out(auth.session_for(ada.session))
            assert await cable.next_unlike(keys(0x04)) == NOTHING
            assert await ann.ends() == 1008

    run(scenario())
