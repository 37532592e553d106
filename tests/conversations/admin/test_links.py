import pytest
from hypothesis import given
from hypothesis import strategies as st

from conversations.admin.links import MAX_LENGTH, MAX_LINKS, LinkedText, linkify, web_url


@pytest.mark.parametrize(
    ("text", "urls"),
    [
        ("veja https://example.com/a?b=1&c=2.", ["https://example.com/a?b=1&c=2"]),
        ("(HTTP://EXAMPLE.COM/a)", ["HTTP://EXAMPLE.COM/a"]),
        ("*https://example.com* e http://a.example/x!", ["https://example.com", "http://a.example/x"]),
        ('https://example.com/"onmouseover="alert(1)', ["https://example.com/"]),
        ("https://example.com/<script>", ["https://example.com/"]),
        ("javascript:alert(1) data:text/html,x ftp://example.com www.example.com a@example.com", []),
        ("http:// https://[ http://:80", []),
    ],
)
def test_only_web_urls_become_links(text: str, urls: list[str]) -> None:
    assert [piece.url for piece in linkify(text) if piece.url] == urls


def test_a_link_is_separated_from_the_text_around_it() -> None:
    assert linkify("Pague em https://example.com/p, por favor") == [
        LinkedText("Pague em "),
        LinkedText("https://example.com/p", "https://example.com/p"),
        LinkedText(", por favor"),
    ]


def test_a_host_of_combining_marks_is_checked_in_linear_time() -> None:
    """Sorting the marks takes quadratic time, so without limit this URL would take many minutes."""
    url = "http://a" + "\u0301\u0323" * 250_000
    assert web_url(url) == url


@given(st.lists(st.sampled_from(["https://example.com/a", "http://[", " ", "<", "olá", ".", "\n", "*"])).map("".join))
def test_the_pieces_concatenate_to_the_original_text(text: str) -> None:
    assert "".join(piece.text for piece in linkify(text)) == text


@pytest.mark.parametrize("value", [None, 5, {}, "", "//example.com", "javascript://example.com/%0aalert(1)", "http://"])
def test_other_values_are_not_web_urls(value: object) -> None:
    assert web_url(value) == ""


def test_a_text_has_a_limited_number_of_links_and_characters() -> None:
    pieces = linkify("http://a.example " * 4000)
    assert sum(bool(piece.url) for piece in pieces) == MAX_LINKS
    assert sum(len(piece.text) for piece in pieces) < MAX_LENGTH + 50
    assert pieces[-1].text.endswith("… (68,000 characters)")


def test_pieces_are_escaped() -> None:
    assert LinkedText("<b>1 & 2</b>").html == "&lt;b&gt;1 &amp; 2&lt;/b&gt;"
    link = LinkedText('<a href="x">', 'https://a.example/?q="1"&b=2').html
    assert link == (
        '<a href="https://a.example/?q=&quot;1&quot;&amp;b=2" rel="noopener noreferrer" target="_blank">'
        "&lt;a href=&quot;x&quot;&gt;</a>"
    )
