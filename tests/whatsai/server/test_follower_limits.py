"""How many different things one user may follow."""

import asyncio
from collections.abc import Collection

import pytest

from conversations.changes.following import Batch, Credentials, Look, Subscription, TooManyFollowersError
from conversations.changes.log import Position, Selection
from whatsai.server.followers import BEHIND_OF_USER, MAX_INTERESTS, MAX_OF_USER, Followers

START = Position(0, 0)
HISTORY = "0" * 16


class QuietFeed:
    """A log without changes."""

    def look(self, _after: Position | None) -> Look:
        return Look(START, HISTORY, ())

    def read(self, _selection: Selection, _after: Position, until: Look) -> Batch:
        return Batch(until.position, b"")

    def find_ended(self, _credentials: Collection[Credentials]) -> frozenset[Credentials]:
        return frozenset()


class BusyFeed(QuietFeed):
    """A log with a change for everybody, which records from where it was read."""

    def __init__(self) -> None:
        self.reads: list[Position] = []

    def look(self, _after: Position | None) -> Look:
        return Look(Position(1, 0), HISTORY, None)

    def read(self, _selection: Selection, after: Position, until: Look) -> Batch:
        self.reads.append(after)
        return Batch(until.position, b"data")


def waiting(chat: int, session: str = "s", user: int = 1, position: Position = START) -> Subscription:
    selection = Selection(conversations=frozenset({chat}))
    return Subscription(selection, position, HISTORY, Credentials(user, None, session, "*"), 60)


def is_refused_now(followers: Followers, new: Subscription) -> bool:
    try:
        followers.admit(new)
    except TooManyFollowersError as error:
        return error.is_of_user
    return False


def is_refused_after(new: Subscription, *waiting_first: Subscription) -> bool:
    """Return whether a follower is refused while others wait, and check that it is not when they have ended."""

    async def follow() -> bool:
        followers = Followers(QuietFeed(), 2 * MAX_OF_USER)
        tasks = [asyncio.create_task(followers.wait(one, 60)) for one in waiting_first]
        await asyncio.sleep(0)  # all of them wait now
        is_refused = is_refused_now(followers, new)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        assert not is_refused_now(followers, new)
        followers.stop()
        return is_refused

    return asyncio.run(follow())


def test_one_user_follows_a_limited_number_of_selections_because_each_is_read_by_itself() -> None:
    """1,000 selections cost 4 s of a process at each change, in which all other followers waited."""
    chats = [waiting(number) for number in range(MAX_INTERESTS)]
    assert is_refused_after(waiting(MAX_INTERESTS), *chats)
    assert not is_refused_after(waiting(0), *chats)
    assert not is_refused_after(waiting(0, user=2), *chats)
    assert not is_refused_after(waiting(MAX_INTERESTS), *chats[1:])


def test_one_user_follows_with_a_limited_number_of_sessions_because_each_is_checked_by_itself() -> None:
    sessions = [waiting(0, f"{number}") for number in range(MAX_INTERESTS)]
    assert is_refused_after(waiting(0, "new"), *sessions)


@pytest.mark.parametrize(("count", "is_refused"), [(MAX_OF_USER, True), (MAX_OF_USER - 1, False)])
def test_one_user_has_a_limited_number_of_followers(count: int, is_refused: bool) -> None:  # noqa: FBT001 - pytest passes the argument by keyword
    assert is_refused_after(waiting(0), *[waiting(0)] * count) is is_refused


def test_a_user_who_follows_from_many_old_cursors_delays_nobody() -> None:
    """1,000 streams of one token that began at different places of the log made all others wait for over 30 s."""
    feed, other = BusyFeed(), Position(0, 99)

    async def follow() -> list[bool]:
        followers = Followers(feed, MAX_OF_USER)
        behind = [waiting(0, position=Position(0, number)) for number in range(50)]
        all_of_them = [*behind, waiting(0, user=2, position=other)]
        found = await asyncio.gather(*(followers.wait(one, 60) for one in all_of_them))
        followers.stop()
        return found

    assert all(asyncio.run(follow()))
    assert feed.reads.index(other) <= BEHIND_OF_USER
    assert len(feed.reads) == 51


def test_who_follows_while_the_server_stops_is_answered_and_not_refused() -> None:
    """The view of a request may still run when the server stops."""

    async def follow() -> bool:
        followers = Followers(QuietFeed(), 1)
        followers.stop()
        followers.admit(waiting(1))
        return await followers.wait(waiting(1), 60)

    assert asyncio.run(follow()) is False
