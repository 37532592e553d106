"""The numbers that a page offers are those that the user may read, as they are now."""

from typing import Any

import pytest

from conversations.access.policy import Access
from conversations.admin import numbers
from conversations.admin.numbers import readable_numbers
from conversations.models import Instance
from tests.conversations.rows import an_instance

pytestmark = pytest.mark.django_db
EVERYTHING = Access(user_id=1, is_administrator=True)


@pytest.fixture(autouse=True)
def instances() -> list[Instance]:
    return [an_instance(name=name) for name in ("loja-c", "loja-a", "loja-b")]


def reader_of(*rows: Instance) -> Access:
    return Access(user_id=2, roles={row.pk: "reader" for row in rows})


def names(access: Access) -> list[str]:
    return [number.instance for number in readable_numbers(access)]


def test_only_readable_numbers_are_offered(instances: list[Instance]) -> None:
    c, _a, b = instances
    for _ in range(2):  # the second time from the cache
        assert names(EVERYTHING) == ["loja-a", "loja-b", "loja-c"]
        assert names(reader_of(c, b)) == ["loja-b", "loja-c"]
        assert names(reader_of(b)) == ["loja-b"]
        assert names(reader_of()) == []


def test_numbers_are_as_they_are_now(instances: list[Instance]) -> None:
    access = reader_of(*instances)
    assert names(access) == ["loja-a", "loja-b", "loja-c"]
    instances[1].profile_name = "Centro"
    instances[1].save()
    Instance.objects.filter(name="loja-b").delete()
    an_instance(name="loja-d")
    assert names(access) == ["loja-a", "loja-c"]
    assert names(EVERYTHING) == ["loja-a", "loja-c", "loja-d"]
    assert [number.name for number in readable_numbers(access)] == ["Centro", "loja-c"]


def test_a_page_offers_a_limited_number(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(numbers, "MAX_NUMBERS", 2)
    assert names(EVERYTHING) == ["loja-a", "loja-b"]


@pytest.mark.django_db(transaction=True)
def test_one_query_then_none(django_assert_num_queries: Any) -> None:
    for queries in (1, 0):
        with django_assert_num_queries(queries):
            readable_numbers(EVERYTHING)


def test_titles() -> None:
    row = an_instance(name="loja", server_url="https://evo.example", profile_name="Loja", owner_jid="")
    assert numbers.number_of(row).title == "loja https://evo.example"
    row.owner_jid = "5511940028922@s.whatsapp.net"
    assert numbers.number_of(row).title == "Loja · +5511940028922"
