from typing import Any

import pytest

from conversations.admin import message_content
from conversations.admin.business_lines import format_amount
from conversations.admin.links import LinkedText

BUTTONS = [{"text": "Sim"}, {"type": "cta_url"}, {"text": "Ligar", "phone_number": "+1"}, 5]
PIZZAS = {"title": "Pizzas", "rows": [{"title": "Média", "description": "6 fatias"}, {"id": "9"}]}
DRESS = {"title": "Vestido", "description": "azul", "price_amount_1000": 89900, "currency_code": "BRL"}
LINK = "https://loja.example.com/9"


@pytest.mark.parametrize(
    ("thousandths", "currency", "text"),
    [
        (159900, "BRL", "159.90 BRL"),
        (1_200_000, "", "1,200.00"),
        (1, "USD", "0.001 USD"),
        (-2500, "BRL", "-2.50 BRL"),
        ("1", "BRL", ""),
        (True, "BRL", ""),
        (10**30, 5, "1,000,000,000,000,000,000,000,000,000.00"),
    ],
)
def test_an_amount_has_two_decimals_or_as_many_as_it_needs(thousandths: object, currency: object, text: str) -> None:
    assert format_amount(thousandths, currency) == text


@pytest.mark.parametrize(
    ("kind", "details", "texts"),
    [
        (
            "buttons",
            {"header": "T", "footer": "F", "buttons": BUTTONS},
            ["T", "[Sim]", "[cta_url]", "[Ligar] +1", "F"],
        ),
        (
            "list",
            {"description": "Escolha", "sections": [PIZZAS]},
            ["Escolha", "Pizzas", "• Média — 6 fatias", "• 9"],
        ),
        (
            "interactive",
            {"cards": [{"header": "Um", "text": "card", "buttons": [{"text": "Ver"}]}]},
            ["▫ Um · card", "[Ver]"],
        ),
        (
            "interactive",
            {"product": DRESS, "location": {"name": "Loja", "address": "Rua A"}, "buttons": [{"text": "Ver"}]},
            ["Vestido", "azul", "89.90 BRL", "Loja", "Rua A", "[Ver]"],
        ),
        ("product", {"product": {**DRESS, "sale_price_amount_1000": 59900}}, ["Vestido", "azul", "59.90 BRL"]),
        ("product", {"product": {**DRESS, "sale_price_amount_1000": 0}}, ["Vestido", "azul", "89.90 BRL"]),
        (
            "interactive",
            {"cards": [{"product": DRESS, "sections": [PIZZAS]}]},
            ["Vestido", "azul", "89.90 BRL", "Pizzas", "• Média — 6 fatias", "• 9"],
        ),
        (
            "interactive",
            {"order_status": "shipped", "items": [{"title": "Camisa", "product_id": "c1", "quantity": 2}]},
            ["shipped", "2 × Camisa"],  # noqa: RUF001 - a multiplication sign
        ),
        (
            "order",
            {
                "order_title": "Loja",
                "items": [{"product_id": "sku1", "quantity": 2, "price_amount_1000": 30000, "currency_code": "BRL"}],
                "item_count": 2,
                "total_amount_1000": 60000,
                "total_currency_code": "BRL",
            },
            ["Loja", "2 × sku1 · 30.00 BRL", "Items: 2", "Total: 60.00 BRL"],  # noqa: RUF001 - a multiplication sign
        ),
        (
            "product",
            {"product": DRESS},
            ["Vestido", "azul", "89.90 BRL"],
        ),
        ("payment", {"step": "request", "amount_1000": 5000, "currency_code": "BRL"}, ["request · 5.00 BRL"]),
        (
            "event",
            {"start_time": 1772900000, "end_time": 1772910000, "is_canceled": True, "location": {"name": "Casa"}},
            ["Canceled", "Starts: 7 Mar 2026, 16:13 UTC", "Ends: 7 Mar 2026, 19:00 UTC", "Casa"],
        ),
        ("poll_result", {"poll_votes": [{"option_name": "sexta", "option_vote_count": 3}]}, ["sexta: 3"]),
        (
            "interactive_reply",
            {"native_flow_response_message": {"params_json": '{"nome": "Bia", "flow_token": "x", "n": {}}'}},
            ["nome: Bia"],
        ),
        ("interactive_reply", {"native_flow_response_message": {"params_json": "{"}}, []),
        (
            "interactive_reply",
            {"native_flow_response_message": {"params_json": '{"a\\u0000": "\\ud800", "b": 1e400}'}},
            ["a: \ufffd", "b: 1e400"],
        ),
        ("unknown", {"content": "messageOfTomorrow", "fields": {"a": 1}}, ["messageOfTomorrow"]),
    ],
)
def test_business_content_is_shown(kind: str, details: dict[str, Any], texts: list[str]) -> None:
    assert [line.text for line in message_content.detail_lines(kind, details, [])] == texts


def test_links_of_products_and_buttons_can_be_followed() -> None:
    product = message_content.detail_lines("product", {"product": {"title": "Vestido", "url": LINK}}, [])
    assert product == [LinkedText("Vestido", LINK)]
    button = message_content.detail_lines("buttons", {"buttons": [{"text": "Ver", "url": "javascript:alert(1)"}]}, [])
    assert button == [LinkedText("[Ver]")]
