import threading
from contextlib import suppress

import pytest
from django.db import transaction

from cachelayer.background.heartbeat import RENEW_AFTER
from cachelayer.models import Outbox
from cachelayer.runtime.runtime import CacheRuntime, get_runtime
from cachelayer.stores.base import StoreDown
from cachelayer.write import intents, outbox
from cachelayer.write.intents import WriteIntent
from tests.cachelayer.write.test_transactions import name_of
from tests.conversations.rows import an_instance
from tests.valkey import Valkey
from tests.waiting import StoppedClock

pytestmark = pytest.mark.django_db(transaction=True)


def record_nothing(_tags: object) -> None:
    """Do nothing, instead of recording tags in the outbox."""


def has_intent(runtime: CacheRuntime, tag: str) -> bool:
    (state,) = runtime.store.read([], [tag])[1]
    return bool(state and state.startswith(b"!"))


@pytest.mark.postgresql
def test_tags_whose_outbox_row_was_rolled_back_are_recorded_again(valkey_server: Valkey) -> None:
    row = an_instance(profile_name="old")
    valkey_server.kill()
    with transaction.atomic():
        row.profile_name = "new"
        with suppress(ZeroDivisionError), transaction.atomic():
            row.save()
            assert Outbox.objects.exists()
            raise ZeroDivisionError
        assert not Outbox.objects.exists()
        row.save()
    assert f"instance:{row.pk}" in Outbox.objects.get().tags.split("\n")


def test_a_process_that_only_writes_starts_the_threads_that_renew_its_intents(
    cache_runtime: CacheRuntime, monkeypatch: pytest.MonkeyPatch
) -> None:
    if cache_runtime.threads is None:
        pytest.skip("without Redis only the process that owns the cache has background threads")
    cache_runtime.threads.stop()
    is_started = threading.Event()
    with monkeypatch.context() as patch:
        patch.setattr(cache_runtime, "ensure_started", is_started.set)
        WriteIntent(cache_runtime, record_nothing, record_nothing).begin(["instance:1"])
    assert is_started.is_set()


def test_intents_are_announced_again_if_their_renewal_is_overdue(
    cache_runtime: CacheRuntime, monkeypatch: pytest.MonkeyPatch
) -> None:
    intent = WriteIntent(cache_runtime, record_nothing, record_nothing)
    intent.begin(["instance:1"])
    cache_runtime.store.end(intent.id, ["instance:1"])  # removes the intent from the store, as if it had expired
    intent.begin(["instance:1"])
    assert not has_intent(cache_runtime, "instance:1"), "the store acknowledged it a moment ago"
    monkeypatch.setattr(intents, "RENEWAL_DEADLINE", -1.0)
    intent.begin(["instance:2"])
    assert has_intent(cache_runtime, "instance:1")
    assert has_intent(cache_runtime, "instance:2")
    intent.end()


def test_all_intents_of_a_transaction_that_keeps_writing_are_renewed(
    cache_runtime: CacheRuntime, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = StoppedClock()
    monkeypatch.setattr(intents, "monotonic", clock)
    intent = WriteIntent(cache_runtime, record_nothing, record_nothing)
    intent.begin(["instance:1"])
    cache_runtime.store.end(intent.id, ["instance:1"])  # removes the intent from the store, as if it had expired
    clock.now += RENEW_AFTER / 2
    intent.begin(["instance:2"])
    clock.now += RENEW_AFTER / 2
    intent.renew(RENEW_AFTER)
    assert has_intent(cache_runtime, "instance:1")
    intent.end()


def test_the_tags_go_into_the_outbox_if_the_store_does_not_answer_at_the_end(
    cache_runtime: CacheRuntime, monkeypatch: pytest.MonkeyPatch
) -> None:
    row = an_instance(profile_name="old")

    def fail(*_args: object, **_options: object) -> None:
        raise StoreDown("cut off")

    with monkeypatch.context() as patch:
        with transaction.atomic():
            row.profile_name = "new"
            row.save()
            patch.setattr(cache_runtime.store, "end", fail)
        assert f"instance:{row.pk}" in Outbox.objects.get().tags.split("\n")
    outbox.drain(cache_runtime)
    assert name_of(row) == "new"


@pytest.mark.short_timeouts
def test_the_tags_go_into_the_outbox_if_nobody_hears_the_end_of_a_write_whose_intents_may_have_expired(
    valkey_server: Valkey, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A hung server accepts what is sent to it, so only an answer shows that it has ended the write."""
    row = an_instance(profile_name="old")
    with monkeypatch.context() as patch:
        with transaction.atomic():
            row.profile_name = "new"
            row.save()
            assert not Outbox.objects.exists()
            patch.setattr(intents, "RENEWAL_DEADLINE", -1.0)
            valkey_server.pause()
        assert f"instance:{row.pk}" in Outbox.objects.get().tags.split("\n")
    valkey_server.resume()
    outbox.drain(get_runtime())
    assert name_of(row) == "new"
