"""The base class of the viewsets of rows. Viewsets read and write only through the managers, which enforce locking."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from functools import partial
from types import MappingProxyType
from typing import Any, ClassVar, TypeVar, cast

from django.core.exceptions import ObjectDoesNotExist
from django.db import transaction
from rest_framework.exceptions import NotFound
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.viewsets import GenericViewSet

from cachelayer import Page, track_reads
from conversations.api.negotiation import JSONOnlyNegotiation
from conversations.api.pagination import CursorLinksPagination
from conversations.api.permissions import access_of, check_instance, may_show_reads
from conversations.api.preconditions import if_unchanged, shown
from conversations.api.query_params import PageParameters, Parameters, with_row_parameters
from conversations.api.schema import RowSchema
from conversations.api.serializers.base import EXPAND, FIELDS, RowSerializer
from conversations.db.keyset import InvalidCursor
from conversations.models import Instance

Row = TypeVar("Row")

OK = 200


def get_or_404(operation: Callable[[int], Row], pk: str | int) -> Row:
    """Call a manager method with a primary key and return the method's result.

    Raises:
        NotFound: the row does not exist.
    """
    try:
        return operation(int(pk))
    except ObjectDoesNotExist:
        raise NotFound from None


def instance_id_of(row: Any) -> int:
    """Return the primary key of the instance that a row belongs to; an instance belongs to itself."""
    return cast("int", row.pk if isinstance(row, Instance) else row.instance_id)


class RowViewSet(GenericViewSet[Any]):
    """Base class for the list and detail endpoints of one model; subclasses set manager methods and serializers."""

    fetch_row: ClassVar[Callable[..., Any]]
    fetch_page: ClassVar[Callable[..., Page[Any]]]
    query_params: ClassVar[type[PageParameters]]
    serializer_class: type[RowSerializer[Any]]
    detail_serializer_class: type[RowSerializer[Any]]

    lookup_value_regex = "[0-9]{1,19}"  # the largest 64-bit integer has 19 digits
    pagination_class = CursorLinksPagination
    # The content of rows that the client asked for.
    content: Mapping[str, tuple[str, ...]] = MappingProxyType({EXPAND: (), FIELDS: ()})
    content_negotiation_class = JSONOnlyNegotiation
    schema = RowSchema()

    def get_serializer_class(self) -> type[RowSerializer[Any]]:
        """Return the list serializer for the action `list`, and the detail serializer for all other actions."""
        return self.serializer_class if self.action == "list" else self.detail_serializer_class

    def parameters(self) -> type[Parameters]:
        """Return the query parameters of the current action, if it reads rows."""
        base = self.query_params if self.action == "list" else Parameters
        return with_row_parameters(base, self.get_serializer_class())

    def dispatch(self, request: Any, *args: Any, **kwargs: Any) -> Any:
        """Handle the request and add a `Cache-Status` header (RFC 9211) to responses to GET and HEAD."""
        with track_reads() as reads:
            response = super().dispatch(request, *args, **kwargs)
        has_read_rows = response.status_code == OK or "pk" in kwargs
        if request.method in ("GET", "HEAD") and has_read_rows and may_show_reads(self.request, response.status_code):
            response["Cache-Status"] = reads.cache_status
        return response

    def list(self, request: Request) -> Response:  # noqa: D102 - OpenAPI shows the viewset's docstring
        params = self.parse_parameters()
        visible = access_of(request).visible(params.pop("instance", None))
        return self.page_response(partial(self.fetch_page, visible), params)

    def retrieve(self, request: Request, pk: str) -> Response:  # noqa: ARG002, D102 - the serializer has the docstring
        self.parse_parameters()
        return self.row_response(self.permitted_row(pk))

    def parse_parameters(self) -> dict[str, Any]:
        """Return the query parameters, without those that choose the content of rows, which the viewset keeps.

        Raises:
            ValidationError: a query parameter is wrong.
        """
        params = self.parameters().parse(self.request.query_params)
        self.content = {EXPAND: params.pop(EXPAND, ()), FIELDS: params.pop(FIELDS, ())}
        return params

    def get_serializer_context(self) -> dict[str, Any]:
        """Return the context of serializers, with the content of rows that the client asked for."""
        context = dict(super().get_serializer_context())
        return context if getattr(self, "swagger_fake_view", False) else {**context, **self.content}

    def permitted_row(self, pk: str) -> Any:
        """Return the row with a primary key, if the request may do with it what it asks for.

        Raises:
            NotFound: the row does not exist, or the request may not read it.
            PermissionDenied: the request may read the row, but not change it.
        """
        row = get_or_404(self.fetch_row, pk)
        check_instance(self.request, self, instance_id_of(row))
        return row

    def change_row(self, pk: str, operation: Callable[[int], Any], *, locks_instance: bool = False) -> Response:
        """Call a manager method that changes a row, if `If-Match` permits it; return a response with the changed row.

        The query parameters choose the content of the row, both of the response and of the one that `If-Match` names.

        Args:
            pk: the row's primary key.
            operation: the manager method, which returns the row.
            locks_instance: whether the method locks the row's instance, which must be locked before the row.

        Raises:
            ValidationError: a query parameter is wrong.
            NotFound: the row does not exist, or the request may not read it.
            PermissionDenied: the request may read the row, but not change it.
            PreconditionFailed: the row is not as `If-Match` says.
        """
        self.parse_parameters()
        row = self.permitted_row(pk)
        with transaction.atomic() if locks_instance else nullcontext():
            if locks_instance:
                get_or_404(Instance.objects.lock, row.instance_id)
            rows = type(row).objects.filter(pk=row.pk)
            with if_unchanged(self.request, rows, lambda known: self.row_response(known).data):
                row = get_or_404(operation, pk)
        return self.row_response(row)

    def row_response(self, row: Any) -> Response:
        """Return a response with one serialized row."""
        return shown(row, self.serialize([row])[0])

    def serialize(self, rows: Sequence[Any]) -> Any:
        """Return rows as JSON, with the related rows that the client asked for."""
        self.get_serializer_class().load_related(rows, self.content[EXPAND])
        return self.get_serializer(rows, many=True).data

    def page_response(self, fetch: Callable[..., Page[Any]], params: dict[str, Any]) -> Response:
        """Return a response with the page of rows that the parameters select.

        Raises:
            NotFound: the cursor does not belong to this list.
        """
        try:
            page = fetch(**params)
        except InvalidCursor as error:
            raise NotFound(str(error)) from error
        return CursorLinksPagination().build_response(self.request, page, self.serialize(page.rows))
