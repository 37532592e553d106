"""The access matrix of the admin: every page and action, by every kind of user, for rows of two instances.

A page, model or action that is missing in the tables fails. A page that shows a message must leave a record. On
PostgreSQL, one kind of user visits the pages; with EXPLORE=all, every kind.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from django.contrib import admin
from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.auth.models import Group, Permission, User
from django.contrib.contenttypes.models import ContentType
from django.test import Client, RequestFactory
from django.urls import reverse

from conversations.admin.tokens import REVOKE
from conversations.models import (
    Alarm,
    ApiToken,
    Contact,
    Conversation,
    DeliveryAttempt,
    IngestCounter,
    Instance,
    Membership,
    Message,
    ReadingRecord,
    Role,
    WebhookEvent,
    WebhookSubscription,
)
from tests.conversations.rows import NOON, a_chat, a_contact, a_message, an_instance
from tests.effort import sweep

pytestmark = pytest.mark.django_db
UNKNOWN_PK = 10**9
OWN, FOREIGN = "own-", "foreign-"  # every text in a row of an instance begins so

# model → whether staff with a role in the instance see its rows; all other models are for superusers
MODELS: dict[Any, bool] = {
    Instance: True,
    Contact: True,
    Conversation: True,
    Message: True,
    WebhookEvent: True,
    Alarm: True,
    Membership: False,
    ApiToken: False,
    ReadingRecord: False,
    WebhookSubscription: False,
    DeliveryAttempt: False,
    User: False,
    Group: False,
}
ROW_PAGES = ("change", "history", "delete")
# Other pages, with the arguments for a house; the pages of IngestCounter and of the cache replace lists.
OTHER_PAGES: dict[str, Callable[["House"], list[Any]]] = {
    "index": lambda _: [],
    "app_list": lambda _: ["conversations"],
    "login": lambda _: [],
    "logout": lambda _: [],
    "password_change": lambda _: [],
    "password_change_done": lambda _: [],
    "jsi18n": lambda _: [],
    "autocomplete": lambda _: [],
    "auth_user_password_change": lambda house: [house.rows[User].pk],
    "conversations_ingestcounter_changelist": lambda _: [],
    "conversations_change_changelist": lambda _: [],
    "admin_logentry_changelist": lambda _: [],
    "cachelayer_countertotal_changelist": lambda _: [],
    "cachelayer_countertotal_clear": lambda _: [],
    "cachelayer_countertotal_entry": lambda _: [],
    "inbox": lambda _: [],
    "inbox_actions": lambda _: [],
    "inbox_conversation": lambda house: [house.rows[Conversation].pk],
}
OPEN_PAGES = {"login", "jsi18n"}  # for everybody; they show nothing
# What a page of the list of a model may be asked.
QUERIES = ("", "?q=text", "?instance={foreign}", "?_popup=1&_to_field=id", "?all=", "?e=1")
ACTIONS = {
    (Conversation, "mark_read"), (Conversation, "archive"), (Conversation, "unarchive"), (Conversation, "pin"),
    (Conversation, "unpin"), (Conversation, "mark_unread"), (Conversation, "unmute"),
    (WebhookEvent, "replay"), (WebhookEvent, "delete_selected"), (ApiToken, "revoke"),
    (WebhookSubscription, "delete_selected"), (DeliveryAttempt, "replay"),
    (ApiToken, "delete_selected"), (Membership, "delete_selected"), (User, "delete_selected"),
    (Group, "delete_selected"),
}  # fmt: skip


@dataclass(frozen=True)
class House:
    """One instance with a row of each model, in which every text begins with the same mark."""

    mark: str
    rows: dict[Any, Any]

    @property
    def message(self) -> Any:
        """The only message."""
        return self.rows[Message]


def a_house(mark: str) -> House:
    instance = an_instance(name=f"{mark}shop", profile_name=f"{mark}profile", labels={"1": {"name": f"{mark}label"}})
    contact = a_contact(instance, name=f"{mark}contact", saved_name=f"{mark}saved", push_name=f"{mark}push")
    chat = a_chat(instance, contact=contact, name=f"{mark}chat", labels={"1": True}, unread_count=3)
    message = a_message(
        chat, text=f"{mark}text", sender=contact, sender_name=f"{mark}sender", details={"x": f"{mark}d"}
    )
    Conversation.objects.filter(pk=chat.pk).update(
        last_message=message, last_message_at=NOON, last_message_text=message.text, last_message_kind="text"
    )
    user = User.objects.create(username=f"{mark}member")
    record = ReadingRecord(user=user, username=user.username, instance=instance, conversation_jid=f"{mark}jid")
    record.save()
    event = WebhookEvent.objects.create(
        instance=instance, name="messages.upsert", outcome="failed", reason=f"{mark}reason", digest=mark.ljust(64, "0"),
        payload={"event": "messages.upsert", "data": {"message": {"conversation": f"{mark}text"}}},
    )  # fmt: skip
    IngestCounter.objects.create(instance=instance, name=f"{mark}counter", value=1)
    webhook = WebhookSubscription.objects.create(user=user, name=f"{mark}webhook", url="https://crm.example/")
    rows = {
        Instance: instance,
        Contact: contact,
        Conversation: chat,
        Message: message,
        WebhookEvent: event,
        Alarm: Alarm.objects.create(kind="disconnected", subject=instance.pk, name=f"{mark}shop"),
        Membership: Membership.objects.create(user=user, instance=instance),
        ApiToken: ApiToken.objects.issue(user, name=f"{mark}token", instances=[instance.pk])[0],
        ReadingRecord: record,
        WebhookSubscription: webhook,
        DeliveryAttempt: DeliveryAttempt.objects.create(
            subscription=webhook,
            kind="changes",
            message_id=f"{mark}id",
            at=NOON,
            duration_ms=1,
            changes=1,
            cursor="",
            error=f"{mark}error",
        ),
        User: user,
        Group: Group.objects.create(name=f"{mark}group"),
    }
    root = User.objects.create(username=f"{mark}root")
    LogEntry.objects.bulk_create(
        LogEntry(
            user=root, content_type=ContentType.objects.get_for_model(model), object_id=str(row.pk),
            object_repr=f"{mark}repr", action_flag=CHANGE, change_message=f"{mark}log",
        )
        for model, row in rows.items()
    )  # fmt: skip
    return House(mark, rows)


@pytest.fixture
def houses() -> tuple[House, House]:
    return a_house(OWN), a_house(FOREIGN)


@dataclass(frozen=True)
class Visitor:
    """Who visits the admin: always with all of Django's permissions."""

    is_superuser: bool = False
    is_staff: bool = True
    role: Role | None = None


STAFF = "staff with a role"
VISITORS = {
    "superuser": Visitor(is_superuser=True),
    STAFF: Visitor(role=Role.MANAGER),
    "staff without a role": Visitor(),
    "manager who is not staff": Visitor(is_staff=False, role=Role.MANAGER),
}
OTHER_VISITORS = [name for name, visitor in VISITORS.items() if not visitor.is_superuser]


def log_in(visitor: Visitor, own: House) -> Client:
    user = User.objects.create_user("ana", is_superuser=visitor.is_superuser, is_staff=visitor.is_staff)
    user.user_permissions.set(Permission.objects.all())
    if visitor.role:
        Membership.objects.create(user=user, instance=own.rows[Instance], role=visitor.role)
    client = Client(raise_request_exception=True)
    client.force_login(user)
    return client


def prefix(model: Any) -> str:
    return f"admin:{model._meta.app_label}_{model._meta.model_name}"  # noqa: SLF001 - Django documents _meta


# --- the tables are complete ------------------------------------------------------------------------------------------
def pages_of(patterns: Any) -> Iterator[str | None]:
    for pattern in patterns:
        if hasattr(pattern, "url_patterns"):
            yield from pages_of(pattern.url_patterns)
        else:
            yield pattern.name


def test_every_page_is_in_the_matrix() -> None:
    expected = {f"{prefix(model)}_{page}" for model in MODELS for page in ("changelist", "add", *ROW_PAGES)}
    expected |= {f"admin:{name}" for name in OTHER_PAGES}
    assert {f"admin:{name}" for name in pages_of(admin.site.get_urls()) if name} == expected


def test_every_action_is_in_the_matrix(admin_user: User) -> None:
    request = RequestFactory().get("/")
    request.user = admin_user
    found = {(model, name) for model in MODELS for name in admin.site.get_model_admin(model).get_actions(request)}
    assert found == ACTIONS


# --- the matrix -------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("name", sweep(VISITORS, on_both=[STAFF]))
def test_no_page_shows_what_is_not_theirs(houses: tuple[House, House], name: str) -> None:
    own, foreign = houses
    visitor = VISITORS[name]
    client = log_in(visitor, own)
    permitted = {OWN, FOREIGN} if visitor.is_superuser else {OWN} if visitor.is_staff and visitor.role else set()
    for url, shown in pages(own, foreign, visitor):
        ReadingRecord.objects.filter(username="ana").delete()  # a page that is read again soon is not recorded again
        response = client.get(url)
        text = response.content.decode()
        assert {mark for mark in (OWN, FOREIGN) if mark in text} <= permitted, url
        assert {mark for mark in shown if mark not in text} == set(), f"{url} is empty"
        assert not shown or response.status_code == 200, url
        if any(f"{mark}text" in text for mark in (OWN, FOREIGN)):
            is_recorded = ReadingRecord.objects.filter(username="ana").exists()
            assert is_recorded, f"{url} shows a message, and this is not recorded"


def pages(own: House, foreign: House, visitor: Visitor) -> Iterator[tuple[str, set[str]]]:
    """Yield the URL of each page, and the marks that it must show."""
    everything = {OWN, FOREIGN} if visitor.is_superuser else set()
    for model, is_for_staff in MODELS.items():
        is_own = visitor.is_superuser or (is_for_staff and visitor.is_staff and visitor.role is not None)
        shown = everything or ({OWN} if is_own else set())
        for query in QUERIES:
            is_filtered = any(part in query for part in ("instance", "e=", "q="))
            url = reverse(f"{prefix(model)}_changelist") + query.format(foreign=foreign.rows[Instance].pk)
            yield url, set() if is_filtered else shown
        yield reverse(f"{prefix(model)}_add"), set()
        for house in (own, foreign):
            for page in ROW_PAGES:
                may_see = page == "change" and (visitor.is_superuser or (house is own and is_own))
                yield (
                    reverse(f"{prefix(model)}_{page}", args=[house.rows[model].pk]),
                    {house.mark} if may_see else set(),
                )
    chat, counters = foreign.rows[Conversation].pk, reverse("admin:conversations_ingestcounter_changelist")
    yield reverse(f"{prefix(Message)}_changelist") + f"?conversation__id__exact={chat}", {FOREIGN} & everything
    yield f"{counters}?instance={foreign.rows[Instance].pk}", {FOREIGN} & everything
    yield (
        f"{counters}?instance={own.rows[Instance].pk}",
        {OWN} if everything or (visitor.role and visitor.is_staff) else set(),
    )
    entry = reverse("admin:cachelayer_countertotal_entry")
    for house in (own, foreign):
        yield f"{entry}?key=message:{house.message.pk}", set()
        yield f"{entry}?model=conversations.conversation&pk={house.rows[Conversation].pk}", set()
    yield from inbox_pages(own, foreign, everything or ({OWN} if visitor.role and visitor.is_staff else set()))
    for page, arguments in OTHER_PAGES.items():
        if page != "logout":
            yield reverse(f"admin:{page}", args=arguments(foreign)), set()
    for model, source in (("message", "conversation"), ("apitoken", "user"), ("membership", "instance")):
        query = f"?app_label=conversations&model_name={model}&field_name={source}&term=-"
        yield reverse("admin:autocomplete") + query, set()


def inbox_pages(own: House, foreign: House, shown: set[str]) -> Iterator[tuple[str, set[str]]]:
    inbox = reverse("admin:inbox")
    yield inbox, shown
    for query in ("?q=text", "?q=contact", "?part=list", "?state=unread"):
        yield inbox + query, shown
    for house in (own, foreign):
        opened = reverse("admin:inbox_conversation", args=[house.rows[Conversation].pk])
        yield inbox + f"?number={house.rows[Instance].pk}&label=1", {house.mark} & shown
        for query in ("", "?part=thread", f"?at={house.message.pk}", "?quoted=1"):
            yield opened + query, {house.mark} & shown if query != "?quoted=1" else set()


@pytest.mark.parametrize("name", sweep(OTHER_VISITORS, on_both=[STAFF]))
def test_a_foreign_row_is_like_one_that_does_not_exist(houses: tuple[House, House], name: str) -> None:
    own, foreign = houses
    client = log_in(VISITORS[name], own)
    for model in MODELS:
        for page in ROW_PAGES:
            answers = []
            for pk in (foreign.rows[model].pk, UNKNOWN_PK):
                answer = client.get(reverse(f"{prefix(model)}_{page}", args=[pk]), follow=True)
                found = re.findall(r'<ul class="messagelist">(.*?)</ul>', answer.content.decode(), re.DOTALL)
                texts = str([*found, *(url for url, _ in answer.redirect_chain)])
                answers.append((answer.status_code, texts.replace(str(pk), "PK")))
            assert answers[0] == answers[1], f"{model.__name__} {page}"


@pytest.mark.parametrize("name", sweep(OTHER_VISITORS, on_both=[STAFF]))
def test_nobody_changes_what_is_not_theirs(houses: tuple[House, House], name: str) -> None:
    own, foreign = houses
    client = log_in(VISITORS[name], own)
    before = values_of(foreign)
    for model, row in foreign.rows.items():
        url = reverse(f"{prefix(model)}_change", args=[row.pk])
        client.post(url, {"name": "x", "username": "x", "role": "manager", "is_archived": "on", REVOKE: "1"})
        client.post(reverse(f"{prefix(model)}_delete", args=[row.pk]), {"post": "yes"})
    client.post(reverse("admin:auth_user_password_change", args=[foreign.rows[User].pk]), {"password1": "x"})
    for action in ("archive", "pin", "mark_read", "remove_label"):
        chosen = {"action": action, "pk": [foreign.rows[Conversation].pk], "label": "1"}
        client.post(reverse("admin:inbox_actions"), chosen)
    for model, action in ACTIONS:
        url, pk = reverse(f"{prefix(model)}_changelist"), foreign.rows[model].pk
        for more in ({}, {"post": "yes"}, {"select_across": "1"}):
            for query in ("", f"?instance={foreign.rows[Instance].pk}"):
                client.post(url + query, {"action": action, "_selected_action": [pk], "index": "0", **more})
    assert values_of(foreign) == before


def values_of(house: House) -> list[Any]:
    return [list(model._base_manager.filter(pk=row.pk).values()) for model, row in house.rows.items()]  # noqa: SLF001 - Django documents it


def test_staff_cannot_give_themselves_rights(houses: tuple[House, House]) -> None:
    own, _ = houses
    client, ana = log_in(VISITORS[STAFF], own), User.objects.get(username="ana")
    ana.user_permissions.set(Permission.objects.filter(content_type__app_label="auth"))
    group = own.rows[Group]
    ana.groups.add(group)
    permission = Permission.objects.get(codename="delete_conversation")
    for url in (reverse("admin:auth_group_change", args=[group.pk]), reverse("admin:auth_group_add")):
        client.post(url, {"name": "x", "permissions": [permission.pk]})
    assert not User.objects.get(pk=ana.pk).has_perm("conversations.delete_conversation")
