"""Cleaning of content for storage: names, integers, bytes, sizes, and the texts of unknown content."""

import json
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conversations.evolution.details import MAX_BYTES, MAX_NAME, MAX_TEXTS, clean, snake_case, texts

THUMBNAIL = {str(n): n % 256 for n in range(200)}
PHOTO = "BEGIN:VCARD\nFN:Ana\nPHOTO;ENCODING=BASE64:/9j/4AAQ\n SkZJRg\n ABAQ\nTEL:1\nEND:VCARD"


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("totalAmount1000", "total_amount_1000"),
        ("businessOwnerJID", "business_owner_jid"),
        ("currencyCodeIso4217", "currency_code_iso_4217"),
        ("wa_id", "wa_id"),
        ("X-Odd Name", "x_odd_name"),
        ("é", ""),
    ],
)
def test_names_become_snake_case(name: str, expected: str) -> None:
    assert snake_case(name) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ({"low": 159900, "high": 0, "unsigned": False}, 159900),
        ({"low": -1, "high": -1}, -1),
        ({"low": 0, "high": 1, "unsigned": True}, 2**32),
        ({"low": 1, "high": "x"}, {"low": 1, "high": "x"}),
        (True, True),
        (0, 0),
        (1.5, 1.5),
    ],
)
def test_integers_are_integers(value: Any, expected: Any) -> None:
    assert clean({"a": value, "b": [value], "c": {"d": value}}) == {
        "a": expected,
        "b": [expected],
        "c": {"d": expected},
    }


@pytest.mark.parametrize(
    "value",
    [
        THUMBNAIL,
        {"0": 1},
        list(range(32)),
        {"type": "Buffer", "data": [1, 2]},
        "/9j/4AAQSkZJRgABAQ" * 20,
        "data:image/jpeg;base64," + "/9j/4AAQSkZJRgABAQ" * 20,
        None,
        "",
        [],
        {},
        float("inf"),
        10**400,
    ],
)
def test_bytes_and_empty_values_are_left_out(value: Any) -> None:
    assert clean({"a": value, "b": [value, {"c": value}], "keep": 1}) == {"keep": 1}


@pytest.mark.parametrize("name", ["jpegThumbnail", "fileSha256", "mediaKey", "contextInfo", "directPath", "token"])
def test_fields_of_files_and_credentials_are_left_out(name: str) -> None:
    assert clean({"a": {name: "x"}, "keep": 1}) == {"keep": 1}


def test_the_url_of_an_encrypted_file_is_left_out_and_other_urls_are_kept() -> None:
    product = {"url": "https://loja.example.com/9", "productImage": {"url": "https://cdn.example.com", "mediaKey": "k"}}
    assert clean({"product": product}) == {"product": {"url": "https://loja.example.com/9"}}


@pytest.mark.parametrize(
    "name",
    [
        *(
            "amount1000",
            "priceAmount1000",
            "startTime",
            "endTime",
            "inviteExpiration",
            "optionVoteCount",
            "messageCount",
        ),
        *("fileLength", "stickerPackSize", "expiryTimestamp", "timestampMs", "oldestMsgInChunkTimestampSec"),
        *("durationSecs", "musicSongStartTimeInMs", "sequenceNumber", "stickerSentTs"),
    ],
)
def test_an_integer_of_the_protocol_is_an_integer_in_every_form(name: str) -> None:
    for value in ("1766000000", 1766000000, {"low": 1766000000, "high": 0, "unsigned": False}):
        assert clean({name: value, "of": [{name: value}]}) == {
            snake_case(name): 1766000000,
            "of": [{snake_case(name): 1766000000}],
        }
        assert texts({name: value, "text": "12"}) == "12"


@pytest.mark.parametrize("name", ["ctwaPayload", "encPayload", "encIv", "encKey", "messageSecret", "countryBlocklist"])
def test_short_bytes_are_left_out_in_every_form(name: str) -> None:
    for value in ("AQIDBAUG", {"0": 1, "1": 2}, {"type": "Buffer", "data": [1, 2]}):
        assert clean({name: value, "keep": 1}) == {"keep": 1}


def test_every_form_of_an_integer_takes_as_much_room() -> None:
    forms: tuple[Any, ...] = (1766000000, {"low": 1766000000, "high": 0}, "1766000000")
    lengths = {len(clean({f"n{n}_ms": form for n in range(MAX_BYTES)})) for form in forms}
    assert len(lengths) == 1


@pytest.mark.parametrize(
    "content",
    [{"start_time": "amanhã"}, {"invite_code": "123"}, {"end_time": "9" * 30}, {"phone_number": "551140028922"}],
)
def test_other_strings_stay_strings(content: dict[str, object]) -> None:
    assert clean(content) == content


def test_a_vcard_loses_its_picture() -> None:
    assert clean({"vcard": PHOTO}) == {"vcard": "BEGIN:VCARD\nFN:Ana\nTEL:1\nEND:VCARD"}


def test_a_laugh_without_spaces_is_no_picture() -> None:
    assert clean({"note": "k" * 500}) == {"note": "k" * 500}


def test_what_is_too_long_is_cut_and_marked() -> None:
    long = clean({"a": "é" * 100_000, "b": ["x"] * 1000, "c": 1})
    assert long["is_truncated"] is True
    assert len(json.dumps(long, ensure_ascii=False).encode()) < MAX_BYTES * 1.5
    nested: Any = "x"
    for _ in range(500):
        nested = {"a": nested}
    assert clean({"a": nested, "b": 1})["b"] == 1


def test_texts_are_found_at_any_depth_and_technical_values_are_not() -> None:
    content = {
        "title": "Título",
        "parts": [{"body": {"text": "um"}}, {"caption": "dois"}, {"text": "um"}],
        "id": "3EB0",
        "jpegThumbnail": "abc",
        "sellerJid": "x",
        "from": "5521987654321@s.whatsapp.net",
        "contextInfo": {"quotedMessage": {"conversation": "de outra pessoa"}},
        "mimetype": "image/png",
        "amount": {"value": "5000", "offset": 100, "currencyCode": "BRL"},
        "totalCurrencyCode": "BRL",
        "count": 3,
    }
    assert texts(content) == "Título\num\ndois"


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=30),
    lambda inner: (
        st.lists(inner, max_size=5)
        | st.dictionaries(st.sampled_from(["low", "high", "0", "1", "jpegThumbnail", "someName", "X"]), inner)
        | st.dictionaries(st.text(max_size=8), inner, max_size=4)
    ),
    max_leaves=40,
)


def _names(value: Any) -> list[str]:
    if isinstance(value, dict):
        return [*value, *(name for item in value.values() for name in _names(item))]
    return [name for item in value for name in _names(item)] if isinstance(value, list) else []


@given(st.dictionaries(st.text(max_size=8), json_values, max_size=6))
def test_any_json_becomes_details_that_the_database_accepts(content: dict[str, Any]) -> None:
    cleaned = clean(content)
    assert all(re.fullmatch(r"[a-z0-9]+(_[a-z0-9]+)*", name) for name in _names(cleaned))
    assert json.loads(json.dumps(cleaned, allow_nan=False)) == cleaned
    assert isinstance(texts(content), str)


def test_huge_input_costs_little() -> None:
    huge = {"n" * 5_000_000: 1, **{f"name{n}": n for n in range(200_000)}, "vcard": "x" * 5_000_000}
    cleaned = clean(huge)
    assert cleaned["is_truncated"] is True
    assert max(map(len, cleaned)) <= MAX_NAME
    assert len(texts({"parts": [{"body": "y" * 100_000}] * 5000})) <= MAX_TEXTS
