"""The identity and the signature of a delivery, as Standard Webhooks 1.0 defines them.

The specification is at https://github.com/standard-webhooks/standard-webhooks. A receiver computes the same signature
from the raw body, and compares the time with its clock, so that nobody else can send or repeat a delivery.
"""

import base64
import datetime as dt
import hmac
from hashlib import blake2b

from conversations.models.webhook_subscription import secret_bytes

VERSION = "v1"


def message_id(subscription_id: int, start: str, last: str) -> str:
    """Return the id of the changes of a subscription after a cursor and up to a change; a repetition has the same."""
    return f"msg_{blake2b(f'{subscription_id} {start} {last}'.encode(), digest_size=16).hexdigest()}"


def signature(secret: str, identity: str, timestamp: int, body: bytes) -> str:
    """Return the value of the header `webhook-signature`.

    Args:
        secret: the secret of the subscription.
        identity: the value of the header `webhook-id`.
        timestamp: the value of the header `webhook-timestamp`, in seconds since the epoch.
        body: the content of the request.
    """
    signed = b"%s.%d.%s" % (identity.encode(), timestamp, body)
    digest = hmac.digest(secret_bytes(secret), signed, "sha256")
    return f"{VERSION},{base64.b64encode(digest).decode()}"


def headers(secret: str, identity: str, now: dt.datetime, body: bytes) -> dict[str, str]:
    """Return the header fields that identify and sign a delivery."""
    timestamp = int(now.timestamp())
    return {
        "webhook-id": identity,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": signature(secret, identity, timestamp, body),
    }
