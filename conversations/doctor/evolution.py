"""Examines how the numbers are connected: can Evolution reach the site, and does it send what it should?"""

import datetime as dt
from collections import Counter
from collections.abc import Collection, Iterable, Iterator

from django.conf import settings
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from conversations.doctor.findings import Finding, ok, problem, warning
from conversations.evolution.media_names import REFERENCE
from conversations.ingest import status
from conversations.models import Instance, Message
from conversations.webhooks import reachability

MEDIA = (
    Message.Kind.IMAGE,
    Message.Kind.VIDEO,
    Message.Kind.VIDEO_NOTE,
    Message.Kind.AUDIO,
    Message.Kind.DOCUMENT,
    Message.Kind.STICKER,
)
RECENT = dt.timedelta(days=7)
NEWEST = 2000  # messages with media that are examined
MIN_MEDIA = 5  # messages of a number with media, of which one at least should have its file
MAX_DELAY = 60.0  # seconds that an event may wait
MAX_FUTURE = 5.0  # seconds by which a message may seem to be sent after it was received
TIMES = 100  # messages whose times are compared


def examine() -> Iterator[Finding]:
    """Examine the connected numbers; the database must be usable."""
    servers = Instance.objects.exclude(server_url="").order_by("server_url").values_list("server_url", flat=True)
    yield from judge_addresses(settings.PUBLIC_URL, servers.distinct())
    yield from judge_ingestion(status.read())
    yield from judge_media(_recent_media())
    yield from judge_times(_recent_times())


def judge_addresses(public_url: str, servers: Iterable[str]) -> Iterator[Finding]:
    """Judge whether Evolution servers can reach the site, by the addresses."""
    for server in servers:
        yield from map(problem, reachability.warnings(public_url, server, is_global=False))


def judge_ingestion(current: status.Status) -> Iterator[Finding]:
    """Judge the events that have arrived."""
    if current.late > MAX_DELAY:
        text = ngettext(
            "%(count)d event waits, for %(seconds)d s; are enough workers running?",
            "%(count)d events wait, the oldest for %(seconds)d s; are enough workers running?",
            current.waiting,
        )
        yield problem(text % {"count": current.waiting, "seconds": round(current.late)})
    if current.failed:
        text = ngettext(
            "%(count)d event has failed; `manage.py ingest --status` tells more",
            "%(count)d events have failed; `manage.py ingest --status` tells more",
            current.failed,
        )
        yield problem(text % {"count": current.failed})
    for one in current.warnings:
        values = {"count": one.count, "name": one.instance.name, "meaning": one.meaning}
        text = ngettext(
            "%(count)d event of %(name)s: %(meaning)s", "%(count)d events of %(name)s: %(meaning)s", one.count
        )
        yield warning(text % values)


def _recent_media() -> list[tuple[str, bool]]:
    """Return the number and whether the file is there, of the newest messages with media."""
    newest = Message.objects.filter(kind__in=MEDIA, is_deleted=False).order_by("-pk")[:NEWEST]
    rows = newest.values_list("instance__name", "media", "created_at")
    since = timezone.now() - RECENT
    return [(name, bool(media.get(REFERENCE))) for name, media, created_at in rows if created_at >= since]


def judge_media(messages: Collection[tuple[str, bool]]) -> Iterator[Finding]:
    """Judge whether media arrive with their content."""
    counts = Counter(name for name, _has_file in messages)
    with_file = {name for name, has_file in messages if has_file}
    for name, count in sorted(counts.items()):
        if count >= MIN_MEDIA and name not in with_file:
            text = _(
                "none of the %(count)d newest media of %(name)s came with its file: set `base64: true` in Evolution's "
                "webhook, and connect the number again"
            )
            yield problem(text % {"count": count, "name": name})
    if messages and with_file:
        yield ok(_("media arrive with their files"))


def _recent_times() -> list[float]:
    """Return by how many seconds each of the newest messages of others seems to be sent after it was received."""
    newest = Message.objects.filter(from_me=False).order_by("-pk").values_list("timestamp", "created_at")[:TIMES]
    return [(sent_at - received_at).total_seconds() for sent_at, received_at in newest]


def judge_times(seconds: Collection[float]) -> Iterator[Finding]:
    """Judge this host's clock by WhatsApp's: no message can be received before it is sent."""
    if seconds and max(seconds) > MAX_FUTURE:
        text = _("this host's clock is at least %(seconds)d s behind WhatsApp's; let NTP set it")
        yield problem(text % {"seconds": round(max(seconds))})
