"""The endpoint with which clients follow an inbox: all changes of rows, in the order in which they were committed."""

import json
from collections.abc import Sequence
from typing import Any

from drf_spectacular.openapi import AutoSchema
from drf_spectacular.utils import PolymorphicProxySerializer, extend_schema, extend_schema_field
from rest_framework import serializers, status
from rest_framework.exceptions import APIException
from rest_framework.request import Request
from rest_framework.response import Response

from cachelayer import cache
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
from conversations.changes.coalescing import Step
from conversations.changes.cursor import UnknownCursor
from conversations.changes.feed import NOW, follow
from conversations.changes.log import Entry, Selection
from conversations.changes.rows import present_rows
from conversations.db.page_bytes import MAX_PAGE_BYTES
from conversations.models import Change
from conversations.models.base import PAGE_SIZE

MAX_CURSOR_CHARS = 200
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


class ChangesParameters(Parameters):
    """Query parameters of the changes."""

    after = serializers.CharField(
        default=NOW,
        allow_blank=True,
        max_length=MAX_CURSOR_CHARS,
        help_text="The `cursor` of the answer before: changes after it are returned. `now`, or nothing, returns the "
        "first cursor.",
    )
    limit = serializers.IntegerField(
        default=PAGE_SIZE, min_value=1, max_value=MAX_PAGE_ROWS, help_text="Maximum number of changes."
    )
    instance = instance_field()
    resource = NamesField(
        Change.Resource.values, default=None, help_text="Only changes of these resources, separated by commas."
    )
    conversation = ids_field(
        "Only changes of the conversations with these ids, and of their messages and participants."
    )


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
        visible = access_of(request).visible(params["instance"])
        selection = Selection(visible, params["resource"], params["conversation"])
        try:
            batch = follow(params["after"], selection, params["limit"])
        except UnknownCursor:
            raise CursorUnknown from None
        results = show_steps(batch.steps, selection)
        if len(results) < len(batch.steps):
            batch = batch.first(len(results))
        return Response({"cursor": batch.cursor, "has_more": batch.has_more, "results": results})


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
