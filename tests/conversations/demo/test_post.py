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


class StubServer(BaseHTTPRequestHandler):
    """An HTTP server that records webhook requests and responds with `status`; may close the connection afterwards."""

    protocol_version = "HTTP/1.1"
    status: ClassVar[int] = 200
    closes_connections: ClassVar[bool] = False
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
        self.close_connection = self.closes_connections

    def log_message(self, *_: object) -> None:
        """Suppress the request log of the standard library's server."""


@pytest.fixture
def server() -> Iterator[ThreadingHTTPServer]:
    StubServer.status, StubServer.closes_connections = 200, False
    StubServer.seen.clear()
    StubServer.connections.clear()
    http_server = ThreadingHTTPServer(("127.0.0.1", 0), StubServer)
    http_server.daemon_threads = True
    thread = threading.Thread(target=http_server.serve_forever)
    thread.start()
    yield http_server
    http_server.shutdown()
    http_server.server_close()
    thread.join()


def url(server: ThreadingHTTPServer) -> str:
    return f"http://127.0.0.1:{server.server_port}"


def deliveries(count: int = 3) -> list[Delivery]:
    return [Delivery(f"/hook/{n}", b'{"n":%d}' % n, "an-instance", "messages.upsert") for n in range(count)]


def test_requests_have_their_token_and_share_one_connection(server: ThreadingHTTPServer) -> None:
    poster = OverHttp(url(server))
    assert list(post_all(deliveries(), poster, {"an-instance": TOKEN})) == deliveries()
    assert StubServer.seen == [(f"/hook/{n}", b'{"n":%d}' % n, f"Bearer {TOKEN}") for n in range(3)]
    assert len(StubServer.connections) == 1
    poster.close()


def test_a_closed_connection_is_reopened(server: ThreadingHTTPServer) -> None:
    StubServer.closes_connections = True
    poster = OverHttp(url(server) + "/behind/")
    assert len(list(post_all(deliveries(), poster, {"an-instance": TOKEN}))) == 3
    assert [path for path, _, _ in StubServer.seen] == ["/behind/hook/0", "/behind/hook/1", "/behind/hook/2"]
    poster.close()


def test_an_error_response_stops_and_the_error_names_the_event_but_not_the_token(server: ThreadingHTTPServer) -> None:
    StubServer.status = 401
    poster = OverHttp(url(server))
    with pytest.raises(PostingError, match=r"messages\.upsert of an-instance got the response 401") as caught:
        list(post_all(deliveries(), poster, {"an-instance": TOKEN}))
    assert len(StubServer.seen) == 1
    assert TOKEN not in str(caught.value)
    poster.close()


def test_without_a_server_the_error_names_the_address(server: ThreadingHTTPServer) -> None:
    free = url(server)
    server.shutdown()
    server.server_close()
    with pytest.raises(PostingError, match=f"no response from {free}"):
        OverHttp(free).post("/", b"{}", TOKEN)


@pytest.mark.parametrize("address", ["", "localhost:8000", "ftp://127.0.0.1", "http://", "http://127.0.0.1:port"])
def test_an_invalid_url_is_an_error(address: str) -> None:
    with pytest.raises(PostingError, match="http://127"):
        OverHttp(address)


@pytest.mark.django_db
@pytest.mark.parametrize("hosts", [["*"], [".example.com"], ["inbox.example.com"], ["127.0.0.1", "localhost"]])
def test_in_process_requests_have_an_allowed_host(settings: Settings, hosts: list[str]) -> None:
    settings.ALLOWED_HOSTS = hosts
    assert InProcess().post("/webhooks/evolution/nobody", b"{}", TOKEN) == 404


@pytest.mark.django_db(transaction=True)
def test_the_endpoint_stores_the_posted_requests(live_server: LiveServer) -> None:
    some = list(generate.samples())[:10]
    with closing(OverHttp(live_server.url)) as poster:
        assert list(post_all(some, poster, demo_access.ensure_instances())) == some
    assert WebhookEvent.objects.filter(instance__name="vendas-sp-01").count() == 10
