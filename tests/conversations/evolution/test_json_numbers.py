"""Numbers of every size are stored with about as many characters as they were sent with."""

import json
from typing import Any

import pytest
from django.db.models import TextField
from django.db.models.functions import Cast, Length
from hypothesis import given
from hypothesis import strategies as st

from conversations.evolution.embedded_json import decode_object
from conversations.evolution.json_numbers import parse_float
from conversations.ingest.inbox.store import store_body
from conversations.models import Instance, WebhookEvent
from conversations.webhooks import body

COUNT = 50
SIZES = ["5e-324", "-2.2250738585072014e-308", "9e-21", "1e-9", "1.2345678901234567e-9", "0e-400", "-0.0", "0.1"]
SIZES += ["1e15", "9999999999999998.0", "1e16", "-1e300", "1e999", "1.7976931348623157e308", "9" * 20, "9" * 300]


def decode(text: str) -> Any:
    with body.memory.reserve() as reservation:
        return body.decode(bytearray(text.encode()), reservation)


@pytest.mark.django_db
@pytest.mark.parametrize("decoder", [decode, decode_object], ids=["body", "embedded"])
def test_a_stored_number_has_at_most_four_times_the_characters_that_were_sent(decoder: Any) -> None:
    """PostgreSQL writes 5e-324 with 326 characters: a body of 17 MB took 820 MB in the worker that read it."""
    instance = Instance.objects.create(name="shop")
    for number in SIZES:
        sent = json.dumps({"data": number}).replace(f'"{number}"', f"[{', '.join([number] * COUNT)}]")
        store_body(instance, decoder(sent) or pytest.fail(f"{number} is not decoded"))
        length = WebhookEvent.objects.values_list(Length(Cast("payload", TextField()))).order_by("-pk")[0][0]
        assert length <= 4 * len(sent), number


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_a_float_stays_a_number_unless_databases_write_it_with_many_digits(number: float) -> None:
    parsed = parse_float(repr(number))
    assert parsed == (number if not number or 1e-9 <= abs(number) < 1e16 else repr(number))
