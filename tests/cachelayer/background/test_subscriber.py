import pytest
from django.db import transaction

from cachelayer.background import heartbeat
from cachelayer.runtime.runtime import get_runtime
from conversations.models import Contact
from tests.conversations.rows import a_contact, an_instance
from tests.valkey import Valkey
from tests.waiting import wait_until

pytestmark = pytest.mark.django_db(transaction=True)


def test_open_writes_are_announced_again_after_a_reconnection_to_a_store_that_was_emptied(
    valkey_server: Valkey, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process must detect that the store was emptied and initialized while its own subscription was lost."""
    monkeypatch.setattr(heartbeat, "RENEW_AFTER", 1000)
    row = a_contact(an_instance())
    with transaction.atomic():
        row.save()
        assert has_intent(row)
        valkey_server.client.execute_command("ACL", "SETUSER", "default", "-subscribe")  # until the store is emptied
        valkey_server.client.client_kill_filter(_type="pubsub")
        valkey_server.client.flushall()
        get_runtime().store.reinitialize(quarantine=False)  # in production, another process does this
        assert not has_intent(row)
        valkey_server.client.execute_command("ACL", "SETUSER", "default", "+subscribe")
        wait_until(lambda: has_intent(row))


def has_intent(row: Contact) -> bool:
    (state,) = get_runtime().store.read([], [f"contact:{row.pk}"])[1]
    return (state or b"").startswith(b"!")
