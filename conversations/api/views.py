"""The API's resources. They read and write through the managers alone, so that what those know holds here too."""

from collections.abc import Callable
from functools import partial
from typing import Any, ClassVar, TypeVar

from django.core.exceptions import ObjectDoesNotExist
from django.core.files.storage import default_storage
from django.http import FileResponse, HttpRequest, JsonResponse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework.decorators import action
from rest_framework.exceptions import NotFound, ValidationError
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.serializers import BaseSerializer
from rest_framework.viewsets import GenericViewSet

from cachelayer import Page, track_reads
from conversations.api import serializers
from conversations.api.negotiation import JSONOnly
from conversations.api.pagination import CursorLinksPagination
from conversations.api.query_params import ContactParameters, ConversationParameters, MessageParameters, PageParameters
from conversations.api.schema import Schema
from conversations.db.keyset import InvalidCursor
from conversations.models import Contact, Conversation, Instance, Message

Found = TypeVar("Found")
CACHE_STATUS_CODES = (200, 404)  # from what was read; anything else was decided before


def get_or_404(operation: Callable[[int], Found], pk: str) -> Found:
    """Call a manager's method that takes a primary key.

    Raises:
        NotFound: there is no such row.
    """
    try:
        return operation(int(pk))
    except ObjectDoesNotExist:
        raise NotFound from None


class RowViewSet(GenericViewSet[Any]):
    """One model's rows: pages of them, and each by its id. Subclasses declare what is theirs."""

    read_row: ClassVar[Callable[..., Any]]
    read_page: ClassVar[Callable[..., Page[Any]]]
    parameters: ClassVar[type[PageParameters]]
    serializer_class: type[BaseSerializer[Any]]
    detail_serializer_class: type[BaseSerializer[Any]]

    lookup_value_regex = "[0-9]{1,19}"  # as long as the greatest there can be
    pagination_class = CursorLinksPagination
    content_negotiation_class = JSONOnly
    schema = Schema()

    def get_serializer_class(self) -> type[BaseSerializer[Any]]:
        """Return how a row looks: a little more of it by itself than in a list."""
        return self.serializer_class if self.action == "list" else self.detail_serializer_class

    def dispatch(self, request: Any, *args: Any, **kwargs: Any) -> Any:
        """Answer, and say where what was read came from (`Cache-Status`, RFC 9211)."""
        with track_reads() as reads:
            response = super().dispatch(request, *args, **kwargs)
        if request.method in ("GET", "HEAD") and response.status_code in CACHE_STATUS_CODES:
            response["Cache-Status"] = reads.cache_status
        return response

    def list(self, request: Request) -> Response:  # noqa: D102 - OpenAPI shows the viewset's text instead
        return self.page_response(request, self.read_page, self.parameters)

    def retrieve(self, request: Request, pk: str) -> Response:  # noqa: ARG002, D102 - as above
        return self.row_response(get_or_404(self.read_row, pk))

    def row_response(self, row: Any) -> Response:
        """Answer with one row."""
        return Response(self.get_serializer(row).data)

    def page_response(
        self, request: Request, read: Callable[..., Page[Any]], accepted: type[PageParameters]
    ) -> Response:
        """Answer with the page that the request's parameters ask for.

        Raises:
            ValidationError: by a parameter's name, what is wrong with it.
        """
        try:
            page = read(**accepted.read(request.query_params))
        except InvalidCursor as error:
            raise ValidationError({"cursor": [str(error)]}) from error
        return CursorLinksPagination().answer(request, page, self.get_serializer(page.rows, many=True).data)


class InstanceViewSet(RowViewSet):
    """WhatsApp numbers, by name."""

    read_row = Instance.objects.fetch
    read_page = Instance.objects.page
    parameters = PageParameters
    serializer_class = serializers.InstanceSerializer
    detail_serializer_class = serializers.InstanceDetailSerializer


class ContactViewSet(RowViewSet):
    """The people that instances know, by name."""

    read_row = Contact.objects.fetch
    read_page = Contact.objects.for_instance
    parameters = ContactParameters
    serializer_class = detail_serializer_class = serializers.ContactSerializer


class MessageViewSet(RowViewSet):
    """Messages of all conversations, by WhatsApp's time, latest first."""

    read_row = Message.objects.fetch
    read_page = Message.objects.for_instance
    parameters = MessageParameters
    serializer_class = detail_serializer_class = serializers.MessageSerializer

    @extend_schema(responses={(200, "application/octet-stream"): OpenApiTypes.BINARY, 404: OpenApiTypes.OBJECT})
    @action(detail=True)
    def media(self, request: Request, pk: str) -> FileResponse:  # noqa: ARG002 - DRF's signature
        """Return the file that came with the message; its type is in the message, for a sender may claim any."""
        row = get_or_404(self.read_row, pk)
        name = row.media.get("file")
        if not name or not default_storage.exists(name):
            raise NotFound
        filename = row.media.get("file_name") or f"{row.kind}-{row.pk}"
        return FileResponse(
            default_storage.open(name), as_attachment=True, filename=filename, content_type="application/octet-stream"
        )


def conversation_action(name: str) -> Any:
    """Make the POST action of the manager's method of that name, which answers with the conversation as it now is."""
    operation = getattr(Conversation.objects, name)

    def run(self: "ConversationViewSet", request: Request, pk: str) -> Response:  # noqa: ARG001 - no body is read
        return self.row_response(get_or_404(operation, pk))

    run.__name__ = name
    run.__doc__ = operation.__doc__
    return extend_schema(request=None)(action(detail=True, methods=["post"], url_path=name.replace("_", "-"))(run))


class ConversationViewSet(RowViewSet):
    """Chats with people, groups and lists, latest message first."""

    read_row = Conversation.objects.fetch
    read_page = Conversation.objects.for_instance
    parameters = ConversationParameters
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
        """Return a page of the conversation's messages, by WhatsApp's time, latest first."""
        conversation = get_or_404(self.read_row, pk)
        return self.page_response(request, partial(Message.objects.for_conversation, conversation), PageParameters)


def not_found(_request: HttpRequest) -> JsonResponse:
    """Answer where no route leads, in JSON."""
    return JsonResponse({"detail": "Not found. The API is described at /api/docs/."}, status=404)
