import base64
import datetime as dt

import pytest
from django.utils import timezone

from conversations.admin import markup

PNG = base64.b64encode(b"\x89PNG\r\n\x1a\n....").decode()


def test_a_png_data_url_is_shown_as_an_image() -> None:
    url = f"data:image/png;base64,{PNG}"
    assert markup.png_image(url, "QR") == f'<img class="pairing-image" src="{url}" alt="QR">'


@pytest.mark.parametrize(
    "value",
    [
        f"data:image/svg+xml;base64,{PNG}",
        f"data:text/html;base64,{PNG}",
        f"https://example.com/{PNG}",
        f'data:image/png;base64,{PNG}"onerror="alert(1)',
        "data:image/png;base64,PHNjcmlwdD4=",
        "data:image/png;base64,é",
        PNG,
        "javascript:alert(1)",
    ],
)
def test_any_other_value_is_not_shown_as_an_image(value: str) -> None:
    assert markup.png_image(value, "QR") == "(not a PNG image)"


def test_a_missing_image_is_shown_as_a_dash() -> None:
    assert markup.png_image("", "QR") == markup.EMPTY


def test_a_web_url_becomes_a_link_that_sends_no_referrer() -> None:
    html = markup.web_link("https://example.com/?a=1&b=<")
    assert 'rel="noopener noreferrer"' in html
    assert 'href="https://example.com/?a=1&amp;b=&lt;"' in html


@pytest.mark.parametrize(("url", "text"), [("javascript:alert(1)", "javascript:alert(1)"), ("", markup.EMPTY)])
def test_any_other_url_is_shown_as_text(url: str, text: str) -> None:
    assert markup.web_link(url) == text
    assert not hasattr(markup.web_link(url), "__html__")


def test_json_is_indented_readable_and_escaped() -> None:
    assert (
        markup.pretty_json({"nome": "João <b>"})
        == '<pre class="json">{\n  &quot;nome&quot;: &quot;João &lt;b&gt;&quot;\n}</pre>'
    )


def test_long_json_is_truncated_and_shows_its_length() -> None:
    assert "… (5,000 characters)" in markup.pretty_json({"base64": ["A" * 5000]})
    long_json = markup.pretty_json(["A" * 900] * 1000)
    assert len(long_json) < markup.MAX_JSON_LENGTH * 2
    assert "characters)" in long_json[-60:]


@pytest.mark.parametrize("value", [None, {}, []])
def test_empty_json_is_shown_as_a_dash(value: object) -> None:
    assert markup.pretty_json(value) == markup.EMPTY


def test_a_time_is_shown_in_the_current_time_zone() -> None:
    with timezone.override("America/Sao_Paulo"):
        assert markup.format_time(dt.datetime(2026, 3, 2, 15, 30, tzinfo=dt.UTC)) == "2 Mar 2026, 12:30"


def test_json_with_many_items_and_levels_is_cut() -> None:
    deep: object = 1
    for _ in range(900):
        deep = [deep]
    assert "… (1 items)" in markup.pretty_json({"deep": deep})
    assert "… (100000 items)" in markup.pretty_json(list(range(100_000)))
    assert "100000 members" in markup.pretty_json({str(n): n for n in range(100_000)})


def test_options_are_escaped_and_some_are_selected() -> None:
    html = markup.select_options([("", "All"), (7, "<b>"), ('"', "'"), ("8", "8")], ["7", "8"])
    assert html.split("\n") == [
        '<option value="">All</option>',
        '<option value="7" selected>&lt;b&gt;</option>',
        '<option value="&quot;">&#x27;</option>',
        '<option value="8" selected>8</option>',
    ]
