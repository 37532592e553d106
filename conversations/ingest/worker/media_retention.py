"""Deletes media files that no message needs: those of old messages (`MEDIA_KEEP_DAYS`), and files without a message.

A pass goes through the messages of an instance, takes the files from those that are too old, and remembers the files of
the others. Then it goes through the instance's folder. A file that was not remembered is looked up once more while
nothing is applied (instance lock), because messages change meanwhile. A file that a stored event may still need is
left alone: it was received after the oldest stored event. No lock is held while files are deleted: a bucket may answer
slowly, and a message gets a file only with an event, which renews the time of the file.

A folder belongs to the instance that was there at its first pass, by the time at which the instance was created. So a
site that is started with another database deletes nothing. The folder of a deleted instance is emptied if another
folder has belonged to this database for a month.
"""

import datetime as dt
from bisect import bisect_left
from collections.abc import Collection, Iterator, Sequence
from io import BytesIO
from itertools import islice
from time import monotonic
from typing import Any

from django.core.files.storage import default_storage
from django.db import transaction
from django.db.models import Min
from django.utils import timezone

from conversations.db.keyset import keyset_page
from conversations.evolution.media_names import REFERENCE, REMOVED, is_media_name
from conversations.evolution.thumbnails import THUMBNAIL
from conversations.media import thumbnails
from conversations.media.storage import StoredFile, swept_storage
from conversations.models import Instance, Message, WebhookEvent
from conversations.models.message import LATEST_FIRST
from logs.contexts import Context

PAGE_ROWS = 1000  # messages read in one step
STEP_FILES = 200  # files looked at, and possibly deleted, in one step
STEP_SECONDS = 0.2  # seconds to pause after a step, and for which one deletes files
PASS_SECONDS = 6 * 3600.0  # seconds to pause after a pass
FIRST_SECONDS = 600.0  # seconds to pause before the first pass
UNUSED_DAYS = 30.0  # days for which a file without a message is kept, unless `MEDIA_KEEP_DAYS` is shorter
MARGIN = dt.timedelta(days=1)  # between the receipt of a file and of its event, and between the clocks of two hosts
_READ = ("timestamp", "sent_order", "key_id", "media")
OWNER = "owner"  # the file in an instance's folder that says to which instance the folder belongs

log = Context.MEDIA.logger


class MediaRetention:
    """Deletes media files in small steps, pass after pass."""

    def __init__(self, keep_days: float | None) -> None:
        self._keep_days = keep_days
        self._steps = sweep(keep_days)
        self._next_at = monotonic() + FIRST_SECONDS

    def step(self) -> None:
        """Run one step if the pause after the previous step is over.

        Raises:
            DatabaseError, InterfaceError: an SQL statement fails.
        """
        if monotonic() < self._next_at:
            return
        is_over = True
        try:
            is_over = not list(islice(self._steps, 1))
        except OSError as error:
            log.error("Media NOT DELETED: %s", type(error).__name__)  # noqa: TRY400 - the next pass tries again
        if is_over:
            self._steps = sweep(self._keep_days)
        self._next_at = monotonic() + (PASS_SECONDS if is_over else STEP_SECONDS)


def sweep(keep_days: float | None) -> Iterator[None]:
    """Delete the files that no message needs, of all instances; pause at each yield.

    Args:
        keep_days: days after which a message loses its files; None for never.
    """
    month_ago = timezone.now() - dt.timedelta(days=UNUSED_DAYS)
    known, is_established = set(), False
    for instance in Instance.objects.order_by("pk"):
        known.add(str(instance.pk))
        if _owns_folder(instance):
            is_established = is_established or _owned_since(instance.pk) < month_ago
            yield from _sweep_instance(instance.pk, keep_days, timezone.now())
    for folder in swept_storage().folders() if is_established else ():
        if folder.isdecimal() and folder not in known:
            yield from _empty(folder, month_ago)


def _empty(folder: str, before: dt.datetime) -> Iterator[None]:
    """Delete the files of a deleted instance. Databases give its primary key to no other instance."""
    files = swept_storage().files(f"{folder}/")
    while step := list(islice(files, STEP_FILES)):
        yield from _delete(int(folder), [file.name for file in step], before)


def _sweep_instance(instance: int, keep_days: float | None, now: dt.datetime) -> Iterator[None]:
    limit = None if keep_days is None else now - dt.timedelta(days=keep_days)
    unused_days = UNUSED_DAYS if keep_days is None else min(UNUSED_DAYS, keep_days)
    before = min(now - dt.timedelta(days=unused_days), _oldest_event(instance) or now) - MARGIN
    needed: list[int] = []
    for page in _pages(instance):
        old = {row.pk for row in page if limit and row.timestamp < limit and _names(row.media)}
        if old:
            _remove_references(instance, old)
        needed += [_key(name) for row in page if row.pk not in old for name in _names(row.media)]
        yield
    needed.sort()
    files = swept_storage().files(f"{instance}/")
    while step := list(islice(files, STEP_FILES)):
        loose = [file for file in step if file.received_at < before and not _contains(needed, _source(file.name))]
        yield from _delete(instance, _unneeded(instance, loose), before) if loose else (None,)


def _pages(instance: int) -> Iterator[list[Message]]:
    """Yield the instance's messages that have files, page by page."""
    rows = Message.objects.filter(instance=instance).exclude(media={}).only(*_READ)
    cursor = ""
    while True:
        page = keyset_page(rows, LATEST_FIRST, cursor=cursor, limit=PAGE_ROWS)
        yield page.rows
        if not page.next_cursor:
            return
        cursor = page.next_cursor


# --- messages ---------------------------------------------------------------------------------------------------------
def _remove_references(instance: int, pks: Collection[int]) -> None:
    """Take the files from messages that are too old."""
    with transaction.atomic():
        Instance.objects.lock(instance)
        rows = list(Message.objects.filter(pk__in=pks))
        for row in rows:
            row.media, row.updated_at = without_files(row.media), timezone.now()
        Message.objects.fast_bulk_update(rows, ["media", "updated_at"])
    log.info("Media FORGOTTEN", extra={"instance_id": instance, "count": len(rows)})


def without_files(media: dict[str, Any]) -> dict[str, Any]:
    """Return what is known of a message's file after the file was deleted.

    >>> without_files({"mimetype": "image/png", "file": "1/ab/abc", "thumbnail": "1/cd/cde"})
    {'mimetype': 'image/png', 'is_removed': True}
    """
    rest = {name: value for name, value in media.items() if name not in (REFERENCE, THUMBNAIL)}
    return {**rest, REMOVED: True} if REFERENCE in media else rest


def _names(media: dict[str, Any]) -> list[str]:
    """Return the names of a message's files."""
    return [media[member] for member in (REFERENCE, THUMBNAIL) if is_media_name(media.get(member))]


def _oldest_event(instance: int) -> dt.datetime | None:
    oldest: dt.datetime | None = WebhookEvent.objects.filter(instance=instance).aggregate(at=Min("received_at"))["at"]
    return oldest


# --- files ------------------------------------------------------------------------------------------------------------
def _owns_folder(instance: Instance) -> bool:
    """Return whether the folder belongs to the instance; a folder without an owner belongs to it from now on."""
    name, owner = f"{instance.pk}/{OWNER}", instance.created_at.isoformat().encode()
    try:
        with default_storage.open(name) as file:
            is_owner: bool = file.read(len(owner) + 1) == owner
    except FileNotFoundError:
        default_storage.save(name, BytesIO(owner))
        return True
    if not is_owner:
        log.error("Media KEPT: the folder belongs to an instance of another database", extra={"file": name})
    return is_owner


def _owned_since(instance: int) -> dt.datetime:
    return default_storage.get_modified_time(f"{instance}/{OWNER}")


def _source(name: str) -> str:
    """Return the name of the file that a file belongs to: a made thumbnail belongs to its picture."""
    return name.removesuffix(thumbnails.SUFFIX)


def _key(name: str) -> int:
    """Return 64 bits of the hash in a file's name. Two files with the same bits are kept for each other."""
    return int(name[-64:][:16], 16)


def _contains(keys: list[int], name: str) -> bool:
    """Return whether sorted keys contain that of a file, or the file is none that may be deleted."""
    if not is_media_name(name):
        return "/" not in name.partition("/")[2]  # such as `OWNER`; the others are unfinished files
    at = bisect_left(keys, _key(name))
    return at < len(keys) and keys[at] == _key(name)


def _unneeded(instance: int, files: Collection[StoredFile]) -> list[str]:
    """Return the names of the files that no message refers to."""
    with transaction.atomic():
        Instance.objects.lock(instance)
        needed = _referenced(instance, {_source(file.name) for file in files})
    return [file.name for file in files if _source(file.name) not in needed]


def _delete(instance: int, names: Sequence[str], before: dt.datetime) -> Iterator[None]:
    """Delete files unless they were received again at `before` or later; pause if the storage takes long."""
    deleted, until = 0, monotonic() + STEP_SECONDS
    for name in names:
        if monotonic() >= until:
            yield
            until = monotonic() + STEP_SECONDS
        deleted += swept_storage().delete_older(name, before)
    log.info("Media DELETED", extra={"instance_id": instance, "count": deleted})
    yield


def _referenced(instance: int, names: Collection[str]) -> set[str]:
    """Return the names of those files to which a message of the instance refers."""
    rows = Message.objects.filter(instance=instance).exclude(media={})
    found = (rows.filter(**{f"media__{member}__in": names}) for member in (REFERENCE, THUMBNAIL))
    return {name for part in found for media in part.values_list("media", flat=True) for name in _names(media)}
