"""The envelope of a webhook body names the event, the instance and its owner, and contains Evolution's time."""

import pytest

from conversations.evolution import coerce, envelope
from conversations.evolution.coerce import UnknownShapeError
from tests.conversations.evolution.envelopes import CLOCK, CLOCK_MS, OWNER, address
from tests.conversations.evolution.envelopes import envelope as make_envelope


@pytest.mark.parametrize("form", ["messages.upsert", "MESSAGES_UPSERT", "messages-upsert", " Messages.Upsert "])
def test_every_form_of_an_event_name_is_normalized(form: str) -> None:
    assert envelope.event_name(form) == "messages.upsert"


def test_the_fields_of_the_body_are_parsed() -> None:
    body = {"event": "call", "instance": "sales", "data": 7, "date_time": f"{CLOCK}Z", "sender": OWNER}
    assert envelope.parse_envelope(body) == envelope.Envelope("call", "sales", 7, CLOCK, address(OWNER), CLOCK_MS)


def test_the_url_gives_the_event_if_the_body_has_none() -> None:
    assert envelope.parse_envelope({"data": {}}, "group-participants-update").event == "group.participants.update"
    assert envelope.parse_envelope({"event": "call", "data": {}}, "messages-upsert").event == "call"


@pytest.mark.parametrize("body", [[], None, "call", {}, {"event": 7}, {"event": "..."}])
def test_a_body_without_an_event_is_an_unknown_shape(body: object) -> None:
    with pytest.raises(UnknownShapeError):
        envelope.parse_envelope(body)


def test_the_clock_is_held_against_the_moment_of_receipt() -> None:
    received = coerce.from_ms(CLOCK_MS + 250)
    body = {"event": "call", "date_time": "2025-12-11T19:00:00.000Z"}  # the host is nine hours east of UTC
    parsed = envelope.parse_envelope(body, received_at=received)
    assert (parsed.clock, parsed.arrival_ms) == (CLOCK, CLOCK_MS + 250)
    assert envelope.sent_order(parsed) == CLOCK_MS + 9 * 3_600_000
    with_zone = envelope.parse_envelope({"event": "call", "date_time": "2025-12-11T07:00:00.000-03:00"})
    assert with_zone.host_ms == CLOCK_MS
    without_clock = envelope.parse_envelope({"event": "call"}, received_at=received)
    assert (without_clock.clock, envelope.sent_order(without_clock)) == ("2025-12-11T10:00:00.250", CLOCK_MS + 250)


def test_any_live_clock_sorts_after_any_history_clock() -> None:
    without_clock = envelope.parse_envelope({"event": "call"})
    assert envelope.live_clock(without_clock) > envelope.history_clock(make_envelope())
