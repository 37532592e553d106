"""Parses the envelope of a webhook body: the fields that every event has, such as event name, instance and time."""

import datetime as dt
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from conversations.evolution import clocks, coerce, jid
from conversations.evolution.jid import Address, AddressKind
from conversations.evolution.marking import mark as _


@dataclass(frozen=True)
class OwnAddresses:
    """The addresses of an instance that are known from earlier events: its phone number, and the keys of all."""

    phone: Address | None = None
    keys: frozenset[str] = frozenset()

    @classmethod
    def of(cls, addresses: Iterable[Address]) -> "OwnAddresses":
        """Collect addresses of an instance."""
        addresses = list(addresses)
        phone = next((address for address in addresses if address.kind is AddressKind.PHONE), None)
        return cls(phone, frozenset(address.key for address in addresses))


NONE_KNOWN = OwnAddresses()


@dataclass(frozen=True)
class Envelope:
    """The parsed envelope of one webhook body.

    Attributes:
        event: the event's name, dotted and in lower case (`messages.upsert`).
        instance: the name of the instance, or "".
        data: the event's data, a decoded JSON value of any type.
        clock: the estimated time of sending in UTC (see `clocks.sent_ms`) as sortable text; "" if no time is known.
        owner: the instance's own phone number, from the body or else as known before; None if it is unknown.
        host_ms: the `date_time` of the body in ms since the epoch, read as if it were UTC; 0 if missing.
        received_ms: when this server received the body, in ms since the epoch; None if unknown.
        own_keys: the address keys of all known addresses of the instance.
        has_sender: whether the body contains the instance's own address, as bodies of the channel Baileys do.
    """

    event: str
    instance: str
    data: Any
    clock: str
    owner: Address | None
    host_ms: int = 0
    received_ms: int | None = None
    own_keys: frozenset[str] = frozenset()
    has_sender: bool = True

    @property
    def arrival_ms(self) -> int:
        """The moment of receipt; the estimated time of sending if the receipt is unknown. 0 if neither is known."""
        return coerce.clock_ms(self.clock) if self.received_ms is None else self.received_ms

    def stated_ms(self, value: object) -> int | None:
        """Convert a time stated by WhatsApp to ms since the epoch; None if the receipt disproves the time."""
        return clocks.stated_ms(value, self.received_ms)

    def is_own(self, address: Address) -> bool:
        """Return whether an address is known to be the instance's own."""
        return address.key in self.own_keys or self.is_owner(address)

    def is_owner(self, address: Address) -> bool:
        """Return whether an address is the instance's phone number."""
        return self.owner is not None and address.key == self.owner.key


def sent_order(envelope: Envelope) -> int:
    """Return the number by which the messages of one second are ordered: the event's `date_time`, else its receipt.

    The host's clock orders the messages of one second rightly even if it is wrong, because it is wrong for all alike.
    """
    return envelope.host_ms or envelope.arrival_ms


_SEPARATORS = re.compile(r"[._\-]+")  # between the words of an event's name
LIVE = "2:"  # prefix of the clocks of `live_clock`
ECHO = "00:"  # prefix of the clocks of `echo_clock`


def live_clock(envelope: Envelope) -> str:
    """Return the clock (sortable time) for latest-state values of a live event.

    The clock of a live event sorts after the clock of any history import. It also sorts after the clocks that start
    with `1`, which are local times of the Evolution host, stored by earlier versions.
    """
    return f"{LIVE}{envelope.clock}"


def clock_after(known: str, ms: int) -> str:
    """Return the clock (sortable time) for a value that a person sets here, and not on the phone.

    It is the clock of a live event of that time, but always later than the clock of the value before, because the
    person has seen that value.

    Args:
        known: the clock of the value before; "" if it has none.
        ms: the time of the change in ms since the epoch.
    """
    is_live = known.startswith(LIVE)
    return f"{LIVE}{coerce.clock_text(max(ms, coerce.clock_ms(known.removeprefix(LIVE)) + 1 if is_live else 0))}"


def history_clock(envelope: Envelope) -> str:
    """Return the clock (sortable time) for latest-state values of a history import.

    Values of a history import may be outdated, so any value of a live event replaces a value of a history import.
    """
    return f"0:{envelope.clock}"


def echo_clock(envelope: Envelope) -> str:
    """Return the clock (sortable time) for names that an event without `sender` gives a contact.

    Evolution's own channel also sends such events after messages of the instance, with the instance's name. The clock
    sorts before all other clocks, so that the name in a message of the contact wins.
    """
    return f"{ECHO}{envelope.clock}"


def event_name(text: str) -> str:
    """Normalize an event's name, which Evolution writes as `messages.upsert`, `MESSAGES_UPSERT` or `messages-upsert`.

    >>> event_name("GROUP_PARTICIPANTS_UPDATE")
    'group.participants.update'
    """
    return _SEPARATORS.sub(".", text.strip()).strip(".").lower()[:64]


def parse_envelope(
    body: object, suffix: str = "", received_at: dt.datetime | None = None, own: OwnAddresses = NONE_KNOWN
) -> Envelope:
    """Parse a webhook body.

    Args:
        body: any decoded JSON value.
        suffix: the event's name from the URL, used if the body names no event.
        received_at: when this server received the body first; None if unknown.
        own: the addresses of the instance that are known from earlier events.

    Raises:
        UnknownShapeError: the body is not a JSON object, or neither the body nor the URL names an event.
    """
    envelope = coerce.require_object(body, _("the body"))
    event = event_name(coerce.text(envelope.get("event")) or suffix)
    if not event:
        raise coerce.UnknownShapeError(_("no event is named"))
    host_ms = coerce.epoch_ms(envelope.get("date_time")) or 0
    received_ms = None if received_at is None else coerce.to_ms(received_at)
    sender = jid.parse(envelope.get("sender"))
    return Envelope(
        event=event,
        instance=coerce.text(envelope.get("instance")),
        data=envelope.get("data"),
        clock=coerce.clock_text(clocks.sent_ms(host_ms, received_ms)),
        owner=sender or own.phone,
        host_ms=host_ms,
        received_ms=received_ms,
        own_keys=own.keys,
        has_sender=sender is not None,
    )
