"""Delivery statuses: every name and number in use, and the one order in which they rise (`models.Message.Status`)."""

PENDING, SENT, FAILED, DELIVERED, READ, PLAYED = range(6)

# Baileys' names, its protobuf numbers, and the Cloud API's names. DELETED is missing on purpose: old versions put it
# where a status is unknown, and a deletion has its own event.
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


def status_of(value: object, default: object = None) -> int | None:
    """Return a status' rank; that of `default` where `value` is no status, None where that is none either."""
    if isinstance(value, str):
        value = int(value) if value.isdecimal() and value.isascii() and len(value) == 1 else value.upper()
    if not isinstance(value, str | int) or isinstance(value, bool):
        value = None
    return _STATUSES.get(value, _STATUSES.get(default))
