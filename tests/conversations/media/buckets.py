"""Runs a server that is compatible with S3, in a thread of the test."""

from collections.abc import Iterator
from contextlib import contextmanager
from http.server import ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

localbucket: Any = pytest.importorskip("localbucket")  # belongs to an optional feature

BUCKET = "media"


@contextmanager
def server(folder: Path) -> Iterator[str]:
    """Serve an empty bucket from a folder until the `with` block ends; yield the URL of the server."""
    (folder / BUCKET).mkdir()

    class Handler(localbucket.S3Handler):  # type: ignore[misc]  # the package has no types
        data_root = folder

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as running:
        thread = Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"http://127.0.0.1:{running.server_port}"
        finally:
            running.shutdown()
            thread.join()
