"""Reads an instance's rows without primary keys and write times, so that tests can compare two instances."""

from typing import Any

from conversations.evolution.media_names import is_media_name
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

IGNORED_FIELDS = {"id", "created_at", "updated_at", "instance_id", "name_of_instance"}
DIGEST_LENGTH = 16  # hexadecimal digits at the end of a message's `precedence`
TOKEN_FIELDS = {"token_hash", "previous_token_hash", "previous_token_until"}

Rows = dict[str, list[dict[str, Any]]]


def rows_of(instance: Instance) -> Rows:
    """Return all rows of the instance by table; JIDs and message key ids replace the values of foreign keys.

    The names of media files are without the instance's folder, on which the digest in `precedence` depends too.
    """
    instance = Instance.objects.get(pk=instance.pk)
    contacts = {row.pk: row for row in Contact.objects.filter(instance=instance)}
    chats = {row.pk: row for row in Conversation.objects.filter(instance=instance)}
    messages = {row.pk: row for row in Message.objects.filter(instance=instance)}

    def to_dict(row: Any) -> dict[str, Any]:
        names = [field.attname for field in row._meta.concrete_fields]  # noqa: SLF001 - Django documents the attribute _meta
        values = {name: getattr(row, name) for name in names if name not in IGNORED_FIELDS}
        for name, targets in (("contact_id", contacts), ("sender_id", contacts), ("conversation_id", chats)):
            if values.get(name):
                values[name] = targets[values[name]].jid
        for name in ("reactions", "poll_results"):
            if name in values:
                values[name] = {
                    contacts[int(author)].jid if author.isdecimal() else author: statement
                    for author, statement in values[name].items()
                }
        values |= _without_folder(values)
        if values.get("last_message_id"):
            last = messages[values["last_message_id"]]
            values["last_message_id"] = (chats[last.conversation_id].jid, last.key_id, last.from_me)
        if "subject" in values and "clocks" in values:
            kind, _, pk = values["subject"].partition(":")
            if kind in ("contact", "direct"):
                values["subject"] = f"{kind}:{contacts[int(pk)].jid}"
        return values

    def table(rows: Any) -> list[dict[str, Any]]:
        return sorted((to_dict(row) for row in rows), key=repr)

    instance_values = {
        name: value for name, value in to_dict(instance).items() if name not in TOKEN_FIELDS | {"name", "server_url"}
    }
    return {
        "instance": [instance_values],
        "contacts": table(contacts.values()),
        "addresses": table(ContactAddress.objects.filter(instance=instance)),
        "conversations": table(chats.values()),
        "messages": table(messages.values()),
        "participants": table(Participant.objects.filter(conversation__instance=instance)),
        "pending_updates": table(PendingUpdate.objects.filter(instance=instance)),
        "clocks": table(StateClock.objects.filter(instance=instance)),
    }


def _without_folder(values: dict[str, Any]) -> dict[str, Any]:
    """Return the values of a message that depend on the folder of its media files, without the folder."""
    files = {name: value.split("/")[-1] for name, value in values.get("media", {}).items() if is_media_name(value)}
    if not files:
        return {}
    return {"media": values["media"] | files, "precedence": values["precedence"][:-DIGEST_LENGTH]}
