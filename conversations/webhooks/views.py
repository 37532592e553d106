"""The webhook view: authenticate, read, decode, store, and answer in a way that Evolution acts on."""

from django.db import Error as DatabaseError
from django.http import HttpRequest, JsonResponse
from django.views.decorators.csrf import csrf_exempt

from conversations.ingest import counts, inbox, wake
from conversations.webhooks import body, instances, pressure
from conversations.webhooks.authentication import authenticate, event_in_query
from conversations.webhooks.refusals import Reason, Refused
from logs.binding import bind
from logs.contexts import Context

logger = Context.WEBHOOK.logger


@csrf_exempt
def evolution(request: HttpRequest, name: str, suffix: str = "") -> JsonResponse:
    """Take one webhook of the instance `name`; 202 means stored: workers apply it, and what they cannot is kept."""
    bind(instance=name)
    try:
        event = _stored(request, name, suffix)
    except Refused as refused:
        logger.warning("Webhook REFUSED: %s, %s", refused.status, refused.detail)
        return refused.response()
    except (DatabaseError, OSError):  # no database, or no room for its media
        logger.exception("Webhook NOT STORED: the sender is to try again")
        return Refused(Reason.DATABASE_UNAVAILABLE, "it could not be stored; send it again").response()
    logger.debug("Webhook STORED")
    return JsonResponse({"status": "stored", "event": event}, status=202)


@csrf_exempt
def unknown(request: HttpRequest) -> JsonResponse:
    """Answer what comes to any other URL beneath /webhooks/."""
    refused = Refused(Reason.UNKNOWN_URL, "webhooks are taken at /webhooks/evolution/<instance>[/<event>]")
    logger.warning("Webhook REFUSED: %s, %s", refused.status, refused.detail, extra={"path": request.path})
    return refused.response()


def _stored(request: HttpRequest, name: str, suffix: str) -> str:
    """Store what was posted; return the event's name."""
    if request.method != "POST":
        raise Refused(Reason.METHOD_NOT_ALLOWED, f"{request.method} is not allowed: webhooks are posted")
    sender = authenticate(request, name)  # before the body is read: 100 MB are for those who may post
    pressure.refuse_overload(sender)
    decoded = body.decode(body.read(request))
    instance = instances.addressee(sender, decoded)
    suffix = suffix or event_in_query(request)
    event = inbox.name_of(decoded, suffix)
    bind(event=event)
    pressure.refuse_flood(instance, event)
    try:
        inbox.store(instance, decoded, suffix=suffix)
    except RecursionError:  # storing needs more of the stack than decoding did
        raise Refused(Reason.MALFORMED_JSON, body.TOO_DEEP) from None
    counts.note(instance.pk, "received")
    wake.tell()
    return event
