"""Fields bound to a block or request are in all its log records, also in those of threads and tasks."""

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
def no_bindings() -> Iterator[None]:
    reset()
    yield
    reset()


def test_bound_fields_are_in_every_record_until_the_block_ends() -> None:
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


def test_a_block_that_raises_removes_its_fields() -> None:
    with pytest.raises(KeyError), bound(instance="sales"):
        raise KeyError
    assert current() == {}


def test_a_field_of_extra_wins_over_a_bound_field() -> None:
    with capture() as logged, bound(instance="sales"):
        log.info("x", extra={"instance": "other"})
    assert logged.one()["instance"] == "other"


def test_reset_removes_the_earlier_fields() -> None:
    bind(instance="sales")
    reset(request_id="a")
    assert current() == {"request_id": "a"}


def test_the_current_fields_are_read_only() -> None:
    reset(request_id="a")
    with pytest.raises(TypeError):
        current()["request_id"] = "b"  # type: ignore[index]


def test_a_record_keeps_the_fields_bound_when_it_was_logged() -> None:
    with capture() as logged, bound(instance="sales"):
        log.info("x")
        bind(instance="other")
    assert logged.one()["instance"] == "sales"


# --- threads and tasks ------------------------------------------------------------------------------------------------
def test_a_thread_starts_without_fields_unless_its_callable_carries_them() -> None:
    with capture() as logged, bound(instance="sales"):
        for call in (log.info, with_bindings(log.info)):
            thread = threading.Thread(target=call, args=("x",))
            thread.start()
            thread.join()
    assert [line.get("instance") for line in logged] == [None, "sales"]


def test_fields_bound_in_a_thread_stay_in_it() -> None:
    with bound(instance="sales"), ThreadPoolExecutor(1) as pool:
        pool.submit(with_bindings(bind), instance="other").result()
        assert pool.submit(current).result() == {}
        assert current() == {"instance": "sales"}


def test_concurrent_tasks_do_not_mix_their_fields() -> None:
    async def work(name: str, barrier: asyncio.Barrier) -> None:
        with bound(instance=name):
            await barrier.wait()
            log.info("%s", name)
            await asyncio.gather(*(log_name(name) for _ in range(2)))
            await asyncio.to_thread(log.info, "%s", name)

    async def log_name(name: str) -> None:
        await asyncio.sleep(0)
        log.info("%s", name)

    async def main() -> None:
        barrier = asyncio.Barrier(5)
        await asyncio.gather(*(work(f"i{place}", barrier) for place in range(5)))

    with capture() as logged:
        asyncio.run(main())
    found = logged.matching(context="evolution")
    assert len(found) == 20
    assert all(line["message"] == line["instance"] for line in found)


def test_the_request_context_selects_the_context_and_is_not_a_field() -> None:
    with capture() as logged, bound(**{binding.REQUEST_CONTEXT: Context.WEBHOOK}):
        Context.API.logger.info("x")
    line = logged.one(context="webhook")
    assert binding.REQUEST_CONTEXT not in line


def test_a_callable_with_bindings_runs_in_several_threads_each_with_its_own_fields() -> None:
    barrier = Barrier(3, timeout=60)

    def work(place: int) -> dict[str, object]:
        barrier.wait()
        before = dict(current())
        bind(place=place)
        barrier.wait()
        return before

    with bound(request_id="1"), ThreadPoolExecutor(3) as pool:
        assert list(pool.map(with_bindings(work), range(3))) == [{"request_id": "1"}] * 3
