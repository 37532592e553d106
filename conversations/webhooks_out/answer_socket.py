"""A socket that stays open for reading when its peer takes nothing more, because the peer may have said why.

asyncio closes a connection at the first error of `send`, together with an answer that it has not read yet. Receivers of
webhooks do answer that early: they refuse a body by its size or its sender, and close.
"""

import socket
from collections.abc import Iterable
from typing import Any


class AnswerSocket(socket.socket):
    """A socket whose `send` drops what the peer does not take any more.

    Attributes:
        error: the error of `send`, if there was one.
    """

    error: ConnectionError | None = None

    def send(self, data: Any, flags: int = 0) -> int:
        """Send data, or drop them."""
        try:
            return super().send(data, flags)
        except ConnectionError as error:
            self.error = error
            return memoryview(data).nbytes

    def sendmsg(self, buffers: Iterable[Any], *options: Any) -> int:
        """Do what `send` does, with several parts; asyncio uses it from Python 3.12 on."""
        parts = list(buffers)
        try:
            return super().sendmsg(parts, *options)
        except ConnectionError as error:
            self.error = error
            return sum(memoryview(part).nbytes for part in parts)
