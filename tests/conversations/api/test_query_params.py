import datetime as dt
from dataclasses import asdict
from typing import Any

import pytest
from django.http import QueryDict
from rest_framework.exceptions import ValidationError

from conversations.api.list_params import ContactParameters, ConversationParameters, MessageParameters
from conversations.api.query_params import PageParameters
from conversations.models.contact_filters import ContactFilters
from conversations.models.conversation_filters import ConversationFilters
from conversations.models.message_filters import MessageFilters

PAGE = {"cursor": "", "limit": 50, "instance": None}


def parse(query: str, params_class: type[PageParameters] = ConversationParameters) -> dict[str, Any]:
    return params_class.parse(QueryDict(query))


def errors(query: str, params_class: type[PageParameters] = ConversationParameters) -> Any:
    with pytest.raises(ValidationError) as caught:
        parse(query, params_class)
    return caught.value.detail


@pytest.mark.parametrize(
    ("params_class", "filters"),
    [
        (ContactParameters, ContactFilters),
        (ConversationParameters, ConversationFilters),
        (MessageParameters, MessageFilters),
    ],
)
def test_the_parameters_of_a_list_are_the_filters_of_the_list(params_class: Any, filters: Any) -> None:
    assert parse("", params_class) == {**PAGE, **asdict(filters())}


@pytest.mark.parametrize(
    ("query", "name", "value"),
    [
        ("limit=200", "limit", 200),
        ("instance=7", "instance", (7,)),
        ("instance=9,7,9", "instance", (7, 9)),
        ("cursor=abc", "cursor", "abc"),
        ("archived=true", "archived", True),
        ("archived=False", "archived", False),
        ("deleted=any", "deleted", None),
        ("kind=group", "kind", "group"),
        ("kind=", "kind", ""),
        ("label=Jo%C3%A3o", "label", "João"),
        ("label=", "label", ""),
        ("active_after=2026-03-01T12:00:00Z", "active_after", dt.datetime(2026, 3, 1, 12, tzinfo=dt.UTC)),
        ("active_after=2026-03-01T09:00:00-03:00", "active_after", dt.datetime(2026, 3, 1, 12, tzinfo=dt.UTC)),
        ("active_after=2026-03-01", "active_after", dt.datetime(2026, 3, 1, tzinfo=dt.UTC)),
        ("active_after=2026-03-01T12:00", "active_after", dt.datetime(2026, 3, 1, 12, tzinfo=dt.UTC)),
    ],
)
def test_a_value_is_converted_to_the_type_of_its_parameter(query: str, name: str, value: object) -> None:
    assert parse(query)[name] == value


@pytest.mark.parametrize(
    "query",
    [
        *("limit=0", "limit=201", "limit=-1", "limit=many", "limit=", "limit=1.5", f"limit={'9' * 5000}"),
        *(
            "instance=0",
            "instance=-1",
            "instance=sales",
            "instance=",
            "instance=1,",
            "instance=٣",
            "ids=1,-2",
            f"ids={','.join(['1'] * 201)}",
            f"instance={10**30}",
            "instance=%00",
        ),
        *("archived=maybe", "pinned=", "unread=2", "deleted=null", "archived=%00"),
        *("kind=person", "kind=%00", "label=a%00b", f"label={'x' * 256}", "cursor=%00"),
        *("active_after=yesterday", "active_after=", "active_after=0001-01-01T00:00:00%2B14:00"),
        "active_after=2026-13-01T00:00:00Z",
    ],
)
def test_a_wrong_value_is_an_error_of_its_parameter(query: str) -> None:
    assert list(errors(query)) == [query.partition("=")[0]]


def test_an_unknown_parameter_is_an_error_that_names_it() -> None:
    assert errors("archive=true") == {"archive": ["Unknown parameter."]}
    assert errors("label=a", PageParameters) == {"label": ["Unknown parameter."]}


def test_following_by_time_is_an_error_that_names_the_changes() -> None:
    (error,) = errors("updated_after=2026-03-01", ConversationParameters)["updated_after"]
    assert "changes/" in error


@pytest.mark.parametrize(
    ("params_class", "route"),
    [(ContactParameters, "search/contacts/"), (ConversationParameters, "search/conversations/")],
)
def test_a_search_in_a_list_is_an_error_that_names_the_search(params_class: Any, route: str) -> None:
    (error,) = errors("search=a", params_class)["search"]
    assert (error, error.code) == (f"Unknown parameter. Use {route}?q=… instead.", "unknown")


def test_a_parameter_given_twice_is_an_error() -> None:
    assert errors("kind=group&kind=direct") == {"kind": ["Given more than once."]}


def test_all_wrong_parameters_are_reported_together() -> None:
    assert set(errors("limit=0&instance=x&colour=red")) == {"limit", "instance", "colour"}
