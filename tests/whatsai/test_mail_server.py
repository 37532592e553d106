"""The URL of the mail server becomes Django's options."""

import pytest

from whatsai.mail_server import options


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("smtp://127.0.0.1", ("127.0.0.1", 25, "", "", False, False)),
        ("smtp+tls://ana:p%40ss@mail.example", ("mail.example", 587, "ana", "p@ss", True, False)),
        ("smtps://mail.example:2465", ("mail.example", 2465, "", "", False, True)),
    ],
)
def test_the_url_becomes_options(url: str, expected: tuple[object, ...]) -> None:
    assert options(url) == expected


@pytest.mark.parametrize("url", ["", "mail.example", "http://mail.example", "smtp://", "smtp://x:y", "smtp://x/path"])
def test_other_urls_are_errors(url: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        options(url)
