import pytest
from pytest_django import Settings

from conversations.demo import demo_access
from conversations.demo.demo_access import NameInUseError
from conversations.demo.demo_instances import INSTANCES, SALES_SP
from conversations.models import Instance
from conversations.models.instance import hash_token

pytestmark = pytest.mark.django_db


def rows() -> list[tuple[object, ...]]:
    return list(Instance.objects.order_by("id").values_list())


def test_each_instance_gets_its_own_token() -> None:
    tokens = demo_access.ensure_instances()
    assert set(tokens) == {instance.name for instance in INSTANCES}
    assert len(set(tokens.values())) == len(INSTANCES)
    assert {row.name: row.token_hash for row in Instance.objects.all()} == {
        name: hash_token(token) for name, token in tokens.items()
    }


def test_a_second_call_returns_the_same_tokens_and_writes_nothing() -> None:
    tokens, before = demo_access.ensure_instances(), rows()
    assert demo_access.ensure_instances() == tokens
    assert rows() == before


def test_an_instance_without_a_token_gets_the_demos() -> None:
    Instance.objects.create(name=SALES_SP.name, server_url=SALES_SP.server_url)
    token = demo_access.ensure_instances()[SALES_SP.name]
    assert Instance.objects.get(name=SALES_SP.name).token_hash == hash_token(token)


@pytest.mark.parametrize("server_url", [SALES_SP.server_url, "", "https://mine.example.com"])
def test_another_token_is_never_overwritten(server_url: str) -> None:
    mine = Instance.objects.create(name=SALES_SP.name, server_url=server_url)
    Instance.objects.issue_token(mine.pk, token="mine")
    before = rows()
    with pytest.raises(NameInUseError, match=SALES_SP.name):
        demo_access.ensure_instances()
    assert rows() == before


def test_tokens_of_another_secret_key_are_an_error(settings: Settings) -> None:
    demo_access.ensure_instances()
    settings.SECRET_KEY = "another " * 10
    with pytest.raises(NameInUseError, match="another SECRET_KEY"):
        demo_access.ensure_instances()
