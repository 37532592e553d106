"""The instance itself: its connection, its pairing image, its making and its end."""

from collections.abc import Iterator
from typing import Any

from conversations.evolution import coerce, jid
from conversations.evolution.coerce import UnknownShapeError
from conversations.evolution.envelope import Envelope
from conversations.evolution.facts import Fact, InstanceState

STATES = frozenset({"open", "connecting", "close", "refused"})
IMAGE = "data:image/png;base64,"


def _state(values: dict[str, Any], envelope: Envelope) -> InstanceState:
    return InstanceState(values, f"1:{envelope.clock}")


def connection(raw: object, envelope: Envelope) -> Iterator[Fact]:
    """Yield what connection.update says; an open connection also tells whose number it is.

    It proves that the instance exists: after a deletion only attempts to connect still come.
    """
    update = coerce.require_object(raw, "the connection's update")
    state = coerce.one_of(update.get("state"), STATES)
    if not state:
        raise UnknownShapeError("the connection has an unknown state")
    values: dict[str, Any] = {"state": state, "state_reason": coerce.small_integer(update.get("statusReason"))}
    if state == "open":
        owner = jid.parse(update.get("wuid"))
        said = {
            "owner_jid": owner.jid if owner else "",
            "profile_name": coerce.text(update.get("profileName"), 255),
            "picture_url": coerce.text(update.get("profilePictureUrl")),
        }
        values |= {name: value for name, value in said.items() if value} | {"qr_code": "", "is_removed": False}
    yield _state(values, envelope)


def closed_status(raw: object, envelope: Envelope) -> Iterator[Fact]:
    """Yield what status.instance says: the number was logged out, banned or refused."""
    update = coerce.require_object(raw, "the instance's status")
    yield _state(
        {"state": "close", "state_reason": coerce.small_integer(update.get("disconnectionReasonCode"))}, envelope
    )


def logged_out(_raw: object, envelope: Envelope) -> Iterator[Fact]:
    """Yield what logout.instance says; it carries nothing."""
    yield _state({"state": "close"}, envelope)


def removed(raw: object, envelope: Envelope) -> Iterator[Fact]:
    """Yield what instance.delete and remove.instance say; reconnecting attempts may still follow them."""
    yield _state({"state": "close", "is_removed": True, **_evolution_id(raw)}, envelope)


def created(raw: object, envelope: Envelope) -> Iterator[Fact]:
    """Yield what instance.create says."""
    yield _state({"is_removed": False, **_evolution_id(raw)}, envelope)


def pairing_image(raw: object, envelope: Envelope) -> Iterator[Fact]:
    """Yield what qrcode.updated says: the image to scan, or that there will be no more of them."""
    update = coerce.require_object(raw, "the pairing image's update")
    code = update.get("qrcode")
    image = coerce.text(code.get("base64")) if isinstance(code, dict) else ""
    yield _state({"qr_code": image if image.startswith(IMAGE) else ""}, envelope)


def _evolution_id(raw: object) -> dict[str, str]:
    identity = coerce.text(raw.get("instanceId"), 64) if isinstance(raw, dict) else ""
    return {"evolution_id": identity} if identity else {}
