"""Writes the media that the web process has left in a stored event, and puts the references into the event's payload.

This happens outside of the batch's transaction: a bucket may answer slowly, and a transaction holds locks meanwhile, on
SQLite the only one for writing. It happens in steps, so that the events of other instances wait for one step at most.
A step that fails keeps the files that it has written, so that the next attempt goes on behind them.
"""

import math

from conversations.ingest.inbox import insert
from conversations.ingest.inbox.media import ResumedFiles, move_media
from conversations.ingest.inbox.store import dump_of
from conversations.models import Instance, WebhookEvent

STEP_SECONDS = 1.0


def write(instance: Instance, event: WebhookEvent) -> None:
    """Write the media of an event, as many as one step permits. The next batch finds those that are left.

    Raises:
        OSError: a media file cannot be written. Those before it were written, and earlier failures count no longer.
        DatabaseError, InterfaceError: the database rejects the statement.
    """
    files = ResumedFiles(instance, math.inf, STEP_SECONDS)
    payload = move_media(files, event.payload)
    text = dump_of(payload)(payload)
    if files.error is None or files.count:
        insert.replace_payload(event.pk, text)
    if files.error is not None:
        raise files.error
