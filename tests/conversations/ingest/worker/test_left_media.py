"""A worker that writes media keeps the instance's lease until the slowest step has ended."""

from conversations.ingest.conf import MEDIA_LEASE
from conversations.ingest.worker import left_media
from conversations.media import remote_server, s3, s3_deadline
from conversations.webhooks.body import MAX_BYTES

LOOKUP_SECONDS = 30.0  # a resolver of the system asks three servers twice, for 5 s each
ADDRESSES = 4  # of a media server that are tried in turn
# What a step may consist of, and its seconds at most.
LONGEST_STEP = {
    "waiting for a place, twice": 2 * remote_server.PLACE_SECONDS,
    "connecting for the first file and for the last one": 2 * (LOOKUP_SECONDS + ADDRESSES * s3.CONFIG.connect_timeout),
    "the first file, without its content": s3_deadline.BASE_SECONDS,
    "files after the first one": left_media.STEP_SECONDS,
    "the last of them, without its content": s3_deadline.BASE_SECONDS,
    "the contents, which were in one body": MAX_BYTES / s3_deadline.SLOWEST,
    "decoding and encoding the event": 30.0,
}


def test_the_lease_outlasts_the_longest_step() -> None:
    """After 30 s, another worker wrote the same files to a slow bucket once more."""
    assert sum(LONGEST_STEP.values()) < MEDIA_LEASE.total_seconds()
