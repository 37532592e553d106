"""Receives a request's body in the event loop, within limits of size, time and space on disk."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, MutableMapping
from tempfile import SpooledTemporaryFile
from typing import Any, Self

from django.utils.translation import gettext
from django.utils.translation import gettext_noop as _

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]

MEMORY_BYTES = 64 * 1024  # a longer body is written to a temporary file
UNCHECKED_SECONDS = 15  # for a body, or for the first part of one whose sender is authenticated then
UNCHECKED = b""  # stands for all senders that are not authenticated yet
SECONDS = 60  # for the whole body of an authenticated sender; Evolution gives up on a request after 30 s
MAX_SPOOLED_BYTES = 1024 * 1024 * 1024  # in the temporary files of all requests of this process
MAX_SENDER_BYTES = MAX_SPOOLED_BYTES // 4  # of these, for the requests of one sender


class BodyError(Exception):
    """Raised if a body is not accepted.

    Args:
        status: the HTTP status.
        code: why, for programs.
        text: why, in an English sentence that is marked for translation.
        values: the values in the text.
    """

    def __init__(self, status: int, code: str, text: str, **values: object) -> None:
        super().__init__(status, code, text % values)
        self.status = status
        self.code = code
        self._text, self._values = text, values

    @property
    def translated(self) -> str:
        """The text in the language that is active."""
        return gettext(self._text) % self._values


class SpoolSpace:
    """Counts the bytes that the bodies in temporary files may take, so that many uploads cannot fill the disk.

    One sender gets a part of the space, so that it cannot keep out all others with uploads that it does not finish.
    """

    def __init__(self, limit: int = MAX_SPOOLED_BYTES, sender_limit: int = MAX_SENDER_BYTES) -> None:
        self._free = limit
        self._sender_limit = sender_limit
        self._taken: Counter[bytes] = Counter()

    def take(self, count: int, sender: bytes) -> None:
        """Reserve `count` bytes for a sender.

        Raises:
            BodyError: requests of the same sender, or of all, have reserved the space.
        """
        if count > self._free or self._taken[sender] + count > self._sender_limit:
            raise BodyError(503, "overloaded", _("too many large requests at once; send it again later"))
        self._free -= count
        self._taken[sender] += count

    def give_back(self, count: int, sender: bytes) -> None:
        """Release bytes that were reserved for a sender."""
        self._free += count
        self._taken[sender] -= count
        if not self._taken[sender]:
            del self._taken[sender]


class RequestBody:
    """The body of one request, as far as it was received. Use it in a `with` block, which deletes its file.

    Args:
        receive: the ASGI function that returns the next part of the body.
        space: where a body that is longer than `MEMORY_BYTES` reserves its bytes.
    """

    def __init__(self, receive: Receive, space: SpoolSpace) -> None:
        self.file = SpooledTemporaryFile(max_size=MEMORY_BYTES)  # noqa: SIM115 - `__exit__` closes the file
        self.size = 0
        self.is_complete = False
        self._receive = receive
        self._space = space
        self._reserved = 0
        self._sender = UNCHECKED
        self._started_at = asyncio.get_running_loop().time()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.file.close()
        self._space.give_back(self._reserved, self._sender)

    def count_for(self, sender: bytes) -> None:
        """Count the space of this body for the sender who was authenticated.

        Raises:
            BodyError: the sender's other requests have reserved its space.
        """
        self._space.take(self._reserved, sender)
        self._space.give_back(self._reserved, self._sender)
        self._sender = sender

    async def receive(self, until: int, limit: int, seconds: int = UNCHECKED_SECONDS) -> None:
        """Receive the body until it is complete or has at least `until` bytes.

        The body must arrive within `seconds` after the start of the request.

        Raises:
            BodyError: the body has more than `limit` bytes, does not arrive in time, or its client is gone.
            OSError: the temporary file cannot be written.
        """
        try:
            async with asyncio.timeout_at(self._started_at + seconds):
                while not self.is_complete and self.size < until:
                    await self._receive_part(limit)
        except TimeoutError:
            text = _("the body did not arrive within %(seconds)s s")
            raise BodyError(408, "incomplete_body", text, seconds=seconds) from None

    async def _receive_part(self, limit: int) -> None:
        message = await self._receive()
        if message["type"] == "http.disconnect":
            raise BodyError(408, "incomplete_body", _("the body ended after %(size)s bytes"), size=self.size)
        part = message.get("body", b"")
        self.size += len(part)
        if self.size > limit:
            raise too_large(limit)
        if self.size > MEMORY_BYTES:
            self._space.take(self.size - self._reserved, self._sender)
            self._reserved = self.size
        self.file.write(part)
        self.is_complete = not message.get("more_body", False)


def too_large(limit: int) -> BodyError:
    """Return the error for a body with more than `limit` bytes."""
    return BodyError(413, "body_too_large", _("the body is larger than %(limit)s bytes"), limit=limit)
