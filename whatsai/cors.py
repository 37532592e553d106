"""Answers browsers that ask whether a page of another origin may send a request (a CORS preflight).

`corsheaders` answers for every path, without looking whether it exists, and with an empty HTML page.
"""

from http import HTTPStatus

from corsheaders.middleware import CorsMiddleware
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.urls import resolve

from conversations.api.views import not_found


class Middleware(CorsMiddleware):
    """Answers a preflight of a path of the API without content, and leaves unknown paths to their view."""

    def check_preflight(self, request: HttpRequest) -> HttpResponseBase | None:
        """Return the answer to a preflight of a known path; None for every other request."""
        response = super().check_preflight(request)
        if response is None or resolve(request.path_info).func is not_found:
            return None
        response.status_code = HTTPStatus.NO_CONTENT
        del response.headers["Content-Type"], response.headers["Content-Length"]
        return response
