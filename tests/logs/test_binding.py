"""What is bound is in every record until it is over, in threads and tasks too, and nowhere else."""

import asyncio
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest

from logs import binding
from logs.binding import bind, bound, current, reset, with_bindings
from logs.contexts import Context
from logs.testing import capture

log = Context.EVOLUTION.logger


@pytest.fixture(autouse=True)
def nothing_bound() -> Iterator[None]:
    reset()
    yield
    reset()


def test_what_is_bound_is_in_every_record_and_ends_with_its_block() -> None:
    with capture() as logged:
        log.info("before")
        with bound(instance="sales", event="call"):
            log.info("inside")
            with bound(event="presence.update", event_id=7):
                log.info("deeper")
            bind(user=3)
            log.info("inside again")
        log.info("after")
    found = [
        {name: line[name] for name in ("instance", "event", "event_id", "user") if name in line} for line in logged
    ]
    assert found == [
        {},
        {"instance": "sales", "event": "call"},
        {"instance": "sales", "event": "presence.update", "event_id": 7},
        {"instance": "sales", "event": "call", "user": 3},
        {},
    ]


def test_a_block_that_raises_ends_it_too() -> None:
    with pytest.raises(KeyError), bound(instance="sales"):
        raise KeyError
    assert current() == {}


def test_what_a_record_adds_itself_comes_first() -> None:
    with capture() as logged, bound(instance="sales"):
        log.info("x", extra={"instance": "other"})
    assert logged.one()["instance"] == "other"


def test_whoever_begins_keeps_nothing_of_the_last() -> None:
    bind(instance="sales")
    reset(request_id="a")
    assert current() == {"request_id": "a"}


def test_what_is_bound_cannot_be_changed_from_outside() -> None:
    reset(request_id="a")
    with pytest.raises(TypeError):
        current()["request_id"] = "b"  # type: ignore[index]


def test_a_record_keeps_what_was_bound_when_it_was_logged() -> None:
    with capture() as logged, bound(instance="sales"):
        log.info("x")
        bind(instance="other")
    assert logged.one()["instance"] == "sales"


# --- threads and tasks ------------------------------------------------------------------------------------------------
def test_a_thread_starts_with_nothing_unless_it_is_carried() -> None:
    with capture() as logged, bound(instance="sales"):
        for call in (log.info, with_bindings(log.info)):
            thread = threading.Thread(target=call, args=("x",))
            thread.start()
            thread.join()
    assert [line.get("instance") for line in logged] == [None, "sales"]


def test_what_a_thread_binds_stays_there() -> None:
    with bound(instance="sales"), ThreadPoolExecutor(1) as pool:
        pool.submit(with_bindings(bind), instance="other").result()
        assert pool.submit(current).result() == {}
        assert current() == {"instance": "sales"}


def test_tasks_that_run_at_once_do_not_mix() -> None:
    async def work(name: str, turn: asyncio.Barrier) -> None:
        with bound(instance=name):
            await turn.wait()
            log.info("%s", name)
            await asyncio.gather(*(say(name) for _ in range(2)))
            await asyncio.to_thread(log.info, "%s", name)

    async def say(name: str) -> None:
        await asyncio.sleep(0)
        log.info("%s", name)

    async def main() -> None:
        turn = asyncio.Barrier(5)
        await asyncio.gather(*(work(f"i{place}", turn) for place in range(5)))

    with capture() as logged:
        asyncio.run(main())
    found = logged.matching(context="evolution")
    assert len(found) == 20
    assert all(line["message"] == line["instance"] for line in found)


def test_the_area_chooses_the_context_and_is_no_field() -> None:
    with capture() as logged, bound(**{binding.REQUEST_CONTEXT: Context.WEBHOOK}):
        Context.API.logger.info("x")
    line = logged.one(context="webhook")
    assert binding.REQUEST_CONTEXT not in line


def test_a_carried_callable_runs_in_several_threads_at_once_and_each_is_apart() -> None:
    together = Barrier(3, timeout=60)

    def work(place: int) -> dict[str, object]:
        together.wait()
        before = dict(current())
        bind(place=place)
        together.wait()
        return before

    with bound(request_id="1"), ThreadPoolExecutor(3) as pool:
        assert list(pool.map(with_bindings(work), range(3))) == [{"request_id": "1"}] * 3
