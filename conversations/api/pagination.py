"""The response of a list endpoint: one page of rows and the URLs of the next and previous pages."""

from typing import Any

from rest_framework.pagination import BasePagination
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.utils.urls import remove_query_param, replace_query_param

from cachelayer import Page
from conversations.models.thread import Window

LINK_SCHEMA = {"type": ["string", "null"], "format": "uri"}
ANCHOR_PARAMETERS = ("anchor", "before", "after")
WINDOW_SCHEMA = {
    "anchor_id": {
        "type": ["integer", "null"],
        "format": "int64",
        "description": "With `anchor`: the id of that message; null if the conversation has no messages.",
    },
    "found_oldest": {"type": "boolean", "description": "With `anchor`: the oldest message is among the results."},
    "found_newest": {"type": "boolean", "description": "With `anchor`: the newest message is among the results."},
}


class CursorLinksPagination(BasePagination):
    """Builds `{"next": url or null, "previous": url or null, "results": […]}` from a `Page` of rows."""

    schema_name = "Paginated{}List"  # in the OpenAPI schema, with the name of the rows

    def build_response(self, request: Request, page: Page[Any], results: Any) -> Response:
        """Return the response for one page; `results` are the serialized rows of the page."""
        url = request.build_absolute_uri()
        return Response({**_links(url, page.next_cursor, page.previous_cursor), "results": results})

    def get_paginated_response_schema(self, schema: dict[str, Any]) -> dict[str, Any]:
        """Return the OpenAPI schema of a list response; `schema` is the schema of the list of rows."""
        return {
            "type": "object",
            "required": ["next", "previous", "results"],
            "properties": {"next": LINK_SCHEMA, "previous": LINK_SCHEMA, "results": schema},
        }


class ThreadPagination(CursorLinksPagination):
    """Also builds the response for the messages around an anchor, whose links lead to the pages beside them."""

    schema_name = "{}Thread"

    def build_window_response(self, request: Request, window: Window, results: Any) -> Response:
        """Return the response for the messages around an anchor; `results` are the serialized messages."""
        url = request.build_absolute_uri()
        for name in ANCHOR_PARAMETERS:
            url = remove_query_param(url, name)
        ends = {
            "anchor_id": window.anchor.pk if window.anchor else None,
            "found_oldest": window.found_oldest,
            "found_newest": window.found_newest,
        }
        return Response({**_links(url, window.older_cursor, window.newer_cursor), **ends, "results": results})

    def get_paginated_response_schema(self, schema: dict[str, Any]) -> dict[str, Any]:
        """Return the OpenAPI schema of a list response; `schema` is the schema of the list of rows."""
        page = super().get_paginated_response_schema(schema)
        return {**page, "properties": {**page["properties"], **WINDOW_SCHEMA}}


def _links(url: str, next_cursor: str, previous_cursor: str) -> dict[str, str | None]:
    cursors = {"next": next_cursor, "previous": previous_cursor}
    return {name: replace_query_param(url, "cursor", cursor) if cursor else None for name, cursor in cursors.items()}
