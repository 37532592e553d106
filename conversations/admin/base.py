"""Base classes of the admin pages. Admin lists have a maximum length and a fixed order.

Single rows are read through the model's manager, which may answer from the cache. Adding, changing and deleting rows is
forbidden unless a subclass permits it, because most rows are copies of WhatsApp's data.
"""

from collections.abc import Iterable, Mapping
from typing import Any, ClassVar, cast

from django.contrib import admin, messages
from django.contrib.admin.options import IncorrectLookupParameters
from django.contrib.admin.utils import flatten_fieldsets
from django.contrib.admin.views.main import SEARCH_VAR, ChangeList
from django.core.exceptions import ValidationError
from django.db import DataError
from django.db.models import Model, Q, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.utils.text import smart_split
from django.utils.translation import gettext_lazy as _

from conversations.admin.access import access_of, may_view, permitted
from conversations.admin.paginator import MAX_ROWS, BoundedPaginator, count_up_to
from conversations.admin.readable_list import LinkedChangeList, ReadableList
from conversations.db.keyset import before
from conversations.models import Scope
from conversations.search.query import MAX_WORDS

ROWS_PER_PAGE = 50
MAX_ACTION_ROWS = 500  # maximum number of rows that one admin action may change
MAX_CHECKED_ROWS = MAX_ROWS  # rows that a list examines for a filter without an index


class FixedOrderChangeList(LinkedChangeList):
    """Admin list sorted by the admin's `ordering` or in reverse, because no other order of the rows has an index."""

    def get_ordering(self, request: HttpRequest, queryset: QuerySet[Any]) -> list[Any]:
        """Return the admin's `ordering`, reversed if the request asks for the first field in the other direction."""
        ordering = [str(name) for name in self.model_admin.ordering or ()]
        reverse = [name[1:] if name.startswith("-") else f"-{name}" for name in ordering]
        return reverse if super().get_ordering(request, queryset)[0] == reverse[0] else ordering

    def get_queryset(self, request: HttpRequest, exclude_parameters: Any = None) -> QuerySet[Any]:
        """Return the rows of the list; the parameters that no index supports apply to its first rows only."""
        checked = cast("FixedOrder", self.model_admin).checked_parameters(request)
        asked = {name for name in checked if request.GET.get(name)}
        if not asked or (self.query and SEARCH_VAR not in asked):  # a search with an index finds few rows
            return super().get_queryset(request, exclude_parameters)
        filters, query = self.filter_params, self.query
        self.filter_params = {name: values for name, values in filters.items() if name not in asked}
        self.query = ""
        every = super().get_queryset(request)
        self.filter_params, self.query = filters, query
        return super().get_queryset(request, exclude_parameters).filter(self._first_rows(request, every))

    def _first_rows(self, request: HttpRequest, rows: QuerySet[Any]) -> Q:
        """Return the condition for the first `MAX_CHECKED_ROWS` rows of a list, and say that others are left out."""
        order = self.get_ordering(request, rows)
        fields = [name.lstrip("-") for name in order]
        beyond = list(rows.values_list(*fields)[MAX_CHECKED_ROWS : MAX_CHECKED_ROWS + 1])
        if not beyond:
            return Q()
        text = _("Only the first %(count)d rows were looked through. Choose an instance or a time to see others.")
        self.model_admin.message_user(request, text % {"count": MAX_CHECKED_ROWS}, messages.INFO)
        return before(order, beyond[0])

    def get_results(self, request: HttpRequest) -> None:
        """Read one page of rows. If the requested page number is too high, the last page is read.

        Raises:
            IncorrectLookupParameters: a filter has a time that the database cannot hold.
        """
        try:
            super().get_results(request)
        except (OverflowError, DataError) as error:  # from SQLite's conversion to UTC, or from PostgreSQL
            raise IncorrectLookupParameters(error) from error
        self.page_num = self.paginator.validate_number(self.page_num)
        if self.paginator.has_more or not (self.query or self.has_active_filters):
            # Django's search form hides the number of results if `result_count` equals `full_result_count`. The number
            # is hidden if counting stopped at the paginator's limit, because the list has more rows.
            self.full_result_count = self.result_count


class FixedOrder:
    """Gives the list of an admin of a large table its fixed order, and bounds what the list reads.

    Attributes:
        checked: query parameters of the list that no index supports; `q` stands for a search without an index.
    """

    checked: ClassVar[tuple[str, ...]] = ()

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:  # noqa: ARG002 - Django's hook
        """Return the class that gives the admin list a fixed order of rows."""
        return FixedOrderChangeList

    def checked_parameters(self, request: HttpRequest) -> tuple[str, ...]:  # noqa: ARG002 - for subclasses
        """Return the query parameters that no index supports together with the others of the request."""
        return self.checked

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """Show the list or perform an action; Django answers requests of every method with the list."""
        response: HttpResponse = super().changelist_view(request, extra_context)  # type: ignore[misc]  # a method of ModelAdmin
        shown = getattr(response, "context_data", None) or {}
        if "cl" in shown:
            self.rows_shown(request, list(shown["cl"].result_list))
        return response

    def rows_shown(self, request: HttpRequest, rows: list[Any]) -> None:
        """Handle that a list shows rows to the user."""


class ReadOnly:
    """Forbids adding, changing and deleting rows in the admin."""

    def has_add_permission(self, request: HttpRequest) -> bool:  # noqa: ARG002 - Django's hook
        """Return False: rows are created by webhooks and by other pages, not by forms."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:  # noqa: ARG002 - Django's hook
        """Return False: rows are copies of WhatsApp's data, or records that must stay as they are."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:  # noqa: ARG002 - Django's hook
        """Return False: the next webhook event would create a deleted row again, and records must stay."""
        return False


class BoundedSearch:
    """Limits what Django's own search and page for deleting read."""

    def get_search_results(self, request: HttpRequest, queryset: Any, search_term: str) -> tuple[QuerySet[Any], bool]:
        """Return the rows that match all words; none, with a message, if there are too many words.

        Django compares each word with each searched column of each row.
        """
        if len(list(smart_split(search_term))) > MAX_WORDS:
            text = _("A search may have at most %(count)d words.") % {"count": MAX_WORDS}
            cast("Any", self).message_user(request, text, messages.ERROR)
            return queryset.none(), False
        found: tuple[QuerySet[Any], bool] = super().get_search_results(request, queryset, search_term)  # type: ignore[misc]  # a method of ModelAdmin
        return found

    def get_deleted_objects(self, objs: Iterable[Any], request: HttpRequest) -> Any:  # noqa: ARG002 - Django's hook
        """Return the selected rows without related rows, which may be too many for the confirmation page."""
        rows = [str(row) for row in objs]
        return rows, {str(cast("Any", self).opts.verbose_name_plural): len(rows)}, set(), []


class BoundedAdmin(FixedOrder, ReadableList, BoundedSearch, ReadOnly, admin.ModelAdmin):  # type: ignore[type-arg] # Django's class accepts no type argument at run time
    """Base class of the model admins. Each admin page reads a limited number of rows with a constant number of queries.

    Attributes:
        instance_field: the path from a row to its instance.
        list_only_fields: columns that the admin list reads, also from related models; payloads and images are omitted.
        editable_fields: those fields of `fieldsets` that users may change; all other fields are read-only.
        required_models: columns, fields and filters that show rows of another model → that model; they are left out
            for users who may not view it.
    """

    instance_field: ClassVar[str] = "instance"
    list_only_fields: ClassVar[tuple[str, ...]] = ()
    editable_fields: ClassVar[tuple[str, ...]] = ()
    required_models: ClassVar[Mapping[str, str]] = {}

    paginator = BoundedPaginator
    list_per_page = ROWS_PER_PAGE
    list_max_show_all = ROWS_PER_PAGE
    show_full_result_count = False
    show_facets = admin.ShowFacets.NEVER  # facets would count the rows of the table once for each choice of a filter

    class Media:
        css = {"all": ["conversations/admin.css"]}

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        """Return the rows of the user's instances, with only the columns in `list_only_fields`."""
        rows = super().get_queryset(request).only(*self.list_only_fields)
        return permitted(request, rows, field=self.instance_field)

    def get_object(self, request: HttpRequest, object_id: str, from_field: str | None = None) -> Any:  # noqa: ARG002 - Django's hook
        """Return one row with all columns; None if the id is invalid, or no row that the user may see has the id."""
        try:
            row = self.load_row(self.opts.pk.to_python(object_id))
        except (ValidationError, self.model.DoesNotExist):
            return None
        return row if self.may(request, row, Scope.READ) else None

    def may(self, request: HttpRequest, row: Any, scope: Scope) -> bool:
        """Return whether the user may do this with rows of the instance of `row`."""
        return access_of(request).allows(row.pk if self.instance_field == "pk" else row.instance_id, scope)

    def load_row(self, pk: int) -> Model:
        """Return the row with this primary key, from the cache if possible.

        Raises:
            DoesNotExist: no row has this primary key.
        """
        manager: Any = self.model._default_manager  # noqa: SLF001 - Django documents _default_manager
        row: Model = manager.fetch(pk)
        return row

    def shows(self, request: HttpRequest, name: str) -> bool:
        """Return whether the user may view the rows that a column, field or filter shows."""
        model = self.required_models.get(name)
        return model is None or may_view(request, model)

    def get_list_display(self, request: HttpRequest) -> list[Any]:
        """Return the columns of rows that the user may view."""
        return [name for name in self.list_display if self.shows(request, str(name))]

    def get_list_filter(self, request: HttpRequest) -> list[Any]:
        """Return the filters by rows that the user may view."""
        return [item for item in self.list_filter if self.shows(request, getattr(item, "parameter_name", str(item)))]

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:  # noqa: ARG002 - Django's hook
        """Return the parts of the page, without fields of rows that the user may not view, and without empty parts."""
        parts = [
            (title, {**part, "fields": [name for name in part["fields"] if self.shows(request, name)]})
            for title, part in cast("Any", self.fieldsets) or ()
        ]
        return [(title, part) for title, part in parts if part["fields"]]

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> list[Any]:  # noqa: ARG002 - Django's hook
        """Return the names in `fieldsets` that are not in `editable_fields`."""
        return [name for name in flatten_fieldsets(self.fieldsets or ()) if name not in self.editable_fields]

    def response_action(self, request: HttpRequest, queryset: QuerySet[Any]) -> HttpResponse | None:  # type: ignore[override] # newer Django versions have one more parameter
        """Run an admin action, unless the user selected all rows of a list that is longer than `MAX_ACTION_ROWS`."""
        if request.POST.get("select_across", "0") != "0" and count_up_to(queryset, MAX_ACTION_ROWS)[1]:
            text = _("An action can change at most %(count)d rows. Use a search or a filter to narrow the list.")
            self.message_user(request, text % {"count": MAX_ACTION_ROWS}, messages.ERROR)
            return HttpResponseRedirect(request.get_full_path())
        return super().response_action(request, queryset)


class InstanceRowsAdmin(BoundedAdmin):
    """Base class for the admin of a model in which each row belongs to an Evolution instance."""

    list_select_related: ClassVar[tuple[str, ...]] = ("instance",)

    @admin.display(description=_("instance"))
    def instance_name(self, row: Any) -> str:
        """Return the name of the instance that the row belongs to."""
        return str(row.instance.name)
