"""Spellings of the URL of one server have one key, and a stored URL has one form."""

import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conversations.evolution.server_url import is_loopback, is_private, normalize_server_url, server_key

SPELLINGS = (
    "http://localhost:8080", "http://127.0.0.1:8080/", "HTTP://LOCALHOST:8080", "http://[::1]:8080", "http://127.0.0.2:8080",
    "http://0.0.0.0:8080", "http://evo.localhost:8080", "http://localhost.:8080", "http://[::ffff:127.0.0.1]:8080",
)  # fmt: skip


def test_the_names_of_the_own_machine_are_one_server() -> None:
    assert {server_key(url) for url in SPELLINGS} == {"http://localhost:8080"}


@pytest.mark.parametrize(
    "url", ["", "evo", "ftp://evo", "http://", "http://evo:port", "http://[evo", "http://e vo", "\x00"]
)
def test_what_is_no_url_has_no_key(url: str) -> None:
    assert not server_key(url)


def test_long_texts_are_not_remembered() -> None:
    tracemalloc.start()
    try:
        assert not any(server_key(f"{number}".ljust(100_000)) for number in range(20))
        assert not any(server_key(f"{number}" * 100_000) for number in range(10))
        assert tracemalloc.get_traced_memory()[0] < 100_000
    finally:
        tracemalloc.stop()


@given(st.text(max_size=30).map(lambda text: f"https://{text}"))
def test_a_normal_form_is_stable_and_has_the_key_of_its_spelling(text: str) -> None:
    try:
        url = normalize_server_url(text)
    except ValueError:
        return
    assert normalize_server_url(url) == url
    assert server_key(url) == server_key(text)


@pytest.mark.parametrize(
    ("host", "loopback", "private"),
    [
        ("localhost", True, True),
        ("127.8.8.8", True, True),
        ("::1", True, True),
        ("10.0.0.1", False, True),
        ("fd00::1", False, True),
        ("evolution", False, True),
        ("nas.local", False, True),
        ("8.8.8.8", False, False),
        ("evo.example.com", False, False),
        ("2606:4700::1111", False, False),
    ],
)
def test_hosts_are_classified(host: str, loopback: bool, private: bool) -> None:  # noqa: FBT001 - pytest passes them by name
    assert (is_loopback(host), is_private(host)) == (loopback, private)
