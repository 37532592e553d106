"""Search in the admin: the search of the API, of which the first rows are shown and filtered."""

from collections.abc import Callable
from typing import Any, ClassVar

from django.contrib import messages
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from conversations.admin.access import access_of
from conversations.admin.base import InstanceRowsAdmin
from conversations.admin.filters import selected_instance
from conversations.search.query import parse

# Rows that a search finds; the list's filters apply to them. With 500, a name that is not in every tenth row took a
# second among 1,000,000 conversations, because a search is fast for pages (`conversations.search.steps.STEPS`).
MAX_FOUND = 100


class SearchAdmin(InstanceRowsAdmin):
    """Base class for the admin of a model with a search index.

    Attributes:
        find_pks: returns the primary keys of the first matching rows.
    """

    find_pks: ClassVar[Callable[..., list[int]]]
    search_fields: ClassVar[tuple[str, ...]] = ("pk",)  # makes Django show the search field

    def get_search_results(self, request: HttpRequest, queryset: Any, search_term: str) -> tuple[QuerySet[Any], bool]:
        """Return those of the first matching rows that are in the queryset."""
        if not search_term.strip():
            return queryset, False
        query, chosen = parse(search_term), selected_instance(request.GET)
        instances = access_of(request).visible(None if chosen is None else [chosen])
        pks = self.find_pks(query, instances, limit=MAX_FOUND + 1) if query else []
        if len(pks) > MAX_FOUND:
            text = _("The search found more than %(count)d rows. The list contains the first of them only.")
            self.message_user(request, text % {"count": MAX_FOUND}, messages.INFO)
        return queryset.filter(pk__in=[*pks[:MAX_FOUND], *self.pks_by_id(search_term.strip(), instances)]), False

    def pks_by_id(self, term: str, instances: Any) -> list[int]:  # noqa: ARG002 - for subclasses
        """Return the primary keys of rows that have the search term as an id."""
        return []
