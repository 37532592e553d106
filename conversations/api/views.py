"""Viewsets of the REST API. Viewsets read and write only through the managers, which enforce caching and locking."""

from collections.abc import Callable
from functools import partial
from typing import Any, ClassVar, TypeVar, cast

from django.core.exceptions import ObjectDoesNotExist
from django.http import HttpRequest, HttpResponse
from django.views.decorators.csrf import csrf_exempt
from drf_spectacular.utils import extend_schema
from rest_framework.decorators import action
from rest_framework.exceptions import NotFound
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.serializers import BaseSerializer
from rest_framework.viewsets import GenericViewSet

from cachelayer import Page, track_reads
from conversations.api import serializers
from conversations.api.negotiation import JSONOnlyNegotiation
from conversations.api.pagination import CursorLinksPagination
from conversations.api.permissions import access_of, check_instance
from conversations.api.preconditions import IF_MATCH, if_unchanged, shown
from conversations.api.problems import problem, problem_response
from conversations.api.query_params import ContactParameters, ConversationParameters, MessageParameters, PageParameters
from conversations.api.schema import RowSchema
from conversations.db.keyset import InvalidCursor
from conversations.models import Contact, Conversation, Instance, Message

Row = TypeVar("Row")

# Statuses of responses that depend on cached data and get a `Cache-Status` header; 404 only if it is about a row.
OK, NOT_FOUND = 200, 404


def get_or_404(operation: Callable[[int], Row], pk: str) -> Row:
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
    serializer_class: type[BaseSerializer[Any]]
    detail_serializer_class: type[BaseSerializer[Any]]

    lookup_value_regex = "[0-9]{1,19}"  # the largest 64-bit integer has 19 digits
    pagination_class = CursorLinksPagination
    content_negotiation_class = JSONOnlyNegotiation
    schema = RowSchema()

    def get_serializer_class(self) -> type[BaseSerializer[Any]]:
        """Return the list serializer for the action `list`, and the detail serializer for all other actions."""
        return self.serializer_class if self.action == "list" else self.detail_serializer_class

    def dispatch(self, request: Any, *args: Any, **kwargs: Any) -> Any:
        """Handle the request and add a `Cache-Status` header (RFC 9211) to responses to GET and HEAD."""
        with track_reads() as reads:
            response = super().dispatch(request, *args, **kwargs)
        has_read_rows = response.status_code == OK or (response.status_code == NOT_FOUND and "pk" in kwargs)
        if request.method in ("GET", "HEAD") and has_read_rows:
            response["Cache-Status"] = reads.cache_status
        return response

    def list(self, request: Request) -> Response:  # noqa: D102 - OpenAPI shows the viewset's docstring
        params = self.query_params.parse(request.query_params)
        wanted = params.pop("instance", None)
        visible = access_of(request).visible(None if wanted is None else [wanted])
        return self.page_response(partial(self.fetch_page, visible), params)

    def retrieve(self, request: Request, pk: str) -> Response:  # noqa: ARG002, D102 - the serializer has the docstring
        return self.row_response(self.permitted_row(pk))

    def permitted_row(self, pk: str) -> Any:
        """Return the row with a primary key, if the request may do with it what it asks for.

        Raises:
            NotFound: the row does not exist, or the request may not read it.
            PermissionDenied: the request may read the row, but not change it.
        """
        row = get_or_404(self.fetch_row, pk)
        check_instance(self.request, self, instance_id_of(row))
        return row

    def row_response(self, row: Any) -> Response:
        """Return a response with one serialized row."""
        return shown(row, self.get_serializer(row).data)

    def page_response(self, fetch: Callable[..., Page[Any]], params: dict[str, Any]) -> Response:
        """Return a response with the page of rows that the parameters select.

        Raises:
            NotFound: the cursor does not belong to this list.
        """
        try:
            page = fetch(**params)
        except InvalidCursor as error:
            raise NotFound(str(error)) from error
        results = self.get_serializer(page.rows, many=True).data
        return CursorLinksPagination().build_response(self.request, page, results)


class InstanceViewSet(RowViewSet):
    """The instances (WhatsApp numbers) that the request may read, ordered by name."""

    fetch_row = Instance.objects.fetch
    fetch_page = Instance.objects.page
    query_params = PageParameters
    serializer_class = serializers.InstanceSerializer
    detail_serializer_class = serializers.InstanceDetailSerializer


class ContactViewSet(RowViewSet):
    """The contacts of the instances that the request may read, ordered by name."""

    fetch_row = Contact.objects.fetch
    fetch_page = Contact.objects.for_instance
    query_params = ContactParameters
    serializer_class = detail_serializer_class = serializers.ContactSerializer


class MessageViewSet(RowViewSet):
    """The messages of the instances that the request may read, ordered by WhatsApp's timestamp, latest first."""

    fetch_row = Message.objects.fetch
    fetch_page = Message.objects.for_instance
    query_params = MessageParameters
    serializer_class = detail_serializer_class = serializers.MessageSerializer


def conversation_action(name: str) -> Any:
    """Return a POST action that calls the manager method `name` and responds with the updated conversation."""
    operation = getattr(Conversation.objects, name)

    def run(self: "ConversationViewSet", request: Request, pk: str) -> Response:
        self.permitted_row(pk)
        with if_unchanged(request, Conversation.objects.filter(pk=int(pk)), lambda row: self.row_response(row).data):
            row = get_or_404(operation, pk)
        return self.row_response(row)

    run.__name__ = name
    run.__doc__ = operation.__doc__
    return extend_schema(request=None, parameters=[IF_MATCH])(
        action(detail=True, methods=["post"], url_path=name.replace("_", "-"))(run)
    )


class ConversationViewSet(RowViewSet):
    """The conversations with contacts, groups and broadcast lists, ordered by the last message, latest first."""

    fetch_row = Conversation.objects.fetch
    fetch_page = Conversation.objects.for_instance
    query_params = ConversationParameters
    serializer_class = serializers.ConversationSerializer
    detail_serializer_class = serializers.ConversationDetailSerializer

    mark_read = conversation_action("mark_read")
    archive = conversation_action("archive")
    unarchive = conversation_action("unarchive")
    pin = conversation_action("pin")
    unpin = conversation_action("unpin")

    @extend_schema(parameters=[PageParameters], responses=serializers.MessageSerializer(many=True))
    @action(detail=True, detail_serializer_class=serializers.MessageSerializer)
    def messages(self, request: Request, pk: str) -> Response:
        """List the conversation's messages, ordered by WhatsApp's timestamp, latest first."""
        conversation = self.permitted_row(pk)
        fetch = partial(Message.objects.for_conversation, conversation)
        return self.page_response(fetch, PageParameters.parse(request.query_params))


@csrf_exempt  # without a session there is nothing to protect, and the answer to any method is the same
def not_found(_request: HttpRequest) -> HttpResponse:
    """Return a 404 response in JSON for a path under `/api/` that has no route."""
    return problem_response(problem(404, "Not found. The API is documented at /api/docs/."))
