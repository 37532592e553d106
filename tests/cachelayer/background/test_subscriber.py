"""What happens while nothing can be heard is made good as soon as it can be."""

import pytest
from django.db import transaction

from cachelayer.background import heartbeat, subscriber
from cachelayer.runtime.runtime import get_runtime
from conversations.models import Contact
from tests.cachelayer.conftest import wait_until
from tests.conversations.rows import a_contact, an_instance
from tests.valkey import Valkey

pytestmark = pytest.mark.django_db(transaction=True)


def test_writes_under_way_are_announced_again_after_another_process_has_met_an_emptied_store(
    valkey_server: Valkey, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They were told so while this one's channel was lost, and the store has all its namespaces again."""
    monkeypatch.setattr(heartbeat, "RENEW_AFTER", 1000)
    monkeypatch.setattr(subscriber, "RECONNECT_DELAY", 0.2)
    row = a_contact(an_instance())
    with transaction.atomic():
        row.save()
        assert is_announced(row)
        valkey_server.client.client_kill_filter(_type="pubsub")
        valkey_server.client.flushall()
        get_runtime().store.reinitialize(quarantine=False)  # as the other process does
        assert not is_announced(row)
        wait_until(lambda: is_announced(row))


def is_announced(row: Contact) -> bool:
    (state,) = get_runtime().store.read([], [f"contact:{row.pk}"])[1]
    return (state or b"").startswith(b"!")
