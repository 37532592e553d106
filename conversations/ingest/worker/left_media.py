"""Writes the media that the web process has left in a stored event, and puts the references into the event's payload.

This happens outside of the batch's transaction: a bucket may answer slowly, and a transaction holds locks meanwhile, on
SQLite the only one for writing. It happens in steps, so that the events of other instances wait for one step at most.
"""

import math

from conversations.ingest.inbox import insert
from conversations.ingest.inbox.media import extract_media
from conversations.ingest.inbox.store import dump_of
from conversations.models import Instance, WebhookEvent

STEP_SECONDS = 1.0


def write(instance: Instance, event: WebhookEvent) -> None:
    """Write the media of an event, as many as one step permits. The next batch finds those that are left.

    Raises:
        OSError: a media file cannot be written.
        DatabaseError, InterfaceError: the database rejects the statement.
    """
    payload = extract_media(instance, event.payload, math.inf, STEP_SECONDS)
    insert.replace_payload(event.pk, dump_of(payload)(payload))
