"""The conversations of a contact: the direct one, and the groups of which they are a member or in which they wrote.

Groups in which the contact wrote are those of the contact's latest messages, because no index finds all of them. The
list of contacts shows direct conversations and memberships only, because it would read messages of each contact.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from heapq import nlargest
from itertools import chain
from typing import Any

from django.contrib import admin
from django.db.models import F, QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from conversations.admin.access import access_of
from conversations.admin.display_names import contact_display_name, conversation_display_name
from conversations.admin.inbox.query import parse_id
from conversations.admin.markup import EMPTY, format_time
from conversations.models import EPOCH, Contact, Conversation, Message, Participant
from conversations.models.conversation import LATEST_FIRST

CONTACT = "contact"  # the query parameter of the list of conversations
SHOWN = 20  # conversations on the page of a contact
SHOWN_IN_LIST = 3  # conversations of each contact in the list
MAX_MESSAGES = 1000  # the latest messages of a contact, whose groups are shown
MAX_MEMBERSHIPS = 1000  # that one page reads
_NEWEST_MESSAGE_FIRST = ("-timestamp", "-sent_order", "-key_id", "-id")  # the index of the senders


def conversation_pks(contact_pk: int) -> set[int]:
    """Return the primary keys of the conversations of a contact, with three queries."""
    groups = _memberships([contact_pk]).values_list("conversation_id", flat=True)[:MAX_MEMBERSHIPS]
    sent = Message.objects.filter(sender=contact_pk).order_by(*_NEWEST_MESSAGE_FIRST)
    written = sent.values_list("conversation_id", flat=True)[:MAX_MESSAGES]
    direct = Conversation.objects.filter(contact=contact_pk).values_list("pk", flat=True)
    return {*groups, *written, *direct}


def latest(contact_pk: int) -> list[Conversation]:
    """Return up to `SHOWN` + 1 conversations of a contact, the latest first."""
    return list(Conversation.objects.filter(pk__in=conversation_pks(contact_pk)).order_by(*LATEST_FIRST)[: SHOWN + 1])


def latest_of_each(contacts: Sequence[Contact]) -> Mapping[int, list[Conversation]]:
    """Return up to `SHOWN_IN_LIST` + 1 conversations of each contact by its primary key, the latest first."""
    direct = Conversation.objects.filter(contact__in=contacts).values_list("contact_id", "last_message_at", "pk")
    groups = _memberships(contacts).values_list("contact_id", "conversation__last_message_at", "conversation_id")
    found = defaultdict(set)
    for contact_pk, time, pk in chain(direct, groups[:MAX_MEMBERSHIPS]):
        found[contact_pk].add((time, pk))
    latest = {pk: nlargest(SHOWN_IN_LIST + 1, places) for pk, places in found.items()}
    rows = Conversation.objects.fetch_many(pk for places in latest.values() for _time, pk in places)
    return {pk: [rows[place[1]] for place in places if place[1] in rows] for pk, places in latest.items()}


def _memberships(contacts: Iterable[Any]) -> QuerySet[Participant]:
    """Return the groups of which the contacts are members now."""
    is_listed = {"is_present": True, "clock__gte": F("conversation__participants_as_of")}
    return Participant.objects.filter(contact__in=contacts, **is_listed)


def links(contact_pk: int, rows: Sequence[Conversation], limit: int, *, with_time: bool = False) -> SafeString | str:
    """Return links to the first `limit` conversations in the inbox, and one to the list of all if there are more."""
    if not rows:
        return EMPTY
    items = format_html_join(
        "",
        '<li><a href="{}"><bdi>{}</bdi></a>{}</li>',
        (
            (
                reverse("admin:inbox_conversation", args=[row.pk]),
                conversation_display_name(row),
                _details(row) if with_time else "",
            )
            for row in rows[:limit]
        ),
    )
    url, more = f"{reverse('admin:conversations_conversation_changelist')}?{CONTACT}={contact_pk}", ""
    if len(rows) > limit:
        more = format_html('<li><a href="{}">{}</a></li>', url, _("All conversations"))
    return format_html('<ul class="plain-list">{}{}</ul>', items, more)


def _details(row: Conversation) -> SafeString:
    kind = "" if row.kind == Conversation.Kind.DIRECT else row.get_kind_display()
    time = "" if row.last_message_at == EPOCH else format_time(row.last_message_at)
    text = " · ".join(part for part in (kind, time) if part)
    return format_html(' <span class="quiet">{}</span>', text) if text else SafeString("")


class ContactFilter(admin.SimpleListFilter):
    """Selects the conversations of one contact, to which the contact's page links."""

    title = gettext_lazy("contact")
    parameter_name = CONTACT

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:  # noqa: ARG002 - Django's hook
        """Return the chosen contact, because the others are too many to be offered."""
        value = request.GET.get(self.parameter_name, "")
        pk = parse_id(value)
        contact = Contact.objects.fetch_many([pk]).get(pk) if pk else None
        is_visible = contact is not None and access_of(request).allows(contact.instance_id)
        return [(value, contact_display_name(contact) if contact and is_visible else value)] if value else []

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:  # noqa: ARG002 - Django's hook
        """Return the conversations of the contact that the user may see; none if the parameter is no id."""
        if not self.value():
            return queryset
        pk = parse_id(self.value() or "")
        return queryset.filter(pk__in=conversation_pks(pk)) if pk else queryset.none()
