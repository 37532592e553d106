"""The home page as an operator sees it: a number drops and returns, traffic arrives, and all of it without a reload."""

import json
from http.client import HTTPConnection
from urllib.parse import urlsplit

import pytest
from django.utils import timezone
from playwright.sync_api import expect

from conversations.admin.home.charts import CHARTS, LEAST_PARTS
from conversations.models import Instance
from conversations.monitoring import history
from tests.browser.conftest import MILLISECONDS, OpenPage
from tests.browser.pages import a_superuser, serious_problems
from tests.conversations.ingest.bodies import envelope, text
from tests.conversations.remembered import remember_minutes_ago
from tests.conversations.rows import an_instance

pytestmark = [pytest.mark.postgresql, pytest.mark.django_db(transaction=True)]
HOME = "/admin/"
expect.set_options(timeout=MILLISECONDS)
DROP_MILLISECONDS = 5_000  # after which a number that drops must be on the page


def post(site: str, number: Instance, token: str, body: dict[str, object]) -> None:
    """Send a webhook as Evolution does."""
    connection = HTTPConnection(urlsplit(site).netloc, timeout=60)
    path = f"/webhooks/evolution/{number.name}?token={token}"
    connection.request("POST", path, json.dumps(body | {"instance": number.name}), {"Content-Type": "application/json"})
    assert connection.getresponse().status == 202
    connection.close()


def connection_update(state: str, reason: int) -> dict[str, object]:
    return envelope("connection.update", {"state": state, "statusReason": reason}, timezone.now().isoformat())


def test_a_number_that_drops_is_on_the_page_and_leaves_it(open_page: OpenPage, site: str) -> None:
    number = an_instance(name="sales", state="open", owner_jid="5511@s.whatsapp.net")
    token = Instance.objects.issue_token(number.pk)
    remember_minutes_ago(1)
    page = open_page(HOME, a_superuser())
    expect(page.locator(".home")).to_have_attribute("data-live", "on")
    expect(page.locator("#no-needs")).to_be_visible()
    post(site, number, token, connection_update("close", 401))
    row = page.locator("#need-disconnected .need-row")
    expect(row).to_contain_text("sales", timeout=DROP_MILLISECONDS)
    expect(page.locator("#tile-disconnected .tile-value")).to_have_text("1")
    post(site, number, token, connection_update("open", 200))
    expect(row).to_have_count(0)
    expect(page.locator("#tile-connected .tile-value")).to_have_text("1 / 1")

    expect(page.locator("#chart-messages .chart-headline")).to_have_text("0 in total")
    seconds = int(timezone.now().timestamp())
    for key in ("M1", "M2", "M3"):
        post(site, number, token, text(key) | {"data": text(key)["data"] | {"messageTimestamp": seconds}})
    expect(page.locator("#chart-messages .chart-headline")).to_have_text("3 in total")
    expect(page.locator("#chart-hit-rate .chart-headline")).to_contain_text("%")


def test_the_first_plots_come_with_their_table(open_page: OpenPage) -> None:
    history.remember()
    page = open_page(HOME, a_superuser())
    expect(page.locator("#no-charts")).to_be_visible()
    expect(page.locator(".chart-table")).to_be_hidden()
    remember_minutes_ago(1)
    expect(page.locator(".chart")).to_have_count(len(CHARTS))
    expect(page.locator("#chart-since")).to_contain_text("Figures are known since")
    page.locator(".chart-table summary").click()
    expect(page.locator("#chart-columns th")).to_have_count(1 + len(CHARTS))
    expect(page.locator("#chart-rows tr")).to_have_count(LEAST_PARTS)


def test_the_menu_of_a_phone_opens_and_closes_by_keyboard(open_page: OpenPage) -> None:
    page = open_page(HOME, a_superuser(), width=390)
    menu, links = page.get_by_role("button", name="Main pages"), page.locator("#main-menu a")
    expect(links.first).to_be_hidden()
    menu.focus()
    page.keyboard.press("Enter")
    for link in links.all():
        expect(link).to_be_in_viewport(ratio=1)
    expect(links.first).to_have_attribute("aria-current", "page")
    assert serious_problems(page) == []
    page.keyboard.press("Escape")
    expect(links.first).to_be_hidden()
    page.keyboard.press("Enter")
    page.get_by_role("link", name="Ingestion").first.click()
    expect(page.locator("h1", has_text="Ingestion")).to_be_visible()


def test_it_works_by_keyboard_on_a_phone_and_for_axe(open_page: OpenPage) -> None:
    for name in ("sales", "support"):
        an_instance(name=name, state="close", owner_jid="5511@s.whatsapp.net")
    an_instance(name="new", state="connecting")
    remember_minutes_ago(1)
    user = a_superuser()
    for scheme in ("light", "dark"):
        for width in (1280, 390):
            page = open_page(HOME, user, width=width, scheme=scheme)
            expect(page.locator(".need")).to_have_count(2)
            page.locator(".chart-table summary").focus()
            page.keyboard.press("Enter")
            expect(page.locator("#chart-rows tr")).to_have_count(LEAST_PARTS)
            assert page.evaluate("document.documentElement.scrollWidth") == width
            assert serious_problems(page) == [], f"{scheme}, {width} pixels"
    page = open_page(HOME, user)
    page.locator(".periods a").last.click()
    expect(page.locator(".periods a[aria-current]")).to_have_text("Last day")
    page.locator("#need-disconnected a").first.click()
    expect(page.locator("#content")).to_contain_text("sales")
