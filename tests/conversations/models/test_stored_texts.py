"""Texts that the database keeps in English are translated by their templates."""

import pytest
from django.utils import translation

from conversations.ingest import reasons
from conversations.models.stored_texts import fill, translate
from conversations.monitoring import details
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
            "nenhuma entrega teve sucesso no último dia; último erro: respondeu 500",
        ),
    ],
)
def test_a_stored_text_is_translated_by_its_template(text: str, expected: str) -> None:
    with translation.override("pt-br"):
        assert translate(text, errors.TEMPLATES) == expected
    with translation.override("en"):
        assert translate(text, errors.TEMPLATES) == text


@pytest.mark.parametrize(
    ("text", "english", "portuguese"),
    [
        # Versions before this one have stored "1 items".
        ("1 items not understood: the call is not complete", "1 item not understood: the call is not complete",
         "1 item não compreendido: a chamada não está completa"),
        ("2 items not understood: the label is not an object", "2 items not understood: the label is not an object",
         "2 itens não compreendidos: a etiqueta não é um objeto"),
        ("KeyError", "KeyError", "KeyError"),
        ("1 rows of 200 entries differ", "1 row of 200 entries differs", "1 linha de 200 entradas difere"),
        ("2 wait, the earliest for 130 s", "2 wait, the earliest for 130 s", "2 esperam, o primeiro há 130 s"),
        ("the event stream answered 502", "the event stream answered 502", "o fluxo de eventos respondeu 502"),
        ("close", "closed", "desconectado"),
        ("none since 2026-11-20 18:00 UTC", "none since 20 Nov 2026, 18:00 UTC", "nenhum desde 20/11/2026 18:00 UTC"),
        ("none since then UTC", "none since then UTC", "nenhum desde then UTC"),
    ],
)  # fmt: skip
def test_a_stored_text_reads_well_in_each_language(text: str, english: str, portuguese: str) -> None:
    templates = (*reasons.TEMPLATES, *details.TEMPLATES)
    for language, expected in (("en", english), ("pt-br", portuguese)):
        with translation.override(language):
            assert translate(text, templates) == expected


@pytest.mark.parametrize(("count", "expected"), [(0, "0 wait, the"), (1, "1 waits, for"), (2, "2 wait, the")])
def test_a_text_that_is_stored_has_the_right_form(count: int, expected: str) -> None:
    assert fill(details.WAITING, count=count, seconds=5).startswith(expected)


def test_names_in_a_text_are_kept() -> None:
    text = fill(reasons.OTHER_INSTANCE, named="shop (new)", expected="100%")
    with translation.override("pt-br"):
        assert translate(text, reasons.TEMPLATES) == (
            "o corpo é de outra instância (shop (new)), e não da instância da URL do webhook (100%)"
        )
