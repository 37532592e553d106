"""Creates database rows for tests. A field that a test does not pass gets an arbitrary value."""

import datetime as dt
import itertools
from typing import Any

from conversations.models import Contact, Conversation, Instance, Message, Participant

NOON = dt.datetime(2026, 3, 1, 12, tzinfo=dt.UTC)

_numbers = itertools.count(1)


def an_instance(**fields: Any) -> Instance:
    return Instance.objects.create(**{"name": f"instance-{next(_numbers)}", **fields})


def a_contact(instance: Instance, **fields: Any) -> Contact:
    phone = f"55119{next(_numbers):08}"
    return Contact.objects.create(instance=instance, **{"jid": f"{phone}@s.whatsapp.net", "phone": phone, **fields})


def a_chat(instance: Instance, **fields: Any) -> Conversation:
    """Create a direct conversation; unless a `contact` is passed, create a contact too."""
    contact = fields.pop("contact", None) or a_contact(instance)
    defaults = {"kind": "direct", "contact": contact, "jid": contact.jid, "name": contact.name}
    return Conversation.objects.create(instance=instance, **{**defaults, **fields})


def a_group(instance: Instance, **fields: Any) -> Conversation:
    defaults = {"kind": "group", "jid": f"1203630{next(_numbers):08}@g.us"}
    return Conversation.objects.create(instance=instance, **{**defaults, **fields})


def a_message(conversation: Conversation, **fields: Any) -> Message:
    number = next(_numbers)
    defaults = {"key_id": f"3EB0{number:08X}", "from_me": False, "kind": "text", "text": f"message {number}"}
    defaults |= {"timestamp": NOON + dt.timedelta(seconds=number), "instance_id": conversation.instance_id}
    return Message.objects.create(conversation=conversation, **{**defaults, **fields})


def add_members(group: Conversation, number: int, clock: str = "1") -> None:
    """Add new contacts to a group, whose names are not in the order of the contacts."""
    instance_id, names = group.instance_id, [f"{n * 37 % 101:03}" for n in range(number)]
    contacts = [Contact(instance_id=instance_id, jid=f"55118{next(_numbers):08}@lid", name=name) for name in names]
    Contact.objects.bulk_create(contacts)
    Participant.objects.bulk_create(Participant(conversation=group, contact=one, clock=clock) for one in contacts)
