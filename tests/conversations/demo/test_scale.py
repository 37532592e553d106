import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.core.management import CommandError, call_command
from django.db import connection, connections
from django.forms import model_to_dict

from conversations.demo import bulk_load, scale
from conversations.models import Change, Contact, ContactAddress, Conversation, Instance, Message
from conversations.models.conversation_counters import count_cells, load_cells

pytestmark = pytest.mark.django_db


def test_the_tables_are_filled(capsys: pytest.CaptureFixture[str]) -> None:
    call_command("demo", "--scale=600", "--quiet")
    assert Conversation.objects.count() == Contact.objects.count() == ContactAddress.objects.count() == 60
    assert Instance.objects.count() == scale.INSTANCE_COUNT
    messages = (
        60 * scale.MESSAGES_PER_CONVERSATION - scale.INSTANCE_COUNT
    )  # the first conversation of each instance has one message fewer than other conversations
    assert Message.objects.count() == messages
    assert capsys.readouterr().out.startswith(f"Wrote {messages} messages")


def test_batches_lose_no_conversation(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scale, "BATCH_CONVERSATIONS", 2)
    list(scale.fill(1000))
    assert Conversation.objects.count() == 100


def test_a_second_run_adds_more() -> None:
    for times in (1, 2):
        list(scale.fill(200))
        assert Conversation.objects.count() == times * 20


def test_conversations_match_their_messages() -> None:
    list(scale.fill(2000))
    for conversation in Conversation.objects.all()[:20]:
        before = model_to_dict(conversation)
        assert model_to_dict(Conversation.objects.recount(conversation.pk)) == before
    assert Conversation.objects.filter(unread_count=1).count() == scale.INSTANCE_COUNT


@pytest.mark.postgresql
def test_rows_that_are_loaded_are_counted_and_logged() -> None:
    list(scale.fill(400))
    pks = list(Instance.objects.values_list("pk", flat=True))
    assert sorted(load_cells(pks)) == sorted(count_cells(pks)) != []
    for resource, model in (("contact", Contact), ("conversation", Conversation), ("message", Message)):
        logged = Change.objects.filter(resource=resource, kind="created", instance_id__in=pks)
        assert set(logged.values_list("row_id", flat=True)) == set(model.objects.values_list("pk", flat=True))


def test_later_rows_get_unused_primary_keys() -> None:
    list(scale.fill(200))
    instance = Instance.objects.get(name=scale.INSTANCE_NAME.format(1))
    conversation, is_new = Conversation.objects.upsert(instance, "5521987654321@s.whatsapp.net")
    assert is_new
    Message.objects.create(
        instance=instance,
        conversation=conversation,
        key_id="A",
        from_me=True,
        kind="text",
        timestamp=scale.FIRST_TIMESTAMP,
    )


@pytest.mark.postgresql
@pytest.mark.django_db(transaction=True)
def test_a_reserved_key_is_not_given_to_other_connections() -> None:
    barrier = threading.Barrier(2)

    def take_keys(source: Callable[[], list[int]]) -> list[int]:
        connection.ensure_connection()
        barrier.wait()
        keys = [key for _ in range(300) for key in source()]
        connections.close_all()
        return keys

    def reserved() -> list[int]:
        first = bulk_load.reserve_ids(Contact, 100)
        return list(range(first, first + 100))

    def one_by_one() -> list[int]:
        with connection.cursor() as cursor:
            cursor.execute("SELECT nextval(pg_get_serial_sequence('conversations_contact', 'id'))")
            return [cursor.fetchone()[0]]

    for other in (one_by_one, reserved):
        with ThreadPoolExecutor(2) as threads:
            ours, theirs = threads.map(take_keys, (reserved, other))
        assert len({*ours, *theirs}) == len(ours) + len(theirs)


@pytest.mark.django_db(transaction=True)
def test_the_cache_is_invalidated() -> None:
    list(scale.fill(20))
    instance = Instance.objects.get(name=scale.INSTANCE_NAME.format(1))
    assert len(Conversation.objects.for_instance(instance).rows) == 1
    list(scale.fill(40))
    assert len(Conversation.objects.for_instance(instance).rows) == 2


def test_a_count_below_one_is_an_error() -> None:
    with pytest.raises(CommandError, match="1 or more"):
        call_command("demo", "--scale=0")
