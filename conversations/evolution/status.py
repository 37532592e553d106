"""Maps the names and numbers of delivery statuses in payloads to the values of `models.Message.Status`."""

PENDING, SENT, FAILED, DELIVERED, READ, PLAYED = range(6)

# Status names and protobuf numbers of Baileys, and status names of the Cloud API. DELETED is left out, because old
# Evolution versions write DELETED for unknown statuses, and because deletions have an event of their own.
_STATUSES: dict[object, int] = {
    "PENDING": PENDING,
    "SERVER_ACK": SENT,
    "DELIVERY_ACK": DELIVERED,
    "READ": READ,
    "PLAYED": PLAYED,
    "ERROR": FAILED,
    0: FAILED,
    1: PENDING,
    2: SENT,
    3: DELIVERED,
    4: READ,
    5: PLAYED,
    "SENT": SENT,
    "DELIVERED": DELIVERED,
    "FAILED": FAILED,
}


def parse_status(value: object, default: object = None) -> int | None:
    """Return the `Message.Status` value of a status name or number; use `default` if `value` is unknown.

    The result is None if both `value` and `default` are unknown.
    """
    if isinstance(value, str):
        value = int(value) if value.isdecimal() and value.isascii() and len(value) == 1 else value.upper()
    if not isinstance(value, str | int) or isinstance(value, bool):
        value = None
    return _STATUSES.get(value, _STATUSES.get(default))
