"""Examines a restored database and its media: whether they are complete, agree with each other, and can be used."""

import datetime as dt
from collections.abc import Iterator
from hashlib import sha256
from typing import Any

from django.apps import apps
from django.core.files.storage import default_storage
from django.db import IntegrityError, connection, transaction
from django.db.models import AutoField, Count, F, Max, Model, Sum
from django.utils import timezone
from django.utils.formats import date_format, number_format
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from conversations.doctor.findings import Finding, ok, problem
from conversations.evolution.media_names import REFERENCE
from conversations.models import Change, ChangeHistory, Contact, Conversation, ConversationTally, Instance, Message

SUMMARIZED = ("last_message_id", "last_message_at", "unread_count")
EXAMPLES = 5  # rows that a finding names
CHUNK = 2**20  # bytes of a file that are read at once


def examine(*, conversations: int, media: int, max_age: dt.timedelta | None) -> Iterator[Finding]:
    """Examine the database and the storage of media of this process' settings, and change neither.

    Args:
        conversations: how many conversations are compared with their messages, the newest first.
        media: how many files of messages are read, the newest first.
        max_age: how old the newest message may be; None if it may have any age.
    """
    yield _examine_age(max_age)
    yield from _examine_references()
    if connection.vendor == "postgresql":
        yield from _examine_postgresql()
    yield from _examine_writes()
    yield from _examine_summaries(conversations)
    yield from _examine_media(media)


def _examine_age(max_age: dt.timedelta | None) -> Finding:
    count = Message.objects.count()
    newest = Message.objects.aggregate(newest=Max("created_at"))["newest"]
    if newest is None:
        return problem(_("there are no messages"))
    chats = Conversation.objects.count()
    text = _("messages: %(messages)s, conversations: %(chats)s; the newest message was received at %(time)s UTC") % {
        "messages": number_format(count, force_grouping=True),
        "chats": number_format(chats, force_grouping=True),
        "time": date_format(newest, "SHORT_DATETIME_FORMAT"),
    }
    is_new = max_age is None or timezone.now() - newest <= max_age
    return ok(text) if is_new else problem(_("%(text)s, which is too old") % {"text": text})


def _examine_references() -> Iterator[Finding]:
    """Look for rows that name rows that do not exist."""
    try:
        with transaction.atomic():
            connection.check_constraints()
    except IntegrityError as error:
        yield problem(_("a row names another one that does not exist: %(error)s") % {"error": error})
    else:
        yield ok(_("all references between rows are right"))


def _examine_postgresql() -> Iterator[Finding]:
    with connection.cursor() as cursor:
        cursor.execute("SELECT indexrelid::regclass::text FROM pg_index WHERE NOT indisvalid")
        yield from (
            problem(_("the index %(name)s is not valid; REINDEX it") % {"name": name}) for (name,) in cursor.fetchall()
        )
        cursor.execute("SELECT conname FROM pg_constraint WHERE NOT convalidated")
        yield from (
            problem(_("the constraint %(name)s was not validated") % {"name": name}) for (name,) in cursor.fetchall()
        )
        behind = [model for model in _numbered_models() if _is_sequence_behind(cursor, model)]
    if behind:
        names = ", ".join(model._meta.db_table for model in behind)  # noqa: SLF001 - Django documents _meta
        yield problem(
            _("new rows of %(names)s would get numbers that exist already; set the sequences") % {"names": names}
        )
    else:
        yield ok(_("new rows get new numbers"))
    yield from _examine_tally()


def _numbered_models() -> list[type[Model]]:
    """Return the models whose rows get their numbers from a sequence; `ChangeHistory` has one row, with a fixed one."""
    models = [model for model in apps.get_models() if model is not ChangeHistory]
    return [model for model in models if isinstance(model._meta.pk, AutoField)]  # noqa: SLF001 - as above


def _is_sequence_behind(cursor: Any, model: type[Model]) -> bool:
    table, column = model._meta.db_table, model._meta.pk.column  # noqa: SLF001 - as above
    cursor.execute("SELECT pg_get_serial_sequence(%s, %s)", [f'"{table}"', column])
    (sequence,) = cursor.fetchone()
    cursor.execute(f'SELECT last_value, is_called, (SELECT max("{column}") FROM "{table}") FROM {sequence}')  # noqa: S608 - names of Django
    last, is_called, greatest = cursor.fetchone()
    return greatest is not None and (last < greatest or (last == greatest and not is_called))


def _examine_tally() -> Iterator[Finding]:
    """Compare the counters of instances with the conversations."""
    stored = ConversationTally.objects.filter(instance__isnull=False).values_list("instance_id")
    kept = dict(stored.annotate(count=Sum("conversations")).order_by().values_list("instance_id", "count"))
    shown = Conversation.objects.filter(is_deleted=False).values_list("instance_id")
    real = dict(shown.annotate(count=Count("pk")).order_by().values_list("instance_id", "count"))
    wrong = [pk for pk in kept.keys() | real.keys() if kept.get(pk, 0) != real.get(pk, 0)]
    if wrong:
        yield problem(_("the counters of %(rows)s do not agree with their conversations") % {"rows": _some(wrong)})
    else:
        yield ok(_("the counters agree with the conversations"))


def _examine_writes() -> Iterator[Finding]:
    """Write one row of each kind, look whether the log of changes has them, and undo it all."""
    with transaction.atomic():
        last = Change.objects.aggregate(last=Max("pk"))["last"] or 0
        instance = Instance.objects.create(name="restored")
        contact = Contact.objects.create(instance=instance, jid="0@s.whatsapp.net")
        chat = Conversation.objects.create(instance=instance, contact=contact, kind="direct", jid=contact.jid)
        Message.objects.create(
            instance=instance, conversation=chat, key_id="restored", from_me=True, kind="text", timestamp=timezone.now()
        )
        logged = set(Change.objects.filter(pk__gt=last, instance_id=instance.pk).values_list("resource", flat=True))
        transaction.set_rollback(True)
    missing = {"instance", "contact", "conversation", "message"} - logged
    if missing:
        text = _("triggers are missing: changes of %(names)s are not logged")
        yield problem(text % {"names": ", ".join(sorted(missing))})
    else:
        yield ok(_("rows can be written, and changes are logged"))


def _examine_summaries(limit: int) -> Iterator[Finding]:
    """Compare conversations with their messages."""
    newest = Conversation.objects.order_by("-last_message_at", "-pk")[:limit]
    wrong, count = [], 0
    for chat in newest:
        count += 1
        computed = chat.summarize()
        message = computed.get("last_message")
        expected = {**computed, "last_message_id": message.pk if message else computed.get("last_message_id")}
        if any(getattr(chat, name) != expected[name] for name in SUMMARIZED):
            wrong.append(chat.pk)
    if wrong:
        yield problem(_("conversations %(rows)s do not agree with their messages") % {"rows": _some(wrong)})
    else:
        text = ngettext(
            "%(count)s conversation agrees with its messages",
            "%(count)s conversations agree with their messages",
            count,
        )
        yield ok(text % {"count": number_format(count, force_grouping=True)})


def _examine_media(limit: int) -> Iterator[Finding]:
    """Read files of messages; a file's name is the hash of its content."""
    named = Message.objects.filter(**{f"media__{REFERENCE}__isnull": False}).order_by("-pk")
    names = dict.fromkeys(named.annotate(file=F(f"media__{REFERENCE}")).values_list("file", flat=True)[:limit])
    missing = [name for name in names if not default_storage.exists(name)]
    damaged = [name for name in names if name not in missing and not _is_intact(name)]
    for text, found in (
        (_("%(count)d of %(all)d files of messages are missing: %(names)s"), missing),
        (_("%(count)d of %(all)d files of messages are damaged: %(names)s"), damaged),
    ):
        if found:
            yield problem(text % {"count": len(found), "all": len(names), "names": _some(found)})
    if not missing and not damaged:
        text = ngettext(
            "%(count)s file of messages is there and intact",
            "%(count)s files of messages are there and intact",
            len(names),
        )
        yield ok(text % {"count": number_format(len(names), force_grouping=True)})


def _is_intact(name: str) -> bool:
    digest = sha256()
    with default_storage.open(name) as file:
        for chunk in file.chunks(CHUNK):
            digest.update(chunk)
    return digest.hexdigest() == name.rpartition("/")[2]


def _some(values: list[Any]) -> str:
    """Return the first values as a text."""
    shown = ", ".join(map(str, values[:EXAMPLES]))
    others = len(values) - EXAMPLES
    if others <= 0:
        return shown
    return f"{shown} {ngettext('and %(count)d more', 'and %(count)d more', others) % {'count': others}}"
