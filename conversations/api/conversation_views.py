"""The endpoints of conversations, of their messages, and of changes of conversations."""

from functools import partial
from typing import Any

from django.utils.translation import gettext as _
from drf_spectacular.utils import extend_schema
from rest_framework.decorators import action
from rest_framework.exceptions import ErrorDetail, NotFound, ValidationError
from rest_framework.request import Request
from rest_framework.response import Response

from conversations.api.bulk_bodies import BULK_BODY, PortionSerializer, parse_bulk_body
from conversations.api.list_params import ConversationParameters
from conversations.api.pagination import CursorLinksPagination, ThreadPagination
from conversations.api.permissions import access_of
from conversations.api.preconditions import IF_MATCH
from conversations.api.query_params import PageParameters, Parameters, with_row_parameters
from conversations.api.row_bodies import ConversationBody, ReadBody
from conversations.api.row_views import RowViewSet
from conversations.api.serializers.conversation import (
    ConversationDetailSerializer,
    ConversationSerializer,
    ParticipantSerializer,
)
from conversations.api.serializers.message import MessageSerializer
from conversations.api.thread_params import ThreadParameters
from conversations.db.keyset import InvalidCursor
from conversations.models import Conversation, Message, Participant, Scope
from conversations.models.bulk_changes import change_many
from conversations.models.conversation import NoSuchMessage, UnknownLabels
from conversations.models.conversation_changes import ACTIONS
from conversations.models.conversation_filters import ConversationFilters
from conversations.models.thread import read_window


def conversation_action(name: str) -> Any:
    """Return a POST action that calls the manager method `name` and responds with the updated conversation."""
    operation = getattr(Conversation.objects, name)

    def run(self: "ConversationViewSet", request: Request, pk: str) -> Response:  # noqa: ARG001 - DRF passes a request
        return self.change_row(pk, operation)

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
    serializer_class = ConversationSerializer
    detail_serializer_class = ConversationDetailSerializer

    mark_unread = conversation_action("mark_unread")
    archive = conversation_action("archive")
    unarchive = conversation_action("unarchive")
    pin = conversation_action("pin")
    unpin = conversation_action("unpin")

    def parameters(self) -> type[Parameters]:
        """Return the query parameters of the current action."""
        if self.action == "messages":
            return with_row_parameters(ThreadParameters, MessageSerializer)
        if self.action == "participants":
            return PageParameters
        return super().parameters()

    @extend_schema(request=ConversationBody, parameters=[IF_MATCH])
    def partial_update(self, request: Request, pk: str) -> Response:
        """Change the labels, the name that is shown here, and whether the conversation is archived, pinned or muted.

        An event that was sent before does not undo the change. A later change of the labels on the phone does.
        The phone is not changed.
        """
        body = ConversationBody.parse(request.data)
        try:
            return self.change_row(pk, lambda key: Conversation.objects.change(key, **body), locks_instance=True)
        except UnknownLabels as error:
            raise ValidationError(
                {
                    "labels": [
                        ErrorDetail(
                            _("Unknown label: %(names)s.") % {"names": ", ".join(sorted(error.labels))}, "unknown"
                        )
                    ]
                }
            ) from None

    @extend_schema(request=BULK_BODY, responses=PortionSerializer, operation_id="conversations_bulk")
    @action(detail=False, methods=["post"])
    def bulk(self, request: Request) -> Response:
        """Change all conversations that a filter finds: a portion, and the next ones with the `cursor` of the answer.

        Repeat the request with the new `cursor` until it is null. A portion may be empty. It does no harm to send a
        request again.
        """
        body = parse_bulk_body(request.data)
        chosen = {name: value for name, value in body["filter"].items() if value is not None}
        instances = access_of(request).visible(chosen.pop("instance", None), Scope.WRITE)
        portion = change_many(
            name := body["action"],
            ConversationFilters(**{"deleted": None, **chosen}),
            instances,
            argument=body.get(ACTIONS[name].argument),
            cursor=body.get("cursor", ""),
            limit=body["limit"],
        )
        return Response({**vars(portion), "cursor": portion.cursor or None})

    @extend_schema(request=ReadBody, parameters=[IF_MATCH])
    @action(detail=True, methods=["post"], url_path="mark-read")
    def mark_read(self, request: Request, pk: str) -> Response:
        """Mark the conversation as read, or as read up to a message. Later messages that are read already stay read."""
        body = ReadBody.parse(request.data)
        try:
            return self.change_row(pk, lambda key: Conversation.objects.mark_read(key, **body))
        except NoSuchMessage:
            raise NotFound(_("The conversation has no message with the id in `until`.")) from None

    @extend_schema(responses=ParticipantSerializer(many=True))
    @action(detail=True, detail_serializer_class=ParticipantSerializer)
    def participants(self, request: Request, pk: str) -> Response:
        """List the current participants of a group, those first that have been known for longest."""
        conversation, params = self.permitted_row(pk), self.parse_parameters()
        try:
            page = Participant.objects.page(conversation, **params)
        except InvalidCursor as error:
            raise NotFound(str(error)) from error
        return CursorLinksPagination().build_response(request, page, self.get_serializer(page.rows, many=True).data)

    @extend_schema(responses=MessageSerializer(many=True))
    @action(detail=True, detail_serializer_class=MessageSerializer, pagination_class=ThreadPagination)
    def messages(self, request: Request, pk: str) -> Response:
        """List the conversation's messages, ordered by WhatsApp's timestamp, latest first; or those around an anchor.

        With `anchor`, `next` leads to older messages, and `previous` to newer ones.
        """
        conversation, params = self.permitted_row(pk), self.parse_parameters()
        find, around = params.pop("anchor"), {name: params.pop(name) for name in ("before", "after")}
        if find is None or params["cursor"]:
            return self.page_response(partial(Message.objects.for_conversation, conversation), params)
        try:
            anchor = find(conversation)
        except Message.DoesNotExist:
            raise NotFound(_("The anchor is no message of this conversation.")) from None
        window = read_window(conversation, anchor, **around)
        return ThreadPagination().build_window_response(request, window, self.serialize(window.rows))
