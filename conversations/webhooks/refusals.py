"""What the endpoint refuses, what Evolution then does with the event, and the one shape in which it is said."""

import enum

from django.http import JsonResponse


class Reason(enum.StrEnum):
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
    Reason.MALFORMED_JSON: 400,
    Reason.UNAUTHORIZED: 401,
    Reason.UNKNOWN_INSTANCE: 404,
    Reason.UNKNOWN_URL: 404,
    # After these it tries again, ten times in up to half an hour.
    Reason.METHOD_NOT_ALLOWED: 405,
    Reason.INCOMPLETE_BODY: 408,
    Reason.LENGTH_REQUIRED: 411,
    Reason.BODY_TOO_LARGE: 413,
    Reason.FLOODING: 429,
    Reason.DATABASE_UNAVAILABLE: 503,
    Reason.OVERLOADED: 503,
}

HEADERS = {
    Reason.UNAUTHORIZED: {"WWW-Authenticate": 'Bearer realm="webhooks"'},
    Reason.METHOD_NOT_ALLOWED: {"Allow": "POST"},
    Reason.DATABASE_UNAVAILABLE: {"Retry-After": "5"},  # seconds
    Reason.OVERLOADED: {"Retry-After": "30"},
    Reason.FLOODING: {"Retry-After": "10"},
}


class Refused(Exception):
    """A request that is not accepted, why, and a sentence for the person who set it up; never a secret."""

    def __init__(self, reason: Reason, detail: str) -> None:
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
