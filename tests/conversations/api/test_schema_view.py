"""The OpenAPI schema is rendered once in each process, because anybody may ask for it."""

from typing import Any

import pytest
import yaml
from django.conf import settings
from django.test import Client
from django.utils import translation
from drf_spectacular.generators import SchemaGenerator

from conversations.api.schema_generator import EnglishGenerator
from conversations.api.schema_view import rendered

FORMATS = ["application/vnd.oai.openapi", "application/yaml", "application/json"]


@pytest.fixture
def generated(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Return a list that gets one item each time a schema is generated."""
    rendered.cache_clear()
    calls: list[Any] = []
    generate = SchemaGenerator.get_schema

    def counted(self: Any, *args: Any, **options: Any) -> Any:
        calls.append(args)
        return generate(self, *args, **options)  # type: ignore[no-untyped-call]

    monkeypatch.setattr(SchemaGenerator, "get_schema", counted)
    return calls


def test_requests_of_outsiders_do_not_render_it_again(generated: list[Any]) -> None:
    for language in ("en", "de", "pt-br"):
        for query in ("", f"?lang={language}", f"?version={language}"):
            answer = Client().get(f"/api/schema/{query}", headers={"Accept": "application/yaml"})
            assert answer.status_code == 200
            assert answer["Content-Type"] == "application/yaml; charset=utf-8"
            assert answer["Content-Disposition"] == 'inline; filename="WhatsAI.yaml"'
    assert len(generated) == 1


@pytest.mark.usefixtures("generated")
def test_all_formats_have_the_same_contents() -> None:
    answers = [Client().get("/api/schema/", headers={"Accept": media_type}) for media_type in FORMATS]
    assert [answer["Content-Type"].partition(";")[0] for answer in answers] == FORMATS
    first, second, third = (yaml.safe_load(answer.content) for answer in answers)
    assert first == second == third
    assert first["info"]["title"] == settings.SPECTACULAR_SETTINGS["TITLE"]


def test_the_schema_is_english_for_commands_and_checks_too() -> None:
    schemas = []
    for language in ("en", "pt-br"):
        with translation.override(language):
            generator: Any = EnglishGenerator
            schemas.append(generator().get_schema(public=True))
    assert schemas[0] == schemas[1]
