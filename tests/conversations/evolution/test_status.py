"""Evolution's names and numbers of message statuses become the ranks in `Message.Status`."""

import pytest

from conversations.evolution import status
from conversations.models import Message


def test_the_ranks_are_the_values_of_the_model() -> None:
    names = ["PENDING", "SENT", "FAILED", "DELIVERED", "READ", "PLAYED"]
    assert {name: getattr(status, name) for name in names} == {member.name: member.value for member in Message.Status}


@pytest.mark.parametrize("value", ["DELIVERY_ACK", "delivery_ack", "delivered", 3, "3"])
def test_every_form_of_a_status_has_the_same_rank(value: object) -> None:
    assert status.parse_status(value) == status.DELIVERED


def test_an_error_ranks_below_a_delivery() -> None:
    assert status.SENT < status.FAILED < status.DELIVERED
    assert status.parse_status("ERROR") == status.parse_status(0) == status.FAILED


@pytest.mark.parametrize("value", [None, "", "DELETED", 6, True, [], "٣", "33"])
def test_other_values_have_the_default_s_rank(value: object) -> None:
    assert status.parse_status(value) is None
    assert status.parse_status(value, default="PENDING") == status.PENDING
