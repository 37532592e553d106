"""The pages of the README and the docs, photographed from the demo: `make screenshots`.

Without the variable `SCREENSHOTS`, which names the folder of the pictures, these tests are skipped.
"""

import os
from io import BytesIO, StringIO
from pathlib import Path

import pytest
from django.contrib.auth.models import User
from django.core.management import call_command
from django.urls import reverse
from PIL import Image
from playwright.sync_api import Page, expect

from conversations.models import Conversation, Instance, Message, MinuteRecord
from conversations.monitoring import history
from tests.browser.conftest import OpenPage
from tests.browser.pages import a_superuser
from tests.conversations.remembered import remember_minutes_ago

FOLDER = os.environ.get("SCREENSHOTS", "")
MAX_BYTES = 150_000
COLOURS = 256

pytestmark = [
    pytest.mark.postgresql,
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(not FOLDER, reason="run `make screenshots`"),
]


@pytest.fixture
def demo() -> User:
    """Load the demo, and return a user who may see all of it."""
    remember_minutes_ago(1)
    MinuteRecord.objects.latest("minute").delete()
    options = {"conversations": 150, "messages": 12, "no_samples": True, "quiet": True}
    call_command("demo", stdout=StringIO(), **options)
    history.remember()
    return a_superuser()


def photograph(page: Page, name: str) -> None:
    """Write what the window shows into a small PNG file."""
    page.wait_for_load_state("load")
    page.evaluate("document.fonts.ready")
    for video in page.locator("video").all():
        video.scroll_into_view_if_needed()
        page.wait_for_function("(video) => video.readyState > 1", arg=video.element_handle())
    page.locator(".bubble").last.scroll_into_view_if_needed() if page.locator(".bubble").count() else None
    picture = Image.open(BytesIO(page.screenshot(animations="disabled"))).convert("RGB")
    file = BytesIO()
    picture.quantize(COLOURS, dither=Image.Dither.NONE).save(file, "PNG", optimize=True)
    assert len(file.getvalue()) <= MAX_BYTES, f"{name}: {len(file.getvalue())} bytes"
    (Path(FOLDER) / f"{name}.png").write_bytes(file.getvalue())


def chat_with(kind: str, **filters: str) -> Conversation:
    """Return the direct conversation with the latest message of a kind that has its file."""
    found = Message.objects.filter(kind=kind, media__has_key="file", conversation__kind="direct", **filters)
    return Conversation.objects.get(pk=found.latest("timestamp").conversation_id)


def test_the_pages_of_the_docs(open_page: OpenPage, demo: User) -> None:
    shop = Instance.objects.get(name="vendas-sp-01")
    image = chat_with(Message.Kind.IMAGE, text="Comprovante")
    video = chat_with(Message.Kind.VIDEO)
    voice = chat_with(Message.Kind.AUDIO)

    page = open_page(f"/admin/inbox/{image.pk}/?page=latest", demo)
    expect(page.locator(".inbox")).to_have_attribute("data-live", "on")
    photograph(page, "inbox")

    page.goto(f"/admin/inbox/{video.pk}/?number={shop.pk}&page=latest")
    photograph(page, "thread")

    page.goto("/admin/inbox/?q=pix")
    photograph(page, "search")

    page.goto("/admin/")
    photograph(page, "home")

    page.goto(reverse("admin:cachelayer_countertotal_changelist"))
    photograph(page, "cache-page")

    phone = open_page("/admin/inbox/", demo, width=390)
    photograph(phone, "phone-list")
    phone.goto(f"/admin/inbox/{voice.pk}/?page=latest")
    photograph(phone, "phone-thread")
