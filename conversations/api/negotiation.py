"""The API speaks JSON, whatever is asked for: `Accept` and `?format=` choose nothing, so that errors are JSON too."""

from collections.abc import Iterable
from typing import Any

from rest_framework.negotiation import DefaultContentNegotiation
from rest_framework.renderers import BaseRenderer
from rest_framework.request import Request


class JSONOnly(DefaultContentNegotiation):
    """Takes the first renderer, which is the only one."""

    def select_renderer(
        self,
        request: Request,  # noqa: ARG002 - not asked
        renderers: Iterable[BaseRenderer],
        format_suffix: str | None = None,  # noqa: ARG002 - not asked
    ) -> tuple[Any, str]:
        """Return the renderer and the media type it writes."""
        renderer = next(iter(renderers))
        return renderer, str(renderer.media_type)
