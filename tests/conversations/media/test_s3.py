"""Media in a bucket behave like media in a folder: written, read in parts, swept, and missing; errors are `OSError`."""

import datetime as dt
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from pathlib import Path
from socket import MSG_DONTWAIT, SHUT_RDWR, SO_RCVBUF, SOL_SOCKET, create_server, socket
from typing import Any

import pytest
from botocore.config import Config
from django.contrib.auth.models import User
from django.core.files.base import ContentFile
from rest_framework.test import APIClient

from conversations.api.byte_range import ByteRange
from conversations.api.media import FilePart
from conversations.evolution.media_names import media_name
from conversations.ingest.inbox.media import extract_media
from conversations.ingest.worker.media_retention import sweep
from conversations.media import remote_server, s3, s3_deadline
from conversations.media.remote_server import RemoteServer
from conversations.media.s3 import S3MediaStorage
from conversations.models import ApiToken
from tests.conversations.media.buckets import BUCKET, server
from tests.conversations.media.pictures import a_picture
from tests.conversations.rows import a_chat, a_message, an_instance
from whatsai import media_storage

pytestmark = pytest.mark.once

CONTENT = bytes(range(256)) * 1000
NAME = "1/ab/" + "ab" * 32


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("s3")


@pytest.fixture(scope="module")
def storage(data: Path) -> Iterator[S3MediaStorage]:
    with server(data) as url:
        bucket = S3MediaStorage(
            bucket_name=BUCKET, location="in/side", endpoint_url=url, region_name="x", access_key="a", secret_key="b"
        )
        yield bucket
        bucket.client.close()


@pytest.fixture(autouse=True)
def server_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Forget what an earlier test has found out about its server."""
    monkeypatch.setattr(s3, "server", RemoteServer())


def use(settings: Any, storage: S3MediaStorage, monkeypatch: pytest.MonkeyPatch) -> None:
    """Make the bucket the storage of the project, as `MEDIA_STORAGE_URL` does."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "a")
    url = f"s3://{BUCKET}/in/side?endpoint={storage.endpoint_url}&region=x"
    settings.STORAGES = {**settings.STORAGES, "default": media_storage.storage(url)}


@pytest.fixture
def offline(monkeypatch: pytest.MonkeyPatch) -> S3MediaStorage:
    """A bucket on a port where nobody listens."""
    monkeypatch.setattr(s3, "CONFIG", s3.CONFIG.merge(Config(retries={"max_attempts": 0})))
    with closing(socket()) as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unused.getsockname()[1]}"
    return S3MediaStorage(bucket_name=BUCKET, endpoint_url=url, region_name="x", access_key="a", secret_key="b")


@pytest.fixture
def api() -> APIClient:
    _, secret = ApiToken.objects.issue(User.objects.create_superuser("ana"))
    return APIClient(headers={"Authorization": f"Token {secret}"})


def test_a_file_is_stored_and_read_in_parts(storage: S3MediaStorage, data: Path) -> None:
    assert not storage.exists(NAME)
    assert storage.save(NAME, ContentFile(CONTENT)) == NAME
    assert storage.save(NAME, ContentFile(CONTENT)) == NAME, "the name is not changed"
    assert (data / BUCKET / "in/side" / NAME).read_bytes() == CONTENT
    assert storage.exists(NAME)
    with storage.open(NAME) as file:
        assert file.size == len(CONTENT)
        assert file.read(64) == CONTENT[:64]
        file.seek(1000)
        assert file.read(5) + file.read(5) == CONTENT[1000:1010]
        file.seek(0)
        assert file.read() == CONTENT
        assert file.read(10) == b""


def test_a_file_that_is_missing(storage: S3MediaStorage) -> None:
    with pytest.raises(FileNotFoundError):
        storage.open("1/ab/missing")
    with pytest.raises(FileNotFoundError):
        storage.get_modified_time("1/ab/missing")
    storage.delete("1/ab/missing")
    assert not storage.delete_older("1/ab/missing", dt.datetime.now(dt.UTC))
    assert list(storage.files("77/")) == []


def test_files_are_listed_with_their_time_and_deleted_if_they_are_old(storage: S3MediaStorage, data: Path) -> None:
    for name in ("5/ab/x", "5/cd/y", "55/ab/z"):
        storage.save(name, ContentFile(b"x"))
    os.utime(data / BUCKET / "in/side/5/ab/x", (1e9, 1e9))
    assert {"5", "55"} <= set(storage.folders())
    found = {file.name: file.received_at for file in storage.files("5/")}
    assert set(found) == {"5/ab/x", "5/cd/y"}
    assert found["5/ab/x"] == dt.datetime.fromtimestamp(1e9, dt.UTC)
    moment = dt.datetime(2020, 1, 1, tzinfo=dt.UTC)
    assert [storage.delete_older(name, moment) for name in ("5/ab/x", "5/cd/y")] == [True, False]
    assert {file.name for file in storage.files("5/")} == {"5/cd/y"}


def test_a_server_that_is_away_is_an_os_error(offline: S3MediaStorage) -> None:
    actions: tuple[Callable[[], Any], ...] = (
        lambda: offline.open(NAME),
        lambda: offline.save(NAME, ContentFile(b"x")),
        lambda: offline.exists(NAME),
        lambda: offline.get_modified_time(NAME),
        lambda: list(offline.files("1/")),
    )
    for action in actions:
        with pytest.raises(OSError, match="cannot be reached"):
            action()


class Hung:
    """A server that accepts connections and never answers."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, scheme: str = "http", seconds: float = 0.1) -> None:
        monkeypatch.setattr(s3, "CONFIG", s3.CONFIG.merge(Config(read_timeout=seconds)))
        self._listener = create_server(("127.0.0.1", 0))
        self._listener.settimeout(0)
        url = f"{scheme}://127.0.0.1:{self._listener.getsockname()[1]}"
        keys = {"region_name": "x", "access_key": "a", "secret_key": "b"}
        self.storage = S3MediaStorage(bucket_name=BUCKET, endpoint_url=url, **keys)
        self._accepted: list[socket] = []

    @property
    def connections(self) -> int:
        with suppress(BlockingIOError):
            while True:
                self._accepted.append(self._listener.accept()[0])
        return len(self._accepted)

    def close(self) -> None:
        for one in (self._listener, *self._accepted):
            one.close()


def test_a_server_that_hangs_is_asked_once_and_then_not_for_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remote_server, "AWAY_SECONDS", 3600.0)
    with closing(Hung(monkeypatch)) as hung:
        actions: tuple[Callable[[], Any], ...] = (
            lambda: hung.storage.open(NAME),
            lambda: hung.storage.save(NAME, ContentFile(b"x")),
            lambda: hung.storage.exists(NAME),
        )
        for action in actions:
            with pytest.raises(OSError, match="cannot be reached"):
                action()
        assert hung.connections == 1


HEAD = "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 3\r\n\r\n"


class Scripted(Hung):
    """A server that answers each connection with one of some texts in turn, and hangs when none is left."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *answers: str) -> None:
        super().__init__(monkeypatch)
        self._listener.settimeout(None)
        self._thread = threading.Thread(target=self._answer, args=(answers,), daemon=True)
        self._thread.start()

    def _answer(self, answers: tuple[str, ...]) -> None:
        for answer in answers:
            connection, _ = self._listener.accept()
            connection.recv(65536)
            connection.sendall(answer.encode())
            connection.close()
        with suppress(OSError):  # the test has ended already
            self._listener.settimeout(0)


def test_a_server_that_hangs_while_a_file_is_read_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Requests for media held all threads, five seconds each, because only `HEAD` was noticed."""
    monkeypatch.setattr(remote_server, "AWAY_SECONDS", 3600.0)
    with closing(Scripted(monkeypatch, HEAD)) as hung:
        for _ in range(2):
            with pytest.raises(ConnectionError, match="cannot be reached"):
                hung.storage.open(NAME)
        assert hung.connections == 1, "after the one that was answered"


@pytest.mark.parametrize(
    "head",
    ["Content-Length: many\r\n", "Transfer-Encoding: chunked\r\n", "Content-Length: 3\r\nLast-Modified: never\r\n"],
)
def test_an_answer_that_is_not_of_s3_is_an_os_error(monkeypatch: pytest.MonkeyPatch, head: str) -> None:
    answer = f"HTTP/1.1 200 OK\r\nConnection: close\r\n{head}\r\n"
    with closing(Scripted(monkeypatch, answer)) as other, pytest.raises(OSError, match="the media server"):
        other.storage.open(NAME)


class Dripping(Hung):
    """A server that sends a byte a moment after some first ones, and reads no faster, until it has sent many."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *, first: bytes, byte: bytes, scheme: str) -> None:
        super().__init__(monkeypatch, scheme, seconds=60)
        self._listener.settimeout(None)
        self._first, self._byte = first, byte
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._drip)
        self._thread.start()

    def _drip(self) -> None:
        with suppress(OSError), self._listener.accept()[0] as connection:
            connection.setsockopt(SOL_SOCKET, SO_RCVBUF, 4096)
            connection.recv(100)
            connection.sendall(self._first)
            for _ in range(100):
                if self._ended.wait(0.03):
                    return
                connection.recv(1, MSG_DONTWAIT)
                connection.sendall(self._byte)

    def close(self) -> None:
        self._ended.set()
        with suppress(OSError):
            self._listener.shutdown(SHUT_RDWR)
        self._thread.join()
        super().close()


DRIPS = {
    "a greeting of TLS": ("https", b"\x16\x03\x03\x40\x00", b"\x02"),
    "the head of an answer": ("http", b"HTTP/1.1 200 OK\r\n", b"X"),
    "an answer": ("http", HEAD.replace("200 OK", "500 E").replace("Length: 3", "Length: 999").encode(), b"x"),
    "nothing, while a file is sent": ("http", b"", b""),
}


@pytest.mark.parametrize(("scheme", "first", "byte"), DRIPS.values(), ids=DRIPS)
def test_a_request_as_a_whole_has_a_deadline(
    monkeypatch: pytest.MonkeyPatch, scheme: str, first: bytes, byte: bytes
) -> None:
    """Each byte was in time, so the request held its thread as long as the server liked."""
    with closing(Dripping(monkeypatch, first=first, byte=byte, scheme=scheme)) as slow:
        assert slow.storage.client, "is made before the time begins"
        monkeypatch.setattr(s3_deadline, "BASE_SECONDS", 0.5)
        monkeypatch.setattr(s3_deadline, "SLOWEST", 1e12)
        with pytest.raises(ConnectionError, match="did not finish in time"):
            slow.storage.save(NAME, ContentFile(b"" if byte else b"x" * 7_000_000))


def test_each_read_of_a_file_has_a_deadline(monkeypatch: pytest.MonkeyPatch, storage: S3MediaStorage) -> None:
    storage.save(NAME, ContentFile(CONTENT))
    head = f"HTTP/1.1 206 OK\r\nContent-Length: {len(CONTENT)}\r\n\r\n".encode()
    with (
        storage.open(NAME) as file,
        closing(Dripping(monkeypatch, first=head, byte=b"x", scheme="http")) as slow,
    ):
        slow_file: Any = file.file
        slow_file._client = slow.storage.client  # noqa: SLF001 - the server has become slow meanwhile
        monkeypatch.setattr(s3_deadline, "BASE_SECONDS", 0.5)
        monkeypatch.setattr(s3_deadline, "SLOWEST", 1e12)
        with pytest.raises(ConnectionError, match="did not finish in time"):
            file.read()


class Requests:
    """Records what `Range` a bucket is asked for."""

    def __init__(self, storage: S3MediaStorage) -> None:
        self.ranges: list[str] = []
        storage.client.meta.events.register("before-send.s3.GetObject", self._note)

    def _note(self, request: Any, **_: Any) -> None:
        found = request.headers["Range"]
        self.ranges.append(found.decode() if isinstance(found, bytes) else found)


def test_the_server_is_asked_for_no_more_than_is_read(storage: S3MediaStorage) -> None:
    storage.save(NAME, ContentFile(CONTENT))
    requests = Requests(storage)
    with storage.open(NAME) as file:
        assert file.read(64) == CONTENT[:64]
        part = FilePart(file, ByteRange(7, 7))
        assert (part.read(65536), part.read(65536)) == (CONTENT[7:8], b"")
        part = FilePart(file, ByteRange(70, 70))
        assert (part.read(65536), part.read(65536)) == (CONTENT[70:71], b"")
        part = FilePart(file, ByteRange(100, 200_099))
        assert b"".join(iter(lambda: part.read(65536), b"")) == CONTENT[100:200_100]
        file.seek(len(CONTENT) - 2)
        assert file.read(10) == CONTENT[-2:]
    last = len(CONTENT) - 1
    assert requests.ranges == ["bytes=0-63", "bytes=70-70", "bytes=100-200099", f"bytes={last - 1}-{last}"]


@pytest.mark.django_db
def test_media_arrive_are_sent_and_are_deleted(
    storage: S3MediaStorage, data: Path, api: APIClient, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    use(settings, storage, monkeypatch)
    instance, picture, small = an_instance(), a_picture("JPEG", (800, 600)), a_picture("JPEG")
    message: Any = {"imageMessage": {"jpegThumbnail": list(small)}, "base64": list(picture)}
    extract_media(instance, {"data": {"message": message}})
    media = {"file": message["base64"]["file"], "thumbnail": message["imageMessage"]["jpegThumbnail"]["file"]}
    row = a_message(a_chat(instance), kind="image", media=media)
    url = f"/api/v1/messages/{row.pk}"
    answer: Any = api.get(f"{url}/media/", headers={"range": "bytes=10-19"})
    assert (answer.status_code, b"".join(answer.streaming_content)) == (206, picture[10:20])
    answer = api.get(f"{url}/thumbnail/")
    assert b"".join(answer.streaming_content) == small
    assert set(map(storage.exists, media.values())) == {True}
    for path in (data / BUCKET / f"in/side/{instance.pk}").rglob("*/*"):
        os.utime(path, (1e9, 1e9))
    row.delete()
    for _ in sweep(None):
        pass
    assert set(map(storage.exists, media.values())) == {False}


@pytest.mark.django_db
def test_a_server_that_is_away_is_503(
    offline: S3MediaStorage, api: APIClient, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    use(settings, offline, monkeypatch)
    instance = an_instance()
    row = a_message(a_chat(instance), kind="image", media={"file": media_name(instance.pk, "ab" * 32)})
    for file in ("media", "thumbnail"):
        answer = api.get(f"/api/v1/messages/{row.pk}/{file}/")
        assert (answer.status_code, answer.json()["code"]) == (503, "unavailable")


@pytest.mark.django_db
def test_an_outage_is_logged_with_its_reason_at_a_bounded_rate(
    offline: S3MediaStorage,
    api: APIClient,
    settings: Any,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    use(settings, offline, monkeypatch)
    instance = an_instance()
    row = a_message(a_chat(instance), kind="image", media={"file": media_name(instance.pk, "ab" * 32)})
    for number in range(50):
        api.get(f"/api/v1/messages/{row.pk}/media/")
        with pytest.raises(OSError, match="cannot be reached"):
            extract_media(instance, {"data": {"message": {"imageMessage": {}, "base64": list(b"%d" % number)}}})
    for text in ("Media NOT READ: the media server cannot be reached", "Media NOT WRITTEN"):
        assert 0 < sum(record.getMessage().startswith(text) for record in caplog.records) < 30
