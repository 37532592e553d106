"""The `Cache-Status` header (RFC 9211) of views that read rows, but are no viewsets of rows."""

from http import HTTPStatus
from typing import Any

from rest_framework.views import APIView

from cachelayer import track_reads


class CacheStatusView(APIView):
    """Says in the header of each answer which tier of the cache has answered."""

    def dispatch(self, request: Any, *args: Any, **kwargs: Any) -> Any:
        """Handle the request and add a `Cache-Status` header to the answer."""
        with track_reads() as reads:
            response = super().dispatch(request, *args, **kwargs)
        if response.status_code == HTTPStatus.OK:
            response["Cache-Status"] = reads.cache_status
        return response
