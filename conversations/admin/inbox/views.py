"""The pages of the inbox: the whole page, and its parts, which the page's script fetches again when rows change."""

from collections.abc import Iterable
from html import escape
from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.views.decorators.http import require_safe

from conversations.access.records import Shown, record_reading
from conversations.admin.access import access_of, may_view
from conversations.admin.display_names import format_address
from conversations.admin.inbox.actions import may_change, offered
from conversations.admin.inbox.listing import load_list
from conversations.admin.inbox.query import STATES, ListQuery, parse
from conversations.admin.inbox.rows import chat_row, instance_name, labels_of
from conversations.admin.inbox.thread import load_thread, quoted_message
from conversations.admin.markup import join_html
from conversations.admin.numbers import Number, readable_numbers
from conversations.models import Conversation, Instance, ReadingRecord, Scope
from conversations.models.conversation_filters import this_minute

PARTS = {"list": "admin/inbox/list.html", "thread": "admin/inbox/thread.html"}


@require_safe
def inbox(request: HttpRequest, pk: int | None = None) -> HttpResponse:
    """Show the list, and a conversation if one is opened; `part` asks for one of both.

    Raises:
        Http404: the user may not see the conversation, or there is none.
        PermissionDenied: the user may not see conversations.
    """
    if not may_view(request, "conversation"):
        raise PermissionDenied
    opened, query, shows_text = _opened(request, pk), parse(request.GET), may_view(request, "message")
    if opened and shows_text and (quoting := request.GET.get("quoted")):
        return _go_to_quoted(request, opened, quoting, query)
    part = request.GET.get("part", "")
    context: dict[str, Any] = {
        "query": query,
        "opened": opened,
        "shows_text": shows_text,
        "may_change": may_change(request),
    }
    if part != "thread":
        context |= _list_context(request, query, opened, shows_text=shows_text)
    if opened and part != "list":
        context |= _thread_context(request, opened, query, context)
    if part in PARTS and (opened or part == "list"):
        return TemplateResponse(request, PARTS[part], context)
    numbers = readable_numbers(access_of(request))
    context |= {"has_numbers": len(numbers) > 1, "number_links": _number_links(numbers, query)}
    page = {**admin.site.each_context(request), "title": _("Inbox"), "is_nav_sidebar_enabled": False}
    return TemplateResponse(request, "admin/inbox/inbox.html", {**page, **context})


def _opened(request: HttpRequest, pk: int | None) -> Conversation | None:
    if pk is None:
        return None
    try:
        row = Conversation.objects.fetch(pk)
    except (Conversation.DoesNotExist, OverflowError):
        row = None
    if row is None or not access_of(request).allows(row.instance_id):
        raise Http404(_("There is no such conversation."))
    return row


def _go_to_quoted(request: HttpRequest, opened: Conversation, quoting: str, query: ListQuery) -> HttpResponse:
    """Redirect to the message that another one quotes, if it is stored."""
    pk = quoted_message(opened, quoting)
    if pk is None:
        messages.info(request, _("The quoted message is not stored here."))
        return HttpResponseRedirect(query.url(opened.pk))
    return HttpResponseRedirect(f"{query.open_path(opened.pk)}at={pk}#message-{pk}")


def _list_context(
    request: HttpRequest, query: ListQuery, opened: Conversation | None, *, shows_text: bool
) -> dict[str, Any]:
    access = access_of(request)
    chosen = query.instance_pk
    visible = access.visible(None if chosen is None else [chosen])
    found = load_list(query, visible, shows_text=shows_text)
    if shows_text:
        record_reading(request.user, ReadingRecord.Page.INBOX, found.shown)
    number = _instance(chosen) if chosen is not None and access.allows(chosen) else None
    labels = labels_of(number, number.usable_labels) if number else []
    return {
        "found": found,
        "states": [(name, title, query.url(state=name, q="", after="")) for name, (title, _filters) in STATES.items()],
        "number": number and instance_name(number),
        "first_url": query.url(opened.pk if opened else None, after=""),
        "older_url": query.url(opened.pk if opened else None, after=found.older),
        "labels": labels,
        "titles": offered(query.state, has_labels=bool(labels)).items(),
    }


def _instance(pk: int) -> Instance | None:
    return Instance.objects.fetch_many([pk]).get(pk)


def _number_links(numbers: Iterable[Number], query: ListQuery) -> SafeString:
    """Return the links of the drop-down. A template would take several times as long for hundreds of numbers."""
    current = ' aria-current="true"'
    return join_html(
        f'<li><a href="?number={one.pk}&amp;state={query.state}"{current * (one.pk == query.instance_pk)}>'
        f"<bdi>{escape(one.name)}</bdi> <small>{escape(one.phone)}</small></a></li>"
        for one in numbers
    )


def _thread_context(
    request: HttpRequest, opened: Conversation, query: ListQuery, context: dict[str, Any]
) -> dict[str, Any]:
    instance = Instance.objects.fetch(opened.instance_id)
    head = chat_row(opened, instance, None, this_minute(), shows_text=False)
    may_change_this = context["may_change"] and access_of(request).allows(opened.instance_id, Scope.WRITE)
    found = {"head": head, "instance": instance, "may_change_this": may_change_this}
    found |= {
        "close_url": query.url(),
        "thread_path": query.open_path(opened.pk),
        "address": format_address(opened.jid),
    }
    if context["shows_text"]:
        found["thread"] = load_thread(opened, request.GET)
        shown = Shown(opened.instance_id, opened.pk, opened.jid)
        record_reading(request.user, ReadingRecord.Page.INBOX, [shown], opened.pk)
    return found
