"""Logins take turns by sender: a flood from one network delays and refuses only itself."""

import asyncio
import random
import threading
from collections import Counter

import pytest

from tests.effort import effort
from tests.waiting import TIMEOUT
from whatsai.server.fair_queue import FairQueue, Sender
from whatsai.server.threads import RequestThreads, Share, TooManyRequestsError

FLOOD, OTHER, THIRD = (Sender(name, is_known=False) for name in ("flood", "other", "third"))
KNOWN = Sender("browser", is_known=True)


class Queue:
    """A queue whose thread is busy until it is released, and then notes who had a turn."""

    def __init__(self, waiting: int, places: int = 100) -> None:
        self.threads = RequestThreads("test", 1, places)
        self.queue = FairQueue(Share(self.threads, 1, places), waiting)
        self.turns: list[str] = []
        self.release = threading.Event()

    async def start(self) -> "asyncio.Task[None]":
        started = threading.Event()

        def run() -> None:
            started.set()
            self.release.wait(TIMEOUT)

        first = asyncio.create_task(self.queue.run(Sender("first", is_known=False), run))
        assert await asyncio.to_thread(started.wait, TIMEOUT)
        return first

    async def add(self, *senders: Sender) -> list["asyncio.Task[None]"]:
        added = [asyncio.create_task(self.queue.run(sender, self.turns.append, sender.name)) for sender in senders]
        await asyncio.sleep(0)
        return added


def test_senders_take_turns_and_known_ones_go_first() -> None:
    async def run() -> list[str]:
        queue = Queue(10)
        first = await queue.start()
        waiting = await queue.add(FLOOD, FLOOD, FLOOD, OTHER, THIRD, OTHER, KNOWN)
        queue.release.set()
        await asyncio.gather(first, *waiting)
        return queue.turns

    assert asyncio.run(run()) == ["browser", "flood", "other", "third", "flood", "other", "flood"]


def test_a_known_sender_with_many_requests_leaves_every_other_turn_to_others() -> None:
    async def run() -> list[str]:
        queue = Queue(10)
        first = await queue.start()
        waiting = await queue.add(KNOWN, KNOWN, KNOWN, OTHER, THIRD)
        queue.release.set()
        await asyncio.gather(first, *waiting)
        return queue.turns

    assert asyncio.run(run()) == ["browser", "other", "browser", "third", "browser"]


@pytest.mark.parametrize(
    ("waiting", "new", "refused"),
    [
        ([FLOOD, FLOOD, FLOOD], FLOOD, 3),
        ([FLOOD, FLOOD, FLOOD], OTHER, 2),
        ([FLOOD, OTHER, FLOOD], OTHER, 3),
        ([FLOOD, OTHER, FLOOD], THIRD, 2),
        ([FLOOD, OTHER, THIRD], KNOWN, 2),
        ([FLOOD, KNOWN, OTHER], THIRD, 3),
        ([FLOOD, KNOWN, KNOWN], OTHER, 2),
        ([KNOWN, KNOWN, KNOWN], OTHER, 2),
    ],
)
def test_the_sender_with_the_most_requests_loses_its_latest_one(
    waiting: list[Sender], new: Sender, refused: int
) -> None:
    async def run() -> list[BaseException | None]:
        queue = Queue(3)
        first = await queue.start()
        requests = [*await queue.add(*waiting), *await queue.add(new)]
        queue.release.set()
        answers = await asyncio.gather(*requests, return_exceptions=True)
        await first
        return answers

    answers = asyncio.run(run())
    assert [number for number, answer in enumerate(answers) if answer is not None] == [refused]
    assert isinstance(answers[refused], TooManyRequestsError)


@pytest.mark.parametrize("seed", range(effort(20, 1000)))
def test_every_request_runs_or_is_refused_and_gives_its_places_back_whenever_clients_go(seed: int) -> None:
    chosen = random.Random(seed)

    async def run() -> None:
        queue = Queue(4, places=8)
        first = await queue.start()
        requests: list[asyncio.Task[None]] = []
        for _ in range(30):
            requests += await queue.add(chosen.choice((FLOOD, FLOOD, OTHER, KNOWN)))
            if chosen.random() < 0.4:
                chosen.choice(requests).cancel()
            if chosen.random() < 0.1:
                queue.release.set()
        queue.release.set()
        outcomes = Counter(map(type, await asyncio.gather(*requests, return_exceptions=True)))
        await first
        assert set(outcomes) <= {type(None), asyncio.CancelledError, TooManyRequestsError}
        assert len(queue.turns) >= outcomes[type(None)]
        assert await asyncio.wait_for(queue.queue.run(OTHER, int, "2"), TIMEOUT) == 2
        for _ in range(8):
            queue.threads.admit()  # all places are free again

    asyncio.run(run())
