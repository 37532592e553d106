import pytest
from django.apps import apps
from django.contrib.auth.models import Permission, User

from cachelayer.models import Outbox
from cachelayer.runtime.runtime import memory_store, runtime
from conversations.models import Conversation, Message
from tests.conversations.rows import a_chat, a_message, an_instance
from tests.empty_tables import KEPT, empty_tables


@pytest.mark.django_db(transaction=True)
def test_every_row_is_deleted_and_no_cached_row_is_left() -> None:
    message = a_message(a_chat(an_instance()))
    user = User.objects.create_user("ana")
    user.user_permissions.set(Permission.objects.all())
    assert Message.objects.fetch(message.pk) == message
    assert Conversation.objects.for_instance(message.instance_id).rows
    empty_tables("default")
    models = apps.get_models(include_auto_created=True)
    filled = {model._meta.db_table for model in models if model._default_manager.exists()}  # noqa: SLF001 - Django documents both names
    assert filled == KEPT
    assert not Conversation.objects.for_instance(message.instance_id).rows
    with pytest.raises(Message.DoesNotExist):
        Message.objects.fetch(message.pk)


@pytest.mark.django_db(transaction=True)
def test_the_next_test_finds_no_row_in_the_outbox_if_the_store_was_away() -> None:
    """On SQLite, the recovery thread would wait for the transaction of the next test to delete such a row."""
    runtime.use_store(memory_store, bypasses_cache=True)
    try:
        empty_tables("default")
        assert not Outbox.objects.exists()
    finally:
        runtime.use_configured_store(owns_cache=True)
