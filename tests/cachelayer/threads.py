"""Runs a function in another thread, as another request would, and returns its result."""

import threading
from collections.abc import Callable
from typing import Any

from django.db import connection


def in_another_thread(function: Callable[[], Any]) -> Any:
    """Call a function in a thread with a database connection of its own; return its result or raise its error."""
    results: list[Any] = []

    def run() -> None:
        try:
            results.append(function())
        except BaseException as error:  # noqa: BLE001 - raised again below
            results.append(error)
        finally:
            connection.close()

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    if isinstance(results[0], BaseException):
        raise results[0]
    return results[0]
