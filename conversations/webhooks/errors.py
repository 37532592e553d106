"""What the endpoint refuses, what Evolution then does with the event, and the one shape in which it is said."""

import enum

from django.http import JsonResponse


class ErrorCode(enum.StrEnum):
    """Why a request is refused; the value is the `error` of the answer."""

    UNKNOWN_URL = "unknown_url"
    UNKNOWN_INSTANCE = "unknown_instance"
    UNAUTHORIZED = "unauthorized"
    MALFORMED_JSON = "malformed_json"
    METHOD_NOT_ALLOWED = "method_not_allowed"
    INCOMPLETE_BODY = "incomplete_body"
    LENGTH_REQUIRED = "length_required"
    BODY_TOO_LARGE = "body_too_large"
    DATABASE_UNAVAILABLE = "database_unavailable"
    OVERLOADED = "overloaded"
    FLOODING = "flooding"


STATUS = {
    # At these Evolution drops the event for good: only for what can never succeed.
    ErrorCode.MALFORMED_JSON: 400,
    ErrorCode.UNAUTHORIZED: 401,
    ErrorCode.UNKNOWN_INSTANCE: 404,
    ErrorCode.UNKNOWN_URL: 404,
    # After these it tries again, ten times in up to half an hour.
    ErrorCode.METHOD_NOT_ALLOWED: 405,
    ErrorCode.INCOMPLETE_BODY: 408,
    ErrorCode.LENGTH_REQUIRED: 411,
    ErrorCode.BODY_TOO_LARGE: 413,
    ErrorCode.FLOODING: 429,
    ErrorCode.DATABASE_UNAVAILABLE: 503,
    ErrorCode.OVERLOADED: 503,
}

HEADERS = {
    ErrorCode.UNAUTHORIZED: {"WWW-Authenticate": 'Bearer realm="webhooks"'},
    ErrorCode.METHOD_NOT_ALLOWED: {"Allow": "POST"},
    ErrorCode.DATABASE_UNAVAILABLE: {"Retry-After": "5"},  # seconds
    ErrorCode.OVERLOADED: {"Retry-After": "30"},
    ErrorCode.FLOODING: {"Retry-After": "10"},
}


class WebhookError(Exception):
    """A request that is not accepted, why, and a sentence for the person who set it up; never a secret."""

    def __init__(self, reason: ErrorCode, detail: str) -> None:
        super().__init__(reason, detail)
        self.reason = reason
        self.detail = detail

    @property
    def status(self) -> int:
        """The answer's HTTP status."""
        return STATUS[self.reason]

    def response(self) -> JsonResponse:
        """Return the answer: `{"error": …, "detail": …}`."""
        body = {"error": self.reason.value, "detail": self.detail}
        return JsonResponse(body, status=self.status, headers=HEADERS.get(self.reason))
