"""Event streams and requests that wait, over real connections to a server process."""

import json
import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection

from conversations.changes import history
from conversations.models import ApiToken, Conversation, Instance, Membership, Role
from tests.cachelayer.gunicorn import Gunicorn, serving
from tests.conversations.rows import a_chat, a_message, an_instance
from tests.waiting import TIMEOUT

pytestmark = [pytest.mark.postgresql, pytest.mark.django_db(transaction=True)]


class Client:
    """A client of an event stream."""

    def __init__(self, port: int, token: str, query: str = "", *, ticket: str = "", last_id: str = "") -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=TIMEOUT)
        headers = f"Authorization: Bearer {token}\r\n" if token else ""
        headers += f"Last-Event-ID: {last_id}\r\n" if last_id else ""
        query = "&".join(filter(None, (query, f"ticket={ticket}" if ticket else "")))
        head = f"GET /api/v1/events/?{query} HTTP/1.1\r\nHost: 127.0.0.1\r\n{headers}\r\n"
        self.socket.sendall(head.encode())
        self.file = self.socket.makefile("rb")
        self.status = int(self.file.readline().split()[1])
        self.headers = dict(iter(self._header, None))
        self.cursor = last_id

    def close(self) -> None:
        self.file.close()
        self.socket.close()

    def _header(self) -> tuple[str, str] | None:
        name, _, value = self.file.readline().decode().strip().partition(": ")
        return (name.lower(), value) if name else None

    def event(self) -> dict[str, Any] | None:
        """Return the content of the next event with data; None at the end of the stream."""
        data = ""
        while line := self.file.readline().decode():
            name, _, value = line.strip().partition(": ")
            if name == "id":
                self.cursor = value
            elif name == "data":
                data += value
            elif not name and data:
                event: dict[str, Any] = json.loads(data)
                return event
        return None

    def changed(self) -> set[tuple[str, int]]:
        """Return the resource and the id of each change of the next event."""
        event = self.event()
        assert event is not None
        return {(change["resource"], change["id"]) for change in event["results"]}


@pytest.fixture
def token() -> str:
    return ApiToken.objects.issue(User.objects.create_superuser("root"))[1]


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Gunicorn]:
    with serving(tmp_path) as gunicorn:
        yield gunicorn


Follow = Callable[..., Client]


@pytest.fixture
def follow(server: Gunicorn) -> Iterator[Follow]:
    """Open streams, and close them at the end."""
    with ExitStack() as clients:
        yield lambda *arguments, **options: clients.enter_context(closing(Client(server.port, *arguments, **options)))


def test_a_stream_shows_each_change_and_continues_where_it_ended(follow: Follow, token: str) -> None:
    chat = a_chat(an_instance())
    client = follow(token)
    assert (client.status, client.headers["content-type"]) == (200, "text/event-stream")
    assert client.changed() == set()
    Conversation.objects.pin(chat.pk)
    assert client.changed() == {("conversation", chat.pk)}
    client.close()
    Conversation.objects.archive(chat.pk)
    again = follow(token, last_id=client.cursor)
    changes: list[Any] = []
    while not changes and (event := again.event()):
        changes = event["results"]
    (change,) = changes
    assert (change["row"]["is_pinned"], change["row"]["is_archived"]) == (True, True)


def test_a_stream_shows_only_what_is_selected_and_permitted(follow: Follow) -> None:
    own, foreign = a_chat(an_instance()), a_chat(an_instance())
    user = User.objects.create_user("ana")
    Membership.objects.create(user=user, instance=own.instance, role=Role.READER)
    client = follow(ApiToken.objects.issue(user)[1], "resource=conversation,message")
    assert client.changed() == set()
    Conversation.objects.pin(foreign.pk)
    Instance.objects.filter(pk=own.instance_id).update(profile_name="x")
    Conversation.objects.pin(own.pk)
    assert client.changed() == {("conversation", own.pk)}


@pytest.mark.parametrize("end", ["membership", "token", "user"])
def test_a_stream_ends_with_what_permits_it(follow: Follow, end: str) -> None:
    user = User.objects.create_user("ana")
    membership = Membership.objects.create(user=user, instance=an_instance(), role=Role.READER)
    row, token = ApiToken.objects.issue(user)
    client = follow(token)
    assert client.changed() == set()
    if end == "membership":
        membership.delete()
    elif end == "token":
        row.revoke()
    else:
        user.is_active = False
        user.save()
    assert client.event() is None


def test_a_ticket_opens_a_stream(server: Gunicorn, follow: Follow, token: str) -> None:
    ticket = ask(server, token, "event-ticket/")["ticket"]
    assert follow("", ticket=ticket).changed() == set()
    assert follow("", ticket=ticket[:-1]).status == 401
    assert follow("").status == 401
    assert follow("", ticket=ask(server, token, "media-ticket/")["ticket"]).status == 401


def test_a_request_waits_for_a_change(server: Gunicorn, token: str) -> None:
    chat = a_chat(an_instance())
    cursor = ask(server, token, "changes/")["cursor"]
    with closing(send(server, token, f"changes/?after={cursor}&wait=60")) as waiting:
        Conversation.objects.pin(chat.pk)
        page = json.loads(waiting.getresponse().read())
    assert [change["id"] for change in page["results"]] == [chat.pk]
    assert ask(server, token, f"changes/?after={cursor}&wait=60")["results"] == page["results"]
    assert ask(server, token, f"changes/?after={page['cursor']}&wait=1")["results"] == []


def test_a_stop_ends_streams_and_answers_those_who_wait(server: Gunicorn, follow: Follow, token: str) -> None:
    streams = [follow(token) for _ in range(50)]
    for stream in streams:
        assert stream.changed() == set()
    with closing(send(server, token, "changes/?wait=60")) as waiting:
        ask(server, token, "me/")  # the request before is waiting now, or will find that the server stops
        server.process.send_signal(signal.SIGTERM)
        assert json.loads(waiting.getresponse().read())["results"] == []
    assert [stream.event() for stream in streams] == [None] * 50
    assert server.process.wait(TIMEOUT) == 0


def test_a_stream_ends_when_the_database_has_another_history(server: Gunicorn, follow: Follow, token: str) -> None:
    """As after a failover to a server that was behind: the client must learn that its copy may be wrong."""
    chat = a_chat(an_instance())
    busy, idle = follow(token), follow(token, "resource=contact")
    assert busy.changed() == idle.changed() == set()
    history.only_row().delete()
    Conversation.objects.pin(chat.pk)
    assert (busy.event(), idle.event()) == (None, None)
    assert follow(token, last_id=busy.cursor).status == 410
    with closing(send(server, token, f"changes/?after={idle.cursor}&resource=contact")) as asking:
        assert asking.getresponse().status == 410


def test_streams_keep_no_connection_to_the_database(follow: Follow, token: str) -> None:
    streams = [follow(token) for _ in range(60)]
    assert [stream.changed() for stream in streams] == [set()] * 60
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()")
        assert cursor.fetchone()[0] < 30  # those of the server's threads, and of this test


def test_a_client_that_does_not_read_is_left_behind_and_loses_nothing(follow: Follow, token: str) -> None:
    chat = a_chat(an_instance())
    slow = follow(token)
    assert slow.changed() == set()
    for number in range(300):
        a_message(chat, text="x" * 60_000, key_id=f"k{number}")
    seen: set[tuple[str, int]] = set()
    while len({pk for resource, pk in seen if resource == "message"}) < 300:
        seen |= slow.changed()


def test_streams_of_a_server_that_does_not_stream_are_refused(client: Any, token: str) -> None:
    answer = client.get("/api/v1/events/", headers={"Authorization": f"Bearer {token}"})
    assert (answer.status_code, answer.json()["code"]) == (503, "unavailable")


def send(server: Gunicorn, token: str, path: str) -> HTTPConnection:
    connection = server.connection()
    connection.request("GET", f"/api/v1/{path}", headers={"Authorization": f"Bearer {token}"})
    return connection


def ask(server: Gunicorn, token: str, path: str) -> Any:
    with closing(send(server, token, path)) as connection:
        return json.loads(connection.getresponse().read())
