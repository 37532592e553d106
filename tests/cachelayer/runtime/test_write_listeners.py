import threading
from collections.abc import Iterator

import pytest
from django.conf import settings
from django.db import transaction

from cachelayer import write_listeners
from cachelayer.runtime.runtime import get_runtime
from conversations.models import Instance
from tests.conversations.rows import an_instance
from tests.valkey import Valkey
from tests.waiting import wait_until

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def names() -> Iterator[list[str]]:
    """The names of the instance that listeners found in the database when they were called, in order."""
    seen: list[str] = []

    def look() -> None:
        seen.extend(Instance.objects.values_list("profile_name", flat=True))

    write_listeners.add(look)
    yield seen
    write_listeners.remove(look)


def test_a_listener_finds_what_was_written(names: list[str]) -> None:
    an_instance(profile_name="old")
    Instance.objects.update(profile_name="new")
    assert names == ["old", "new"]


def test_a_listener_is_called_after_the_commit(names: list[str]) -> None:
    row = an_instance(profile_name="old")
    names.clear()
    with transaction.atomic():
        Instance.objects.filter(pk=row.pk).update(profile_name="new")
        assert names == []
    assert names == ["new"]


def test_a_listener_is_not_called_after_a_rollback(names: list[str]) -> None:
    an_instance(profile_name="old")
    names.clear()
    with transaction.atomic():
        Instance.objects.update(profile_name="new")
        transaction.set_rollback(True)
    assert names == []


def test_writes_of_other_processes_call_listeners(valkey_server: Valkey) -> None:
    called = threading.Event()
    get_runtime().ensure_started()
    write_listeners.add(called.set)

    def publish_and_look() -> bool:  # the subscriber may not have subscribed yet
        valkey_server.client.publish(f"{settings.CACHELAYER['PREFIX']}:touched", "another\ninstance:1")
        return called.wait(0.05)

    wait_until(publish_and_look)
    write_listeners.remove(called.set)
