import datetime as dt

import pytest
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from conversations.models import Conversation, Instance, Message
from conversations.models.instance import TOKEN_GRACE_PERIOD, hash_token
from tests.conversations.rows import a_chat, a_message, an_instance

pytestmark = pytest.mark.django_db


def test_a_page_has_all_instances_ordered_by_name() -> None:
    for name in ("b", "c", "a"):
        an_instance(name=name)
    assert [row.name for row in Instance.objects.page().rows] == ["a", "b", "c"]
    assert [row.name for row in Instance.objects.page(limit=2).rows] == ["a", "b"]


def test_by_name_returns_the_instances_of_all_servers() -> None:
    one = an_instance(name="sales", server_url="https://one.example")
    two = an_instance(name="sales", server_url="https://two.example")
    an_instance(name="support")
    assert Instance.objects.by_name("sales") == [one, two]
    assert Instance.objects.by_name("unknown") == []


def test_upsert_creates_an_instance_once() -> None:
    instance, created = Instance.objects.upsert("sales", "https://evo.example", state="open")
    same, created_again = Instance.objects.upsert("sales", "https://evo.example", profile_name="Sales")
    assert (instance, created, created_again) == (same, True, False)
    same.refresh_from_db()
    assert (same.state, same.profile_name) == ("open", "Sales")


def test_a_token_is_random_and_only_its_hash_is_stored() -> None:
    instance = an_instance()
    token = Instance.objects.issue_token(instance.pk)
    instance.refresh_from_db()
    assert instance.token_hash == hash_token(token) != token
    assert len(token) >= 32
    assert token != Instance.objects.issue_token(instance.pk)


def test_the_previous_token_is_valid_for_the_grace_period() -> None:
    instance = an_instance()
    first = Instance.objects.issue_token(instance.pk)
    instance.refresh_from_db()
    assert (instance.previous_token_hash, instance.previous_token_until) == ("", None)
    before = timezone.now()
    second = Instance.objects.issue_token(instance.pk)
    instance.refresh_from_db()
    assert (instance.token_hash, instance.previous_token_hash) == (hash_token(second), hash_token(first))
    assert instance.previous_token_until is not None
    assert before + TOKEN_GRACE_PERIOD <= instance.previous_token_until <= timezone.now() + TOKEN_GRACE_PERIOD
    assert dt.timedelta(minutes=30) < TOKEN_GRACE_PERIOD  # Evolution API retries with the old token for half an hour


def test_the_previous_token_can_be_revoked_immediately() -> None:
    instance = an_instance()
    Instance.objects.issue_token(instance.pk)
    Instance.objects.issue_token(instance.pk, revoke_old=True)
    instance.refresh_from_db()
    assert (instance.previous_token_hash, instance.previous_token_until) == ("", None)


def test_issuing_a_token_for_an_unknown_instance_raises() -> None:
    with pytest.raises(Instance.DoesNotExist):
        Instance.objects.issue_token(10**9)


def test_delete_removes_all_rows_of_the_instance() -> None:
    instance, other = an_instance(), an_instance()
    a_message(a_chat(instance))
    kept = a_message(a_chat(other))
    assert Instance.objects.delete(instance.pk)
    assert not Instance.objects.delete(instance.pk)
    assert list(Message.objects.all()) == [kept]
    assert list(Conversation.objects.all()) == [kept.conversation]


def test_a_page_takes_one_query(django_assert_num_queries: DjangoAssertNumQueries) -> None:
    an_instance()
    with django_assert_num_queries(1):
        Instance.objects.page()
