"""The endpoints with which clients follow an inbox: all changes of rows, in the order in which they were committed.

A view only describes what its client follows. The server waits, and sends events (`conversations.changes.following`).
"""

import json
from collections.abc import Sequence
from typing import Any, ClassVar

from django.http import HttpResponse
from drf_spectacular.openapi import AutoSchema
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, PolymorphicProxySerializer, extend_schema, extend_schema_field
from rest_framework import serializers, status
from rest_framework.exceptions import APIException, Throttled
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.utils.encoders import JSONEncoder
from rest_framework.views import APIView

from cachelayer import cache
from conversations.api.authentication import SessionAuthentication, TokenAuthentication
from conversations.api.cache_status import CacheStatusView
from conversations.api.list_params import ids_field
from conversations.api.negotiation import JSONOnlyNegotiation
from conversations.api.permissions import access_of
from conversations.api.query_params import MAX_PAGE_ROWS, NamesField, Parameters, instance_field
from conversations.api.schema import array_parameters
from conversations.api.serializers.base import EXPAND, FIELDS, RowSerializer
from conversations.api.serializers.contact import ContactSerializer
from conversations.api.serializers.conversation import ConversationDetailSerializer, ConversationSerializer
from conversations.api.serializers.instance import InstanceSerializer
from conversations.api.serializers.message import MessageSerializer
from conversations.api.ticket_authentication import TICKET, EventTicketAuthentication
from conversations.changes.coalescing import Step
from conversations.changes.cursor import UnknownCursor
from conversations.changes.feed import NOW, Batch, follow
from conversations.changes.following import FOLLOW, Credentials, Subscription, TooManyFollowersError
from conversations.changes.log import Entry, Position, Selection
from conversations.changes.rows import present_rows
from conversations.db.page_bytes import MAX_PAGE_BYTES
from conversations.models import Change
from conversations.models.base import PAGE_SIZE

MAX_CURSOR_CHARS = 200
MAX_WAIT = 60  # seconds
RETRY_SECONDS = 5  # after which a client that was one too many may ask again
RETRY = b"retry: 2000\n\n"  # milliseconds after which a browser connects again
LAST_EVENT_ID = "Last-Event-ID"
STEPS_AT_ONCE = 20  # rows that are read and measured together
# resource → the serializer of its rows, and the fields that are shown; () stands for all
SERIALIZERS: dict[str, tuple[type[RowSerializer[Any]], tuple[str, ...]]] = {
    "instance": (InstanceSerializer, ()),
    "contact": (ContactSerializer, ()),
    "conversation": (ConversationSerializer, ()),
    "message": (MessageSerializer, ()),
    "participants": (ConversationDetailSerializer, ("participants", "participant_count")),
}


class CursorUnknown(APIException):
    """The cursor is not one that this database has given out."""

    status_code = status.HTTP_410_GONE
    default_code = "cursor_unknown"
    default_detail = (
        "This cursor is unknown here; the database may have been restored. Take a new one with changes/?after=now, and "
        "then load all rows again."
    )


class CannotFollow(APIException):
    """The server cannot send events, or has too many clients that follow."""

    status_code = status.HTTP_503_SERVICE_UNAVAILABLE
    default_code = "unavailable"
    default_detail = "This server cannot send events now. Ask changes/ instead."
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
        if params["wait"] and not batch.has_more and not batch.steps:
            wait_for_changes(request, selection, batch.end, params["wait"])
        return Response(page)


class EventsView(APIView):
    """Follow an inbox by server-sent events, which come when something changes.

    Each event `changes` has the content of an answer of `changes/`, and its `cursor` as its id. A client that connects
    again with the id of the last event in the header `Last-Event-ID`, as browsers do, misses nothing. The stream ends
    within a second after its token, user or access.
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
        follow_changes(request, selection, batch.end)
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


def read_page(
    after: str, selection: Selection, limit: int, until: Position | None = None
) -> tuple[Batch, dict[str, Any]]:
    """Return the changes after a cursor, and the JSON that shows them (see `follow`).

    Raises:
        CursorUnknown: the cursor is not one of this database's history.
    """
    try:
        batch = follow(after, selection, limit, until)
    except UnknownCursor:
        raise CursorUnknown from None
    results = show_steps(batch.steps, selection)
    if len(results) < len(batch.steps):
        batch = batch.first(len(results))
    return batch, {"cursor": batch.cursor, "has_more": batch.has_more, "results": results}


def as_event(page: dict[str, Any]) -> bytes:
    """Return a page as an event of an event stream (WHATWG HTML, section 9.2.6)."""
    text = json.dumps(page, cls=JSONEncoder, ensure_ascii=False, separators=(",", ":"))
    return f"id: {page['cursor']}\nevent: changes\ndata: {text}\n\n".encode()


def wait_for_changes(request: Request, selection: Selection, position: Position, seconds: int) -> None:
    """Let the server repeat the request at the next change, if it can; otherwise the answer is sent at once."""
    if FOLLOW in request.META:
        follow_changes(request, selection, position, seconds)


def follow_changes(request: Request, selection: Selection, position: Position, seconds: int | None = None) -> None:
    """Let the server continue with the changes after a position.

    Raises:
        CannotFollow: the server cannot do this, or not for one more client.
        Throttled: the user follows too often.
    """
    leave = request.META.get(FOLLOW)
    if leave is None:
        raise CannotFollow
    access = access_of(request)
    is_session = isinstance(request.successful_authenticator, SessionAuthentication)
    session_key = request.session.session_key if is_session else None
    credentials = Credentials(access.user_id, access.token_id, session_key, access.readable_key)
    try:
        leave(Subscription(selection, position, credentials, seconds))
    except TooManyFollowersError as error:
        raise Throttled(wait=RETRY_SECONDS) if error.is_of_user else CannotFollow from None


def show_steps(steps: Sequence[Step], selection: Selection) -> list[dict[str, Any]]:
    """Return the first changes as JSON, up to about `MAX_PAGE_BYTES`, because senders decide how much a row holds."""
    results: list[dict[str, Any]] = []
    size = 0
    with cache.fresh():
        for start in range(0, len(steps), STEPS_AT_ONCE):
            part = show([step.entry for step in steps[start : start + STEPS_AT_ONCE]], selection)
            results += part
            size += len(json.dumps(part, default=str))
            if size >= MAX_PAGE_BYTES:
                break
    return results


def show(entries: Sequence[Entry], selection: Selection) -> list[dict[str, Any]]:
    """Return changes as JSON, with the present rows."""
    rows = present_rows(entries, selection)
    shown: dict[tuple[str, int], Any] = {}
    for resource, (serializer, fields) in SERIALIZERS.items():
        chosen = [key for key in rows if key[0] == resource]
        content = serializer([rows[key] for key in chosen], many=True, context={EXPAND: (), FIELDS: fields}).data
        shown |= dict(zip(chosen, content, strict=True))
    return [_change(entry, shown) for entry in entries]


def _change(entry: Entry, shown: dict[tuple[str, int], Any]) -> dict[str, Any]:
    """Return one change. Its kind follows from whether the row exists now, because the log may be older."""
    row = None if entry.row_id is None else shown.get((entry.resource, entry.row_id))
    kind = entry.kind
    if kind != Change.Kind.RESET:
        is_new = kind == Change.Kind.CREATED
        kind = Change.Kind.DELETED if row is None else Change.Kind.CREATED if is_new else Change.Kind.UPDATED
    return {
        "resource": entry.resource or None,
        "kind": str(kind),
        "id": entry.row_id,
        "instance_id": entry.instance_id,
        "conversation_id": entry.conversation_id,
        "row": row,
    }
