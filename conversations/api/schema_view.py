"""Serves the OpenAPI schema, which each process renders once.

Rendering takes a second, anybody may ask for the schema, and it depends on the code alone.
"""

import threading
from functools import cache
from typing import Any, cast

from django.conf import settings
from django.http import HttpResponse
from drf_spectacular.utils import extend_schema
from drf_spectacular.views import SpectacularAPIView
from rest_framework.request import Request

# The schema contains no data, and a client without a valid token must be able to read how to authenticate. There are no
# answers to OPTIONS requests, because the documentation page could not show them.
PUBLIC: dict[str, Any] = {"authentication_classes": [], "permission_classes": [], "http_method_names": ["get", "head"]}

_rendering = threading.Lock()


class SchemaView(SpectacularAPIView):
    """The schema in YAML or JSON, as the client accepts it."""

    @extend_schema(exclude=True)
    def get(self, request: Request) -> HttpResponse:
        """Return the schema."""
        renderer: Any = type(request.accepted_renderer)
        with _rendering:
            content = rendered(renderer)
        name = f"{settings.SPECTACULAR_SETTINGS['TITLE']}.{renderer.format}"
        headers = {"Content-Disposition": f'inline; filename="{name}"'}
        return HttpResponse(content, f"{request.accepted_media_type}; charset=utf-8", headers=headers)


@cache
def rendered(renderer: Any) -> bytes:
    """Return the schema, as a renderer class of `SchemaView` renders it."""
    generator: Any = SchemaView.generator_class()
    return cast("bytes", renderer().render(generator.get_schema(public=True), renderer_context={}))
