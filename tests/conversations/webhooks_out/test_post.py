"""One delivery over HTTP: every kind of answer is an outcome in plain words, and none holds the sender longer."""

import asyncio
import gc
import shutil
import socket
import ssl
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest
from django.conf import LazySettings

from conversations.webhooks_out import post as posting
from conversations.webhooks_out.retries import Outcome
from tests.conversations.webhooks_out.receiver import Answer, Receiver, a_receiver, raw, status


@pytest.fixture(autouse=True)
def private(settings: LazySettings) -> None:
    settings.WEBHOOKS_ALLOW_PRIVATE = True


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with a_receiver() as one:
        yield one


def post(url: str, body: bytes = b"{}") -> Outcome:
    return asyncio.run(posting.post(url, {"webhook-id": "msg_1"}, body))


def test_a_delivery_arrives_whole(receiver: Receiver) -> None:
    body = b'{"text":"' + b"x" * 3_000_000 + b'"}'

    assert post(receiver.url, body) == Outcome(204)

    (received,) = receiver.received
    assert received.body == body
    assert received.headers["content-type"] == "application/json"
    assert received.headers["webhook-id"] == "msg_1"


ANSWERS: list[tuple[Answer, Outcome]] = [
    (status(200), Outcome(200)),
    (status(500), Outcome(500, "answered 500")),
    (status(503, Retry_After="7"), Outcome(503, "answered 503", 7.0)),
    (status(503, Retry_After="Fri, 31 Dec 1999 23:59:59 GMT"), Outcome(503, "answered 503")),
    (status(302, Location="http://127.0.0.1:1/"), Outcome(302, "answered 302; redirects are not followed")),
    (raw(b"SSH-2.0-OpenSSH\r\n\r\n"), Outcome(None, "the answer is not HTTP")),
    (raw(b""), Outcome(None, "the answer is not HTTP")),
    (raw(b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 10_000), Outcome(None, "the answer is not HTTP")),
    (raw(b"HTTP/1.1 102 Processing\r\n\r\n" * 1000), Outcome(None, "the answer is not HTTP")),
    (raw(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\nx"), Outcome(200)),
]


@pytest.mark.parametrize(("answer", "outcome"), ANSWERS)
def test_each_answer_has_an_outcome(receiver: Receiver, answer: Answer, outcome: Outcome) -> None:
    receiver.answers = [answer]

    assert post(receiver.url) == outcome
    assert len(receiver.received) == 1


EARLY = b"HTTP/1.1 413 Content Too Large\r\nRetry-After: 7\r\n\r\n"


def test_an_answer_that_was_given_before_anything_was_sent_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    """The receiver has closed before the first byte, so sending fails before the answer is read."""
    connect = posting._connect  # noqa: SLF001 - the receiver acts between the connection and the request

    async def answered(*args: Any) -> Any:
        connected = await connect(*args)
        with listener.accept()[0] as connection:
            connection.sendall(EARLY)
        return connected

    monkeypatch.setattr(posting, "_connect", answered)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        outcome = post(f"http://127.0.0.1:{listener.getsockname()[1]}/", b"x" * 1_000_000)

    assert outcome == Outcome(413, "answered 413", 7.0)


@pytest.mark.parametrize("answer", [EARLY, b""])
def test_a_receiver_that_does_not_read_the_body_can_answer(answer: bytes) -> None:
    """It closes while the body is being sent, and resets the connection, since it has not read what has arrived."""

    def refuse() -> None:
        with listener.accept()[0] as connection:
            connection.recv(100)
            connection.sendall(answer)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        receiver = threading.Thread(target=refuse)
        receiver.start()
        outcome = post(f"http://127.0.0.1:{listener.getsockname()[1]}/", b"x" * 10_000_000)
        receiver.join()

    assert outcome.status == (413 if answer else None)
    assert outcome.error.startswith("answered 413" if answer else "the connection failed")


def test_a_receiver_that_answers_byte_by_byte_is_given_up(receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    given_up = threading.Event()

    def drip(handler: BaseHTTPRequestHandler) -> None:
        try:
            while not given_up.wait(0.01):
                handler.wfile.write(b"H")
        except OSError:
            return

    monkeypatch.setattr(posting, "SECONDS", 0.2)
    receiver.answers = [drip]

    outcome = post(receiver.url)

    given_up.set()
    assert outcome.status is None
    assert outcome.error


def test_a_receiver_that_never_reads_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(posting, "SECONDS", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        outcome = post(f"http://127.0.0.1:{listener.getsockname()[1]}/", b"x" * 10_000_000)

    assert outcome == Outcome(None, "no answer within 0 s")


def test_a_port_without_a_receiver_is_named() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]

    assert post(f"http://127.0.0.1:{port}/").error.startswith("the connection failed")


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Certificates of `localhost` and of another host, each with its key in the same file."""
    if not (openssl := shutil.which("openssl")):
        pytest.skip("needs openssl")
    made = {name: tmp_path_factory.mktemp("certificates") / f"{name}.pem" for name in ("localhost", "other")}
    for name, path in made.items():
        names = ["-subj", f"/CN={name}", "-addext", f"subjectAltName=DNS:{name}"]
        key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
        files = ["-keyout", str(path.with_suffix(".key")), "-out", str(path)]
        subprocess.run([openssl, "req", "-x509", *key, "-days", "2", *names, *files], check=True, capture_output=True)  # noqa: S603 - the arguments are constants
        path.write_text(path.read_text() + path.with_suffix(".key").read_text())
    return made


@contextmanager
def tls_server(certificate: Path, address: tuple[str, int], answer: bytes) -> Iterator[int]:
    """Answer one connection over TLS; yield the port."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)

    def serve() -> None:
        with suppress(OSError), context.wrap_socket(listener.accept()[0], server_side=True) as encrypted:
            received = b""
            while not received.endswith(b"{}"):  # the body
                received += encrypted.recv(65536) or b"{}"
            encrypted.sendall(answer)

    with socket.create_server(address) as listener:
        thread = threading.Thread(target=serve)
        thread.start()
        yield listener.getsockname()[1]
        with suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)
        thread.join()


@pytest.mark.parametrize("good", [0, 1, None])
def test_the_next_address_is_tried_if_one_has_a_wrong_certificate(
    certificates: dict[str, Path], monkeypatch: pytest.MonkeyPatch, good: int | None
) -> None:
    async def resolve(*_: object) -> list[str]:
        return ["127.0.0.1", "127.0.0.2"]

    monkeypatch.setattr(posting, "resolve", resolve)
    trust = ssl.create_default_context(cafile=certificates["localhost"])
    trust.load_verify_locations(certificates["other"])
    monkeypatch.setattr(posting, "_tls", lambda: trust)
    first, second = (certificates["localhost" if good == number else "other"] for number in range(2))
    ok = b"HTTP/1.1 200 OK\r\n\r\n"
    with tls_server(first, ("127.0.0.1", 0), ok) as port, tls_server(second, ("127.0.0.2", port), ok):
        outcome = post(f"https://localhost:{port}/")

    assert outcome.status == (None if good is None else 200)
    assert outcome.error.startswith("the certificate is not valid") == (good is None)


def test_no_connection_is_left_open_if_there_are_no_certificates_to_trust(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> None:
        raise OSError("no file of certificates")

    monkeypatch.setattr(posting, "_tls", fail)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        outcome = post(f"https://127.0.0.1:{listener.getsockname()[1]}/")
        gc.collect()  # a socket that is open would be a warning, and so an error
        listener.settimeout(0)
        with pytest.raises(BlockingIOError):
            listener.accept()

    assert outcome.error.startswith("the connection failed")


def test_a_name_that_leads_nowhere_is_named() -> None:
    assert post("http://nowhere.invalid/") == Outcome(None, "the name nowhere.invalid does not lead anywhere")


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::1]", "0x7f000001", "2130706433", "127.1"])
def test_no_spelling_of_a_private_address_is_connected_to(
    receiver: Receiver, settings: LazySettings, host: str
) -> None:
    settings.WEBHOOKS_ALLOW_PRIVATE = False

    outcome = post(receiver.url.replace("127.0.0.1", host))

    assert outcome.status is None
    assert "private network" in outcome.error or "does not lead anywhere" in outcome.error
    assert receiver.received == []
