"""The response of a list endpoint: one page of rows and the URLs of the next and previous pages."""

from typing import Any

from rest_framework.pagination import BasePagination
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.utils.urls import replace_query_param

from cachelayer import Page

LINK_SCHEMA = {"type": ["string", "null"], "format": "uri"}


class CursorLinksPagination(BasePagination):
    """Builds `{"next": url or null, "previous": url or null, "results": […]}` from a `Page` of rows."""

    def build_response(self, request: Request, page: Page[Any], results: Any) -> Response:
        """Return the response for one page; `results` are the serialized rows of the page."""
        cursors = {"next": page.next_cursor, "previous": page.previous_cursor}
        url = request.build_absolute_uri()
        links = {
            name: replace_query_param(url, "cursor", cursor) if cursor else None for name, cursor in cursors.items()
        }
        return Response({**links, "results": results})

    def get_paginated_response_schema(self, schema: dict[str, Any]) -> dict[str, Any]:
        """Return the OpenAPI schema of a list response; `schema` is the schema of the list of rows."""
        return {
            "type": "object",
            "required": ["next", "previous", "results"],
            "properties": {"next": LINK_SCHEMA, "previous": LINK_SCHEMA, "results": schema},
        }
