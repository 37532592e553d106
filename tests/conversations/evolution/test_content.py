"""Parsing of message content that no sample payload has: wrappers, unknown kinds, control messages, invalid content."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conversations.evolution.content import MAX_TEXT, MAX_WRAPPERS, parse_content
from conversations.evolution.message_types import TYPES, MessageClass
from conversations.models import Message

WRAPPERS = [*(key for key, described in TYPES.items() if described.cls is MessageClass.WRAPPER), "wrapperOfTomorrow"]
SIGNALS = [key for key, described in TYPES.items() if described.cls is MessageClass.SIGNAL]
BUTTON = {"id": "s", "text": "Sim"}


@pytest.mark.parametrize("wrapper", WRAPPERS)
def test_every_object_that_holds_a_message_is_a_wrapper(wrapper: str) -> None:
    inner = {"imageMessage": {"caption": "oi", "viewOnce": True}}
    parsed = parse_content({"messageContextInfo": {}, wrapper: {"message": inner}})
    assert (parsed.kind, parsed.text) == ("image", "oi")


@pytest.mark.parametrize("wrapper", WRAPPERS)
def test_a_wrapped_signal_is_no_message(wrapper: str) -> None:
    assert parse_content({wrapper: {"message": {"protocolMessage": {"type": 25}}}}).is_control
    assert parse_content({wrapper: {"message": {"messageContextInfo": {}}}}).is_control


def test_a_bounded_number_of_nested_wrappers_is_removed() -> None:
    message: dict[str, Any] = {"conversation": "fundo"}
    for _ in range(MAX_WRAPPERS):
        message = {"ephemeralMessage": {"message": message}}
    assert parse_content(message).text == "fundo"
    for _ in range(50):
        message = {"ephemeralMessage": {"message": message}}
    assert parse_content(message).kind == "unknown"


def test_metadata_of_a_wrapper_holds_for_the_message_inside() -> None:
    message = {"newWrapper": {"message": {"imageMessage": {}}}, "mediaUrl": "https://s3/x", "speechToText": "oi"}
    assert parse_content(message).media == {"url": "https://s3/x", "transcript": "oi"}


def test_a_quoted_message_is_no_wrapper() -> None:
    message = {"conversation": "oi", "quoted": {"key": {"id": "Q"}, "message": {"conversation": "antes"}}}
    assert parse_content(message).text == "oi"


@pytest.mark.parametrize(
    ("message", "key"),
    [
        ({"senderKeyDistributionMessage": {}, "conversation": "oi"}, "conversation"),
        ({"messageContextInfo": {}, "newMessage": {}}, "newMessage"),
        ({"newInfo": {}, "reactionMessage": {}}, "reactionMessage"),
        ({"newInfo": {}, "conversation": "oi"}, "conversation"),
        ({"messageContextInfo": {}}, "messageContextInfo"),
        ({"conversation": None, "mediaUrl": None}, ""),
    ],
)
def test_the_content_key_does_not_depend_on_the_order_of_members(message: dict[str, Any], key: str) -> None:
    assert parse_content(message).key == key
    assert parse_content(dict(reversed(message.items()))).key == key


@pytest.mark.parametrize(
    ("message", "kind", "text"),
    [
        ({"extendedTextMessage": {"text": "oi"}}, "text", "oi"),
        ({"ptvMessage": {"seconds": 3}}, "video_note", ""),
        ({"liveLocationMessage": {"caption": "a caminho"}}, "live_location", "a caminho"),
        ({"templateButtonReplyMessage": {"selectedDisplayText": "Sim"}}, "template_reply", "Sim"),
        ({"interactiveResponseMessage": {"body": {"text": "Enviado"}}}, "interactive_reply", "Enviado"),
        ({"listMessage": {"title": "Cardápio"}}, "list", "Cardápio"),
        ({"buttonsMessage": {"contentText": "Escolha"}}, "buttons", "Escolha"),
        ({"productMessage": {"product": {"title": "Bolo"}}}, "product", "Bolo"),
        ({"orderMessage": {"orderTitle": "Pedido 1"}}, "order", "Pedido 1"),
        ({"orderMessage": {"orderTitle": "Loja", "message": "quero tudo"}}, "order", "quero tudo"),
        ({"productMessage": {"body": "tem no M?", "product": {"title": "Bolo"}}}, "product", "tem no M?"),
        ({"productMessage": {"catalog": {"title": "Doces"}}}, "product", "Doces"),
        ({"requestPaymentMessage": {"noteMessage": {"conversation": "aluguel"}}}, "payment", "aluguel"),
        ({"declinePaymentRequestMessage": {"key": {"id": "B"}}}, "payment", ""),
        ({"invoiceMessage": {"note": "março"}}, "payment", "março"),
        ({"scheduledCallCreationMessage": {"title": "Reunião"}}, "event", "Reunião"),
        ({"templateMessage": {"hydratedTemplate": {"hydratedContentText": "Código 1"}}}, "template", "Código 1"),
        ({"templateMessage": {"fourRowTemplate": {"content": {"params": ["a", "b"]}}}}, "template", "a\nb"),
        ({"interactiveMessage": {"nativeFlowMessage": {"buttons": [{"buttonParamsJson": "{}"}]}}}, "interactive", ""),
        ({"locationMessage": {"comment": "aqui"}}, "location", "aqui"),
        ({"highlyStructuredMessage": {"params": ["um", "dois"]}}, "template", "um\ndois"),
        ({"interactiveMessage": {"carouselMessage": {"cards": [{"body": {"text": "A"}}]}}}, "interactive", "A"),
        ({"interactiveMessage": {"collectionMessage": {"bizJid": "x@s.whatsapp.net"}}}, "interactive", ""),
        ({"stickerPackMessage": {"name": "Gatinhos"}}, "sticker_pack", "Gatinhos"),
        ({"stickerPackMessage": {"name": "Gatinhos", "caption": "olha"}}, "sticker_pack", "olha"),
        ({"pollResultSnapshotMessageV3": {"name": "Qual?"}}, "poll_result", "Qual?"),
        ({"newsletterAdminInviteMessage": {"newsletterName": "Canal"}}, "channel_invite", "Canal"),
        ({"richResponseMessage": {"submessages": [{"messageText": "a"}, {"messageText": "b"}]}}, "text", "a\nb"),
        ({"richResponseMessage": {"submessages": [{"codeMetadata": {"codeContent": "x = 1"}}]}}, "text", "x = 1"),
        ({"statusQuestionAnswerMessage": {"text": "azul"}}, "text", "azul"),
        ({"requestPhoneNumberMessage": {}}, "notice", ""),
        ({"placeholderMessage": {"type": 0}}, "unknown", ""),
        ({"bcallMessage": {"caption": "ao vivo"}}, "call", "ao vivo"),
        ({"contact": {"displayName": "Maria"}}, "contact", "Maria"),
        ({"pollCreationMessageV4": {"name": "Qual?"}}, "poll", "Qual?"),
        ({"pollCreationMessageV9": {"name": "Qual?"}}, "poll", "Qual?"),
        ({"newsletterFollowerInviteMessage": {"newsletterName": "Canal"}}, "channel_invite", "Canal"),
        ({"viewOnceMessageV2": {}}, "unknown", ""),
        ({"somethingNewMessage": {"parts": [{"title": "A"}, {"body": {"text": "B"}}]}}, "unknown", "A\nB"),
        ({"eventMessage": {"name": "Festa"}}, "event", "Festa"),
        ({"groupInviteMessage": {"groupName": "Equipe"}}, "group_invite", "Equipe"),
        ({"groupInviteMessage": {"groupName": "Equipe", "caption": "Entre"}}, "group_invite", "Entre"),
        ({"pollCreationMessageV5": {"name": "Qual?"}}, "poll", "Qual?"),
        ({"somethingNewMessage": {"text": "novo"}}, "unknown", "novo"),
    ],
)
def test_a_content_key_gives_a_kind_and_a_text(message: dict[str, Any], kind: str, text: str) -> None:
    parsed = parse_content(message)
    assert (parsed.kind, parsed.text, parsed.is_control) == (kind, text, False)


@pytest.mark.parametrize("key", [*SIGNALS, "call", "callLogMesssage"])
def test_a_signal_gives_no_message(key: str) -> None:
    assert parse_content({key: {"any": 1}, "messageContextInfo": {}}, key).is_control
    assert parse_content({key: {}}, "unknown").is_control


def test_unknown_content_keeps_its_fields() -> None:
    parsed = parse_content({"newMessage": {"title": "oi", "totalAmount1000": {"low": 5, "high": 0}, "raw": {"0": 1}}})
    assert parsed.details == {"content": "newMessage", "fields": {"title": "oi", "total_amount_1000": 5}}


def test_content_cannot_set_what_the_context_and_edits_set() -> None:
    content = {"message": "oi", "edited": {"at": 1}, "albumId": "A", "viewOnce": True, "quotedChat": "1@g.us", "n": 1}
    assert parse_content({"orderMessage": content}).details == {"n": 1}


def test_view_once_is_marked_at_any_level_of_wrappers() -> None:
    message: dict[str, Any] = {"viewOnceMessageV2": {"message": {"imageMessage": {}}}}
    assert parse_content({"ephemeralMessage": {"message": message}}).details == {"view_once": True}


@pytest.mark.parametrize(
    "message",
    [
        {"buttonsMessage": {"contentText": "D", "buttons": [{"buttonId": "s", "buttonText": {"displayText": "Sim"}}]}},
        {
            "templateMessage": {
                "hydratedTemplate": {
                    "hydratedButtons": [{"quickReplyButton": {**BUTTON, "id": "s", "displayText": "Sim"}}]
                }
            }
        },
        {
            "interactiveMessage": {
                "nativeFlowMessage": {"buttons": [{"buttonParamsJson": '{"display_text":"Sim","id":"s"}'}]}
            }
        },
        {"interactiveMessage": {"action": {"buttons": [{"reply": {"id": "s", "title": "Sim"}}]}}},
        {"buttonsMessage": {"buttons": [{"id": "s", "displayText": "Sim"}]}},
    ],
)
def test_buttons_of_all_channels_have_one_form(message: dict[str, Any]) -> None:
    (button,) = parse_content(message).details["buttons"]
    assert {name: button[name] for name in BUTTON} == BUTTON


def test_buttons_and_lists_of_the_evolution_channel_have_no_content_key() -> None:
    button = {"id": "s", "type": "reply", "displayText": "Sim"}
    message = {"title": "T", "description": "D", "footer": "F", "buttons": [button], "quoted": None}
    buttons = parse_content(message, "buttonMessage")
    assert (buttons.kind, buttons.text) == ("buttons", "D")
    assert buttons.details == {"header": "T", "footer": "F", "buttons": [{**BUTTON, "type": "reply"}]}
    rows = [{"rowId": "p", "title": "Pizza", "description": "grande"}]
    menu = parse_content({"title": "T", "description": "D", "sections": [{"title": "S", "rows": rows}]}, "listMessage")
    assert (menu.kind, menu.text, menu.details["description"]) == ("list", "T", "D")
    assert menu.details["sections"] == [
        {"title": "S", "rows": [{"id": "p", "title": "Pizza", "description": "grande"}]}
    ]


def test_a_carousel_keeps_its_cards() -> None:
    url = {"name": "cta_url", "buttonParamsJson": '{"display_text":"Ver","url":"https://x.y"}'}
    cards = [{"header": {"title": "Um"}, "body": {"text": "card um"}, "nativeFlowMessage": {"buttons": [url]}}]
    (card,) = parse_content({"interactiveMessage": {"carouselMessage": {"cards": cards}}}).details["cards"]
    assert (card["header"], card["text"]) == ("Um", "card um")
    assert (card["buttons"][0]["text"], card["buttons"][0]["url"]) == ("Ver", "https://x.y")


@pytest.mark.parametrize(
    ("items", "expected"),
    [
        ([{"quantity": 2, "item_price": 30, "currency": "BRL"}], (2, 60000, "BRL")),
        (
            [
                {"quantity": 2, "item_price": "1.5", "currency": "BRL"},
                {"quantity": 1, "item_price": 1, "currency": "BRL"},
            ],
            (3, 4000, "BRL"),
        ),
        (
            [{"quantity": 1, "item_price": 1, "currency": "BRL"}, {"quantity": 1, "item_price": 1, "currency": "USD"}],
            (2, None, None),
        ),
        ([{"quantity": 1, "item_price": "caro", "currency": "BRL"}], (1, None, None)),
        ([{"quantity": "x"}, 5], (0, None, None)),
    ],
)
def test_an_order_of_the_cloud_api_has_a_total(items: list[Any], expected: tuple[Any, ...]) -> None:
    details = parse_content({"orderMessage": {"product_items": items}}).details
    assert tuple(map(details.get, ("item_count", "total_amount_1000", "total_currency_code"))) == expected


@pytest.mark.parametrize(
    "payment",
    [
        {"amount1000": {"low": 25990, "high": 0}, "currencyCodeIso4217": "BRL"},
        {"amount": {"value": {"low": 2599, "high": 0}, "offset": 100, "currencyCode": "BRL"}},
    ],
)
def test_payments_have_an_amount_and_a_currency(payment: dict[str, Any]) -> None:
    details = parse_content({"requestPaymentMessage": payment}).details
    assert details == {"step": "request", "amount_1000": 25990, "currency_code": "BRL"}


def test_a_button_that_asks_for_a_payment_gives_the_total() -> None:
    params = '{"total_amount": {"value": 2500, "offset": 100}, "currency": "BRL"}'
    buttons = [{"name": "review_and_pay", "buttonParamsJson": params}]
    details = parse_content({"interactiveMessage": {"nativeFlowMessage": {"buttons": buttons}}}).details
    assert (details["total_amount_1000"], details["total_currency_code"]) == (25000, "BRL")
    assert details["buttons"] == [{"type": "review_and_pay", "params_json": params}]


def test_a_product_above_buttons_is_kept() -> None:
    header = {"title": "Loja", "productMessage": {"product": {"title": "Bolo", "priceAmount1000": 5}}}
    details = parse_content({"interactiveMessage": {"header": header, "body": {"text": "oi"}}}).details
    assert details == {"header": "Loja", "product": {"title": "Bolo", "price_amount_1000": 5}}


def test_parameters_stand_for_a_template_text_that_only_whatsapp_knows() -> None:
    url = {"displayText": {"params": ["Ver"]}, "url": {"params": ["https://x.y"]}}
    template = {"content": {"elementName": "e"}, "footer": {"params": ["Loja"]}, "buttons": [{"urlButton": url}]}
    details = parse_content({"templateMessage": {"fourRowTemplate": template}}).details
    buttons = [{"text": "Ver", "url": "https://x.y"}]
    assert details == {"footer": "Loja", "buttons": buttons, "content": {"element_name": "e"}}


def test_what_stands_beside_buttons_is_kept() -> None:
    flow = {"buttons": [], "messageParamsJson": '{"limited_time_offer":{"text":"até hoje"}}', "messageVersion": 1}
    card = {"body": {"text": "card"}, "collectionMessage": {"id": "c1"}}
    template = {"nativeFlowMessage": flow, "carouselMessage": {"cards": [card]}, "shopStorefrontMessage": {"id": "s1"}}
    details = parse_content({"templateMessage": {"interactiveMessageTemplate": template, "templateId": "t"}}).details
    assert details == {
        "template_id": "t",
        "cards": [{"text": "card", "collection_message": {"id": "c1"}}],
        "message_params_json": '{"limited_time_offer":{"text":"até hoje"}}',
        "message_version": 1,
        "shop_storefront_message": {"id": "s1"},
    }


def test_a_template_in_two_frames_has_its_buttons_once() -> None:
    template = {
        "hydratedContentText": "Vence hoje",
        "hydratedButtons": [{"quickReplyButton": {"displayText": "Paguei"}}],
    }
    parsed = parse_content({"templateMessage": {"hydratedTemplate": template, "hydratedFourRowTemplate": template}})
    assert parsed.details == {"buttons": [{"text": "Paguei"}]}


class Button(dict[str, Any]):
    """A button that counts its comparisons with others."""

    comparisons = 0

    __hash__ = None  # as of any dict

    def __eq__(self, other: object) -> bool:
        Button.comparisons += 1
        return super().__eq__(other)


def test_buttons_in_many_frames_are_not_compared_with_each_other() -> None:
    frame: dict[str, Any] = {}
    for depth in range(50):
        frame = {"action": frame, "buttons": [Button(id=f"{depth % 3}-{number}") for number in range(30)]}
    assert len(parse_content({"interactiveMessage": frame}).details["buttons"]) == 90
    assert Button.comparisons == 0


def test_texts_and_urls_of_a_sender_are_bounded() -> None:
    long = "a" * (MAX_TEXT + 1)
    parsed = parse_content({"imageMessage": {"caption": long}, "mediaUrl": f"https://{long}", "speechToText": long})
    assert parsed.text == long[:-1]
    assert parsed.media == {"transcript": long[:-1]}
    assert parsed.details == {"is_truncated": True}
    assert parse_content({"conversation": long[1:]}).details == {}


def test_the_reply_to_a_carousel_says_which_card() -> None:
    reply = {"selectedId": "buy", "selectedDisplayText": "Quero", "selectedIndex": 0, "selectedCarouselCardIndex": 3}
    details = parse_content({"templateButtonReplyMessage": reply}).details
    assert details == {"selected_id": "buy", "selected_index": 0, "selected_carousel_card_index": 3}


def test_the_preview_of_a_link_is_kept() -> None:
    text = {"text": "veja https://x.y", "matchedText": "https://x.y", "title": "Loja", "jpegThumbnail": {"0": 255}}
    parsed = parse_content({"ephemeralMessage": {"message": {"extendedTextMessage": text}}})
    assert (parsed.text, parsed.details) == ("veja https://x.y", {"matched_text": "https://x.y", "title": "Loja"})


@pytest.mark.parametrize("value", [{}, {"message": None}])
def test_content_that_can_be_seen_once_is_marked_even_if_it_was_left_out(value: object) -> None:
    parsed = parse_content({"viewOnceMessageV2": value, "messageContextInfo": {}})
    assert (parsed.kind, parsed.details["view_once"]) == ("unknown", True)


def test_buttons_in_a_view_once_wrapper_are_not_marked() -> None:
    message = {"viewOnceMessage": {"message": {"interactiveMessage": {"body": {"text": "oi"}}}}}
    assert parse_content(message).details == {}


def test_media_that_is_sent_by_link_has_a_url_and_no_id() -> None:
    link = {"id": "https://x.y/a.png", "type": "link", "media": "https://x.y/a.png", "fileName": "a.png"}
    assert parse_content({"documentMessage": link}).media == {"file_name": "a.png", "url": "https://x.y/a.png"}


def test_the_file_above_buttons_is_the_media() -> None:
    message = {"interactiveMessage": {"header": {"imageMessage": {"mimetype": "image/png"}}, "body": {"text": "oi"}}}
    assert parse_content(message).media == {"mimetype": "image/png"}


def test_the_message_type_gives_the_kind_if_there_is_no_content() -> None:
    assert parse_content({"mediaUrl": None}, "imageMessage").kind == "image"
    assert parse_content({}, "interactiveMessage").kind == "interactive_reply"
    assert parse_content(None, "somethingNew").kind == "unknown"


def test_media_fields_have_the_same_names_for_every_channel() -> None:
    baileys = {"imageMessage": {"mimetype": "image/png", "fileLength": {"low": 5, "high": 0}}}
    cloud = {"imageMessage": {"mime_type": "image/png", "id": "M1"}, "mediaUrl": "https://s3/x"}
    assert parse_content(baileys).media == {"mimetype": "image/png", "size": 5}
    assert parse_content(cloud).media == {"mimetype": "image/png", "id": "M1", "url": "https://s3/x"}


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from([*TYPES, "message", "text", "x"]), inner)
    ),
    max_leaves=8,
)


@given(json_values)
def test_any_json_gives_a_kind_that_the_model_has(message: Any) -> None:
    parsed = parse_content(message)
    assert parsed.is_control or parsed.kind in Message.Kind.values
