"""A client cannot choose the codec that decodes its request, in the query string or in a form."""

from collections.abc import Iterator
from io import BytesIO
from typing import Any
from urllib.parse import urlencode

import pytest
from django.contrib.auth.models import User
from django.core.signals import request_finished, request_started
from django.core.wsgi import get_wsgi_application
from django.db import close_old_connections

from whatsai.request_headers import without_charset
from whatsai.server.wsgi import Response, build_environ, respond

pytestmark = pytest.mark.django_db

CSRF_TOKEN = "a" * 32
CHARSETS = ["hex", "rot13", "zlib", "idna", "punycode", "undefined", "utf-7", "unicode_escape", "utf-16", "nonsense"]
PARAMETERS = [f"; charset={charset}" for charset in CHARSETS]
PARAMETERS += ["; x*=nonsense''a", f"; x*{'9' * 5000}*=a", '; charset="', ";", ";;=;", "; charset*=hex''%41"]


@pytest.fixture(autouse=True)
def _kept_connection() -> Iterator[None]:
    """Keep the connection of the test's transaction, as Django's test client does."""
    signals = request_started, request_finished
    for signal in signals:
        signal.disconnect(close_old_connections)
    yield
    for signal in signals:
        signal.connect(close_old_connections)


def request(method: str, path: str, query: str = "", body: bytes = b"", content_type: str = "text/plain") -> Response:
    scope: dict[str, Any] = {
        "method": method,
        "raw_path": path.encode(),
        "query_string": query.encode(),
        "http_version": "1.1",
        "scheme": "http",
        "headers": [
            (b"host", b"localhost"),
            (b"content-type", content_type.encode()),
            (b"cookie", f"csrftoken={CSRF_TOKEN}".encode()),
        ],
    }
    return respond(get_wsgi_application(), build_environ(scope, BytesIO(body), len(body)))


@pytest.mark.parametrize("parameter", PARAMETERS)
def test_the_parameters_of_the_content_type_are_ignored(parameter: str) -> None:
    name = User.objects.create_superuser("zoë", password="right").username
    for path, query, status in [
        ("/api/v1/contacts/", "search=%41%2B2AA-%5Cud800", 401),
        ("/admin/login/", "next=%41%2B2AA-%5Cud800", 200),
        ("/nothing/", "a=%41", 404),
    ]:
        assert request("GET", path, query, content_type=f"application/json{parameter}").status == status, path
    answer = request("POST", "/webhooks/evolution/shop", "token=A%2B2AA-", b"{}", f"application/json{parameter}")
    assert answer.status == 404
    form = urlencode({"username": name, "password": "right", "csrfmiddlewaretoken": CSRF_TOKEN}).encode()
    answer = request("POST", "/admin/login/", "", form, f"application/x-www-form-urlencoded{parameter}")
    assert answer.status == 302


def test_other_headers_stay_unchanged() -> None:
    headers = [(b"accept", b"a/b;q=1"), (b"content-type", b"a/b; charset=utf-8"), (b"cookie", b"a=1; b=2")]
    assert without_charset(headers) == [headers[0], (b"content-type", b"a/b"), headers[2]]
