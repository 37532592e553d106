"""The proxy ends TLS, tells the site who asks and how, passes events on at once, and logs no tokens."""

import json
import shutil
import signal
import ssl
import threading
import urllib.request
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tests.deploy import files
from tests.deploy.running import TIMEOUT, free_port, running
from tests.waiting import wait_until

pytestmark = [
    pytest.mark.once,
    pytest.mark.skipif(shutil.which("caddy") is None, reason="the program caddy is not installed"),
]
may_continue = threading.Event()


class Site(BaseHTTPRequestHandler):
    """Answers with the headers that it got; `/events` sends one event, and a second one when it may continue."""

    def do_GET(self) -> None:
        self.send_response(200)
        if self.path.startswith("/events"):
            self.send_header("Content-Type", "text/event-stream")
            self.end_headers()
            self.wfile.write(b"data: first\n\n")
            self.wfile.flush()
            may_continue.wait(TIMEOUT)
            self.wfile.write(b"data: second\n\n")
        else:
            self.end_headers()
            self.wfile.write(json.dumps(dict(self.headers)).encode())

    def log_message(self, *_: object) -> None:
        """Print nothing."""


@contextmanager
def running_site(port: int = 0) -> Iterator[int]:
    """Run a site on a port until the block ends; yield the port."""
    with ThreadingHTTPServer(("127.0.0.1", port), Site) as site:
        threading.Thread(target=site.serve_forever, daemon=True).start()
        yield site.server_port
        site.shutdown()


@dataclass(frozen=True)
class Proxy:
    """A running proxy; `stop_site` ends the site behind it, whose port is `port`."""

    url: str
    folder: Path
    port: int
    stop_site: Callable[[], None]

    def open(self, path: str, **headers: str) -> "urllib.request._UrlopenRet":
        """Request a path over TLS."""
        trusted = ssl.create_default_context(cafile=self.folder / "data/caddy/pki/authorities/local/root.crt")
        request = urllib.request.Request(f"{self.url}{path}", headers=headers)  # noqa: S310 - an https URL
        return urllib.request.urlopen(request, timeout=TIMEOUT, context=trusted)  # noqa: S310 - as above


@pytest.fixture
def proxy(tmp_path: Path) -> Iterator[Proxy]:
    """Run Caddy with our file on free ports, with certificates of its own, before a site."""
    plain, secure, management = free_port(), free_port(), free_port()
    test_options = f"http_port {plain}\n https_port {secure}\n admin 127.0.0.1:{management}\n skip_install_trust"
    ours = (files.FOLDER / "Caddyfile").read_text(encoding="utf-8")
    (tmp_path / "Caddyfile").write_text(f"{{\n {test_options}\n}}\n{ours}", encoding="utf-8")
    with ExitStack() as site:
        port = site.enter_context(running_site())
        variables = {"DOMAIN": "localhost", "UPSTREAM": f"127.0.0.1:{port}"}
        variables |= {"HOME": str(tmp_path), "XDG_DATA_HOME": str(tmp_path / "data")}
        with running(["caddy", "run", "--config", "Caddyfile"], tmp_path, variables) as server:
            running_proxy = Proxy(f"https://localhost:{secure}", tmp_path, port, site.close)
            wait_until(lambda: _answers(running_proxy))
            yield running_proxy
            server.send_signal(signal.SIGTERM)


def _answers(proxy: Proxy) -> bool:
    try:
        with proxy.open("/") as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


def test_it_tells_who_asks_and_believes_no_client(proxy: Proxy) -> None:
    forged = {"X-Forwarded-For": "192.0.2.7", "X-Forwarded-Proto": "http"}
    with proxy.open("/?token=sesame", **forged) as answer:
        headers = json.load(answer)

    assert headers["X-Forwarded-For"] == "127.0.0.1"
    assert headers["X-Forwarded-Proto"] == "https"
    assert headers["Host"].startswith("localhost")
    assert "sesame" not in (proxy.folder / "output").read_text(encoding="utf-8")


def test_it_passes_events_on_at_once(proxy: Proxy) -> None:
    may_continue.clear()
    with proxy.open("/events") as stream:
        assert stream.readline() == b"data: first\n"
        may_continue.set()
        assert stream.read() == b"\ndata: second\n\n"


def test_while_the_site_restarts_requests_wait_for_it(proxy: Proxy) -> None:
    proxy.stop_site()
    with ThreadPoolExecutor() as threads:
        status = threads.submit(lambda: _answers(proxy))
        with pytest.raises(TimeoutError):
            status.result(1.0)  # without the wait, the proxy would answer 502 at once
        with running_site(proxy.port):
            assert status.result(TIMEOUT)
