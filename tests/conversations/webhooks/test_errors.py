"""Each webhook error has an HTTP status for which Evolution either drops or retries the event."""

import json

import pytest

from conversations.webhooks.errors import HEADERS, STATUS, ErrorCode, WebhookError

# Evolution's default for WEBHOOK_RETRY_NON_RETRYABLE_STATUS_CODES: HTTP statuses after which Evolution does not retry.
NOT_RETRIED = {400, 401, 403, 404, 422}
PERMANENT = {
    ErrorCode.MALFORMED_JSON,
    ErrorCode.UNAUTHORIZED,
    ErrorCode.UNKNOWN_INSTANCE,
    ErrorCode.UNKNOWN_URL,
}


@pytest.mark.parametrize("code", ErrorCode)
def test_evolution_drops_the_event_only_if_a_retry_cannot_succeed(code: ErrorCode) -> None:
    assert (STATUS[code] in NOT_RETRIED) == (code in PERMANENT)


@pytest.mark.parametrize("code", [code for code, status in STATUS.items() if status in (429, 503)])
def test_a_temporary_error_says_when_to_retry(code: ErrorCode) -> None:
    assert int(HEADERS[code]["Retry-After"]) > 0


def test_the_response_has_the_code_and_the_detail() -> None:
    response = WebhookError(ErrorCode.UNAUTHORIZED, "no token").response()
    assert (response.status_code, response["Content-Type"]) == (401, "application/json")
    assert json.loads(response.content) == {"error": "unauthorized", "detail": "no token"}
    assert response["WWW-Authenticate"].startswith("Bearer ")
