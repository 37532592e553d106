"""The answer of a list: a page's rows, with links to the pages beside it."""

from typing import Any

from rest_framework.pagination import BasePagination
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.utils.urls import replace_query_param

from cachelayer import Page

LINK = {"type": "string", "format": "uri", "nullable": True}


class CursorLinksPagination(BasePagination):
    """`{"next": url or null, "previous": url or null, "results": […]}`; the managers cut the pages."""

    def answer(self, request: Request, page: Page[Any], results: Any) -> Response:
        """Return the answer for one page, whose rows are rendered as `results`."""
        cursors = {"next": page.next_cursor, "previous": page.previous_cursor}
        here = request.build_absolute_uri()
        links = {
            name: replace_query_param(here, "cursor", cursor) if cursor else None for name, cursor in cursors.items()
        }
        return Response({**links, "results": results})

    def get_paginated_response_schema(self, schema: dict[str, Any]) -> dict[str, Any]:
        """Return the answer's OpenAPI schema, for rows of that schema."""
        return {
            "type": "object",
            "required": ["next", "previous", "results"],
            "properties": {"next": LINK, "previous": LINK, "results": schema},
        }
