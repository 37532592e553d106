"""The work for one event grows with the number of its records, not with the square."""

import sys
from collections.abc import Callable
from types import FrameType
from typing import Any

import pytest

from conversations.ingest.apply import messages
from conversations.ingest.apply.apply import apply
from tests.conversations.ingest.apply.orders import facts_of, new_instance
from tests.conversations.ingest.bodies import GROUP, PHONE, Body, envelope

pytestmark = pytest.mark.django_db


def calls(count: int, **fields: Any) -> list[Body]:
    event = {"chatId": PHONE, "from": PHONE, "date": "2025-12-11T13:00:00.000Z", "status": "offer", **fields}
    return [{**event, "id": f"C{n}"} for n in range(count)]


def lines_run(call: Callable[[], object]) -> int:
    """Return how many lines of `conversations.ingest.apply.messages` a call runs, which is the same on any machine."""
    count = 0

    def trace(frame: FrameType, event: str, _arg: object) -> Any:
        nonlocal count
        count += event == "line"
        return trace if frame.f_code.co_filename == messages.__file__ else None

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        call()
    finally:
        sys.settrace(before)
    return count


@pytest.mark.parametrize("is_moved", [False, True])
def test_calls_of_one_event_take_linear_work(*, is_moved: bool) -> None:
    def work(count: int) -> int:
        moved = calls(count, isGroup=True, groupJid=GROUP) if is_moved else []
        facts = facts_of(envelope("call", [*calls(count), *moved]))
        instance = new_instance()
        return lines_run(lambda: apply(instance, facts))

    assert work(80) < 3 * work(40)
