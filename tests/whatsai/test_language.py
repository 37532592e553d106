"""Each request is answered in the language that its browser asks for; data of the API are the same in all."""

from pathlib import Path

import pytest
from django.conf import settings
from django.contrib.auth.models import User
from django.test import Client
from django.utils import translation

from conversations.models import ApiToken
from tests.conversations.rows import a_chat, a_message, an_instance

PT = "pt-BR,pt;q=0.9,en;q=0.5"


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("accepted", "language", "word"),
    [
        (PT, "pt-br", "Caixa de entrada"),
        ("pt", "pt-br", "Caixa de entrada"),
        ("pt-PT", "pt-br", "Caixa de entrada"),
        ("en-GB", "en", "Inbox"),
        ("de", "en", "Inbox"),
        (None, "en", "Inbox"),
    ],
)
def test_the_browser_chooses_the_language(admin_client: Client, accepted: str | None, language: str, word: str) -> None:
    headers = {"Accept-Language": accepted} if accepted else {}
    answer = admin_client.get("/admin/inbox/", headers=headers)
    assert f'lang="{language}"' in answer.content.decode()
    assert word in answer.content.decode()
    assert (answer["Content-Language"], "Accept-Language" in answer["Vary"]) == (language, True)


@pytest.mark.django_db
def test_the_language_ends_with_the_request(admin_client: Client) -> None:
    before = translation.get_language()
    admin_client.get("/admin/", headers={"Accept-Language": PT})
    assert translation.get_language() == before


@pytest.fixture
def api() -> Client:
    _, secret = ApiToken.objects.issue(User.objects.create_superuser("ana"))
    return Client(headers={"Authorization": f"Token {secret}"})


@pytest.mark.django_db(transaction=True)
def test_data_of_the_api_are_the_same_in_every_language(api: Client) -> None:
    chat = a_chat(an_instance(), name="Ana", unread_count=2)
    a_message(chat, text="Bom dia")
    lists = ("instances/", "contacts/", "conversations/", "conversations/counters/")
    for path in (*lists, f"conversations/{chat.pk}/messages/"):
        answers = [api.get(f"/api/v1/{path}", headers={"Accept-Language": tag}) for tag in ("en", PT, PT)]
        assert {answer.status_code for answer in answers} == {200}
        assert len({(answer.content, answer["ETag"]) for answer in answers}) == 1, path
        assert not any("Content-Language" in answer for answer in answers)
        assert not any("Accept-Language" in answer.get("Vary", "") for answer in answers)


def test_the_languages_are_those_of_the_catalogues() -> None:
    catalogues = {path.name for path in Path(settings.LOCALE_PATHS[0]).iterdir()}
    assert catalogues == {translation.to_locale(code) for code, _ in settings.LANGUAGES}


@pytest.mark.django_db
def test_an_error_of_the_api_is_translated_and_its_codes_are_not(api: Client) -> None:
    english, portuguese = (
        api.get("/api/v1/messages/?color=red", headers={"Accept-Language": tag}) for tag in ("en", PT)
    )
    assert (english["Content-Language"], portuguese["Content-Language"]) == ("en", "pt-br")
    assert "Accept-Language" in portuguese["Vary"]
    first, second = english.json(), portuguese.json()
    assert (first["title"], first["errors"][0]["detail"]) == ("Bad Request", "Unknown parameter.")
    assert (second["title"], second["errors"][0]["detail"]) == ("Requisição inválida", "Parâmetro desconhecido.")
    assert [(found["code"], found["errors"][0]["code"]) for found in (first, second)] == [
        ("invalid_parameters", "unknown")
    ] * 2


@pytest.mark.django_db
def test_static_files_do_not_vary_with_the_language() -> None:
    answer = Client().get("/static/admin/css/base.css", headers={"Accept-Language": PT})
    answer.close()
    assert answer.status_code == 200
    assert "Content-Language" not in answer
    assert "Accept-Language" not in answer.get("Vary", "")
