"""Webhook URLs may contain any number of slashes between their segments, and webhook requests are never redirected."""

import pytest
from django.conf import LazySettings

from conversations.models import WebhookEvent
from tests.conversations.webhooks.conftest import TOKEN, Post


@pytest.mark.parametrize(
    "path",
    [
        "/webhooks/evolution/sales",
        "/webhooks/evolution/sales/",
        "/webhooks/evolution/sales//",
        "//webhooks/evolution/sales",
        "///webhooks//evolution///sales/",
        "/webhooks/evolution/sales/messages-upsert",
        "/webhooks/evolution/sales/messages-upsert/",
        "/webhooks/evolution/sales//messages-upsert",
        "//webhooks//evolution//sales//messages-upsert//",
        f"/webhooks/evolution/sales?token={TOKEN}",
        f"/webhooks/evolution/sales/?token={TOKEN}/messages-upsert",
        f"/webhooks/evolution/sales//messages-upsert/?token={TOKEN}",
    ],
)
@pytest.mark.usefixtures("sales")
def test_every_form_of_the_url_is_accepted_without_a_redirect(path: str, settings: LazySettings, post: Post) -> None:
    settings.SECURE_SSL_REDIRECT = True
    settings.APPEND_SLASH = True
    assert post(path, token="" if "token=" in path else TOKEN).status_code == 202
    assert WebhookEvent.objects.count() == 1


@pytest.mark.parametrize("path", ["/webhooks/evolution/unknown", "/webhooks/evolution", "//webhooks/other/sales/a/b"])
@pytest.mark.django_db
def test_an_unknown_url_is_not_redirected_either(path: str, settings: LazySettings, post: Post) -> None:
    settings.SECURE_SSL_REDIRECT = True
    assert post(path).status_code == 404
