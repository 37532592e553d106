"""The text of Meta AI's answers: every part in its order, and every word as often as it is written."""

import base64
import json
from typing import Any

import pytest

from conversations.evolution.content import parse_content

CODE = [{"codeContent": text} for text in ("print", "(", "f", "(", "1", "))\n")]
ROWS = [{"items": ["Item", "Preço"], "isHeading": True}, {"items": ["Pão", "2"]}, {"items": ["Leite", "2"]}]


@pytest.mark.parametrize(
    ("parts", "text"),
    [
        ([{"messageText": "sim"}, {"messageText": "não"}, {"messageText": "sim"}], "sim\nnão\nsim"),
        ([{"codeMetadata": {"codeLanguage": "python", "codeBlocks": CODE}}], "print(f(1))"),
        ([{"tableMetadata": {"title": "Preços", "rows": ROWS}}], "Preços\nItem | Preço\nPão | 2\nLeite | 2"),
        ([{"latexMetadata": {"text": "E = mc²", "expressions": [{"latexExpression": "E=mc^2"}]}}], "E = mc²"),
        ([{"latexMetadata": {"expressions": [{"latexExpression": "E=mc^2", "url": "https://x"}]}}], "E=mc^2"),
        ([{"mapMetadata": {"annotations": [{"title": "Café", "body": "bom"}, {"title": "Bar"}]}}], "Café\nbom\nBar"),
        ([{"contentItemsMetadata": {"itemsMetadata": [{"reelItem": {"title": "Gatos", "videoUrl": "u"}}]}}], "Gatos"),
        ([{"imageMetadata": {"imageText": "foto", "imageUrl": {"sourceUrl": "https://x"}}}], "foto"),
        ([{"gridImageMetadata": {"imageUrls": [{"sourceUrl": "https://x"}]}}, {"messageText": "oi"}], "oi"),
        ([{"newMetadata": {"rows": [{"cell": "novo"}]}}, 5, {"messageText": 5}], "novo"),
        ([{"codeMetadata": "x = 1"}], "x = 1"),
    ],
)
def test_each_part_gives_its_text(parts: list[Any], text: str) -> None:
    assert parse_content({"richResponseMessage": {"submessages": parts}}).text == text


@pytest.mark.parametrize(
    "content", [{}, {"submessages": 5}, {"submessages": [{"tableMetadata": {"rows": [{"items": [5]}]}}]}]
)
def test_an_answer_without_words_has_no_text(content: dict[str, Any]) -> None:
    assert parse_content({"richResponseMessage": content}).text == ""


SECTIONS = [
    {"view_model": {"primitive": {"text": "Veja {{IE_0}}aqui{{/IE_0}}", "__typename": "GenAIMarkdownTextUXPrimitive"}}},
    {
        "view_model": {
            "primitives": [{"language": "python", "code_blocks": [{"content": "f("}, {"content": "1)\n"}]}, 5]
        }
    },
    {
        "view_model": {
            "primitive": {"title": "Preços", "rows": [{"items": ["Pão", "2"]}, {"cells": [{"text": "3"}]}, 5]}
        }
    },
    {"view_model": 5},
    5,
]
DATA = json.dumps({"response_id": "x", "sections": SECTIONS}).encode()


@pytest.mark.parametrize(
    "data",
    [
        base64.b64encode(DATA).decode(),
        {str(index): byte for index, byte in enumerate(DATA)},
        {"type": "Buffer", "data": list(DATA)},
    ],
    ids=["base64", "index", "buffer"],
)
def test_the_unified_form_gives_its_text_if_there_are_no_parts(data: Any) -> None:
    answer: dict[str, Any] = {"unifiedResponse": {"data": data}}
    assert parse_content({"richResponseMessage": answer}).text == "Veja aqui\nf(1)\nPreços\nPão | 2\n3"
    answer["submessages"] = [{"messageText": "oi"}]
    assert parse_content({"richResponseMessage": answer}).text == "oi"


@pytest.mark.parametrize("data", [None, 5, "", "YWJj", "W10=", "não", {"0": 300}, [1], {"type": "Buffer"}])
def test_a_unified_form_that_cannot_be_read_gives_no_text(data: Any) -> None:
    assert parse_content({"richResponseMessage": {"unifiedResponse": {"data": data}}}).text == ""
