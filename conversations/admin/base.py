"""Base classes of the admin pages. Lists are bounded and have one order; single rows are read through the manager.

Adding, changing and deleting are forbidden unless a subclass permits them, because most rows are copies of WhatsApp's
data.
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

from conversations.admin.paginator import BoundedPaginator, count_up_to

ROWS_PER_PAGE = 50
MAX_ACTION_ROWS = 500  # rows that one action may change


class FixedOrderChangeList(ChangeList):
    """A list that is sorted only by its admin's `ordering` or the reverse of it. No other order has an index."""

    def get_ordering(self, request: HttpRequest, queryset: QuerySet[Any]) -> list[Any]:
        """Return the admin's ordering, reversed if the request sorts by its first field in the other direction."""
        ordering = [str(name) for name in self.model_admin.ordering or ()]
        reverse = [name[1:] if name.startswith("-") else f"-{name}" for name in ordering]
        return reverse if super().get_ordering(request, queryset)[0] == reverse[0] else ordering

    def get_results(self, request: HttpRequest) -> None:
        """Read the page. A page number that is too high selects the last page."""
        super().get_results(request)
        self.page_num = self.paginator.validate_number(self.page_num)
        if self.paginator.has_more or not (self.query or self.has_active_filters):
            # The search form shows the number of results only if the two counts differ. A bounded count is not exact.
            self.full_result_count = self.result_count


class BoundedAdmin(admin.ModelAdmin):  # type: ignore[type-arg] # Django's class takes no argument at run time
    """Admin of one model. Each page reads a bounded number of rows with a constant number of queries.

    Attributes:
        list_only_fields: columns that the list reads, including related ones. Payloads and images are not read.
        editable_fields: the form fields that users may change. All other fields of `fieldsets` are read-only.
    """

    list_only_fields: ClassVar[tuple[str, ...]] = ()
    editable_fields: ClassVar[tuple[str, ...]] = ()

    paginator = BoundedPaginator
    list_per_page = ROWS_PER_PAGE
    list_max_show_all = ROWS_PER_PAGE
    show_full_result_count = False
    show_facets = admin.ShowFacets.NEVER  # facets count the whole table once per choice

    class Media:
        css = {"all": ["conversations/admin.css"]}

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:  # noqa: ARG002 - Django's hook
        """Return the list class with a fixed order."""
        return FixedOrderChangeList

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        """Return the rows of the list, without the columns that it does not show."""
        return super().get_queryset(request).only(*self.list_only_fields)

    def get_object(self, request: HttpRequest, object_id: str, from_field: str | None = None) -> Any:  # noqa: ARG002 - Django's hook
        """Return one complete row; None if the id is invalid or unknown."""
        try:
            return self.load_row(self.opts.pk.to_python(object_id))
        except (ValidationError, self.model.DoesNotExist):
            return None

    def load_row(self, pk: int) -> Model:
        """Return the row, from the cache if possible.

        Raises:
            DoesNotExist: the row does not exist.
        """
        manager: Any = self.model._default_manager  # noqa: SLF001 - Django documents _default_manager
        row: Model = manager.fetch(pk)
        return row

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> list[Any]:  # noqa: ARG002 - Django's hook
        """Return the displayed fields that are not in `editable_fields`."""
        return [name for name in flatten_fieldsets(self.fieldsets or ()) if name not in self.editable_fields]

    def has_add_permission(self, request: HttpRequest) -> bool:  # noqa: ARG002 - Django's hook
        """Return False: webhooks create the rows."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:  # noqa: ARG002 - Django's hook
        """Return False: the rows are copies of WhatsApp's data."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:  # noqa: ARG002 - Django's hook
        """Return False: the next event would create the row again."""
        return False

    def response_action(self, request: HttpRequest, queryset: QuerySet[Any]) -> HttpResponse | None:  # type: ignore[override] # Django 6 has one argument more
        """Run an action, but refuse to run it on all rows of a list longer than `MAX_ACTION_ROWS`."""
        if request.POST.get("select_across", "0") != "0" and count_up_to(queryset, MAX_ACTION_ROWS)[1]:
            text = f"An action can change at most {MAX_ACTION_ROWS} rows. Use a search or a filter to narrow the list."
            self.message_user(request, text, messages.ERROR)
            return HttpResponseRedirect(request.get_full_path())
        return super().response_action(request, queryset)

    def get_deleted_objects(self, objs: Iterable[Any], request: HttpRequest) -> Any:  # noqa: ARG002 - Django's hook
        """Return the selected rows only. Their related rows may be too many for one page."""
        rows = [str(row) for row in objs]
        return rows, {str(self.opts.verbose_name_plural): len(rows)}, set(), []


class InstanceRowsAdmin(BoundedAdmin):
    """Admin of a model whose rows each belong to an instance."""

    list_select_related: ClassVar[tuple[str, ...]] = ("instance",)

    @admin.display(description="instance")
    def instance_name(self, row: Any) -> str:
        """Return the name of the row's instance."""
        return str(row.instance.name)


class PhoneSearchAdmin(InstanceRowsAdmin):
    """Admin whose search accepts phone numbers with spaces, brackets and dashes."""

    def get_search_results(self, request: HttpRequest, queryset: Any, search_term: str) -> tuple[Any, bool]:
        """Search; a phone number is reduced to its digits first."""
        return super().get_search_results(request, queryset, normalize_phone(search_term))


def normalize_phone(term: str) -> str:
    """Return the digits of a phone number; return any other search term unchanged.

    >>> normalize_phone("+55 (11) 94002-8922"), normalize_phone("Ana 2")
    ('5511940028922', 'Ana 2')
    """
    return re.sub(r"\D", "", term) if re.fullmatch(r"\+?[\d\s().-]{6,}", term.strip()) else term
