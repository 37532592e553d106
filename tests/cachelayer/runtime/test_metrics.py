"""What is counted, and when: each count has a read, a write or a failure that makes it rise, and nothing else does."""

import sys
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


class Counting:
    """Compares what is counted with what is said of it."""

    def __init__(self, cached: CacheRuntime) -> None:
        self._cached = cached

    @contextmanager
    def so(self, namespace: str, **expected: int) -> Iterator[None]:
        before = self._counts(namespace)
        yield
        after = self._counts(namespace)
        new = {
            f"{tier}_{what}": times - before.get((name, tier, what), 0) for (name, tier, what), times in after.items()
        }
        assert {what: times for what, times in new.items() if times} == expected

    def _counts(self, namespace: str) -> Snapshot:
        found = self._cached.counters.snapshot(self._cached.local.namespaces.values())
        return {key: times for key, times in found.items() if key[0] == namespace}


@pytest.fixture
def counted(cached: CacheRuntime) -> Counting:
    return Counting(cached)


def test_reads_of_rows_and_lists(counted: Counting) -> None:
    row = an_instance()
    reads: tuple[Callable[..., object], ...] = (
        lambda **fresh: Instance.objects.fetch(row.pk, **fresh),
        Instance.objects.page,
        lambda **fresh: Instance.objects.fetch_many([row.pk], **fresh),
    )
    for read in reads:
        with counted.so("instances", local_misses=1, shared_misses=1, shared_fills=1, local_fills=1):
            read()
        with counted.so("instances", local_hits=1):
            read()
        with counted.so("instances", local_misses=1, shared_hits=1, local_fills=1):
            read(fresh=True)
        cache.clear("instance:*")


def test_reads_of_what_is_not_there(counted: Counting) -> None:
    with counted.so("instances", local_misses=1, shared_misses=1, shared_fills=1, local_fills=1):
        absent(77)
    with counted.so("instances", local_hits=1):
        absent(77)
    with counted.so("instances", local_misses=1, shared_absences=1, local_fills=1):
        absent(77, fresh=True)


def absent(pk: int, *, fresh: bool = False) -> None:
    with pytest.raises(Instance.DoesNotExist):
        Instance.objects.fetch(pk, fresh=fresh)


def test_values(counted: Counting) -> None:
    with counted.so("values", local_misses=1, shared_misses=1):
        cache.get("x")
    with counted.so("values", shared_fills=1):
        cache.set("x", 1)
    with counted.so("values", local_misses=1, shared_hits=1, local_fills=1, local_hits=2):
        for _ in range(3):
            cache.get("x")


def test_reads_while_a_write_is_under_way(counted: Counting) -> None:
    row = an_instance()
    with transaction.atomic():
        row.save()
        with counted.so("instances", local_misses=2, shared_bypasses=2):
            Instance.objects.fetch(row.pk)
            Instance.objects.fetch_many([row.pk])


def test_writes(counted: Counting) -> None:
    row = an_instance()
    contact = a_contact(row)
    Instance.objects.fetch(row.pk)
    Instance.objects.page()
    with counted.so("instances", shared_invalidations=3, local_invalidations=2), counted.so("contacts"):
        row.save()
    with counted.so("contacts", shared_invalidations=3):
        contact.save()
    with counted.so("contacts", shared_invalidations=1):
        Contact.objects.update(name="x")


def test_evictions(counted: Counting) -> None:
    rows = Instance.objects.bulk_create(Instance(name=f"{number}") for number in range(101))
    with counted.so(
        "instances", local_misses=101, shared_misses=101, shared_fills=101, local_fills=101, local_evictions=1
    ):
        Instance.objects.fetch_many(row.pk for row in rows)


def test_what_cannot_be_kept_is_an_error(counted: Counting) -> None:
    with counted.so("values", local_misses=1, shared_misses=1, shared_errors=1):
        cache.fetch("x", object)


@pytest.fixture
def hasty() -> Iterator[None]:
    """Let threads take turns as often as they can."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


@pytest.mark.usefixtures("cached", "hasty")
def test_hits_of_many_threads_are_all_counted() -> None:
    now = runtime.use_store(memory_store)  # in this process: a server's channel would need its share of time
    row, times, threads = an_instance(), 20_000, 4
    Instance.objects.fetch(row.pk)

    def read(_number: int) -> None:
        for _ in range(times):
            Instance.objects.fetch(row.pk)

    with Counting(now).so("instances", local_hits=threads * times), ThreadPoolExecutor(threads) as pool:
        list(pool.map(read, range(threads)))
