"""The rows of one instance without what depends on arrival: primary keys and the times of writing."""

from typing import Any

from conversations.models import (
    Contact,
    ContactAddress,
    Conversation,
    Instance,
    Message,
    Participant,
    PendingUpdate,
    StateClock,
)

ARRIVAL = {"id", "created_at", "updated_at", "instance_id", "name_of_instance"}
TOKENS = {"token_hash", "previous_token_hash", "previous_token_until"}

Rows = dict[str, list[dict[str, Any]]]


def rows_of(instance: Instance) -> Rows:
    """Return every row that ingestion writes for the instance, by table, each named by what it is about."""
    instance = Instance.objects.get(pk=instance.pk)
    contacts = {row.pk: row for row in Contact.objects.filter(instance=instance)}
    chats = {row.pk: row for row in Conversation.objects.filter(instance=instance)}
    messages = {row.pk: row for row in Message.objects.filter(instance=instance)}

    def named(row: Any) -> dict[str, Any]:
        values = {f.attname: getattr(row, f.attname) for f in row._meta.concrete_fields if f.attname not in ARRIVAL}  # noqa: SLF001
        for name, table in (("contact_id", contacts), ("sender_id", contacts), ("conversation_id", chats)):
            if values.get(name):
                values[name] = table[values[name]].jid
        if values.get("last_message_id"):
            last = messages[values["last_message_id"]]
            values["last_message_id"] = (chats[last.conversation_id].jid, last.key_id, last.from_me)
        if "subject" in values and "clocks" in values:
            kind, _, pk = values["subject"].partition(":")
            if kind in ("contact", "direct"):
                values["subject"] = f"{kind}:{contacts[int(pk)].jid}"
        return values

    def table(rows: Any) -> list[dict[str, Any]]:
        return sorted((named(row) for row in rows), key=repr)

    own = {name: value for name, value in named(instance).items() if name not in TOKENS | {"name", "server_url"}}
    return {
        "instance": [own],
        "contacts": table(contacts.values()),
        "addresses": table(ContactAddress.objects.filter(instance=instance)),
        "conversations": table(chats.values()),
        "messages": table(messages.values()),
        "participants": table(Participant.objects.filter(conversation__instance=instance)),
        "parked": table(PendingUpdate.objects.filter(instance=instance)),
        "clocks": table(StateClock.objects.filter(instance=instance)),
    }
