"""Reads the target of a request in any form that HTTP has (RFC 9112, section 3.2).

Clients of a proxy send a whole URL (`GET http://host/path HTTP/1.1`), and a server must accept it. Its host then counts
instead of the header `Host`.
"""

import re
from typing import NamedTuple
from urllib.parse import unquote_to_bytes

_ABSOLUTE = re.compile(rb"[A-Za-z][A-Za-z0-9+.-]*://([^/?#]*)")


class Target(NamedTuple):
    """Where a request goes.

    Attributes:
        raw_path: the path as it was sent, without the query; `/` if a URL has none.
        host: the host and port of a URL; None if the target is no URL.
    """

    raw_path: bytes
    host: bytes | None = None

    @property
    def path(self) -> str:
        """The decoded path."""
        return unquote_to_bytes(self.raw_path).decode("utf-8", errors="replace")


def read_target(target: bytes) -> Target:
    """Return where a request goes whose first line contains the target."""
    url, path = _ABSOLUTE.match(target), target.partition(b"?")[0]
    if url is None:
        return Target(path)
    return Target(path[url.end() :] or b"/", url[1])
