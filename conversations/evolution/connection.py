"""The instance itself: its connection, its pairing image, its labels, its making and its end; and calls to it."""

from collections.abc import Iterator
from typing import Any

from conversations.evolution import jid, wire
from conversations.evolution.envelope import Envelope
from conversations.evolution.facts import Fact, InstanceState, MessageSeen
from conversations.evolution.records import precedence
from conversations.evolution.status import DELIVERED
from conversations.evolution.wire import UnknownShapeError

STATES = frozenset({"open", "connecting", "close", "refused"})
IMAGE = "data:image/png;base64,"
# Several events tell one call's course; the latest stage is shown, whichever came last.
STAGES = ("offer", "ringing", "terminate", "timeout", "reject", "accept")


def _state(values: dict[str, Any], envelope: Envelope) -> InstanceState:
    return InstanceState(values, f"1:{envelope.clock}")


def connection(raw: object, envelope: Envelope) -> Iterator[Fact]:
    """Yield what connection.update says; an open connection also tells whose number it is."""
    update = wire.mapping(raw, "the connection's update")
    if update.get("state") not in STATES:
        raise UnknownShapeError("the connection has an unknown state")
    values: dict[str, Any] = {"state": update["state"], "state_reason": wire.small_integer(update.get("statusReason"))}
    if update["state"] == "open":
        owner = jid.parse(update.get("wuid"))
        said = {
            "owner_jid": owner.jid if owner else "",
            "profile_name": wire.text(update.get("profileName"), 255),
            "picture_url": wire.text(update.get("profilePictureUrl")),
        }
        values |= {name: value for name, value in said.items() if value} | {"qr_code": ""}
    yield _state(values, envelope)


def closed_status(raw: object, envelope: Envelope) -> Iterator[Fact]:
    """Yield what status.instance says: the number was logged out, banned or refused."""
    update = wire.mapping(raw, "the instance's status")
    yield _state(
        {"state": "close", "state_reason": wire.small_integer(update.get("disconnectionReasonCode"))}, envelope
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
    update = wire.mapping(raw, "the pairing image's update")
    code = update.get("qrcode")
    image = wire.text(code.get("base64")) if isinstance(code, dict) else ""
    yield _state({"qr_code": image if image.startswith(IMAGE) else ""}, envelope)


def label(raw: object, envelope: Envelope) -> Iterator[Fact]:
    """Yield what labels.edit says."""
    edit = wire.mapping(raw, "the label")
    label_id = wire.text(edit.get("id"), 64)
    if not label_id:
        raise UnknownShapeError("the label has no id")
    value = {
        "name": wire.text(edit.get("name"), 255),
        "color": wire.small_integer(edit.get("color")),
        "deleted": edit.get("deleted") is True,
    }
    yield _state({f"label:{label_id}": value}, envelope)


def call(raw: object, envelope: Envelope) -> Iterator[Fact]:
    """Yield what call says: a bubble in the chat of whoever called, once a call."""
    event = wire.mapping(raw, "the call")
    caller = jid.parse(event.get("from"))
    chat = jid.parse(event.get("groupJid")) or jid.parse(event.get("chatId")) or caller
    key_id, stage = wire.key_id(event.get("id")), event.get("status")
    if chat is None or not key_id or stage not in STAGES:
        raise UnknownShapeError("the call is not complete")
    at = wire.iso_ms(event.get("date"))
    ms = wire.clock_ms(envelope.clock) if at is None else at
    details = {"stage": stage, "is_video": event.get("isVideo") is True}
    # The stage is the first digit: the least precedence is the latest stage.
    rank = f"{len(STAGES) - STAGES.index(stage)}{precedence(details, ms)[1:]}"
    sender = caller if caller and caller.is_person else None
    yield MessageSeen(
        chat=chat,
        key_id=key_id,
        from_me=False,
        timestamp=wire.moment(ms),
        kind="call",
        status=DELIVERED,
        precedence=rank,
        sender=sender or (chat if chat.is_person else None),
        details=details,
    )


def _evolution_id(raw: object) -> dict[str, str]:
    identity = wire.text(raw.get("instanceId"), 64) if isinstance(raw, dict) else ""
    return {"evolution_id": identity} if identity else {}
