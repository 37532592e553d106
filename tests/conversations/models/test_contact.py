from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection
from django.db.models import RestrictedError
from pytest_django import DjangoAssertNumQueries

from conversations.models import Contact, ContactAddress
from tests.conversations.rows import a_chat, a_contact, an_instance

pytestmark = pytest.mark.django_db

ANA = "5511940028922@s.whatsapp.net"
ANA_SHORT = "551140028922@s.whatsapp.net"  # a landline number by length, so not the same as ANA
BIA = "5511987654321@s.whatsapp.net"
BIA_SHORT = "551187654321@s.whatsapp.net"


def test_lists_are_of_one_instance_or_of_all_ordered_by_name() -> None:
    one, two = an_instance(), an_instance()
    caio, ana, bia = (a_contact(one, name="Caio"), a_contact(one, name="Ana"), a_contact(two, name="Bia"))
    assert Contact.objects.for_instance(one).rows == [ana, caio]
    assert Contact.objects.for_instance(one.pk).rows == [ana, caio]
    assert Contact.objects.for_instance(None).rows == [ana, bia, caio]


def test_a_page_takes_one_query(django_assert_num_queries: DjangoAssertNumQueries) -> None:
    instance = an_instance()
    a_contact(instance)
    with django_assert_num_queries(1):
        Contact.objects.for_instance(instance)


def test_upsert_creates_a_contact_with_its_address() -> None:
    instance = an_instance()
    contact, created = Contact.objects.upsert(instance, BIA, name="Bia")
    assert created
    assert (contact.jid, contact.phone, contact.lid, contact.name) == (BIA, "5511987654321", "", "Bia")
    assert ContactAddress.objects.get(contact=contact).key == "phone:551187654321"


def test_upsert_with_a_lid_leaves_the_phone_empty() -> None:
    contact, _ = Contact.objects.upsert(an_instance(), "123456@lid")
    assert (contact.phone, contact.lid) == ("", "123456")


def test_upsert_finds_the_contact_by_the_other_form_of_the_number() -> None:
    instance = an_instance()
    contact, _ = Contact.objects.upsert(instance, BIA, name="Bia")
    same, created = Contact.objects.upsert(instance, BIA_SHORT, name="Beatriz")
    assert (same, created) == (contact, False)
    contact.refresh_from_db()
    assert (contact.name, contact.jid) == ("Beatriz", BIA)


def test_other_instances_and_other_numbers_have_other_contacts() -> None:
    one, two = an_instance(), an_instance()
    contacts = {Contact.objects.upsert(i, jid)[0] for i in (one, two) for jid in (ANA, ANA_SHORT, BIA)}
    assert len(contacts) == 6


def test_upsert_without_fields_does_not_write_the_row() -> None:
    instance = an_instance()
    contact, _ = Contact.objects.upsert(instance, BIA)
    Contact.objects.upsert(instance, BIA)
    before = contact.updated_at
    contact.refresh_from_db()
    assert contact.updated_at == before


def test_upsert_updates_a_contact_that_was_created_concurrently() -> None:
    instance = an_instance()
    concurrent: list[Contact] = []

    def insert_after_first_select(execute: Callable[..., Any], sql: str, *rest: Any) -> Any:
        result = execute(sql, *rest)
        if sql.startswith("SELECT") and not concurrent:
            concurrent.append(a_contact(instance, jid=BIA, name="concurrent"))
            concurrent[0].addresses.create(instance=instance, key="phone:551187654321", jid=BIA)
        return result

    with connection.execute_wrapper(insert_after_first_select):
        contact, created = Contact.objects.upsert(instance, BIA, name="Bia")
    assert ([contact], created) == (concurrent, False)
    contact.refresh_from_db()
    assert contact.name == "Bia"


@pytest.mark.parametrize("jid", ["", "nobody", "120363041234567890@g.us", "status@broadcast"])
def test_upsert_rejects_a_jid_that_is_not_a_persons(jid: str) -> None:
    with pytest.raises(ValueError, match="not the address of a person"):
        Contact.objects.upsert(an_instance(), jid)


def test_delete_returns_whether_the_row_existed() -> None:
    contact = a_contact(an_instance())
    assert Contact.objects.delete(contact.pk)
    assert not Contact.objects.delete(contact.pk)


def test_a_contact_with_a_conversation_cannot_be_deleted() -> None:
    chat = a_chat(an_instance())
    assert chat.contact_id is not None
    with pytest.raises(RestrictedError):
        Contact.objects.delete(chat.contact_id)
