"""The endpoints with which clients follow an inbox: all changes of rows, in the order in which they were committed.

A view only describes what its client follows. The server waits, and sends events (`conversations.changes.following`).
"""

from typing import Any, ClassVar

from django.http import HttpResponse
from django.utils.translation import gettext_lazy as _
from drf_spectacular.openapi import AutoSchema
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, PolymorphicProxySerializer, extend_schema, extend_schema_field
from rest_framework import serializers, status
from rest_framework.exceptions import APIException, Throttled
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from conversations.api.authentication import SessionAuthentication, TokenAuthentication
from conversations.api.cache_status import CacheStatusView
from conversations.api.change_pages import as_event, read_page
from conversations.api.list_params import ids_field
from conversations.api.negotiation import JSONOnlyNegotiation
from conversations.api.permissions import access_of
from conversations.api.query_params import MAX_PAGE_ROWS, NamesField, Parameters, instance_field
from conversations.api.schema import array_parameters
from conversations.api.serializers.contact import ContactSerializer
from conversations.api.serializers.conversation import ConversationSerializer
from conversations.api.serializers.instance import InstanceSerializer
from conversations.api.serializers.message import MessageSerializer
from conversations.api.ticket_authentication import TICKET, EventTicketAuthentication
from conversations.changes.feed import NOW, Batch
from conversations.changes.following import FOLLOW, Credentials, Subscription, TooManyFollowersError
from conversations.changes.log import Selection
from conversations.models import Change
from conversations.models.base import PAGE_SIZE

MAX_CURSOR_CHARS = 200
MAX_WAIT = 60  # seconds
HELD_SECONDS = 0.5  # for which an answer to a request that would wait is held back if it has changes already
RETRY_SECONDS = 5  # after which a client that was one too many may ask again
RETRY = b"retry: 2000\n\n"  # milliseconds after which a browser connects again
LAST_EVENT_ID = "Last-Event-ID"


class CannotFollow(APIException):
    """The server cannot send events, or has too many clients that follow."""

    status_code = status.HTTP_503_SERVICE_UNAVAILABLE
    default_code = "unavailable"
    default_detail = _("This server cannot send events now. Ask changes/ instead.")
    headers: ClassVar = {"Retry-After": str(RETRY_SECONDS)}


class FollowParameters(Parameters):
    """The query parameters that choose the changes."""

    after = serializers.CharField(
        default=NOW,
        allow_blank=True,
        max_length=MAX_CURSOR_CHARS,
        help_text="The `cursor` of the answer before: changes after it are returned. `now`, or nothing, returns the "
        "first cursor.",
    )
    instance = instance_field()
    resource = NamesField(
        Change.Resource.values, default=None, help_text="Only changes of these resources, separated by commas."
    )
    conversation = ids_field(
        "Only changes of the conversations with these ids, and of their messages and participants."
    )


class ChangesParameters(FollowParameters):
    """Query parameters of the changes."""

    limit = serializers.IntegerField(
        default=PAGE_SIZE, min_value=1, max_value=MAX_PAGE_ROWS, help_text="Maximum number of changes."
    )
    wait = serializers.IntegerField(
        default=0,
        min_value=0,
        max_value=MAX_WAIT,
        help_text="How many seconds the answer may wait for a change, if there is none yet.",
    )


class EventsSchema(AutoSchema):
    """Generates the OpenAPI description of the event stream."""

    def get_override_parameters(self) -> list[Any]:
        """Return the query parameters."""
        return [FollowParameters, *array_parameters(FollowParameters())]


class ChangesSchema(AutoSchema):
    """Generates the OpenAPI description of the changes."""

    def get_override_parameters(self) -> list[Any]:
        """Return the query parameters."""
        return [ChangesParameters, *array_parameters(ChangesParameters())]


class ChangeSerializer(serializers.Serializer[Any]):
    """One change."""

    resource = serializers.ChoiceField(
        Change.Resource.choices, allow_null=True, help_text="What has changed; null with a `reset` of everything."
    )
    kind = serializers.ChoiceField(
        Change.Kind.choices,
        help_text="`reset`: load the rows of the resource anew, of the instance or of all instances.",
    )
    id = serializers.IntegerField(
        allow_null=True, help_text="The id of the row; of participants, that of the group; null with `reset`."
    )
    instance_id = serializers.IntegerField(allow_null=True, help_text="null stands for all instances.")
    conversation_id = serializers.IntegerField(allow_null=True)
    row = serializers.SerializerMethodField(
        help_text="The row as it is now; null with `deleted` and `reset`. Of participants: the first participants of "
        "the group, as the group's own page shows them."
    )

    @extend_schema_field(
        PolymorphicProxySerializer(
            component_name="ChangedRow",
            serializers=[InstanceSerializer, ContactSerializer, ConversationSerializer, MessageSerializer],
            resource_type_field_name=None,
        )
    )
    def get_row(self, change: dict[str, Any]) -> Any:
        """Return the row as it is now."""
        return change["row"]


class ChangesSerializer(serializers.Serializer[Any]):
    """Some changes, and where the next ones begin."""

    cursor = serializers.CharField(help_text="Pass it as `after` in the next request. Keep it beside your copy.")
    has_more = serializers.BooleanField(help_text="Whether more changes can be read at once.")
    results = ChangeSerializer(many=True)


class ChangesView(CacheStatusView):
    """Follow an inbox: the changes after a cursor, each with the row as it is now.

    Take a cursor with `after=now`, load the rows, and then ask for the changes after the cursor: nothing is missed.
    Several changes of a row are one. `reset` says that rows must be loaded anew. `docs/api.md` has a complete client.
    """

    content_negotiation_class = JSONOnlyNegotiation
    schema = ChangesSchema()

    @extend_schema(operation_id="changes_list", responses={200: ChangesSerializer, 410: None})
    def get(self, request: Request) -> Response:  # noqa: D102 - OpenAPI shows the view's docstring
        params = ChangesParameters.parse(request.query_params)
        selection = selection_of(request, params)
        batch, page = read_page(params["after"], selection, params["limit"])
        if params["wait"] and not batch.has_more:
            wait_for_changes(request, selection, batch, params["wait"])
        return Response(page)


class EventsView(APIView):
    """Follow an inbox by server-sent events, which come when something changes.

    Each event `changes` has the content of an answer of `changes/`, and its `cursor` as its id. A client that connects
    again with the id of the last event in the header `Last-Event-ID`, as browsers do, misses nothing. The stream ends
    within a second after its token, session, user or access.
    """

    authentication_classes = [TokenAuthentication, EventTicketAuthentication, SessionAuthentication]
    content_negotiation_class = JSONOnlyNegotiation
    schema = EventsSchema()

    @extend_schema(
        operation_id="events_stream",
        parameters=[OpenApiParameter(LAST_EVENT_ID, str, OpenApiParameter.HEADER, description="Replaces `after`.")],
        responses={(200, "text/event-stream"): OpenApiTypes.STR, 410: None},
    )
    def get(self, request: Request) -> HttpResponse:  # noqa: D102 - OpenAPI shows the view's docstring
        query = request.query_params.copy()
        query.pop(TICKET, None)
        params = FollowParameters.parse(query)
        selection = selection_of(request, params)
        batch, page = read_page(request.headers.get(LAST_EVENT_ID) or params["after"], selection, MAX_PAGE_ROWS)
        follow_changes(request, selection, batch)
        return HttpResponse(
            RETRY + as_event(page),
            content_type="text/event-stream",
            headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"},
        )


def selection_of(request: Request, params: dict[str, Any]) -> Selection:
    """Return the changes that a request wants and may see."""
    resources, chats = params["resource"], params["conversation"]
    return Selection(
        access_of(request).visible(params["instance"]),
        None if resources is None else frozenset(resources),
        None if chats is None else frozenset(chats),
    )


def wait_for_changes(request: Request, selection: Selection, batch: Batch, seconds: int) -> None:
    """Let the server repeat the request at the next change, if it can; otherwise the answer is sent at once.

    An answer that has changes already is held back for a moment. Otherwise a client that asks again after each answer
    would keep the server busy with small answers, while rows change all the time.
    """
    if FOLLOW in request.META:
        follow_changes(request, selection, batch, min(seconds, HELD_SECONDS) if batch.steps else seconds)


def follow_changes(request: Request, selection: Selection, batch: Batch, seconds: float | None = None) -> None:
    """Let the server continue with the changes after a batch.

    Raises:
        CannotFollow: the server cannot do this, or not for one more client.
        Throttled: the user follows too often.
    """
    leave = request.META.get(FOLLOW)
    if leave is None:
        raise CannotFollow
    access = access_of(request)
    credentials = Credentials(access.user_id, access.token_id, access.session_key, access.readable_key)
    try:
        leave(Subscription(selection, batch.end, batch.history, credentials, seconds, bool(batch.steps)))
    except TooManyFollowersError as error:
        raise Throttled(wait=RETRY_SECONDS) if error.is_of_user else CannotFollow from None
