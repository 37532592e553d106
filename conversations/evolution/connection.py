"""State of the instance itself: its connection, its QR code, its creation and its removal."""

from collections.abc import Iterator
from typing import Any

from conversations.evolution import coerce, jid
from conversations.evolution.coerce import UnknownShapeError
from conversations.evolution.envelope import Envelope, live_clock
from conversations.evolution.facts import Fact, InstanceState

STATES = frozenset({"open", "connecting", "close", "refused"})
PNG_DATA_URL = "data:image/png;base64,"


def _state(values: dict[str, Any], envelope: Envelope) -> InstanceState:
    return InstanceState(values, live_clock(envelope))


def parse_connection_update(raw: object, envelope: Envelope) -> Iterator[Fact]:
    """Yield the facts of `connection.update`; an open connection also names the number's owner.

    Only an open connection clears `is_removed`, because Evolution still sends connection attempts after a removal.

    Raises:
        UnknownShapeError: the connection state is not in `STATES`.
    """
    update = coerce.require_object(raw, "the connection's update")
    state = coerce.one_of(update.get("state"), STATES)
    if not state:
        raise UnknownShapeError("the connection has an unknown state")
    values: dict[str, Any] = {"state": state, "state_reason": coerce.int32(update.get("statusReason"))}
    if state == "open":
        owner = jid.parse(update.get("wuid"))
        profile = {
            "owner_jid": owner.jid if owner else "",
            "profile_name": coerce.text(update.get("profileName"), 255),
            "picture_url": coerce.text(update.get("profilePictureUrl")),
        }
        values |= {name: value for name, value in profile.items() if value} | {"qr_code": "", "is_removed": False}
    yield _state(values, envelope)


def parse_instance_status(raw: object, envelope: Envelope) -> Iterator[Fact]:
    """Yield the facts of `status.instance`: WhatsApp logged out, banned or refused the number."""
    update = coerce.require_object(raw, "the instance's status")
    yield _state({"state": "close", "state_reason": coerce.int32(update.get("disconnectionReasonCode"))}, envelope)


def parse_logout(_raw: object, envelope: Envelope) -> Iterator[Fact]:
    """Yield the facts of `logout.instance`, which has no data."""
    yield _state({"state": "close"}, envelope)


def parse_removal(raw: object, envelope: Envelope) -> Iterator[Fact]:
    """Yield the facts of `instance.delete` and `remove.instance`; reconnect attempts may still follow them."""
    yield _state({"state": "close", "is_removed": True, **_evolution_id(raw)}, envelope)


def parse_creation(raw: object, envelope: Envelope) -> Iterator[Fact]:
    """Yield the facts of `instance.create`."""
    yield _state({"is_removed": False, **_evolution_id(raw)}, envelope)


def parse_qr_code(raw: object, envelope: Envelope) -> Iterator[Fact]:
    """Yield the facts of `qrcode.updated`: the image to scan, or "" once Evolution generates no more of them."""
    update = coerce.require_object(raw, "the pairing image's update")
    code = update.get("qrcode")
    image = coerce.text(code.get("base64")) if isinstance(code, dict) else ""
    yield _state({"qr_code": image if image.startswith(PNG_DATA_URL) else ""}, envelope)


def _evolution_id(raw: object) -> dict[str, str]:
    evolution_id = coerce.text(raw.get("instanceId"), 64) if isinstance(raw, dict) else ""
    return {"evolution_id": evolution_id} if evolution_id else {}
