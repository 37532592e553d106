"""Runs a function in another thread, as if another request called the function."""

import threading
from collections.abc import Callable
from typing import Any

from django.db import connection


def in_another_thread(function: Callable[[], Any]) -> Any:
    """Call a function in a new thread with its own database connection; return the result or raise the error."""
    results: list[Any] = []

    def run() -> None:
        try:
            results.append(function())
        except BaseException as error:  # noqa: BLE001 - the caller's thread raises the error again
            results.append(error)
        finally:
            connection.close()

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    if isinstance(results[0], BaseException):
        raise results[0]
    return results[0]
