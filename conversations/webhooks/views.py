"""The webhook view: authenticate, read, decode, store, and answer in a way that Evolution acts on."""

from django.db import Error as DatabaseError
from django.http import HttpRequest, JsonResponse
from django.views.decorators.csrf import csrf_exempt

from conversations.ingest import metrics, notify
from conversations.ingest.inbox import store
from conversations.webhooks import body, instances, rate_limit
from conversations.webhooks.authentication import authenticate, event_in_query
from conversations.webhooks.errors import ErrorCode, WebhookError
from logs.binding import bind
from logs.contexts import Context

logger = Context.WEBHOOK.logger


@csrf_exempt
def receive_webhook(request: HttpRequest, name: str, suffix: str = "") -> JsonResponse:
    """Take one webhook of the instance `name`; 202 means stored: workers apply it, and what they cannot is kept."""
    bind(instance=name)
    try:
        event = _store_request(request, name, suffix)
    except WebhookError as refused:
        logger.warning("Webhook REFUSED: %s, %s", refused.status, refused.detail)
        return refused.response()
    except (DatabaseError, OSError):  # no database, or no room for its media
        logger.exception("Webhook NOT STORED: the sender is to try again")
        return WebhookError(ErrorCode.DATABASE_UNAVAILABLE, "it could not be stored; send it again").response()
    logger.debug("Webhook STORED")
    return JsonResponse({"status": "stored", "event": event}, status=202)


@csrf_exempt
def unknown_url(request: HttpRequest) -> JsonResponse:
    """Answer what comes to any other URL beneath /webhooks/."""
    refused = WebhookError(ErrorCode.UNKNOWN_URL, "webhooks are taken at /webhooks/evolution/<instance>[/<event>]")
    logger.warning("Webhook REFUSED: %s, %s", refused.status, refused.detail, extra={"path": request.path})
    return refused.response()


def _store_request(request: HttpRequest, name: str, suffix: str) -> str:
    """Store what was posted; return the event's name."""
    if request.method != "POST":
        raise WebhookError(ErrorCode.METHOD_NOT_ALLOWED, f"{request.method} is not allowed: webhooks are posted")
    sender = authenticate(request, name)  # before the body is read: 100 MB are for those who may post
    rate_limit.check_overload(sender)
    decoded = body.decode(body.read(request))
    instance = instances.resolve_instance(sender, decoded)
    suffix = suffix or event_in_query(request)
    event = store.event_name(decoded, suffix)
    bind(event=event)
    rate_limit.check_rate_limit(instance, event)
    try:
        store.store_body(instance, decoded, suffix=suffix)
    except RecursionError:  # storing needs more of the stack than decoding did
        raise WebhookError(ErrorCode.MALFORMED_JSON, body.TOO_DEEP) from None
    metrics.increment(instance.pk, "received")
    notify.notify()
    return event
