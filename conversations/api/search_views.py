"""The endpoints of the search for contacts, conversations and messages."""

from collections.abc import Callable
from typing import Any, ClassVar, cast

from drf_spectacular.openapi import AutoSchema
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers
from rest_framework.exceptions import NotFound
from rest_framework.generics import GenericAPIView
from rest_framework.request import Request
from rest_framework.response import Response

from cachelayer import Page
from conversations.api.cache_status import CacheStatusView
from conversations.api.negotiation import JSONOnlyNegotiation
from conversations.api.pagination import CursorLinksPagination
from conversations.api.permissions import access_of
from conversations.api.query_params import PageParameters, Parameters, instance_field, with_row_parameters
from conversations.api.schema import array_parameters
from conversations.api.serializers.base import EXPAND, FIELDS, RowSerializer
from conversations.api.serializers.contact import ContactSerializer
from conversations.api.serializers.conversation import ConversationSerializer
from conversations.api.serializers.message import MessageSerializer
from conversations.db.keyset import InvalidCursor
from conversations.search.find import find_contacts, find_conversations, find_messages
from conversations.search.query import parse
from conversations.search.snippet import snippet

MAX_QUERY_CHARS = 255


class SearchParameters(PageParameters):
    """Query parameters of each search."""

    instance = instance_field()
    q = serializers.CharField(
        max_length=MAX_QUERY_CHARS,
        help_text="Words, in any order and without regard to accents and upper case; or a phone number in any writing. "
        "A word of three characters or more also finds the words that begin with it. A text without letters and digits "
        "finds nothing.",
    )


class SnippetSerializer(serializers.Serializer[Any]):
    """The part of a text around the first match, as plain text: escape it before it becomes part of a page."""

    text = serializers.CharField()
    marks = serializers.ListField(
        child=serializers.ListField(child=serializers.IntegerField(), min_length=2, max_length=2),
        help_text="Start and end of each match, counted in characters (Unicode code points) of `text`.",
    )


class FoundMessageSerializer(MessageSerializer):
    """A message that matches a search, with the part of its text that matches."""

    snippet = serializers.SerializerMethodField()

    class Meta(MessageSerializer.Meta):
        fields = (*MessageSerializer.Meta.fields, "snippet")
        read_only_fields = fields

    @extend_schema_field(SnippetSerializer)
    def get_snippet(self, row: Any) -> dict[str, Any]:
        """Return the part of the text that matches, with the positions of the matches."""
        found = snippet(row.text, self.context["query"].texts)
        return {"text": found.text, "marks": found.marks}


class SearchSchema(AutoSchema):
    """Generates the OpenAPI description of one search."""

    def get_override_parameters(self) -> list[Any]:
        """Return the query parameters of the search."""
        parameters = cast("SearchView", self.view).parameters()
        return [parameters, *array_parameters(parameters())]

    def _is_list_view(self, _serializer: Any = None) -> bool:
        return True


class SearchView(CacheStatusView, GenericAPIView[Any]):
    """Base class of the searches. There are only next pages, no previous ones."""

    find: ClassVar[Callable[..., Page[Any]]]
    serializer_class: type[RowSerializer[Any]]
    pagination_class = CursorLinksPagination
    content_negotiation_class = JSONOnlyNegotiation
    schema = SearchSchema()

    def parameters(self) -> type[Parameters]:
        """Return the query parameters, of which some depend on the content of the rows."""
        return with_row_parameters(SearchParameters, self.serializer_class)

    def get(self, request: Request) -> Response:  # noqa: D102 - OpenAPI shows the view's docstring
        params = self.parameters().parse(request.query_params)
        query, visible = parse(params.pop("q")), access_of(request).visible(params.pop("instance"))
        content = {name: params.pop(name, ()) for name in (EXPAND, FIELDS)}
        try:
            page = self.find(query, visible, **params)
        except InvalidCursor as error:
            raise NotFound(str(error)) from error
        self.serializer_class.load_related(page.rows, content[EXPAND])
        serializer = self.serializer_class(page.rows, many=True, context={"query": query, **content})
        return CursorLinksPagination().build_response(request, page, serializer.data)


class ContactSearchView(SearchView):
    """Search for contacts by saved name, push name, phone number or LID. The newest contacts come first."""

    find = staticmethod(find_contacts)
    serializer_class = ContactSerializer


class ConversationSearchView(SearchView):
    """Search for conversations by the names and numbers of contacts, or by the name of a group, latest first."""

    find = staticmethod(find_conversations)
    serializer_class = ConversationSerializer


class MessageSearchView(SearchView):
    """Search for messages by the words of their text, latest first."""

    find = staticmethod(find_messages)
    serializer_class = FoundMessageSerializer
