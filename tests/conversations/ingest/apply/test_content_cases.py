"""Recorded bodies with rare content give the expected rows: in the order given, shuffled, and twice.

On PostgreSQL only in the order given; with EXPLORE=all, in every order on both.
"""

import random
from collections.abc import Sequence
from typing import Any

import pytest

from conversations.ingest.conf import Options
from conversations.ingest.inbox.store import store_body
from conversations.ingest.worker.batch import apply_due
from conversations.models import Conversation, IngestCounter, Instance, Message, PendingUpdate
from tests.conversations.ingest.receive import receive
from tests.effort import sweep
from tests.payloads import case

pytestmark = pytest.mark.django_db

ORDERS = sweep(("given", "reversed", "shuffled 1", "shuffled 2", "twice"), on_both=["given"])


def apply_case(name: str, order: str) -> dict[str, Message]:
    """Apply the webhook bodies of a case in an order; return the messages by key id."""
    bodies = _ordered(case(name), order)
    instance = Instance.objects.upsert(bodies[0]["instance"])[0]
    for body in bodies:
        event = receive(instance, body)
        assert event.outcome in ("applied", "ignored"), (body["data"], event.reason)
    return {row.key_id: row for row in Message.objects.filter(instance=instance)}


def _ordered(bodies: Sequence[dict[str, Any]], order: str) -> list[dict[str, Any]]:
    match order.split():
        case ["reversed"]:
            return list(reversed(bodies))
        case ["shuffled", seed]:
            return random.Random(seed).sample(bodies, len(bodies))
        case ["twice"]:
            # A body with a new clock is a new event with the same content.
            return [*bodies, *({**body, "date_time": "2027-01-01T00:00:00.000Z"} for body in bodies)]
    return list(bodies)


# case → key id of a message → expected (kind, text, some of the details)
EXPECTED: dict[str, dict[str, tuple[str, str, dict[str, Any]]]] = {
    "wrappers": {
        "W001": ("poll", "Qual dia?", {"options": [{"option_name": "sexta"}, {"option_name": "sábado"}]}),
        "W002": ("poll", "Qual dia?", {"selectable_options_count": 1}),
        "W003": ("poll", "Qual dia?", {}),
        "W005": ("text", "status do grupo", {}),
        "W006": ("text", "status do grupo 2", {}),
        "W008": ("text", "qual a sua dúvida?", {}),
        "W010": ("text", "tarefa", {}),
        "W013": ("image", "", {}),
        "W017": ("sticker", "", {}),
        "W018": ("image", "foto 1 do álbum", {}),
        "W019": ("text", "@Meta AI quanto é 2+2?", {}),
        "W020": ("text", "oi @grupo", {}),
        "W021": ("text", "enviada de outro aparelho", {}),
    },
    "control-messages": {"FIRST": ("text", "último de verdade", {})},
    "edit-empty": {
        "E1": ("text", "novo texto", {}),
        "E2": ("image", "legenda", {}),
        "E3": (
            "event",
            "Churrasco",
            {
                "start_time": 1772900000,
                "edited": {"is_canceled": True, "start_time": 1772990000, "at": 1772460005000},
            },
        ),
    },
    "business": {
        "B001": (
            "order",
            "Quero tudo isso",
            {"item_count": 3, "total_amount_1000": 159900, "total_currency_code": "BRL", "order_title": "Loja da Bia"},
        ),
        "B002": (
            "product",
            "tem no M?",
            {
                "product": {
                    "product_image": {"mimetype": "image/jpeg"},
                    "product_id": "9",
                    "title": "Vestido",
                    "description": "azul",
                    "currency_code": "BRL",
                    "price_amount_1000": 89900,
                    "retailer_id": "V-9",
                }
            },
        ),
        "B003": ("payment", "aluguel de março", {"step": "request", "amount_1000": 1200000}),
        "B004": ("payment", "pago!", {"step": "sent"}),
        "B006": ("template", "Confirme a entrega", {"buttons": [{"type": "quick_reply"}]}),
        "B007": ("template", "Código 123456", {"element_name": "e"}),
        "B008": (
            "interactive",
            "R$ 25,00",
            {
                "header": "Pague com Pix",
                "footer": "Loja",
                "buttons": [{"type": "payment_info", "params_json": '{"pix":1}'}],
            },
        ),
        "B009": (
            "interactive",
            "Veja as opções",
            {"cards": [{"header": "Opção 1", "text": "card um"}, {"text": "card dois"}]},
        ),
        "B011": (
            "interactive_reply",
            "Sent",
            {
                "native_flow_response_message": {
                    "name": "flow",
                    "params_json": '{"nome":"Bia","cep":"01001-000"}',
                    "version": 3,
                }
            },
        ),
        "B012": ("buttons", "Escolha", {"buttons": [{"id": "1", "text": "Sim"}]}),
        "B013": (
            "list",
            "Cardápio",
            {"description": "Escolha", "sections": [{"title": "Pizzas", "rows": [{"id": "1"}]}]},
        ),
        "B014": ("sticker_pack", "Gatinhos", {"publisher": "Bia"}),
        "B016": ("event", "Reunião", {"start_time": 0, "is_schedule_call": True}),
        "B017": (
            "event",
            "Churrasco",
            {
                "start_time": 1772900000,
                "end_time": 1772910000,
                "is_canceled": False,
                "join_link": "https://call.whatsapp.com/x",
                "location": {"degrees_latitude": -23.5, "degrees_longitude": -46.6, "name": "Casa"},
            },
        ),
        "B018": ("text", "comentário no aviso", {}),
        "B019": ("text", "2 + 2 = 4", {}),
        "B021": ("group_invite", "entra aí", {"group_name": "Obra", "invite_code": "abc", "invite_expiration": 1}),
        "B023": (
            "contacts",
            "2 contatos",
            {"contacts": [{"display_name": "A", "vcard": "x"}, {"display_name": "B", "vcard": "y"}]},
        ),
        "B024": ("live_location", "a caminho", {"sequence_number": 177}),
    },
    "cloud": {
        "wamid.HBg001==": (
            "order",
            "quero entregar hoje",
            {
                "items": [{"product_id": "sku1", "quantity": 2, "price_amount_1000": 30000, "currency_code": "BRL"}],
                "total_amount_1000": 60000,
            },
        ),
        "wamid.HBg002==": ("unknown", "", {"content": "unsupportedMessage"}),
        "wamid.HBg003==": ("notice", "Lia mudou de número", {"wa_id": "5521990000099", "type": "user_changed_number"}),
        "wamid.HBg005==": ("button_reply", "Sim", {}),
        "wamid.HBg013==": ("contact", "João", {"vcard": "BEGIN:VCARD"}),
    },
    "order-product-event": {
        "3AT20": ("order", "meu pedido", {"total_amount_1000": 25000, "item_count": 2}),
        "3AT23": ("event", "Festa", {"start_time": 1795800000, "description": "d"}),
    },
    "context": {
        "ST1": ("text", "adorei!", {"quoted_chat": "status@broadcast"}),
        "PR1": ("text", "em particular: sim", {"quoted_chat": "120363040000000654@g.us"}),
        "GM1": ("text", "@todos reunião", {"mentions_all": True}),
        "AL1": ("image", "", {"album_id": "ALBUM1"}),
        "AL2": ("image", "", {"album_id": "ALBUM1"}),
        "VO2": ("audio", "", {"view_once": True}),
        "VO3": ("unknown", "", {"view_once": True}),
    },
    "evolution-buttons": {
        "833bde33-f46c-4241-8e59-c73f6282b328": (
            "buttons",
            "D",
            {"header": "T", "footer": "F", "buttons": [{"id": "s", "text": "Sim", "type": "reply"}]},
        )
    },
    "meta-contact": {"wamid.mR9DyQDcHUumZFZK8SdghVSQ4w0ZFUEV": ("contact", "Maria Exemplo", {})},
}


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("name", EXPECTED)
def test_rare_content_is_read(name: str, order: str) -> None:
    rows = apply_case(name, order)
    for key, (kind, text, details) in EXPECTED[name].items():
        row = rows[key]
        assert (key, row.kind, row.text) == (key, kind, text)
        assert {name: row.details.get(name) for name in details} == details


@pytest.mark.parametrize("order", ORDERS)
def test_signals_are_no_messages(order: str) -> None:
    rows = apply_case("control-messages", order)
    chat = Conversation.objects.get()
    assert set(rows) == {"FIRST"}
    assert (chat.unread_count, chat.last_message_text) == (1, "último de verdade")


def test_a_wrapped_signal_and_an_opened_chat_are_no_messages() -> None:
    assert "W011" not in apply_case("wrappers", "given")
    assert "wamid.HBg004==" not in apply_case("cloud", "given")


def test_a_notice_is_not_unread() -> None:
    bodies = [body for body in case("cloud") if "systemMessage" in str(body["data"])]
    receive(Instance.objects.upsert("cloud")[0], bodies[0])
    chat = Conversation.objects.get()
    assert (chat.unread_count, chat.last_message_text) == (0, "Lia mudou de número")


@pytest.mark.parametrize("order", ORDERS)
def test_a_reaction_to_an_album_is_a_reaction_to_its_messages(order: str) -> None:
    rows = apply_case("context", order)
    assert "ALBUM1" not in rows
    for key in ("AL1", "AL2"):
        assert [reaction["emoji"] for reaction in rows[key].reactions.values()] == ["😍"]


def test_a_reaction_to_an_album_of_another_chat_is_not_shown() -> None:
    bodies = case("context")
    reaction = next(body for body in bodies if body["data"]["key"]["id"] == "RX1")
    reaction["data"]["key"]["remoteJid"] = "5521999990000@s.whatsapp.net"
    instance = Instance.objects.upsert("context")[0]
    for body in bodies:
        receive(instance, body)
    assert not Message.objects.get(key_id="AL1").reactions
    assert PendingUpdate.objects.filter(kind="reaction", key_id="ALBUM1").exists()


def test_unsupported_content_is_counted() -> None:
    instance = Instance.objects.upsert("cloud")[0]
    for body in case("cloud"):
        store_body(instance, body)
    apply_due(instance.pk, Options.read(), ignore_schedule=True)
    assert IngestCounter.objects.get(name="unsupported").value == 1


def test_replies_quote_by_their_text() -> None:
    rows = apply_case("context", "given")
    assert (rows["ST1"].quoted_key_id, rows["ST1"].quoted_text) == ("STATUS1", "promoção de março")
    rows = apply_case("business", "given")
    assert (rows["B018"].quoted_key_id, rows["B004"].quoted_key_id) == ("X", "B003")
