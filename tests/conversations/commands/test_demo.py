import datetime as dt
import socket
from io import StringIO
from typing import Any

import pytest
from django.core.files.storage import default_storage
from django.core.management import CommandError, call_command
from django.db.models import Manager
from django.utils import timezone

from conversations.models import (
    Contact,
    ContactAddress,
    Conversation,
    Instance,
    Message,
    Participant,
    PendingUpdate,
    StateClock,
    WebhookEvent,
)
from conversations.models.stored_media import stored_name

TABLES: tuple[Manager[Any], ...] = (
    Instance.objects,
    Contact.objects,
    ContactAddress.objects,
    Conversation.objects,
    Participant.objects,
    Message.objects,
    PendingUpdate.objects,
    StateClock.objects,
    WebhookEvent.objects,
)


def demo(*arguments: str) -> str:
    out = StringIO()
    call_command("demo", "--conversations", "12", "--messages", "6", "--quiet", *arguments, stdout=out)
    return out.getvalue()


def rows() -> dict[str, list[dict[str, Any]]]:
    return {table.model.__name__: list(table.order_by("pk").values()) for table in TABLES}


@pytest.mark.django_db
@pytest.mark.sweep
def test_repeating_the_demo_changes_no_row() -> None:
    demo()
    before = rows()
    demo()
    assert rows() == before


@pytest.mark.django_db
def test_the_demo_creates_realistic_rows() -> None:
    output = demo("--no-samples")
    counts = f"{Instance.objects.count()} instances, {Conversation.objects.count()} conversations, "
    assert counts + f"{Message.objects.count()} messages" in output

    outcomes = set(WebhookEvent.objects.values_list("outcome", flat=True))
    assert outcomes == {WebhookEvent.Outcome.APPLIED, WebhookEvent.Outcome.IGNORED}
    assert dict(Instance.objects.exclude(name="support-en-03").values_list("name", "state")) == {
        "vendas-sp-01": Instance.State.OPEN,
        "suporte-rj-02": Instance.State.OPEN,
    }
    assert not Instance.objects.filter(is_removed=True).exists()

    groups = Conversation.objects.filter(kind=Conversation.Kind.GROUP)
    assert {group.name for group in groups} == {"Entregas zona oeste 🛵", "Técnicos zona sul"}
    assert all(group.participants.count() == 5 for group in groups)

    direct = Conversation.objects.filter(kind=Conversation.Kind.DIRECT)
    assert not direct.filter(name="").exists()
    assert all(0 <= chat.unread_count <= chat.messages.filter(from_me=False).count() for chat in direct)
    merged = [chat for chat in direct if chat.contact and chat.contact.addresses.count() > 1]
    assert merged
    assert all(chat.jid.endswith("@s.whatsapp.net") for chat in merged)

    media = Message.objects.filter(kind__in=["image", "video", "audio", "document", "sticker"])
    assert set(media.values_list("kind", flat=True)) >= {"image", "audio", "document", "sticker"}
    assert all(message.media["mimetype"] for message in media)
    assert Message.objects.exclude(quoted_text="").exists()
    assert Message.objects.exclude(reactions={}).exists()
    assert Message.objects.filter(from_me=True, status=Message.Status.READ).exists()
    assert all(chat.last_message_at == max(m.timestamp for m in chat.messages.all()) for chat in direct)


@pytest.mark.django_db
def test_the_demo_ends_when_it_is_loaded_and_shows_each_state_of_conversations() -> None:
    before = timezone.now()
    demo("--no-samples", "--conversations", "60")
    latest = max(Conversation.objects.values_list("last_message_at", flat=True))
    assert before - dt.timedelta(hours=4) < latest <= timezone.now()
    assert Conversation.objects.filter(is_pinned=True).exists()
    assert Conversation.objects.filter(muted_until__gt=timezone.now()).exists()
    assert Conversation.objects.filter(is_archived=True).exists()
    assert Conversation.objects.filter(unread_count__gt=0).exists()
    assert any(chat.attached_labels for chat in Conversation.objects.all())
    with_file = [message for message in Message.objects.exclude(media={}) if stored_name(message, "file")]
    assert all(default_storage.exists(stored_name(message, "file")) for message in with_file)
    assert {message.kind for message in with_file} >= {"image", "video"}


@pytest.mark.django_db
def test_the_end_can_be_chosen() -> None:
    demo("--no-samples", "--end", "2026-03-08T12:00Z")
    assert max(Message.objects.values_list("timestamp", flat=True)).date() == dt.date(2026, 3, 8)


@pytest.mark.parametrize(("end", "problem"), [("noon", "not a time"), ("2999-01-01", "in the future")])
def test_an_impossible_end_is_an_error(end: str, problem: str) -> None:
    with pytest.raises(CommandError, match=problem):
        demo("--end", end)


def test_progress_is_shown_from_the_beginning(capsys: pytest.CaptureFixture[str], db: None) -> None:  # noqa: ARG001 - enables database access
    call_command("demo", "--conversations", "3", "--messages", "1", "--no-samples", stdout=StringIO())
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == "Demo: generating the webhooks …"
    assert any(line.startswith("Demo: webhooks posted: 0 of ") for line in lines)
    assert any(line.startswith("Demo: webhooks applied: 0 of ") for line in lines)


@pytest.mark.django_db
def test_an_instance_name_in_use_is_an_error_and_nothing_is_posted() -> None:
    existing = Instance.objects.create(name="vendas-sp-01")
    Instance.objects.issue_token(existing.pk, token="existing")
    with pytest.raises(CommandError, match="vendas-sp-01 is in use"):
        demo()
    assert not WebhookEvent.objects.exists()
    assert Instance.objects.count() == 1


@pytest.mark.parametrize("arguments", [("--conversations", "2"), ("--messages", "0")])
def test_too_few_conversations_or_messages_are_an_error(arguments: tuple[str, str]) -> None:
    with pytest.raises(CommandError, match="--conversations must be at least 3"):
        call_command("demo", *arguments)


@pytest.mark.django_db
def test_an_unreachable_server_is_an_error() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        unused_port = server.getsockname()[1]
    with pytest.raises(CommandError, match=f"http://127.0.0.1:{unused_port}"):
        demo("--url", f"http://127.0.0.1:{unused_port}")


@pytest.mark.django_db
@pytest.mark.parametrize("url", ["", "localhost:8000"])
def test_an_invalid_url_is_an_error(url: str) -> None:
    with pytest.raises(CommandError, match="--url must be"):
        demo("--url", url)
