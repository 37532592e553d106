"""Stores media files in a bucket of S3, or of a server that is compatible with it.

Files are read with the client of django-storages, because its own files are read whole to send a part of them. Errors
of the network and of the server become `OSError`, as of a disk. Requests of this site wait for the server, so it is
asked once, not for long (`conversations.media.s3_deadline`), and not while it is known to be away
(`conversations.media.remote_server`).
"""

import datetime as dt
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from io import BufferedIOBase
from typing import TYPE_CHECKING, Any, cast

from boto3.s3.transfer import TransferConfig
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from django.core.files.base import File
from storages.backends.s3 import S3Storage

from conversations.media.file_types import HEAD_BYTES
from conversations.media.remote_server import RemoteServer
from conversations.media.s3_deadline import Deadline, seconds_for
from conversations.media.storage import StoredFile

if TYPE_CHECKING:
    from botocore.response import StreamingBody

MISSING = ("404", "NoSuchKey")
CONFIG = Config(
    connect_timeout=2,
    read_timeout=5,
    retries={"total_max_attempts": 1},
    # Servers that are only compatible do not know the newer checksums.
    request_checksum_calculation="when_required",
    response_checksum_validation="when_required",
)
server = RemoteServer()  # of the process: threads that begin together may each make a storage
COMPATIBLE = Config(s3={"addressing_style": "path"})  # and may have no host names for buckets
TRANSFER = TransferConfig(use_threads=False)  # a deadline is of one thread


@contextmanager
def translated_errors() -> Iterator[None]:
    """Raise `FileNotFoundError` or `OSError` in place of the errors of boto3, which may contain addresses and names."""
    try:
        yield
    except ClientError as error:
        code = error.response.get("Error", {}).get("Code", "")
        if code in MISSING:
            raise FileNotFoundError from None
        raise OSError(f"the media server answers {code}") from None
    except BotoCoreError as error:
        raise ConnectionError(f"the media server cannot be reached: {type(error).__name__}") from None
    except OSError:
        raise
    except Exception as error:  # noqa: BLE001 - botocore raises many errors for answers that are not of S3
        raise OSError(f"the media server answers something else than S3: {type(error).__name__}") from None


@contextmanager
def limited(size: int = 0) -> Iterator[None]:
    """Limit the time of requests that send `size` bytes in all, and translate their errors."""
    with closing(Deadline()) as deadline, translated_errors(), deadline.within(seconds_for(size)):
        yield


class S3File(BufferedIOBase):
    """A file in a bucket, which is read from the position that `seek` has set."""

    def __init__(self, client: Any, bucket: str, key: str) -> None:
        super().__init__()
        self._client, self._address = client, {"Bucket": bucket, "Key": key}
        self.name = key
        self.size = max(0, int(client.head_object(**self._address)["ContentLength"]))
        self._position = 0
        self._expected = 0
        self._body: StreamingBody | None = None
        self._deadline = Deadline()  # of the body
        self._left = 0  # bytes of the body
        self._head = b""
        self._head = self.read(HEAD_BYTES)  # while the server is asked for the file: every request for media reads it
        self.seek(0)

    def seek(self, offset: int, whence: int = 0) -> int:
        """Set the position of the next read, from the start of the file (0) or its end (2)."""
        self._close_body()
        self._position = offset + (self.size if whence == 2 else 0)  # noqa: PLR2004 - `os.SEEK_END`
        return self._position

    def expect(self, length: int) -> None:
        """See `conversations.media.storage.Expecting`."""
        self._expected = length

    def read(self, size: int | None = -1) -> bytes:
        """Return the next bytes, at most `size`, or all; b"" at the end. The server sends no more than is expected."""
        rest = self.size - self._position
        wanted = rest if size is None or size < 0 else min(size, rest)
        if wanted <= 0:
            return b""
        head = self._head[self._position : self._position + wanted]
        if len(head) == wanted:
            self._position += wanted
            return head
        if self._left < wanted:
            self._close_body()
        with translated_errors(), self._deadline.within(seconds_for(wanted)):
            content: bytes = (self._body or self._open_body(min(max(wanted, self._expected), rest))).read(wanted)
        self._position += len(content)
        self._left -= len(content)
        return content

    def close(self) -> None:
        """Close the connection."""
        self._close_body()
        super().close()

    def _open_body(self, length: int) -> "StreamingBody":
        last = self._position + length - 1
        self._body = self._client.get_object(**self._address, Range=f"bytes={self._position}-{last}")["Body"]
        self._left, self._expected = length, 0
        return self._body

    def _close_body(self) -> None:
        if self._body is not None:
            self._body.close()
            self._body = None
        self._left = 0
        self._deadline.close()
        self._deadline = Deadline()


class S3MediaStorage(S3Storage):  # type: ignore[misc]  # django-storages has no types
    """A bucket with the methods that `conversations.media.storage.SweptStorage` describes."""

    def __init__(self, **options: Any) -> None:
        config = CONFIG.merge(COMPATIBLE) if options.get("endpoint_url") else CONFIG
        super().__init__(client_config=config, transfer_config=TRANSFER, file_overwrite=True, **options)

    @property
    def client(self) -> Any:
        """The client of this thread."""
        return self.connection.meta.client

    def key(self, name: str) -> str:
        """Return the key of a file in the bucket."""
        return str(self._normalize_name(name))

    @contextmanager
    def _asking(self, name: str, size: int = 0) -> Iterator[None]:
        """Ask the server in the block for a file in the folder of its owner; `size` bytes are sent."""
        with server.asking(name.partition("/")[0]), limited(size):
            yield

    def _open(self, name: str, mode: str = "rb") -> "File[bytes]":  # noqa: ARG002 - Django defines the signature
        with self._asking(name):
            return File(cast("Any", S3File(self.client, self.bucket_name, self.key(name))), name)

    def _save(self, name: str, content: "File[bytes]") -> str:
        with self._asking(name, content.size):
            return str(super()._save(name, content))

    def exists(self, name: str) -> bool:
        """Return whether a file exists."""
        with suppress(FileNotFoundError), self._asking(name):
            self.client.head_object(Bucket=self.bucket_name, Key=self.key(name))
            return True
        return False

    def delete(self, name: str) -> None:
        """Delete a file if it exists."""
        with self._asking(name):
            self.client.delete_object(Bucket=self.bucket_name, Key=self.key(name))

    def get_modified_time(self, name: str) -> dt.datetime:
        """Return when a file was last received."""
        with limited():
            modified: dt.datetime = super().get_modified_time(name)
        return modified

    def touch(self, name: str) -> bool:  # noqa: ARG002 - as in the other storage
        """Return False: the file must be written again, because S3 has no other way to change its time."""
        return False

    def folders(self) -> list[str]:
        """See `SweptStorage`."""
        with limited():
            return list(self.listdir("")[0])

    def files(self, folder: str) -> Iterator[StoredFile]:
        """See `SweptStorage`."""
        prefix = self.key(folder).rstrip("/") + "/"
        root = len(prefix) - len(folder)
        paginator = self.client.get_paginator("list_objects_v2")
        pages = iter(paginator.paginate(Bucket=self.bucket_name, Prefix=prefix))
        while (page := self._next_page(pages)) is not None:
            for found in page.get("Contents", ()):
                yield StoredFile(found["Key"][root:], found["LastModified"])

    def _next_page(self, pages: Iterator[dict[str, Any]]) -> dict[str, Any] | None:
        with limited():
            return next(pages, None)

    def delete_older(self, name: str, moment: dt.datetime) -> bool:
        """See `SweptStorage`. A file that is received between the two requests is lost: S3 has no condition for it."""
        with suppress(FileNotFoundError), limited():
            found = self.client.head_object(Bucket=self.bucket_name, Key=self.key(name))
            if found["LastModified"] < moment:
                self.client.delete_object(Bucket=self.bucket_name, Key=self.key(name))
                return True
        return False
