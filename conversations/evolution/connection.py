"""Parses events about an instance: its connection, QR code, creation and removal."""

from collections.abc import Iterator
from typing import Any

from conversations.evolution import coerce, jid
from conversations.evolution.coerce import UnknownShapeError
from conversations.evolution.envelope import Envelope, live_clock
from conversations.evolution.facts import Fact, InstanceState, OwnIdentity, Values
from conversations.evolution.marking import mark as _
from conversations.evolution.names import usable_name

STATES = frozenset({"open", "connecting", "close", "refused"})
CLOSED = {"state": "close", "qr_code": ""}
PNG_DATA_URL = "data:image/png;base64,"
MAX_QR_CODE = 200_000  # maximum characters of the QR code's image; Evolution's have about ten thousand


def _state(values: Values, envelope: Envelope) -> InstanceState:
    return InstanceState(values, live_clock(envelope))


def parse_connection_update(raw: object, envelope: Envelope) -> Iterator[Fact]:
    """Yield the facts parsed from `connection.update`.

    A QR code belongs to one connection attempt, so every new state clears it; a later event brings the next QR code.
    The event of an open connection also contains the instance's own JID, profile name and picture. Only an open
    connection clears `is_removed`, because Evolution still reports connection attempts after it removed an instance.

    Raises:
        UnknownShapeError: the connection state is not in `STATES`.
    """
    update = coerce.require_object(raw, _("the connection's update"))
    state = coerce.one_of(update.get("state"), STATES)
    if not state:
        raise UnknownShapeError(_("the connection has an unknown state"))
    values: dict[str, Any] = {"state": state, "state_reason": coerce.int32(update.get("statusReason")), "qr_code": ""}
    if state == "open":
        owner = jid.parse(update.get("wuid"))
        profile = {
            "owner_jid": owner.jid if owner else "",
            "profile_name": coerce.text(update.get("profileName"), 255),
            "picture_url": coerce.url(update.get("profilePictureUrl")),
        }
        values |= {name: value for name, value in profile.items() if value} | {"is_removed": False}
        if name := usable_name(profile["profile_name"]):
            yield OwnIdentity(name=name)
    yield _state(values, envelope)


def parse_instance_status(raw: object, envelope: Envelope) -> Iterator[Fact]:
    """Yield the facts parsed from `status.instance`: WhatsApp logged out, banned or refused the number."""
    update = coerce.require_object(raw, _("the instance's status"))
    reason = coerce.int32(update.get("disconnectionReasonCode"))
    yield _state({**CLOSED, "state_reason": reason}, envelope)


def parse_logout(_raw: object, envelope: Envelope) -> Iterator[Fact]:
    """Yield the facts parsed from `logout.instance`, an event without data."""
    yield _state(CLOSED, envelope)


def parse_removal(raw: object, envelope: Envelope) -> Iterator[Fact]:
    """Yield the facts parsed from `instance.delete` or `remove.instance`; reconnect attempts may follow both events."""
    yield _state({**CLOSED, "is_removed": True, **_evolution_id(raw)}, envelope)


def parse_creation(raw: object, envelope: Envelope) -> Iterator[Fact]:
    """Yield the facts parsed from `instance.create`."""
    yield _state({"is_removed": False, **_evolution_id(raw)}, envelope)


def parse_qr_code(raw: object, envelope: Envelope) -> Iterator[Fact]:
    """Yield the facts parsed from `qrcode.updated`: the QR code, or "" after Evolution stopped generating QR codes.

    An image that is longer than `MAX_QR_CODE` is left out, because each webhook request reads the instance's row.
    """
    update = coerce.require_object(raw, _("the pairing image's update"))
    code = update.get("qrcode")
    image = coerce.text(code.get("base64")) if isinstance(code, dict) else ""
    is_image = image.startswith(PNG_DATA_URL) and len(image) <= MAX_QR_CODE
    yield _state({"qr_code": image if is_image else ""}, envelope)


def _evolution_id(raw: object) -> dict[str, str]:
    evolution_id = coerce.text(raw.get("instanceId"), 64) if isinstance(raw, dict) else ""
    return {"evolution_id": evolution_id} if evolution_id else {}
