import threading
from collections.abc import Iterator
from contextlib import closing
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import ClassVar

import pytest
from pytest_django import Settings
from pytest_django.live_server_helper import LiveServer

from conversations.demo import demo_access, generate
from conversations.demo.events import Delivery
from conversations.demo.post import InProcess, OverHttp, PostingError, post_all
from conversations.models import WebhookEvent

TOKEN = "a-secret-token"


class Listener(BaseHTTPRequestHandler):
    """Takes every webhook; what it answers and whether it hangs up is the test's to say."""

    protocol_version = "HTTP/1.1"
    status: ClassVar[int] = 200
    hangs_up: ClassVar[bool] = False
    seen: ClassVar[list[tuple[str, bytes, str | None]]] = []
    connections: ClassVar[set[object]] = set()

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.seen.append((self.path, body, self.headers["Authorization"]))
        self.connections.add(self.client_address)
        self.send_response(self.status)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"{}")
        self.close_connection = self.hangs_up

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def server() -> Iterator[ThreadingHTTPServer]:
    Listener.status, Listener.hangs_up = 200, False
    Listener.seen.clear()
    Listener.connections.clear()
    listening = ThreadingHTTPServer(("127.0.0.1", 0), Listener)
    listening.daemon_threads = True
    thread = threading.Thread(target=listening.serve_forever)
    thread.start()
    yield listening
    listening.shutdown()
    listening.server_close()
    thread.join()


def url(server: ThreadingHTTPServer) -> str:
    return f"http://127.0.0.1:{server.server_port}"


def deliveries(count: int = 3) -> list[Delivery]:
    return [Delivery(f"/hook/{n}", b'{"n":%d}' % n, "an-instance", "messages.upsert") for n in range(count)]


def test_everything_is_posted_with_its_token_over_one_connection(server: ThreadingHTTPServer) -> None:
    poster = OverHttp(url(server))
    assert list(post_all(deliveries(), poster, {"an-instance": TOKEN})) == deliveries()
    assert Listener.seen == [(f"/hook/{n}", b'{"n":%d}' % n, f"Bearer {TOKEN}") for n in range(3)]
    assert len(Listener.connections) == 1
    poster.close()


def test_a_server_that_hangs_up_is_called_again(server: ThreadingHTTPServer) -> None:
    Listener.hangs_up = True
    poster = OverHttp(url(server) + "/behind/")
    assert len(list(post_all(deliveries(), poster, {"an-instance": TOKEN}))) == 3
    assert [path for path, _, _ in Listener.seen] == ["/behind/hook/0", "/behind/hook/1", "/behind/hook/2"]
    poster.close()


def test_an_answer_that_is_no_success_stops_and_names_the_event_and_not_the_token(server: ThreadingHTTPServer) -> None:
    Listener.status = 401
    poster = OverHttp(url(server))
    with pytest.raises(PostingError, match=r"messages\.upsert of an-instance was answered 401") as caught:
        list(post_all(deliveries(), poster, {"an-instance": TOKEN}))
    assert len(Listener.seen) == 1
    assert TOKEN not in str(caught.value)
    poster.close()


def test_where_nobody_listens_the_error_says_where(server: ThreadingHTTPServer) -> None:
    free = url(server)
    server.shutdown()
    server.server_close()
    with pytest.raises(PostingError, match=f"nobody answers at {free}"):
        OverHttp(free).post("/", b"{}", TOKEN)


@pytest.mark.parametrize("address", ["", "localhost:8000", "ftp://127.0.0.1", "http://", "http://127.0.0.1:port"])
def test_an_address_that_is_none_is_refused(address: str) -> None:
    with pytest.raises(PostingError, match="http://127"):
        OverHttp(address)


@pytest.mark.django_db
@pytest.mark.parametrize("hosts", [["*"], [".example.com"], ["inbox.example.com"], ["127.0.0.1", "localhost"]])
def test_within_the_process_a_host_is_named_that_the_project_answers_to(settings: Settings, hosts: list[str]) -> None:
    settings.ALLOWED_HOSTS = hosts
    assert InProcess().post("/webhooks/evolution/nobody", b"{}", TOKEN) == 404


@pytest.mark.django_db(transaction=True)
def test_the_real_endpoint_takes_what_is_posted(live_server: LiveServer) -> None:
    some = list(generate.samples())[:10]
    with closing(OverHttp(live_server.url)) as poster:
        assert list(post_all(some, poster, demo_access.ensure_instances())) == some
    assert WebhookEvent.objects.filter(instance__name="vendas-sp-01").count() == 10
