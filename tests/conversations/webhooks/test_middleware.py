"""Webhook requests skip the middleware that checks the host and CSRF token or redirects; other requests do not."""

import pytest
from django.conf import LazySettings
from django.test import Client

from tests.conversations.webhooks.conftest import PATH, TOKEN, Post, event


@pytest.mark.usefixtures("sales")
def test_any_host_name_is_accepted(post: Post) -> None:
    assert post(HTTP_HOST="a-name-in-the-same-network:8000").status_code == 202


@pytest.mark.usefixtures("sales")
def test_the_response_has_a_content_length(post: Post) -> None:
    response = post()
    assert response["Content-Length"] == str(len(response.content))


@pytest.mark.usefixtures("sales")
def test_no_csrf_token_is_required() -> None:
    response = Client(enforce_csrf_checks=True).post(f"{PATH}?token={TOKEN}", event(), content_type="application/json")
    assert response.status_code == 202


@pytest.mark.usefixtures("sales")
def test_a_webhook_is_not_redirected_to_https(settings: LazySettings, post: Post) -> None:
    settings.SECURE_SSL_REDIRECT = True
    assert post().status_code == 202


@pytest.mark.parametrize("path", ["/", "/webhooks-of-another-kind"])
@pytest.mark.django_db
def test_other_requests_pass_through_all_middleware(path: str, settings: LazySettings, client: Client) -> None:
    settings.SECURE_SSL_REDIRECT = True
    assert client.get(path).status_code == 301
