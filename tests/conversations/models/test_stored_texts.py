"""Texts that the database keeps in English are translated by their templates."""

import pytest
from django.utils import translation

from conversations.models.stored_texts import translate
from conversations.webhooks_out import errors


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", ""),
        ("something of another version", "something of another version"),
        (errors.NOT_HTTP, "a resposta não é HTTP"),
        ("no answer within 10 s", "sem resposta em 10 s"),
        ("answered 302; redirects are not followed", "respondeu 302; redirecionamentos não são seguidos"),
        (
            "no delivery has succeeded for a day; the last error: answered 500",
            "nenhuma entrega teve sucesso em um dia; o último erro: respondeu 500",
        ),
    ],
)
def test_a_stored_text_is_translated_by_its_template(text: str, expected: str) -> None:
    with translation.override("pt-br"):
        assert translate(text, errors.TEMPLATES) == expected
    with translation.override("en"):
        assert translate(text, errors.TEMPLATES) == text
