"""Content negotiation that makes every response JSON, including errors; `Accept` and `?format=` are ignored."""

from collections.abc import Iterable
from typing import Any

from rest_framework.negotiation import DefaultContentNegotiation
from rest_framework.renderers import BaseRenderer
from rest_framework.request import Request


class JSONOnlyNegotiation(DefaultContentNegotiation):
    """Selects the only configured renderer (JSON) for every request."""

    def select_renderer(
        self,
        request: Request,  # noqa: ARG002 - DRF defines the signature
        renderers: Iterable[BaseRenderer],
        format_suffix: str | None = None,  # noqa: ARG002 - DRF defines the signature
    ) -> tuple[Any, str]:
        """Return the renderer and its media type."""
        renderer = next(iter(renderers))
        return renderer, str(renderer.media_type)
