"""Media are sent with the type of their content, in parts if asked, and with a media ticket instead of a header."""

import datetime as dt
import hashlib
import time
from contextlib import AbstractContextManager, ExitStack
from io import BytesIO
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.files.storage import default_storage
from django.test import Client
from django.utils import timezone
from PIL import Image
from rest_framework.test import APIClient

from conversations.api.tickets import Purpose, Ticket, sign
from conversations.evolution.media_names import media_name
from conversations.media import thumbnails
from conversations.models import ApiToken, Instance, Membership, Message, Role
from tests.conversations.api.conftest import ApiCall
from tests.conversations.media.pictures import a_picture
from tests.conversations.rows import a_chat, a_message, an_instance

pytestmark = pytest.mark.django_db

PNG = b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 600  # longer than two blocks
ETAG = f'"{hashlib.sha256(PNG).hexdigest()}"'


def a_file(content: bytes, instance: Instance) -> str:
    name = media_name(instance.pk, hashlib.sha256(content).hexdigest())
    return default_storage.save(name, BytesIO(content))


def a_medium(content: bytes = PNG, *, instance: Instance | None = None, kind: str = "image", **media: Any) -> Message:
    instance = instance or an_instance()
    return a_message(a_chat(instance), kind=kind, media={"file": a_file(content, instance), **media})


def url(row: Message, ticket: str = "", file: str = "media") -> str:
    return f"/api/v1/messages/{row.pk}/{file}/" + (f"?ticket={ticket}" if ticket else "")


def content(answer: Any) -> bytes:
    return b"".join(answer.streaming_content) if answer.streaming else bytes(answer.content)


# --- headers ----------------------------------------------------------------------------------------------------------
def test_a_picture_is_sent_with_its_type_and_name(api: APIClient) -> None:
    answer = api.get(url(a_medium(file_name="férias", mimetype="text/html")))
    assert content(answer) == PNG
    assert answer.status_code == 200
    assert answer["Content-Type"] == "image/png"
    assert answer["Content-Length"] == str(len(PNG))
    assert answer["Content-Disposition"] == "inline; filename*=utf-8''f%C3%A9rias.png"
    assert answer["Cache-Control"] == "private, max-age=86400, immutable"
    assert answer["ETag"] == ETAG
    assert answer["Accept-Ranges"] == "bytes"
    assert answer["X-Content-Type-Options"] == "nosniff"
    assert answer["Content-Security-Policy"] == "default-src 'none'; sandbox"
    assert {"Authorization", "Cookie"} <= {name.strip() for name in answer["Vary"].split(",")}


@pytest.mark.parametrize("page", [b"<script>alert(1)</script>", b"<svg onload='alert(1)'/>"])
def test_a_page_is_an_attachment(api: APIClient, page: bytes) -> None:
    answer = api.get(url(a_medium(page, file_name='nota "1"\r\n.html', mimetype="text/html")))
    assert content(answer) == page
    assert answer["Content-Type"] == "application/octet-stream"
    assert answer["Content-Disposition"].startswith("attachment; ")


def test_head_sends_the_headers_alone(api: APIClient) -> None:
    row = a_medium()
    answer, whole = api.head(url(row)), api.get(url(row))
    content(whole)
    assert content(answer) == b""
    own = {"X-Request-ID", "Cache-Status", "Content-Language", "RateLimit"}
    assert {name: answer[name] for name in answer.headers.keys() - own} == {
        name: whole[name] for name in whole.headers.keys() - own
    }


def test_a_browser_that_asks_for_pictures_only_gets_one(api: APIClient) -> None:
    assert content(api.get(url(a_medium()), headers={"accept": "image/webp,image/*"})) == PNG


# --- parts ------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("bytes=0-7", slice(0, 8)),
        ("bytes=100000-", slice(100_000, None)),
        ("bytes=-5", slice(-5, None)),
        ("bytes=70000-140000", slice(70_000, 140_001)),
    ],
)
def test_a_part_of_the_file(api: APIClient, header: str, expected: slice) -> None:
    answer = api.get(url(a_medium()), headers={"range": header, "if-range": ETAG})
    sent = content(answer)
    start, stop, _ = expected.indices(len(PNG))
    assert (answer.status_code, sent) == (206, PNG[expected])
    assert answer["Content-Range"] == f"bytes {start}-{stop - 1}/{len(PNG)}"
    assert answer["Content-Length"] == str(len(sent))


@pytest.mark.parametrize(
    "headers", [{"range": "bytes=0-1", "if-range": '"other"'}, {"range": "bytes=0-1,4-5"}, {"range": "lines=1"}]
)
def test_the_whole_file_is_sent_if_a_part_cannot_be(api: APIClient, headers: dict[str, str]) -> None:
    answer = api.get(url(a_medium()), headers=headers)
    assert (answer.status_code, content(answer)) == (200, PNG)


def test_a_part_behind_the_end(api: APIClient) -> None:
    answer = api.get(url(a_medium()), headers={"range": f"bytes={len(PNG)}-"})
    assert answer.status_code == 416
    assert answer["Content-Range"] == f"bytes */{len(PNG)}"
    assert "json" in answer["Content-Type"]


@pytest.mark.parametrize("known", [ETAG, f"W/{ETAG}", f'"other", {ETAG}', "*"])
def test_a_known_file_is_not_sent_again(api: APIClient, known: str) -> None:
    answer = api.get(url(a_medium()), headers={"if-none-match": known})
    assert (answer.status_code, content(answer)) == (304, b"")
    assert answer["ETag"] == ETAG
    assert "immutable" in answer["Cache-Control"]
    assert content(api.get(url(a_medium()), headers={"if-none-match": '"other"'})) == PNG


# --- files that are not there -----------------------------------------------------------------------------------------
def test_the_file_of_a_message_without_one_is_not_found(get: ApiCall) -> None:
    instance = an_instance()
    for media in ({}, {"mimetype": "image/png"}):
        row = a_message(a_chat(instance), kind="image", media=media)
        for file in ("media", "thumbnail"):
            get(f"messages/{row.pk}/{file}/", status=404)


@pytest.mark.parametrize("media", [{"file": "00"}, {"file": "00", "thumbnail": "11"}, {"is_removed": True}])
def test_a_file_that_is_no_longer_stored_is_gone(get: ApiCall, media: dict[str, Any]) -> None:
    instance = an_instance()
    stored = {
        name: media_name(instance.pk, value * 32) if name != "is_removed" else value for name, value in media.items()
    }
    row = a_message(a_chat(instance), kind="image", media=stored)
    get(f"messages/{row.pk}/media/", status=410)
    get(f"messages/{row.pk}/thumbnail/", status=410)


def test_a_forged_file_name_is_not_found(get: ApiCall) -> None:
    owner, other = an_instance(), an_instance()
    name = default_storage.save(media_name(owner.pk, "cd" * 32), BytesIO(b"of another instance"))
    for forged in (name, "../../etc/passwd", "/etc/passwd", "\x01", "x" * 255, ".", [name], {"a": 1}, 7):
        row = a_message(a_chat(other), kind="image", media={"file": forged})
        get(f"messages/{row.pk}/media/", status=404)


@pytest.mark.parametrize("pk", ["0", "9" * 19, "9" * 20, "abc"])
def test_an_unknown_message_is_not_found(get: ApiCall, pk: str) -> None:
    get(f"messages/{pk}/media/", status=404)


# --- thumbnails -------------------------------------------------------------------------------------------------------
def test_the_thumbnail_that_whatsapp_sent(api: APIClient) -> None:
    instance, small = an_instance(), a_picture("JPEG")
    row = a_message(a_chat(instance), kind="video", media={"thumbnail": a_file(small, instance)})
    answer = api.get(url(row, file="thumbnail"))
    assert content(answer) == small
    assert answer["Content-Type"] == "image/jpeg"
    assert answer["ETag"] == f'"{hashlib.sha256(small).hexdigest()}"'
    media = api.get(f"/api/v1/messages/{row.pk}/").json()["media"]
    assert media == {"file_url": None, "thumbnail_url": url(row, file="thumbnail")}
    assert api.get(url(row)).status_code == 404


@pytest.mark.parametrize(("kind", "mimetype"), [("image", ""), ("sticker", "image/webp"), ("document", "image/png")])
def test_a_thumbnail_is_made_of_a_picture_once(api: APIClient, kind: str, mimetype: str) -> None:
    row = a_medium(a_picture("PNG", (800, 600)), kind=kind, mimetype=mimetype)
    answer = api.get(url(row, file="thumbnail"))
    made = content(answer)
    assert Image.open(BytesIO(made)).size == (320, 240)
    assert answer["Content-Type"] == "image/webp"
    default_storage.delete(row.media["file"])
    assert content(api.get(url(row, file="thumbnail"))) == made
    assert api.get(url(row, file="thumbnail"), headers={"if-none-match": answer["ETag"]}).status_code == 304
    assert api.get(f"/api/v1/messages/{row.pk}/").json()["media"]["thumbnail_url"] == url(row, file="thumbnail")


def test_a_picture_of_which_no_thumbnail_can_be_made(api: APIClient) -> None:
    row = a_medium(PNG)  # the signature of a picture, and nothing else of it
    for _ in range(2):
        assert api.get(url(row, file="thumbnail")).status_code == 404


@pytest.mark.parametrize(("kind", "mimetype"), [("video", "video/mp4"), ("document", "application/pdf"), ("audio", "")])
def test_other_files_have_no_thumbnail(api: APIClient, kind: str, mimetype: str) -> None:
    row = a_medium(a_picture(), kind=kind, mimetype=mimetype)
    media = api.get(f"/api/v1/messages/{row.pk}/").json()["media"]
    assert (media["file_url"], media["thumbnail_url"]) == (url(row), None)
    assert api.get(url(row, file="thumbnail")).status_code == 404


@pytest.mark.parametrize(
    ("taken", "times", "color"),
    [(thumbnails.decoder, 1, "green"), (thumbnails.places, 1 + thumbnails.MAX_WAITING, "navy")],
    ids=["decoder", "places"],
)
def test_the_picture_itself_is_sent_while_too_many_thumbnails_are_made(
    api: APIClient, monkeypatch: pytest.MonkeyPatch, taken: AbstractContextManager[Any], times: int, color: str
) -> None:
    monkeypatch.setattr(thumbnails, "WAIT_SECONDS", 0.01)
    picture = a_picture(color=color)
    row = a_medium(picture)
    with ExitStack() as others:
        for _ in range(times):
            others.enter_context(taken)
        answer = api.get(url(row, file="thumbnail"))
    assert (answer.status_code, answer["Cache-Control"], content(answer)) == (200, "private, no-store", picture)
    assert content(api.get(url(row, file="thumbnail"))) != picture


# --- tickets ----------------------------------------------------------------------------------------------------------
@pytest.fixture
def member() -> tuple[User, ApiToken, APIClient, Message]:
    row = a_medium()
    user = User.objects.create_user("bia")
    Membership.objects.create(user=user, instance=row.instance, role=Role.READER)
    token, secret = ApiToken.objects.issue(user)
    return user, token, APIClient(headers={"Authorization": f"Token {secret}"}), row


def ticket_of(client: Any, **query: Any) -> str:
    answer = client.get("/api/v1/media-ticket/", query)
    assert answer.status_code == 200
    assert answer["Cache-Control"] == "private, no-store"
    return str(answer.json()["ticket"])


def test_a_ticket_shows_media_and_nothing_else(member: tuple[User, ApiToken, APIClient, Message]) -> None:
    _, _, client, row = member
    ticket = ticket_of(client)
    assert content(Client().get(url(row, ticket))) == PNG
    assert Client().get(url(row, ticket, "thumbnail")).status_code == 404  # the ticket is accepted
    assert Client().get(url(a_medium(b"GIF89a"), ticket)).status_code == 404  # of a foreign instance
    for path in ("messages/", f"messages/{row.pk}/", "media-ticket/"):
        assert Client().get(f"/api/v1/{path}?ticket={ticket}").status_code in (400, 401)
    assert ticket_of(client) == ticket, "the tickets of one period are equal"


@pytest.mark.parametrize("end", ["revoked token", "expired token", "inactive user", "deleted user"])
def test_a_ticket_ends_with_its_token_and_user(member: tuple[User, ApiToken, APIClient, Message], end: str) -> None:
    user, token, client, row = member
    ticket = ticket_of(client)
    content(Client().get(url(row, ticket)))
    if end == "revoked token":
        token.revoke()
    elif end == "expired token":
        token.expires_at = timezone.now() - dt.timedelta(seconds=1)
        token.save()
    elif end == "inactive user":
        user.is_active = False
        user.save()
    else:
        user.delete()
    assert Client().get(url(row, ticket)).status_code == 401


def test_a_ticket_ends_with_the_membership(member: tuple[User, ApiToken, APIClient, Message]) -> None:
    user, _, client, row = member
    ticket = ticket_of(client)
    Membership.objects.get(user=user).delete()
    assert Client().get(url(row, ticket)).status_code == 404


def test_a_ticket_of_a_session_ends_with_the_user() -> None:
    row = a_medium()
    user = User.objects.create_user("caio")
    membership = Membership.objects.create(user=user, instance=row.instance, role=Role.READER)
    client = Client()
    client.force_login(user)
    ticket = ticket_of(client)
    assert content(Client().get(url(row, ticket))) == PNG
    membership.delete()
    assert Client().get(url(row, ticket)).status_code == 404
    user.is_active = False
    user.save()
    assert Client().get(url(row, ticket)).status_code == 401


def test_a_ticket_can_be_for_one_message(member: tuple[User, ApiToken, APIClient, Message]) -> None:
    _, _, client, row = member
    other = a_medium(b"GIF89a", instance=row.instance)
    ticket = ticket_of(client, message=row.pk)
    assert content(Client().get(url(row, ticket))) == PNG
    assert Client().get(url(other, ticket)).status_code == 401
    assert client.get("/api/v1/media-ticket/?message=x").status_code == 400


@pytest.mark.parametrize("ticket", ["x", "1-1-0-99999999999:abc", "a" * 5000, "%00", "\udc00"])
def test_a_forged_ticket_is_refused(ticket: str) -> None:
    answer = Client().get(f"/api/v1/messages/{a_medium().pk}/media/", {"ticket": ticket.encode(errors="replace")})
    assert answer.status_code == 401


def test_an_old_ticket_is_refused(member: tuple[User, ApiToken, APIClient, Message]) -> None:
    user, token, _, row = member
    old = Ticket(user.pk, token.pk, None, int(time.time()) - 1)
    assert Client().get(url(row, sign(old, Purpose.MEDIA))).status_code == 401
