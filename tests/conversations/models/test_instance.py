import datetime as dt

import pytest
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from conversations.models import Conversation, Instance, Message
from conversations.models.instance import TOKEN_GRACE_PERIOD, hash_token
from tests.conversations.rows import a_chat, a_message, an_instance

pytestmark = pytest.mark.django_db


def test_a_page_is_of_all_instances_by_name() -> None:
    for name in ("b", "c", "a"):
        an_instance(name=name)
    assert [row.name for row in Instance.objects.page().rows] == ["a", "b", "c"]
    assert [row.name for row in Instance.objects.page(limit=2).rows] == ["a", "b"]


def test_instances_of_one_name_are_told_apart_by_their_server() -> None:
    one = an_instance(name="sales", server_url="https://one.example")
    two = an_instance(name="sales", server_url="https://two.example")
    an_instance(name="support")
    assert Instance.objects.by_name("sales") == [one, two]
    assert Instance.objects.by_name("nobody") == []


def test_upsert_makes_an_instance_once() -> None:
    made, created = Instance.objects.upsert("sales", "https://evo.example", state="open")
    same, created_again = Instance.objects.upsert("sales", "https://evo.example", profile_name="Sales")
    assert (made, created, created_again) == (same, True, False)
    same.refresh_from_db()
    assert (same.state, same.profile_name) == ("open", "Sales")


def test_a_token_is_random_and_stored_as_its_hash_only() -> None:
    instance = an_instance()
    token = Instance.objects.issue_token(instance.pk)
    instance.refresh_from_db()
    assert instance.token_hash == hash_token(token) != token
    assert len(token) >= 32
    assert token != Instance.objects.issue_token(instance.pk)


def test_the_token_before_stays_good_for_the_overlap() -> None:
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
    assert dt.timedelta(minutes=30) < TOKEN_GRACE_PERIOD  # Evolution's last retry carries the headers of the first


def test_the_token_before_can_be_revoked_at_once() -> None:
    instance = an_instance()
    Instance.objects.issue_token(instance.pk)
    Instance.objects.issue_token(instance.pk, revoke_old=True)
    instance.refresh_from_db()
    assert (instance.previous_token_hash, instance.previous_token_until) == ("", None)


def test_a_token_of_an_unknown_instance_is_an_error() -> None:
    with pytest.raises(Instance.DoesNotExist):
        Instance.objects.issue_token(10**9)


def test_delete_takes_all_that_the_instance_has() -> None:
    instance, other = an_instance(), an_instance()
    a_message(a_chat(instance))
    kept = a_message(a_chat(other))
    assert Instance.objects.delete(instance.pk)
    assert not Instance.objects.delete(instance.pk)
    assert list(Message.objects.all()) == [kept]
    assert list(Conversation.objects.all()) == [kept.conversation]


def test_a_page_is_one_query(django_assert_num_queries: DjangoAssertNumQueries) -> None:
    an_instance()
    with django_assert_num_queries(1):
        Instance.objects.page()
