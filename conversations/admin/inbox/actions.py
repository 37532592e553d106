"""Changes the selected conversations of the inbox, as the admin's actions and the API do."""

from collections.abc import Mapping
from typing import Any

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, QueryDict
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_POST

from conversations.admin.access import access_of
from conversations.admin.inbox.query import MAX_LABEL_CHARS, parse, parse_id
from conversations.models import Scope
from conversations.models.bulk_changes import MAX_ROWS, change_many
from conversations.models.conversation_changes import ACTIONS
from conversations.models.conversation_filters import ConversationFilters

MAX_QUERY_CHARS = 8_000

# The actions that the page offers, a name in `ACTIONS` → the title of its button.
TITLES: Mapping[str, Any] = {
    "mark_read": _("Mark as read"),
    "mark_unread": _("Mark as unread"),
    "archive": _("Archive"),
    "unarchive": _("Unarchive"),
    "pin": _("Pin"),
    "unpin": _("Unpin"),
    "add_label": _("Add label"),
    "remove_label": _("Remove label"),
}

# The actions that would change nothing in a list: the state of the list → names of actions; "" for other states.
USELESS: Mapping[str, frozenset[str]] = {
    "": frozenset({"unarchive"}),
    "archived": frozenset({"archive"}),
    "pinned": frozenset({"pin"}),
}
LABEL_ACTIONS = frozenset({"add_label", "remove_label"})


def offered(state: str, *, has_labels: bool) -> dict[str, Any]:
    """Return the titles of the actions for a list of conversations in a state, by name."""
    left_out = USELESS.get(state, USELESS[""]) | (frozenset() if has_labels else LABEL_ACTIONS)
    return {name: title for name, title in TITLES.items() if name not in left_out}


def may_change(request: HttpRequest) -> bool:
    """Return whether the user may change conversations of any instance."""
    return (
        request.user.has_perm("conversations.change_conversation")
        and access_of(request).instances(Scope.WRITE) != frozenset()
    )


@require_POST
def change(request: HttpRequest) -> HttpResponse:
    """Change the conversations `pk` as `action` says, and go back to the page with the query string `back`.

    Raises:
        PermissionDenied: the user may not change conversations.
    """
    if not may_change(request):
        raise PermissionDenied
    name, argument = request.POST.get("action", ""), request.POST.get("label", "").replace("\0", "")[:MAX_LABEL_CHARS]
    pks = sorted({pk for text in request.POST.getlist("pk") if (pk := parse_id(text))})[:MAX_ROWS]
    if not pks:
        messages.info(request, _("Select conversations first."))
    elif name in TITLES and (argument or not ACTIONS[name].argument):
        selected = ConversationFilters(ids=tuple(pks), deleted=None)
        instances = access_of(request).instances(Scope.WRITE)
        portion = change_many(name, selected, instances, argument=argument or None)
        count = len(portion.changed) + len(portion.unchanged)
        text = ngettext("%(count)d conversation updated.", "%(count)d conversations updated.", count)
        messages.success(request, text % {"count": count})
    return HttpResponseRedirect(_back(request))


def _back(request: HttpRequest) -> str:
    back = QueryDict(request.POST.get("back", "")[:MAX_QUERY_CHARS])
    return parse(back).url(parse_id(request.POST.get("opened", "")))
