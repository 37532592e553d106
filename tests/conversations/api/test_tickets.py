"""A ticket says what it was issued for, until its end; all tickets of a period are equal."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conversations.access.policy import Access
from conversations.api.tickets import PERIOD, Purpose, Ticket, issue, read, sign


@given(st.integers(1, 2**62), st.none() | st.integers(1, 2**62), st.none() | st.integers(1, 2**62))
def test_a_ticket_is_read_as_it_was_signed(user: int, token: int | None, message: int | None) -> None:
    for session in ("", "f" * 64):
        ticket = Ticket(user, token, message, 1000, session)
        for purpose in Purpose:
            assert read(sign(ticket, purpose), purpose, 999.9) == ticket
            assert read(sign(ticket, purpose), purpose, 1000) is None


def test_a_ticket_is_not_valid_for_another_purpose() -> None:
    assert read(sign(Ticket(1, 2, 3, 1000), Purpose.MEDIA), Purpose.EVENTS, 0) is None


@pytest.mark.parametrize("now", [0, 1, PERIOD - 1, PERIOD, 10 * PERIOD + 7.5])
def test_a_ticket_lasts_for_one_to_two_periods(now: float) -> None:
    ticket = issue(Access(user_id=1), now)
    assert PERIOD < ticket.expires - now <= 2 * PERIOD


def test_a_changed_ticket_is_not_read() -> None:
    text = sign(Ticket(1, 2, 3, 1000), Purpose.MEDIA)
    for changed in (text.replace("1-2-3", "1-2-0"), text[:-1], ""):
        assert read(changed, Purpose.MEDIA, 0) is None
