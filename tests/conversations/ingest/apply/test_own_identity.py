"""The instance's own LID is taken back from the contact that it was taken for."""

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from conversations.ingest.worker.batch import apply_due
from conversations.models import Contact, ContactAddress, Instance
from tests.conversations.ingest.bodies import GROUP, LID, envelope, text
from tests.conversations.ingest.inboxes import NO_DELAY, store_all

pytestmark = pytest.mark.django_db


def queries_of_learning_a_lid(phone_count: int) -> int:
    """Return the number of queries to learn that the LID which united some phone numbers is the instance's own."""
    instance = Instance.objects.create(name=f"phones-{phone_count}")
    members = [{"id": LID, "phoneNumber": f"55219{80000000 + n}@s.whatsapp.net"} for n in range(phone_count)]
    store_all(instance, envelope("groups.upsert", [{"id": GROUP, "participants": members}]))
    apply_due(instance.pk, NO_DELAY)
    assert ContactAddress.objects.filter(instance=instance).count() == phone_count + 1
    store_all(instance, text("OWN", GROUP, from_me=True, key={"participant": LID}))
    with CaptureQueriesContext(connection) as queries:
        apply_due(instance.pk, NO_DELAY)
    contact = Contact.objects.get(instance=instance)
    assert contact.lid == ""
    assert list(contact.addresses.values_list("jid", flat=True)) == [contact.jid]
    assert not ContactAddress.objects.filter(instance=instance).exclude(contact=contact).exists()
    return len(queries)


def test_an_own_lid_that_united_many_numbers_takes_as_many_queries_as_one_that_united_two() -> None:
    assert queries_of_learning_a_lid(30) == queries_of_learning_a_lid(3)
