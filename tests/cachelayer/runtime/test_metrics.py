"""Each kind of read, write and failure increments exactly the expected counters."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest
from django.db import transaction

from cachelayer import cache
from cachelayer.runtime.metrics import Snapshot
from cachelayer.runtime.runtime import CacheRuntime, memory_store, runtime
from conversations.models import Contact, Instance
from tests.conversations.rows import a_contact, an_instance

pytestmark = pytest.mark.django_db(transaction=True)


class CounterCheck:
    """Checks by how much the counters of the cache grow."""

    def __init__(self, cache_runtime: CacheRuntime) -> None:
        self._cached = cache_runtime

    @contextmanager
    def increments(self, namespace: str, **expected: int) -> Iterator[None]:
        """Check that the `with` block increments the given counters by the given numbers, and no other counters."""
        before = self._counts(namespace)
        yield
        after = self._counts(namespace)
        changes = {
            f"{tier}_{counter}": value - before.get((name, tier, counter), 0)
            for (name, tier, counter), value in after.items()
        }
        assert {counter: change for counter, change in changes.items() if change} == expected

    def _counts(self, namespace: str) -> Snapshot:
        values = self._cached.counters.snapshot(self._cached.local.namespaces.values())
        return {key: value for key, value in values.items() if key[0] == namespace}


@pytest.fixture
def counters(cache_runtime: CacheRuntime) -> CounterCheck:
    return CounterCheck(cache_runtime)


def test_reads_of_rows_and_lists(counters: CounterCheck) -> None:
    row = an_instance()
    reads: tuple[Callable[..., object], ...] = (
        lambda **fresh: Instance.objects.fetch(row.pk, **fresh),
        Instance.objects.page,
        lambda **fresh: Instance.objects.fetch_many([row.pk], **fresh),
    )
    for read in reads:
        with counters.increments("instances", local_misses=1, shared_misses=1, shared_fills=1, local_fills=1):
            read()
        with counters.increments("instances", local_hits=1):
            read()
        with counters.increments("instances", local_misses=1, shared_hits=1, local_fills=1):
            read(fresh=True)
        cache.clear("instance:*")


def test_reads_of_rows_that_do_not_exist(counters: CounterCheck) -> None:
    with counters.increments("instances", local_misses=1, shared_misses=1, shared_fills=1, local_fills=1):
        fetch_missing(77)
    with counters.increments("instances", local_hits=1):
        fetch_missing(77)
    with counters.increments("instances", local_misses=1, shared_negatives=1, local_fills=1):
        fetch_missing(77, fresh=True)


def fetch_missing(pk: int, *, fresh: bool = False) -> None:
    with pytest.raises(Instance.DoesNotExist):
        Instance.objects.fetch(pk, fresh=fresh)


def test_values(counters: CounterCheck) -> None:
    with counters.increments("values", local_misses=1, shared_misses=1):
        cache.get("x")
    with counters.increments("values", shared_fills=1):
        cache.set("x", 1)
    with counters.increments("values", local_misses=1, shared_hits=1, local_fills=1, local_hits=2):
        for _ in range(3):
            cache.get("x")


def test_reads_while_a_write_is_in_flight(counters: CounterCheck) -> None:
    row = an_instance()
    with transaction.atomic():
        row.save()
        with counters.increments("instances", local_misses=2, shared_bypasses=2):
            Instance.objects.fetch(row.pk)
            Instance.objects.fetch_many([row.pk])


def test_writes(counters: CounterCheck) -> None:
    row = an_instance()
    contact = a_contact(row)
    Instance.objects.fetch(row.pk)
    Instance.objects.page()
    with (
        counters.increments("instances", shared_invalidations=3, local_invalidations=2),
        counters.increments("contacts"),
    ):
        row.save()
    with counters.increments("contacts", shared_invalidations=3):
        contact.save()
    with counters.increments("contacts", shared_invalidations=1):
        Contact.objects.update(name="x")


def test_evictions(counters: CounterCheck) -> None:
    rows = Instance.objects.bulk_create(Instance(name=f"{number}") for number in range(101))
    with counters.increments(
        "instances", local_misses=101, shared_misses=101, shared_fills=101, local_fills=101, local_evictions=1
    ):
        Instance.objects.fetch_many(row.pk for row in rows)


def test_a_value_that_cannot_be_cached_is_an_error(counters: CounterCheck) -> None:
    with counters.increments("values", local_misses=1, shared_misses=1, shared_errors=1):
        cache.fetch("x", object)


@pytest.mark.usefixtures("cache_runtime", "frequent_switches")
def test_hits_of_many_threads_are_all_counted() -> None:
    cache_runtime = runtime.use_store(memory_store)  # no Redis, because the subscriber thread would use CPU time
    row, times, threads = an_instance(), 20_000, 4
    Instance.objects.fetch(row.pk)

    def read(_number: int) -> None:
        for _ in range(times):
            Instance.objects.fetch(row.pk)

    with (
        CounterCheck(cache_runtime).increments("instances", local_hits=threads * times),
        ThreadPoolExecutor(threads) as pool,
    ):
        list(pool.map(read, range(threads)))
