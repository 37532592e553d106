"""The webhook view: authenticates a request, reads and decodes its body, and stores the body for the workers."""

from django.db import Error as DatabaseError
from django.http import HttpRequest, JsonResponse
from django.utils.translation import gettext_noop as _
from django.views.decorators.csrf import csrf_exempt

from conversations.evolution.large_json.errors import TooDeepError
from conversations.ingest import metrics, notify
from conversations.ingest.inbox import store
from conversations.models import Instance
from conversations.webhooks import body, instances, rate_limit
from conversations.webhooks.authentication import authenticate, event_in_query
from conversations.webhooks.errors import ErrorCode, WebhookError
from logs.binding import bind
from logs.contexts import Context
from logs.line_limit import line_limit, shorten

logger = Context.WEBHOOK.logger
NOT_STORED = {
    ErrorCode.DATABASE_UNAVAILABLE: _("the event was not stored; send it again"),
    ErrorCode.MEDIA_UNAVAILABLE: _("the event was not stored, because its media cannot be; send it again"),
}


@csrf_exempt
def receive_webhook(request: HttpRequest, name: str, suffix: str = "") -> JsonResponse:
    """Store the body of one webhook request and answer 202.

    Workers apply the stored event later, and keep an event that they cannot apply.

    Args:
        request: the request, with any method; methods other than POST are rejected. If its WSGI variable
            `body.CHECK_ONLY` is set, nothing is stored; the answer to the web server is 100 and a key of the sender.
        name: the instance's name from the URL.
        suffix: the event's name from the URL, or "".
    """
    bind(instance=shorten(name))
    # An error keeps the body in memory until it was handled, so the body's memory is reserved until then.
    with body.memory.reserve() as reservation:
        return _receive(request, name, suffix, reservation)


def _receive(request: HttpRequest, name: str, suffix: str, reservation: body.Reservation) -> JsonResponse:
    try:
        sender = _check_sender(request, name)
        if request.META.get(body.CHECK_ONLY):
            return JsonResponse({"sender": sender.pk}, status=100)
        reservation.sender = sender.pk
        event = _store_request(request, sender, suffix, reservation)
    except WebhookError as error:
        _log_refusal(error)
        return error.response()
    except (DatabaseError, OSError) as error:
        code = ErrorCode.MEDIA_UNAVAILABLE if isinstance(error, OSError) else ErrorCode.DATABASE_UNAVAILABLE
        left_out = line_limit.admit(("webhooks", code))
        if left_out is not None:
            logger.exception("Webhook NOT STORED: the sender must retry", extra={"error": code.value, **left_out})
        return WebhookError(code, NOT_STORED[code]).response()
    logger.debug("Webhook STORED")
    return JsonResponse({"status": "stored", "event": event}, status=202)


@csrf_exempt
def unknown_url(request: HttpRequest) -> JsonResponse:
    """Answer 404 to a request for a URL under /webhooks/ that no other route matches."""
    error = WebhookError(ErrorCode.UNKNOWN_URL, _("webhooks are accepted at /webhooks/evolution/<instance>[/<event>]"))
    bind(path=shorten(request.path))
    _log_refusal(error)
    return error.response()


def _log_refusal(error: WebhookError) -> None:
    """Log a refusal at a bounded rate for each reason, because anybody can send requests that are refused."""
    left_out = line_limit.admit(("webhooks", error.code))
    if left_out is not None:
        logger.warning("Webhook REFUSED: %s, %s", error.status, error.detail, extra=left_out)


def _check_sender(request: HttpRequest, name: str) -> Instance:
    """Return the instance whose token the request has, without reading the body.

    Only authenticated senders can make the server read up to 100 MB.

    Raises:
        WebhookError: the request is rejected.
        DatabaseError: the database is unavailable.
    """
    if request.method != "POST":
        raise WebhookError(
            ErrorCode.METHOD_NOT_ALLOWED, _("%(method)s is not allowed; use POST"), method=request.method
        )
    sender = authenticate(request, name)
    rate_limit.check_sender(sender)
    return sender


def _store_request(request: HttpRequest, sender: Instance, suffix: str, reservation: body.Reservation) -> str:
    """Store the request's body and return the event's name.

    Raises:
        WebhookError: the request is rejected.
        DatabaseError, OSError: the database is unavailable, or a media file cannot be written.
    """
    decoded = body.decode(body.read(request, reservation), reservation)
    instance = instances.resolve_instance(sender, decoded)
    suffix = suffix or event_in_query(request)
    event = store.event_name(decoded, suffix)
    bind(event=event)
    rate_limit.check_overload(instance, event)
    rate_limit.check_rate_limit(instance, event)
    try:
        store.store_body(instance, decoded, suffix=suffix)
    except TooDeepError:
        raise WebhookError(ErrorCode.MALFORMED_JSON, body.TOO_DEEP) from None
    metrics.increment(instance.pk, "received")
    notify.notify()
    return event
