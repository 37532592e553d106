"""Error responses of the webhook endpoint. The HTTP status decides whether Evolution drops or retries an event."""

import enum

from django.http import JsonResponse
from django.utils.translation import gettext


class ErrorCode(enum.StrEnum):
    """The reasons why webhook requests are rejected, used as the `error` field of the response."""

    UNKNOWN_URL = "unknown_url"
    UNKNOWN_INSTANCE = "unknown_instance"
    UNAUTHORIZED = "unauthorized"
    UNVERIFIED = "unverified"
    MALFORMED_JSON = "malformed_json"
    METHOD_NOT_ALLOWED = "method_not_allowed"
    INCOMPLETE_BODY = "incomplete_body"
    LENGTH_REQUIRED = "length_required"
    BODY_TOO_LARGE = "body_too_large"
    DATABASE_UNAVAILABLE = "database_unavailable"
    MEDIA_UNAVAILABLE = "media_unavailable"
    OVERLOADED = "overloaded"
    FLOODING = "flooding"
    TOO_MANY_INSTANCES = "too_many_instances"


STATUS = {
    # Statuses at which Evolution drops the event, used only for requests that can never succeed. For 401 and 404, the
    # database has confirmed that the instance or its token does not exist.
    ErrorCode.MALFORMED_JSON: 400,
    ErrorCode.UNAUTHORIZED: 401,
    ErrorCode.UNKNOWN_INSTANCE: 404,
    ErrorCode.UNKNOWN_URL: 404,
    # Statuses at which Evolution retries the event, with up to ten attempts within about half an hour.
    ErrorCode.METHOD_NOT_ALLOWED: 405,
    ErrorCode.INCOMPLETE_BODY: 408,
    ErrorCode.LENGTH_REQUIRED: 411,
    ErrorCode.BODY_TOO_LARGE: 413,
    ErrorCode.FLOODING: 429,
    ErrorCode.TOO_MANY_INSTANCES: 429,
    ErrorCode.UNVERIFIED: 429,
    ErrorCode.DATABASE_UNAVAILABLE: 503,
    ErrorCode.MEDIA_UNAVAILABLE: 503,
    ErrorCode.OVERLOADED: 503,
}

HEADERS = {
    ErrorCode.UNAUTHORIZED: {"WWW-Authenticate": 'Bearer realm="webhooks"'},
    ErrorCode.METHOD_NOT_ALLOWED: {"Allow": "POST"},
    ErrorCode.DATABASE_UNAVAILABLE: {"Retry-After": "5"},  # seconds
    ErrorCode.MEDIA_UNAVAILABLE: {"Retry-After": "5"},
    ErrorCode.OVERLOADED: {"Retry-After": "30"},
    ErrorCode.FLOODING: {"Retry-After": "10"},
    ErrorCode.TOO_MANY_INSTANCES: {"Retry-After": "60"},
    ErrorCode.UNVERIFIED: {"Retry-After": "5"},
}


class WebhookError(Exception):
    """Raised to reject a webhook request.

    Args:
        code: why, for programs.
        text: why, for the operator: an English text that is marked for translation and contains no secret.
        values: the values in the text.
    """

    def __init__(self, code: ErrorCode, text: str, **values: object) -> None:
        self.code = code
        self.detail = text % values  # for the log
        super().__init__(code, self.detail)
        self._text, self._values = text, values

    @property
    def status(self) -> int:
        """The HTTP status of the response."""
        return STATUS[self.code]

    def response(self) -> JsonResponse:
        """Return the JSON response `{"error": …, "detail": …}`, with the detail in the language of the request."""
        body = {"error": self.code.value, "detail": gettext(self._text) % self._values}
        return JsonResponse(body, status=self.status, headers=HEADERS.get(self.code))
