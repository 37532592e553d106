"""What every admin page of the domain shares: one bounded list in one order, rows read through their manager.

Nothing can be added, changed or deleted unless a subclass says so: most of it is what WhatsApp said.
"""

import re
from collections.abc import Iterable
from typing import Any, ClassVar

from django.contrib import admin, messages
from django.contrib.admin.utils import flatten_fieldsets
from django.contrib.admin.views.main import ChangeList
from django.core.exceptions import ValidationError
from django.db.models import Model, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect

from conversations.admin.paginator import BoundedPaginator, count_within

PAGE = 50
MAX_ACTION_ROWS = 500  # rows that one action may touch


class FixedOrderChangeList(ChangeList):
    """A list in its admin's `ordering` or in the reverse of it, whatever is asked for: no other order has an index."""

    def get_ordering(self, request: HttpRequest, queryset: QuerySet[Any]) -> list[Any]:
        """Return the order, forwards or backwards."""
        order = [str(name) for name in self.model_admin.ordering or ()]
        backwards = [name[1:] if name.startswith("-") else f"-{name}" for name in order]
        return backwards if super().get_ordering(request, queryset)[0] == backwards[0] else order

    def get_results(self, request: HttpRequest) -> None:
        """Read the page; a page number that is too high becomes the last one's."""
        super().get_results(request)
        self.page_num = self.paginator.validate_number(self.page_num)
        if self.paginator.is_more or not (self.query or self.has_active_filters):
            # The search form tells how many were found wherever that differs from this.
            self.full_result_count = self.result_count


class BoundedAdmin(admin.ModelAdmin):  # type: ignore[type-arg] # Django's class takes no argument at run time
    """A model's pages, each of which reads a bounded number of rows by a number of queries that never grows.

    `listed` names the columns that the list reads, related ones too: payloads and images stay behind. `local` names
    the fields that people may set, of all that `fieldsets` show.
    """

    list_only_fields: ClassVar[tuple[str, ...]] = ()
    editable_fields: ClassVar[tuple[str, ...]] = ()

    paginator = BoundedPaginator
    list_per_page = PAGE
    list_max_show_all = PAGE
    show_full_result_count = False
    show_facets = admin.ShowFacets.NEVER  # facets count the whole table once per choice

    class Media:
        css = {"all": ["conversations/admin.css"]}

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:  # noqa: ARG002 - Django's hook
        """Use the list of one order."""
        return FixedOrderChangeList

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        """Return the rows of the list."""
        return super().get_queryset(request).only(*self.list_only_fields)

    def get_object(self, request: HttpRequest, object_id: str, from_field: str | None = None) -> Any:  # noqa: ARG002 - Django's hook
        """Return one row, whole; None for what is no primary key of any."""
        try:
            return self.read(self.opts.pk.to_python(object_id))
        except (ValidationError, self.model.DoesNotExist):
            return None

    def read(self, pk: int) -> Model:
        """Return the row from wherever its manager has it."""
        manager: Any = self.model._default_manager  # noqa: SLF001 - Django's documented way to it
        row: Model = manager.fetch(pk)
        return row

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> list[Any]:  # noqa: ARG002 - Django's hook
        """Return all that is shown and not `local`."""
        return [name for name in flatten_fieldsets(self.fieldsets or ()) if name not in self.editable_fields]

    def has_add_permission(self, request: HttpRequest) -> bool:  # noqa: ARG002 - Django's hook
        """Rows come from webhooks."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:  # noqa: ARG002 - Django's hook
        """What WhatsApp said stays as it was said."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:  # noqa: ARG002 - Django's hook
        """A row that still exists on the phone would only come back."""
        return False

    def response_action(self, request: HttpRequest, queryset: QuerySet[Any]) -> HttpResponse | None:  # type: ignore[override] # Django 6 has one argument more
        """Refuse an action on all rows of a list that is too long for one request."""
        if request.POST.get("select_across", "0") != "0" and count_within(queryset, MAX_ACTION_ROWS)[1]:
            text = f"An action takes {MAX_ACTION_ROWS} rows at most: narrow the list by a search or a filter first."
            self.message_user(request, text, messages.ERROR)
            return HttpResponseRedirect(request.get_full_path())
        return super().response_action(request, queryset)

    def get_deleted_objects(self, objs: Iterable[Any], request: HttpRequest) -> Any:  # noqa: ARG002 - Django's hook
        """Name what is to be deleted, but not all that hangs on it: that may be more than a page can hold."""
        rows = [str(row) for row in objs]
        return rows, {str(self.opts.verbose_name_plural): len(rows)}, set(), []


class InstanceRowsAdmin(BoundedAdmin):
    """Rows that each belong to an instance."""

    list_select_related: ClassVar[tuple[str, ...]] = ("instance",)

    @admin.display(description="instance")
    def instance_name(self, row: Any) -> str:
        """Show whose row it is."""
        return str(row.instance.name)


def digits_of_number(term: str) -> str:
    """Return a phone number without the signs that people write in it; any other search term as it is.

    >>> digits_of_number("+55 (11) 94002-8922"), digits_of_number("Ana 2")
    ('5511940028922', 'Ana 2')
    """
    return re.sub(r"\D", "", term) if re.fullmatch(r"\+?[\d\s().-]{6,}", term.strip()) else term
