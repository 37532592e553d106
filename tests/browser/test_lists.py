"""All lists and forms of the admin: axe finds nothing serious, and a phone shows them without scrolling sideways."""

from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest
from django.contrib import admin
from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.auth.models import Group, User
from django.contrib.contenttypes.models import ContentType
from django.urls import NoReverseMatch, reverse
from django.utils import timezone
from playwright.sync_api import expect

from conversations.models import (
    Alarm,
    ApiToken,
    DeliveryAttempt,
    IngestCounter,
    Instance,
    Membership,
    ReadingRecord,
    WebhookEvent,
    WebhookSubscription,
)
from tests.browser.conftest import MILLISECONDS, OpenPage
from tests.browser.pages import a_superuser, serious_problems
from tests.conversations.rows import a_chat, a_contact, a_message, an_instance

pytestmark = [pytest.mark.postgresql, pytest.mark.django_db(transaction=True)]
LONG = "a-text-without-a-space-" * 9
PHONE = 390
NO_RESULTS = "/admin/conversations/contact/?q=nobody"
BADGE_PIXELS = 50  # of two lines

expect.set_options(timeout=MILLISECONDS)


@pytest.fixture
def root() -> User:
    return a_superuser()


def fill(root: User) -> None:
    """Create a row for each list, with long texts that do not break."""
    shop = an_instance(
        name=LONG[:60], profile_name=LONG[:60], owner_jid="551140000000@s.whatsapp.net", state="open",
        server_url=f"https://evolution.example/{LONG[:90]}", token_hash="x",
    )  # fmt: skip
    chat = a_chat(shop, contact=a_contact(shop, name=LONG[:90], lid="9" * 15, last_seen_at=timezone.now()))
    message = a_message(chat, text=LONG)
    for outcome in WebhookEvent.Outcome:
        WebhookEvent.objects.create(
            instance=shop, name="messages.upsert", outcome=outcome, reason=LONG, attempts=3, digest=outcome.ljust(64),
            payload={"event": "messages.upsert", "data": {LONG: [LONG, {"apikey": "x"}]}},
        )  # fmt: skip
    Membership.objects.create(user=User.objects.create(username=LONG[:90]), instance=shop)
    ApiToken.objects.issue(root, name=LONG[:90], instances=[shop.pk])
    Group.objects.create(name=LONG[:90])
    webhook = WebhookSubscription.objects.create(user=root, name=LONG[:90], url=f"https://crm.example/{LONG}")
    DeliveryAttempt.objects.create(
        subscription=webhook, kind="changes", message_id=LONG[:60], at=timezone.now(), duration_ms=1, changes=1,
        cursor="", error=LONG[:190],
    )  # fmt: skip
    ReadingRecord.objects.create(
        user=root, username="root", instance=shop, conversation_pk=chat.pk, conversation_jid=LONG[:90], page="message",
        row_pk=message.pk,
    )  # fmt: skip
    LogEntry.objects.create(
        user=root, content_type=ContentType.objects.get_for_model(Instance), object_id=str(shop.pk),
        object_repr=LONG[:190], action_flag=CHANGE, change_message=LONG,
    )  # fmt: skip
    Alarm.objects.create(kind="disconnected", name=LONG[:60], subject=shop.pk, detail=LONG, announced_at=timezone.now())
    IngestCounter.objects.create(instance=shop, name="refused", value=7)


def pages_of(model: Any, *names: str) -> Iterator[str]:
    """Yield the paths of those pages of a model that exist."""
    row = model._default_manager.first()  # noqa: SLF001 - Django documents it
    options = model._meta  # noqa: SLF001 - as above
    for name in names:
        arguments = [row.pk if row else 0] if name == "change" else []
        with suppress(NoReverseMatch):
            yield reverse(f"admin:{options.app_label}_{options.model_name}_{name}", args=arguments)


def paths(*names: str) -> list[str]:
    """Return the paths of the named pages of all models: the list, the form of one row, the form that adds one."""
    return [path for model in admin.site._registry for path in pages_of(model, *names)]  # noqa: SLF001 - no public API


@pytest.mark.parametrize(("width", "scheme"), [(1280, "dark"), (PHONE, "light")])
def test_axe_finds_nothing_serious_and_nothing_scrolls_sideways(
    open_page: OpenPage, root: User, width: int, scheme: str
) -> None:
    fill(root)
    page, problems = open_page("/admin/", root, width=width, scheme=scheme, bypass_csp=True), []
    for path in [*paths("changelist", "add", "change"), NO_RESULTS, "/nothing/"]:
        page.goto(path)
        # A script of Django's makes the tooltip, and gives it a label.
        problems += [f"{path}: {one}" for one in serious_problems(page) if "help-tooltip" not in one]
        wide = page.evaluate("document.documentElement.scrollWidth")
        if wide > width:
            problems.append(f"{path} is {wide} pixels wide")
    assert problems == []


def test_a_phone_reaches_actions_and_filters(open_page: OpenPage, root: User) -> None:
    fill(root)
    phone = open_page("/admin/conversations/webhookevent/", root, width=PHONE)
    assert phone.locator("#result_list tbody tr").first.bounding_box()["width"] <= PHONE  # type: ignore[index]
    phone.locator("#action-toggle").check()
    assert phone.locator("#result_list tbody input:checked").count() == len(WebhookEvent.Outcome)
    phone.get_by_role("link", name="Filter", exact=True).click()
    phone.locator("#changelist-filter select[name=event]").select_option("call")
    phone.locator("#changelist-filter form", has=phone.locator("[name=event]")).get_by_role("button").click()
    phone.wait_for_url("**event=call*")
    phone.get_by_role("link", name="Show everything").click()
    expect(phone.locator("#result_list tbody tr")).to_have_count(len(WebhookEvent.Outcome))


@pytest.mark.parametrize("width", [1280, PHONE])
def test_all_lists_show_all_of_each_row(open_page: OpenPage, root: User, width: int) -> None:
    fill(root)
    page, problems = open_page("/admin/", root, width=width, locale="pt-BR"), []  # its labels are long
    for path in paths("changelist"):
        page.goto(path)
        table = page.locator("#changelist .results")
        if not table.count():
            continue
        cells = page.locator("#result_list tbody :is(td, th), #result_list .badge, #result_list .cell-detail")
        right = cells.evaluate_all("cells => Math.max(...cells.map(cell => cell.getBoundingClientRect().right))")
        box = table.bounding_box()
        assert box is not None
        if right > box["x"] + box["width"] or table.evaluate("table => table.scrollWidth > table.clientWidth"):
            problems.append(f"{path}: a row ends at {right}, and the list at {box['x'] + box['width']}")
        heights = page.locator("#result_list .badge").evaluate_all("all => all.map(one => one.offsetHeight)")
        problems += [f"{path}: a badge is {height} pixels high" for height in heights if height > BADGE_PIXELS]
    assert problems == []
