"""Content negotiation: every response is JSON, errors too. `Accept` and `?format=` are ignored."""

from collections.abc import Iterable
from typing import Any

from rest_framework.negotiation import DefaultContentNegotiation
from rest_framework.renderers import BaseRenderer
from rest_framework.request import Request


class JSONOnlyNegotiation(DefaultContentNegotiation):
    """Always selects the first renderer, which is the only configured one."""

    def select_renderer(
        self,
        request: Request,  # noqa: ARG002 - DRF's signature
        renderers: Iterable[BaseRenderer],
        format_suffix: str | None = None,  # noqa: ARG002 - DRF's signature
    ) -> tuple[Any, str]:
        """Return the renderer and its media type."""
        renderer = next(iter(renderers))
        return renderer, str(renderer.media_type)
