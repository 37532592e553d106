"""The pages of the README and the docs, photographed from the demo: `make screenshots`.

Without the variable `SCREENSHOTS`, which names the folder of the pictures, these tests are skipped.
"""

import itertools
import json
import os
import random
from contextlib import closing
from http import HTTPStatus
from io import BytesIO, StringIO
from pathlib import Path

import pytest
from django.contrib.auth.models import User
from django.core.management import call_command
from django.urls import reverse
from django.utils import timezone
from PIL import Image
from playwright.sync_api import Page, expect

from cachelayer.ops import statistics
from conversations.demo import demo_access
from conversations.demo.post import OverHttp
from conversations.models import Conversation, Instance, Message, MinuteRecord
from conversations.monitoring import history, reading
from tests.browser.conftest import OpenPage
from tests.browser.pages import a_superuser
from tests.conversations.ingest.bodies import SECOND, text
from tests.waiting import wait_until

FOLDER = os.environ.get("SCREENSHOTS", "")
MAX_BYTES = 150_000
MINUTES = 30  # of traffic in the plots
BURST = (1, 9)  # messages in each of them
BUSIEST = 20  # conversations that get them
COLOURS = 256

pytestmark = [
    pytest.mark.postgresql,
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(not FOLDER, reason="run `make screenshots`"),
]


@pytest.fixture
def demo() -> User:
    """Load the demo, and return a user who may see all of it."""
    options = {"conversations": 150, "messages": 12, "no_samples": True, "quiet": True}
    call_command("demo", stdout=StringIO(), **options)
    return a_superuser()


def make_traffic(page: Page, site: str, shop: Instance) -> None:
    """Post messages to the server and read conversations in bursts; remember each burst as a minute of its own.

    What the plots show was counted, but within seconds instead of minutes.
    """
    token = demo_access.ensure_instances()[shop.name]
    chats = list(Conversation.objects.filter(instance=shop, kind="direct").order_by("-last_message_at")[:BUSIEST])
    minute, rows = int(timezone.now().timestamp()) // history.MINUTE, []
    sizes, numbers = random.Random(7), itertools.count()
    with closing(OverHttp(site)) as poster:
        for minutes_ago in range(MINUTES, -1, -1):
            for chat in sizes.choices(chats, k=sizes.randint(*BURST)):
                now = int(timezone.now().timestamp())
                body = text(f"S{next(numbers)}", chat.jid, "Obrigado!", at=now - SECOND) | {"instance": shop.name}
                path = f"/webhooks/evolution/{shop.name}"
                assert poster.post(path, json.dumps(body).encode(), token) in (HTTPStatus.OK, HTTPStatus.ACCEPTED)
                page.request.get(f"/admin/inbox/{chat.pk}/")
            poster.wait_until_applied()
            before = statistics.totals()
            wait_until(lambda: statistics.totals() != before)  # noqa: B023 - called in this turn of the loop
            figures = history.figures_of(reading.read())._asdict() | {"minute": minute - minutes_ago}
            del figures["at"]
            rows.append(MinuteRecord(**figures))
    MinuteRecord.objects.all().delete()
    MinuteRecord.objects.bulk_create(rows)


def photograph(page: Page, name: str) -> None:
    """Write what the window shows into a small PNG file."""
    page.wait_for_load_state("load")
    page.evaluate("document.fonts.ready")
    for video in page.locator("video").all():
        video.scroll_into_view_if_needed()
        page.wait_for_function("(video) => video.readyState > 1", arg=video.element_handle())
    if page.locator(".bubble").count() and not page.locator(".bubble:target").count():
        page.locator(".bubble").last.scroll_into_view_if_needed()
    picture = Image.open(BytesIO(page.screenshot(animations="disabled"))).convert("RGB")
    file = BytesIO()
    picture.quantize(COLOURS, dither=Image.Dither.NONE).save(file, "PNG", optimize=True)
    assert len(file.getvalue()) <= MAX_BYTES, f"{name}: {len(file.getvalue())} bytes"
    (Path(FOLDER) / f"{name}.png").write_bytes(file.getvalue())


def chat_with(kind: str, **filters: str) -> Conversation:
    """Return the direct conversation with the latest message of a kind that has its file."""
    found = Message.objects.filter(kind=kind, media__has_key="file", conversation__kind="direct", **filters)
    return Conversation.objects.get(pk=found.latest("timestamp").conversation_id)


def test_the_pages_of_the_docs(open_page: OpenPage, site: str, demo: User) -> None:
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
    page.locator(".hit").first.click()
    expect(page.locator(".bubble:target")).to_be_in_viewport()
    photograph(page, "search")

    phone = open_page("/admin/inbox/", demo, width=390)
    photograph(phone, "phone-list")
    phone.goto(f"/admin/inbox/{voice.pk}/?page=latest")
    photograph(phone, "phone-thread")

    make_traffic(page, site, shop)
    page.set_viewport_size({"width": 1280, "height": 900})
    page.goto("/admin/")
    photograph(page, "home")

    page.goto(f"{reverse('admin:cachelayer_countertotal_changelist')}?period=hour")
    photograph(page, "cache-page")
