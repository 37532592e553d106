import json
from typing import Any

import pytest

from tests.load.copies import LISTS, Copy, Loaded, Page, parse_page

pytestmark = pytest.mark.once


def page(*changes: dict[str, Any], cursor: str = "c") -> Page:
    unknown = {"id": 1, "instance_id": 7, "kind": "updated", "row": None}
    results = [{**unknown, **change} for change in changes]
    return parse_page(json.dumps({"cursor": cursor, "has_more": False, "results": results}).encode())


def updated(resource: str, pk: int, **row: Any) -> dict[str, Any]:
    return {"resource": resource, "id": pk, "row": {"id": pk, **row}}


def test_changes_are_applied_in_their_order() -> None:
    copy = Copy()
    first, second = updated("message", 1, text="a"), updated("message", 1, text="b")
    copy.apply(page(first, second, updated("contact", 1), cursor="c2"), [])
    assert copy.cursor == "c2"
    assert copy.rows == {("message", 1): (7, '{"id": 1, "text": "b"}'), ("contact", 1): (7, '{"id": 1}')}
    copy.apply(page({"resource": "message", "kind": "deleted"}), [])
    assert list(copy.rows) == [("contact", 1)]


def test_participants_are_their_contacts_and_roles_and_end_with_the_group() -> None:
    copy = Copy()
    members = [{"contact_id": pk, "role": "member", "name": "Ana"} for pk in (2, 1)]
    copy.apply(page(updated("conversation", 1), updated("participants", 1, participants=members)), [])
    assert copy.rows["participants", 1] == (7, '[[1, "member"], [2, "member"]]')
    copy.apply(page({"resource": "conversation", "kind": "deleted"}), [])
    assert copy.rows == {}


def test_a_reset_names_what_is_loaded_again() -> None:
    one = {"resource": "message", "kind": "reset", "id": None}
    assert list(page(one).resets) == [("message", 7)]
    assert list(page({**one, "resource": None, "instance_id": None}).resets) == [(name, None) for name in LISTS]


def test_loaded_rows_replace_those_of_their_instance_alone() -> None:
    copy = Copy()
    copy.apply(page(updated("message", 1), {**updated("message", 2), "instance_id": 8}, updated("contact", 1)), [])
    copy.apply(page(), [Loaded("message", 7, [(3, 7, "{}")])])
    assert set(copy.rows) == {("message", 2), ("message", 3), ("contact", 1)}
    copy.apply(page(), [Loaded("message", None, [])])
    assert set(copy.rows) == {("contact", 1)}


def test_a_copy_tells_which_rows_are_wrong() -> None:
    copy = Copy()
    copy.apply(page(*(updated("message", pk) for pk in (1, 2, 3))), [])
    truth = {("message", 1): (7, '{"id": 1}'), ("message", 2): (7, "{}"), ("message", 4): (7, "{}")}
    assert sorted(copy.wrong(truth)) == [("message", 2), ("message", 3), ("message", 4)]
