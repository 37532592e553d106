"""The threads for requests refuse what is too much, and know which of them are stuck."""

import asyncio
import threading

import pytest

from tests.waiting import TIMEOUT
from whatsai.server.threads import RequestThreads, Share, TooManyRequestsError


def test_the_result_of_a_function_is_returned_and_its_error_raised() -> None:
    threads = RequestThreads("test", 1, 1)
    assert asyncio.run(threads.run(int, "12", base=8)) == 10
    with pytest.raises(ValueError, match="invalid literal"):
        asyncio.run(threads.run(int, "x"))
    assert asyncio.run(threads.run(int, "1")) == 1


def test_too_many_requests_are_refused_until_a_thread_is_free() -> None:
    async def run() -> None:
        threads, started, release = RequestThreads("test", 1, 2), threading.Event(), threading.Event()

        def wait() -> None:
            started.set()
            release.wait(TIMEOUT)

        running = asyncio.create_task(threads.run(wait))
        assert await asyncio.to_thread(started.wait, TIMEOUT)
        queued = [asyncio.create_task(threads.run(release.wait)) for _ in range(2)]
        assert isinstance((await asyncio.gather(queued[1], return_exceptions=True))[0], TooManyRequestsError)
        running.cancel()  # a client that has gone frees no thread, but its place in the queue
        queued[0].cancel()
        await asyncio.gather(running, queued[0], return_exceptions=True)
        queued = [asyncio.create_task(threads.run(release.wait)) for _ in range(2)]
        assert isinstance((await asyncio.gather(queued[1], return_exceptions=True))[0], TooManyRequestsError)
        release.set()
        assert await queued[0]

    asyncio.run(run())


def test_threads_that_run_one_request_for_long_are_counted() -> None:
    async def run() -> None:
        threads, release, started = RequestThreads("test", 2, 8), threading.Event(), threading.Barrier(3)

        def wait() -> bool:
            started.wait(TIMEOUT)
            return release.wait(TIMEOUT)

        tasks = [asyncio.create_task(threads.run(wait)) for _ in range(2)]
        await asyncio.to_thread(started.wait, TIMEOUT)
        queued = asyncio.create_task(threads.run(release.wait))
        await asyncio.sleep(0)
        assert (threads.count_stuck(0), threads.count_stuck(3600)) == (2, 0)
        release.set()
        await asyncio.gather(*tasks, queued)
        assert threads.count_stuck(0) == 0

    asyncio.run(run())


def test_a_share_leaves_threads_to_others_also_when_its_clients_have_gone() -> None:
    async def run() -> None:
        threads, started, release = RequestThreads("test", 2, 100), threading.Event(), threading.Event()
        share = Share(threads, 1, 2)

        def wait() -> bool:
            started.set()
            return release.wait(TIMEOUT)

        gone = asyncio.create_task(share.run(wait))
        assert await asyncio.to_thread(started.wait, TIMEOUT)
        waiting = [asyncio.create_task(share.run(release.wait)) for _ in range(2)]
        await asyncio.sleep(0)
        gone.cancel()
        waiting.pop().cancel()
        await asyncio.sleep(0)
        waiting.append(asyncio.create_task(share.run(release.wait)))
        await asyncio.sleep(0)
        with pytest.raises(TooManyRequestsError):
            await share.run(release.wait)
        assert await asyncio.wait_for(threads.run(int, "1"), TIMEOUT) == 1
        release.set()
        assert await asyncio.gather(*waiting) == [True, True]
        assert await share.run(int, "2") == 2

    asyncio.run(run())


def test_shares_of_a_share_count_for_the_limits_of_all() -> None:
    async def run() -> None:
        threads, started, release = RequestThreads("test", 4, 6), threading.Semaphore(0), threading.Event()
        outer = Share(threads, 2, 2)
        inner = Share(outer, 1, 3)

        def wait() -> bool:
            started.release()
            return release.wait(TIMEOUT)

        running = [asyncio.create_task(share.run(wait)) for share in (inner, outer)]
        waiting = [asyncio.create_task(inner.run(wait)) for _ in range(2)]
        for _ in running:
            assert await asyncio.to_thread(started.acquire, timeout=TIMEOUT)
        for share in (inner, outer):
            with pytest.raises(TooManyRequestsError):
                await share.run(release.wait)
        waiting[0].cancel()  # a client that has gone gives its place in all queues back
        await asyncio.sleep(0)
        waiting.append(asyncio.create_task(inner.run(wait)))
        rest = [asyncio.create_task(threads.run(wait)) for _ in range(2)]
        for _ in rest:
            assert await asyncio.to_thread(started.acquire, timeout=TIMEOUT)
        with pytest.raises(TooManyRequestsError):
            await threads.run(release.wait)
        release.set()
        assert await asyncio.gather(*running, *waiting[1:], *rest) == [True] * 6

    asyncio.run(run())
