"""Every answer has a bounded size, whatever senders have put into the rows."""

import secrets
from typing import Any

import pytest
from rest_framework.test import APIClient

from conversations.models import Conversation, Instance, Message
from tests.conversations.api.conftest import ApiCall
from tests.conversations.rows import a_chat, a_group, a_message, add_members, an_instance

pytestmark = pytest.mark.django_db

MB = 2**20
ROW_BYTES = 200_000
LONG_TEXT = "wort " * (ROW_BYTES // 5)


@pytest.fixture
def chat() -> Conversation:
    return a_chat(an_instance())


@pytest.fixture
def thread(chat: Conversation) -> list[Message]:
    return [a_message(chat, text=LONG_TEXT) for _ in range(12)]


def follow(api: APIClient, page: dict[str, Any], link: str) -> list[dict[str, Any]]:
    """Return a page and those after or before it, in the order in which they are found."""
    pages = [page]
    while pages[-1][link] and pages[-1]["results"]:
        response = api.get(pages[-1][link])
        assert len(response.content) < MB + 2 * ROW_BYTES
        pages.append(response.json())
    return [found for found in pages if found["results"]]


def ids(pages: list[dict[str, Any]]) -> list[int]:
    return [row["id"] for page in pages for row in page["results"]]


@pytest.mark.parametrize(
    ("path", "query"),
    [("messages/", {}), ("conversations/{chat}/messages/", {}), ("search/messages/", {"q": "wort"})],
)
def test_a_page_of_long_texts_ends_early_and_all_pages_have_each_row_once(
    api: APIClient, get: ApiCall, thread: list[Message], path: str, query: dict[str, str]
) -> None:
    first = get(path.format(chat=thread[0].conversation_id), limit=200, **query)
    pages = follow(api, first, "next")
    assert 1 < len(pages) < len(thread)
    assert ids(pages) == [row.pk for row in thread][::-1]
    if pages[-1]["previous"]:
        back = follow(api, pages[-1], "previous")
        assert ids(back[::-1]) == ids(pages)


def test_a_list_of_ids_ends_early_and_its_next_page_has_the_others(
    api: APIClient, get: ApiCall, thread: list[Message]
) -> None:
    chosen = thread[1:11]
    pages = follow(api, get("messages/", ids=",".join(str(row.pk) for row in chosen)), "next")
    assert len(pages) > 1
    assert ids(pages) == [row.pk for row in chosen][::-1]


def test_a_window_of_long_texts_ends_early_on_both_sides(api: APIClient, get: ApiCall, thread: list[Message]) -> None:
    more = [a_message(thread[0].conversation, text=LONG_TEXT) for _ in range(12)]
    window = get(f"conversations/{thread[0].conversation_id}/messages/", anchor=more[0].pk, before=100, after=100)
    assert (window["found_oldest"], window["found_newest"]) == (False, False)
    newer, older = follow(api, window, "previous"), follow(api, window, "next")
    assert ids([*newer[:0:-1], window, *older[1:]]) == [row.pk for row in [*thread, *more]][::-1]


def test_a_window_that_reaches_both_ends_says_so(get: ApiCall, chat: Conversation) -> None:
    rows = [a_message(chat) for _ in range(3)]
    window = get(f"conversations/{chat.pk}/messages/", anchor=rows[1].pk)
    assert (window["found_oldest"], window["found_newest"], window["next"]) == (True, True, None)


def test_instances_with_many_labels_fill_a_page_early(get: ApiCall) -> None:
    for _ in range(4):
        an_instance(labels={str(n): {"name": secrets.token_hex(100), "color": 1} for n in range(5_000)})
    assert 0 < len(get("instances/", limit=200)["results"]) < Instance.objects.count()


# --- lists inside a row -----------------------------------------------------------------------------------------------
def test_a_large_group_shows_its_first_participants_and_pages_of_all(api: APIClient, get: ApiCall) -> None:
    group = a_group(an_instance(), participants_as_of="5")
    add_members(group, 110, clock="5")
    add_members(group, 1, clock="4")  # left before the list of members
    shown = get(f"conversations/{group.pk}/")
    assert (len(shown["participants"]), shown["participant_count"]) == (100, 110)
    pages = follow(api, get(f"conversations/{group.pk}/participants/", limit=60), "next")
    assert [len(page["results"]) for page in pages] == [60, 50]
    members = [member for page in pages for member in page["results"]]
    assert sorted(members[:100], key=lambda member: member["name"]) == shown["participants"]
    back = follow(api, pages[-1], "previous")
    assert [member for page in back[::-1] for member in page["results"]] == members
    assert get(f"conversations/{group.pk}/participants/", status=404, cursor="x")["code"] == "not_found"


def test_a_direct_chat_has_no_participants(get: ApiCall, chat: Conversation) -> None:
    assert get(f"conversations/{chat.pk}/participants/") == {"next": None, "previous": None, "results": []}


def test_a_new_participant_is_counted(get: ApiCall) -> None:
    group = a_group(an_instance())
    for number in (2, 4):
        add_members(group, 2)
        assert get(f"conversations/{group.pk}/")["participant_count"] == number


def test_of_many_labels_the_first_are_shown_with_their_number(get: ApiCall) -> None:
    ids = [f"{n:04}" for n in range(150)]
    labels: Any = {pk: {"name": "x", "color": 1} for pk in reversed(ids)}
    instance = an_instance(labels={**labels, "0000": {"deleted": True}})
    chat = a_chat(instance, labels={**dict.fromkeys(reversed(ids), True), "0001": False})
    row = get(f"conversations/{chat.pk}/", expand="instance")
    assert (row["labels"], row["label_count"]) == (ids[2:102], 148)
    assert ([label["id"] for label in row["instance"]["labels"]], row["instance"]["label_count"]) == (ids[1:101], 149)


def test_of_many_reactions_the_oldest_are_shown_with_their_number(get: ApiCall, chat: Conversation) -> None:
    reactions = {str(n): {"emoji": "👍" if n % 2 else "", "who": "x", "at": n // 8 * 1000} for n in range(999, 0, -1)}
    row = get(f"messages/{a_message(chat, reactions=reactions).pk}/")
    assert row["reaction_count"] == 500
    assert [reaction["at"] for reaction in row["reactions"]] == sorted(reaction["at"] for reaction in row["reactions"])
    assert {reaction["contact_id"] for reaction in row["reactions"]} == set(range(1, 200, 2))


def test_of_many_options_and_voters_the_first_are_shown_with_their_number(get: ApiCall, chat: Conversation) -> None:
    options = [{"option_name": name} for name in ("sim", "não", "sim")]
    votes = {str(n): {"options": ["sim", f"{n:03}"], "who": f"{n:03}", "at": n} for n in range(300, 0, -1)}
    row = a_message(chat, kind="poll", details={"options": options}, poll_results=votes)
    results = get(f"messages/{row.pk}/")["poll_results"]
    assert results["option_count"] == 302
    assert [option["name"] for option in results["options"]] == ["sim", "não", *(f"{n:03}" for n in range(1, 99))]
    first = results["options"][0]
    assert (first["voter_count"], first["voters"]) == (300, [f"{n:03}" for n in range(1, 101)])
