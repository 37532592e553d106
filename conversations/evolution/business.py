"""Reads buttons, lists, cards, orders and payments of all channels into one form.

Each function takes the content of one content key and returns details. A `Reader` also names the fields that its
function reads, because these fields are not stored a second time.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any

from conversations.evolution import coerce
from conversations.evolution.coerce import Json
from conversations.evolution.embedded_json import decode_object

MAX_CARDS = 20
MAX_CHOICES = 100
# Objects that hold the parts of a message with buttons, from the outside to the inside.
_FRAMES = (
    "hydratedHsm",
    "hydratedTemplate",
    "hydratedFourRowTemplate",
    "fourRowTemplate",
    "interactiveMessageTemplate",
    "interactive",
    "action",
    "nativeFlowMessage",
)
_HEADERS = ("header", "hydratedTitleText", "highlyStructuredMessage", "title", "text")
_FOOTERS = ("footer", "footerText", "hydratedFooterText")
_BUTTONS = ("buttons", "hydratedButtons")
_MONEY = ("amount", "totalAmount")
_FILES = ("imageMessage", "videoMessage", "documentMessage")


@dataclass(frozen=True)
class Reader:
    """A function that derives details from content, and the names of the fields that it reads."""

    read: Callable[[Json], Json]
    fields: frozenset[str] = frozenset()


def header_file(content: Json) -> Json:
    """Return the description of the file above a message with buttons; {} if it has none."""
    frames = [part for frame in _frames(content) for part in (frame, frame.get("header")) if isinstance(part, dict)]
    return next((frame[name] for frame in frames for name in _FILES if isinstance(frame.get(name), dict)), {})


def _read_choices(content: Json) -> Json:
    """Return header, footer, buttons, sections and cards of a message with buttons, a list, a template or a carousel.

    `buttons` are `{id, text, url, phone_number, type, params_json}`, `sections` are `{title, rows}` with rows
    `{id, title, description}`, and `cards` have a `text` and the fields of this function. What is missing is left out.
    The other members of the frames, such as the name of a template, follow as they are.
    """
    frames = list(_frames(content))
    buttons = _items(frames, _BUTTONS)
    params = [decode_object(_params_json(raw)) for raw in buttons]  # one may open a list or ask for a payment
    carousels = [frame["carouselMessage"] for frame in frames if isinstance(frame.get("carouselMessage"), dict)]
    cards = [card for carousel in carousels for card in _objects(carousel.get("cards"))]
    read: Json = {
        "header": _words(frames, _HEADERS, ("title", "subtitle", "text")),
        "footer": _words(frames, _FOOTERS, ("text",)),
        "buttons": [_button(raw, param) for raw, param in zip(buttons, params, strict=True)],
        "sections": _sections([*frames, *params]),
        "cards": [_card(raw) for raw in cards[:MAX_CARDS]],
        **_header_objects(frames),
    }
    for param in params:
        read |= _asked_order(param)
    read = {name: value for name, value in read.items() if value}
    return read | {name: value for name, value in _other_members(frames).items() if name not in read}


def _asked_order(param: Json) -> Json:
    """Return the items, the status and the total of the order that a button opens for review or payment.

    A request by Pix has an order without words, which says nothing.
    """
    order: Json = next(iter(_objects([param.get("order")])), {})
    amount, currency = _money(param.get("total_amount")), _scalar(param, "currency")
    named = [raw for raw in _objects(order.get("items"))[:MAX_CHOICES] if raw.get("name")]
    asked = {
        "items": [_order_item({"quantity": 1, "currency": currency, **raw}) for raw in named],
        "description": _scalar(order, "description"),
        "total_amount_1000": amount,
        "total_currency_code": None if amount is None else currency,
    }
    if named or asked["description"]:
        asked["order_status"] = _scalar(order, "status")
    return {name: value for name, value in asked.items() if value not in (None, [])}


def _read_order(content: Json) -> Json:
    """Return the items, the total and the currency of an order; the Cloud API sends items without a total.

    Amounts are in thousandths of the currency, as in the orders of the Baileys channel.
    """
    items = [_order_item(raw) for raw in _objects(content.get("product_items"))[:MAX_CHOICES]]
    if not items:
        return {}
    prices = [item["price_amount_1000"] * item["quantity"] for item in items if "price_amount_1000" in item]
    currencies = {item.get("currency_code") for item in items}
    total = {"total_amount_1000": sum(prices)} if len(prices) == len(items) and len(currencies) == 1 else {}
    currency = {"total_currency_code": currencies.pop()} if total else {}
    return {"items": items, "item_count": sum(item["quantity"] for item in items), **total, **currency}


def _read_scheduled_call(content: Json) -> Json:
    """Return the start of a scheduled call in seconds since the epoch, as events have it."""
    ms = coerce.int64(content.get("scheduledTimestampMs"))
    return {"is_schedule_call": True, **({} if ms is None else {"start_time": ms // 1000})}


def _read_event_invitation(content: Json) -> Json:
    """Return the words and the link of an invitation to an event, under the names that events have."""
    return {"description": content.get("caption"), "join_link": content.get("callLink")}


CHOICES = Reader(
    _read_choices,
    frozenset({*_FRAMES, *_HEADERS, *_FOOTERS, *_BUTTONS, *_FILES, "sections", "productListInfo", "carouselMessage"})
    | {"contentText", "body", "headerType", "locationMessage"},
)


def _read_payment(content: Json) -> Json:
    """Return the amount and the currency of a payment, which is an object `Money` or in two fields of the content."""
    money = next(iter(_objects([content.get(name) for name in _MONEY])), {})
    amount = coerce.int64(content.get("amount1000"))
    read = {
        "amount_1000": _money(money) if amount is None else amount,
        "currency_code": _scalar(content, "currencyCodeIso4217") or _scalar(money, "currencyCode"),
    }
    return {name: value for name, value in read.items() if value is not None}


ORDER = Reader(_read_order, frozenset({"product_items"}))
EVENT_INVITATION = Reader(_read_event_invitation, frozenset({"caption", "callLink"}))
SCHEDULED_CALL = Reader(_read_scheduled_call, frozenset({"scheduledTimestampMs"}))


def payment(step: str) -> Reader:
    """Return a reader that names the step of a payment: `request`, `sent`, `declined`, `canceled`, …."""
    read_fields = frozenset({"noteMessage", *_MONEY, "amount1000", "currencyCodeIso4217", "background"})
    return Reader(lambda content: {"step": step, **_read_payment(content)}, read_fields)


def _frames(content: Json) -> Iterator[Json]:
    """Yield a content and the objects named in `_FRAMES` inside it."""
    yield content
    for name in _FRAMES:
        if isinstance(content.get(name), dict):
            yield from _frames(content[name])


def _other_members(frames: list[Json]) -> Json:
    """Return the members of frames that `_read_choices` does not read; of several with one name, the outermost."""
    members = ((name, value) for frame in reversed(frames) for name, value in frame.items())
    return {name: value for name, value in members if name not in CHOICES.fields and value != "{}"}


def _words(frames: list[Json], names: tuple[str, ...], parts: tuple[str, ...]) -> str:
    """Return the first text under one of the names, which is a string or an object with some of the parts."""
    for frame in frames:
        for name in names:
            value = frame.get(name)
            words = [value.get(part) for part in parts] if isinstance(value, dict) else [value]
            if found := "\n".join(word for word in words if isinstance(word, str) and word) or _parameters(value):
                return found
    return ""


def _parameters(value: object) -> str:
    """Return the parameters of a template text (`HighlyStructuredMessage`), whose wording only WhatsApp knows."""
    params = value.get("params") if isinstance(value, dict) else None
    return " ".join(word for word in params if isinstance(word, str)) if isinstance(params, list) else ""


def _header_objects(frames: list[Json]) -> Json:
    """Return the product and the place above a message with buttons; old forms have the place beside the buttons."""
    headers = _objects([part for frame in frames for part in (frame.get("header"), frame)])
    products = _objects([header.get("productMessage") for header in headers])
    return {
        "product": next((product.get("product") for product in products), None),
        "location": next(iter(_objects([header.get("locationMessage") for header in headers])), None),
    }


def _items(frames: list[Json], names: tuple[str, ...]) -> list[Json]:
    """Return the items of all frames without repetition; WhatsApp writes a template into two frames of one message.

    A sender may nest any number of frames, so the search ends at `MAX_CHOICES` items, and compares no two items.
    """
    items: dict[str, Json] = {}
    for item in (item for frame in frames for name in names for item in _objects(frame.get(name))[:MAX_CHOICES]):
        items.setdefault(coerce.canonical_json(item), item)
        if len(items) == MAX_CHOICES:
            break
    return list(items.values())


def _params_json(raw: Json) -> object:
    """Return the parameters of a button of any channel, which are JSON in a string."""
    return raw.get("buttonParamsJson") or raw.get("paramsJson")


def _button(raw: Json, params: Json) -> Json:
    """Return a button of any channel; Baileys and the Cloud API nest the fields in an object named after the type."""
    nested = {name: member for value in raw.values() if isinstance(value, dict) for name, member in value.items()}
    nested |= {name: member for value in nested.values() if isinstance(value, dict) for name, member in value.items()}
    fields = {**params, **nested, **raw}
    button = {
        "id": _scalar(fields, "buttonId", "id"),
        "text": _scalar(fields, "displayText", "display_text", "title", "text"),
        "url": _scalar(fields, "url", "merchant_url"),
        "phone_number": _scalar(fields, "phoneNumber", "phone_number"),
        "type": _scalar(raw, "name", "type"),
        "params_json": _params_json(raw),
    }
    return {name: value for name, value in button.items() if value not in (None, "", "{}")}


def _sections(frames: list[Json]) -> list[Json]:
    """Return the first sections of all frames; the others are not read, because a sender may nest any number."""
    raws = (raw for frame in frames for raw in _raw_sections(frame))
    return [_section(raw) for raw in islice(raws, MAX_CHOICES)]


def _raw_sections(frame: Json) -> list[Json]:
    products = frame.get("productListInfo")
    sections = _objects(products.get("productSections")) if isinstance(products, dict) else []
    return [*_objects(frame.get("sections")), *sections][:MAX_CHOICES]


def _section(raw: Json) -> Json:
    rows = [*_objects(raw.get("rows")), *_objects(raw.get("products")), *_objects(raw.get("product_items"))]
    section = {"title": raw.get("title"), "rows": [_row(row) for row in rows[:MAX_CHOICES]]}
    return {name: value for name, value in section.items() if value}


def _row(raw: Json) -> Json:
    row = {
        "id": _scalar(raw, "rowId", "id", "productId", "product_retailer_id"),
        "title": _scalar(raw, "title"),
        "description": _scalar(raw, "description"),
    }
    return {name: value for name, value in row.items() if value}


def _card(raw: Json) -> Json:
    text = _words([raw], ("body",), ("text",))
    return {**({"text": text} if text else {}), **_read_choices(raw)}


def _order_item(raw: Json) -> Json:
    """Return an item of an order of the Cloud API, or of an order that a button opens."""
    price, quantity = _thousandths(raw.get("item_price")), coerce.int32(raw.get("quantity"))
    item = {
        "product_id": _scalar(raw, "product_retailer_id", "productId", "retailer_id", "product_id"),
        "title": _scalar(raw, "name"),
        "quantity": max(quantity or 0, 0),
        "price_amount_1000": _money(raw.get("amount")) if price is None else price,
        "currency_code": _scalar(raw, "currency", "currencyCode"),
    }
    return {name: value for name, value in item.items() if value is not None}


def _thousandths(price: object) -> int | None:
    """Return an amount as a number of thousandths; None if it is not a number."""
    if isinstance(price, bool) or not isinstance(price, int | float | str):
        return None
    try:
        return coerce.int64(round(float(price) * 1000))
    except (ValueError, OverflowError):
        return None


def _money(value: object) -> int | None:
    """Return an amount `{value, offset}`, in which `offset` is the number of parts of a unit, in thousandths."""
    amount, offset = (
        (coerce.int64(value.get(name)) for name in ("value", "offset")) if isinstance(value, dict) else (0, 0)
    )
    return amount * 1000 // offset if amount is not None and offset else None


def _scalar(fields: Json, *names: str) -> Any:
    values = (_parameters(fields.get(name)) or fields.get(name) for name in names)
    return next((value for value in values if isinstance(value, str | int) and value != ""), None)


def _objects(value: object) -> list[Json]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []
