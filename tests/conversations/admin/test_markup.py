import base64
import datetime as dt

import pytest
from django.utils import timezone

from conversations.admin import markup

PNG = base64.b64encode(b"\x89PNG\r\n\x1a\n....").decode()


def test_a_png_inside_its_url_is_an_image() -> None:
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
def test_nothing_else_is_an_image(value: str) -> None:
    assert markup.png_image(value, "QR") == "(not a PNG image)"


def test_no_image_is_a_dash() -> None:
    assert markup.png_image("", "QR") == markup.NOTHING


def test_a_web_address_is_a_link_that_tells_nobody_where_from() -> None:
    html = markup.web_link("https://example.com/?a=1&b=<")
    assert 'rel="noopener noreferrer"' in html
    assert 'href="https://example.com/?a=1&amp;b=&lt;"' in html


@pytest.mark.parametrize(("url", "shown"), [("javascript:alert(1)", "javascript:alert(1)"), ("", markup.NOTHING)])
def test_another_address_is_text(url: str, shown: str) -> None:
    assert markup.web_link(url) == shown
    assert not hasattr(markup.web_link(url), "__html__")


def test_json_is_indented_readable_and_escaped() -> None:
    assert (
        markup.pretty_json({"nome": "João <b>"})
        == '<pre class="json">{\n  &quot;nome&quot;: &quot;João &lt;b&gt;&quot;\n}</pre>'
    )


def test_long_json_is_cut_and_says_so() -> None:
    assert "… (5,000 characters)" in markup.pretty_json({"base64": ["A" * 5000]})
    whole = markup.pretty_json(["A" * 900] * 1000)
    assert len(whole) < markup.LONGEST_JSON * 2
    assert "characters)" in whole[-60:]


@pytest.mark.parametrize("value", [None, {}, []])
def test_empty_json_is_a_dash(value: object) -> None:
    assert markup.pretty_json(value) == markup.NOTHING


def test_a_moment_is_told_in_the_readers_time() -> None:
    with timezone.override("America/Sao_Paulo"):
        assert markup.moment(dt.datetime(2026, 3, 2, 15, 30, tzinfo=dt.UTC)) == "March 2, 2026, 12:30 p.m."
