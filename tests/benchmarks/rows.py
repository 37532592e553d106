"""Creates the rows that every benchmarked library reads: 10,000 conversations of ten instances."""

import datetime as dt
import json
from typing import Any

from django.core.management import call_command

from conversations.models import Contact, Conversation, Instance
from tests.benchmarks.dataset import Dataset

INSTANCES = 10
CONVERSATIONS_PER_INSTANCE = 1000
NOON = dt.datetime(2026, 3, 1, 12, tzinfo=dt.UTC)


def create() -> Dataset:
    """Create the database tables and the rows; return the primary keys of the rows."""
    call_command("migrate", verbosity=0)
    instances = Instance.objects.bulk_create([Instance(name=f"number-{number}") for number in range(INSTANCES)])
    contacts = Contact.objects.bulk_create(
        [_contact(instance, number) for instance in instances for number in range(CONVERSATIONS_PER_INSTANCE)]
    )
    rows = Conversation.objects.bulk_create([_conversation(contact, number) for number, contact in enumerate(contacts)])
    keys = [row.pk for row in rows]
    return Dataset(
        all_rows=keys,
        hot_rows=keys[:100],
        saved_rows=keys[2 * CONVERSATIONS_PER_INSTANCE :][:100],
        instance=instances[1].pk,
        value=_plain(rows[0]),
    )


def _contact(instance: Instance, number: int) -> Contact:
    phone = f"55119{instance.pk:03}{number:05}"
    return Contact(instance=instance, jid=f"{phone}@s.whatsapp.net", phone=phone, name=f"Mariana Couto {number}")


def _conversation(contact: Contact, number: int) -> Conversation:
    return Conversation(
        instance_id=contact.instance_id,
        contact=contact,
        kind=Conversation.Kind.DIRECT,
        jid=contact.jid,
        name=contact.name,
        labels={"1": True, "4": False} if number % 3 == 0 else {},
        last_message_at=NOON + dt.timedelta(seconds=number),
        last_message_text="Perfeito, pode mandar o orçamento até sexta-feira? Obrigada!",
        last_message_kind="text",
        unread_count=number % 5,
    )


def _plain(row: Conversation) -> dict[str, Any]:
    """Return a conversation as JSON data."""
    names = [field.attname for field in row._meta.concrete_fields]  # noqa: SLF001 - Django documents the attribute _meta
    plain: dict[str, Any] = json.loads(json.dumps({name: getattr(row, name) for name in names}, default=str))
    return plain
