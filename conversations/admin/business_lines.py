"""Pure functions that show the details of orders, products, payments, events, buttons and lists as lines of text.

The details come from an external server, so the type of each value in them is checked.
"""

import datetime as dt
from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any

from django.utils.formats import date_format, number_format
from django.utils.translation import gettext as _

from conversations.admin.links import LinkedText, web_url
from conversations.evolution import coerce
from conversations.evolution.embedded_json import decode_object

Json = Mapping[str, Any]
Lines = Iterator[LinkedText]


def choice_lines(details: Json) -> Lines:
    """Yield header, description, buttons, sections, cards and footer of a message with buttons or a list."""
    yield from _plain(details.get("header"), details.get("description"))
    for card in _objects(details.get("cards")):
        title = " · ".join(part for part in (_text(card.get("header")), _text(card.get("text"))) if part)
        yield from _plain(title and f"▫ {title}")
        yield from _card_lines(card)
    yield from _card_lines(details)
    total = format_amount(details.get("total_amount_1000"), details.get("total_currency_code"))
    yield from _plain(details.get("footer"), total and _("Total: %(amount)s") % {"amount": total})


def order_lines(details: Json) -> Lines:
    """Yield the title, the items and the total of an order."""
    yield from _plain(details.get("order_title"))
    yield from _item_lines(details)
    if _is_integer(details.get("item_count")):
        yield LinkedText(_("Items: %(count)d") % {"count": details["item_count"]})
    total = format_amount(details.get("total_amount_1000"), details.get("total_currency_code"))
    yield from _plain(total and _("Total: %(amount)s") % {"amount": total})


def product_lines(details: Json) -> Lines:
    """Yield title, description and price of a product or a catalog; a sale price replaces the usual one."""
    yield from _product_lines(details.get("product"), details.get("catalog"))
    yield from _plain(details.get("footer"))


def payment_lines(details: Json) -> Lines:
    """Yield the step of a payment and its amount."""
    amount = format_amount(details.get("amount_1000"), details.get("currency_code"))
    yield from _plain(" · ".join(part for part in (_text(details.get("step")), amount) if part))


def event_lines(details: Json) -> Lines:
    """Yield start, end, place and link of an event or a scheduled call, in UTC, and whether it was canceled."""
    if details.get("is_canceled") is True:
        yield LinkedText(_("Canceled"))
    yield from _plain(details.get("description"))
    for name, title in (("start_time", _("Starts")), ("end_time", _("Ends"))):
        ms = coerce.epoch_ms(details.get(name))
        if ms:
            time = date_format(coerce.from_ms(ms).astimezone(dt.UTC), "DATETIME_FORMAT")
            yield LinkedText(f"{title}: {time} UTC")
    yield from _place_lines(details.get("location"))
    if link := web_url(details.get("join_link")):
        yield LinkedText(link, link)


def poll_result_lines(details: Json) -> Lines:
    """Yield the options of a finished poll, each with its number of votes."""
    for vote in _objects(details.get("poll_votes")):
        yield LinkedText(f"{_text(vote.get('option_name'))}: {vote.get('option_vote_count', 0)}")


def form_lines(details: Json) -> Lines:
    """Yield the answers of a form that a customer filled in."""
    response = details.get("native_flow_response_message")
    answers = decode_object(response.get("params_json")) if isinstance(response, Mapping) else {}
    for name, value in answers.items():
        if isinstance(value, str | int | float) and name != "flow_token":
            yield LinkedText(f"{name}: {value}")


def unsupported_lines(details: Json) -> Lines:
    """Yield the content key of a message whose content is unknown."""
    yield from _plain(details.get("content"))


def format_amount(thousandths: object, currency: object) -> str:
    """Return an amount with its currency; "" if it is no integer.

    >>> format_amount(159900, "BRL")
    '159.90 BRL'
    """
    if not isinstance(thousandths, int) or isinstance(thousandths, bool):
        return ""
    sign, (whole, rest) = "-" if thousandths < 0 else "", divmod(abs(thousandths), 1000)
    digits = f"{rest:03}" if rest % 10 else f"{rest // 10:02}"
    amount = number_format(Decimal(f"{sign}{whole}.{digits}"), force_grouping=True)
    return f"{amount} {_text(currency)}".strip()


def _card_lines(card: Json) -> Lines:
    """Yield what stands between the words and the footer of a message, or on a card of it."""
    yield from _product_lines(card.get("product"))
    yield from _place_lines(card.get("location"))
    yield from _plain(card.get("order_status"))
    yield from _item_lines(card)
    for section in _objects(card.get("sections")):
        yield from _plain(section.get("title"))
        for row in _objects(section.get("rows")):
            title = _text(row.get("title")) or _text(row.get("id"))
            yield from _plain(f"• {' — '.join(part for part in (title, _text(row.get('description'))) if part)}")
    yield from _button_lines(card)


def _item_lines(order: Json) -> Lines:
    for item in _objects(order.get("items")):
        name = _text(item.get("title")) or _text(item.get("product_id"))
        amount = format_amount(item.get("price_amount_1000"), item.get("currency_code"))
        yield from _plain(f"{item.get('quantity')} × {name}{amount and f' · {amount}'}")  # noqa: RUF001 - a multiplication sign


def _product_lines(*products: object) -> Lines:
    for product in _objects([*products]):
        title = _text(product.get("title"))
        yield from [LinkedText(title, web_url(product.get("url")))] if title else []
        prices = (product.get(name) for name in ("sale_price_amount_1000", "price_amount_1000"))
        amounts = (format_amount(price, product.get("currency_code")) for price in prices if price)
        yield from _plain(product.get("description"), next(filter(None, amounts), ""))


def _place_lines(place: object) -> Lines:
    yield from _plain(*(place.get(name) for name in ("name", "address"))) if isinstance(place, Mapping) else ()


def _button_lines(details: Json) -> Lines:
    for button in _objects(details.get("buttons")):
        label = _text(button.get("text")) or _text(button.get("type"))
        number = _text(button.get("phone_number"))
        if label:
            yield LinkedText(f"[{label}]{number and f' {number}'}", web_url(button.get("url")))


def _plain(*values: object) -> Lines:
    """Yield each value that is a text with content."""
    for value in values:
        if isinstance(value, str) and value:
            yield LinkedText(value)


def _objects(value: object) -> list[Json]:
    return [item for item in value if isinstance(item, Mapping)] if isinstance(value, list) else []


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _is_integer(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)
