"""The webhook settings that Evolution receives contain known event names and the URL of the webhook view."""

from urllib.parse import unquote, urlsplit

from django.conf import LazySettings
from django.urls import resolve

from conversations.evolution.envelope import event_name as events_of
from conversations.evolution.events import NAMES
from conversations.webhooks import evolution_config, views

# The event names that Evolution 2.3.7 allows in `webhook.events`; Evolution rejects settings with an unknown name.
ALLOWED_EVENTS = """
    APPLICATION_STARTUP QRCODE_UPDATED MESSAGES_SET MESSAGES_UPSERT MESSAGES_EDITED MESSAGES_UPDATE MESSAGES_DELETE
    SEND_MESSAGE SEND_MESSAGE_UPDATE CONTACTS_SET CONTACTS_UPSERT CONTACTS_UPDATE PRESENCE_UPDATE CHATS_SET CHATS_UPSERT
    CHATS_UPDATE CHATS_DELETE GROUPS_UPSERT GROUP_UPDATE GROUP_PARTICIPANTS_UPDATE CONNECTION_UPDATE LABELS_EDIT
    LABELS_ASSOCIATION CALL TYPEBOT_START TYPEBOT_CHANGE_STATUS REMOVE_INSTANCE LOGOUT_INSTANCE INSTANCE_CREATE
    INSTANCE_DELETE STATUS_INSTANCE
"""


def test_evolution_allows_every_subscribed_event() -> None:
    assert set(evolution_config.EVENTS) <= set(ALLOWED_EVENTS.split())
    assert len(set(evolution_config.EVENTS)) == len(evolution_config.EVENTS)
    assert set(evolution_config.EVENTS) >= evolution_config.NEVER_GLOBAL


def test_names_groups_history_and_removals_are_subscribed() -> None:
    assert set(evolution_config.EVENTS) >= {
        "MESSAGES_SET", "CHATS_SET", "CHATS_UPSERT", "CONTACTS_SET", "CONTACTS_UPSERT", "CONTACTS_UPDATE",
        "GROUPS_UPSERT", "GROUP_UPDATE", "GROUP_PARTICIPANTS_UPDATE", "INSTANCE_CREATE", "INSTANCE_DELETE",
    }  # fmt: skip


def test_every_subscribed_event_is_understood() -> None:
    assert {events_of(name) for name in evolution_config.EVENTS} <= set(NAMES)


def test_the_url_resolves_to_the_webhook_view(settings: LazySettings) -> None:
    settings.PUBLIC_URL = "https://whatsai.example.com/base"
    url = evolution_config.webhook_url("Vendas São Paulo")
    assert url == "https://whatsai.example.com/base/webhooks/evolution/Vendas%20S%C3%A3o%20Paulo"
    match = resolve(unquote(urlsplit(url).path.removeprefix("/base")))
    assert match.func is views.receive_webhook
    assert match.kwargs["name"] == "Vendas São Paulo"


def test_the_global_webhook_only_sets_variables_that_evolution_has() -> None:
    variables = evolution_config.global_settings("all", "token")
    assert "WEBHOOK_EVENTS_MESSAGES_UPSERT" in variables
    assert not {f"WEBHOOK_EVENTS_{event}" for event in evolution_config.NEVER_GLOBAL} & variables.keys()
    assert "WEBHOOK_EVENTS_GROUPS_UPDATE" in variables, "Evolution's variable has another name than its event"
    assert "WEBHOOK_EVENTS_GROUP_UPDATE" not in variables
