"""Delivery statuses: all names and numbers in use, and the rank of each (the values of `models.Message.Status`)."""

PENDING, SENT, FAILED, DELIVERED, READ, PLAYED = range(6)

# Names and protobuf numbers of Baileys, and names of the Cloud API. DELETED is left out: old versions write it
# for unknown statuses, and deletions have an event of their own.
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
    """Return the rank of a status; the rank of `default` if `value` is not a status; None if neither is one."""
    if isinstance(value, str):
        value = int(value) if value.isdecimal() and value.isascii() and len(value) == 1 else value.upper()
    if not isinstance(value, str | int) or isinstance(value, bool):
        value = None
    return _STATUSES.get(value, _STATUSES.get(default))
