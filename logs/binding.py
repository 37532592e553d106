"""Fields bound to the request, event or job at hand: every record logged meanwhile contains them.

A context variable holds them. Coroutines and tasks inherit it; pass a callable to another thread through
`with_bindings`.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar, copy_context
from functools import wraps
from types import MappingProxyType
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")

BOUND = "bound"  # the attribute of a log record that holds the fields bound when it was logged
# The bound name under which the middleware stores the request's `Context`. It selects the log file of records that are
# about the request, and is not written as a field.
REQUEST_CONTEXT = "request_context"

_bound: ContextVar[Mapping[str, object]] = ContextVar("logs_bound", default=MappingProxyType({}))

current = _bound.get


def reset(**fields: object) -> None:
    """Replace all bound fields with these: a thread that serves many requests keeps nothing of the last one."""
    _bound.set(MappingProxyType(fields))


def bind(**fields: object) -> None:
    """Add fields to all further records, until the enclosing `bound` block or the request ends."""
    _bound.set({**_bound.get(), **fields})


@contextmanager
def bound(**fields: object) -> Iterator[None]:
    """Add fields to all records inside the block. Fields that `bind` adds inside the block end with it too."""
    token = _bound.set({**_bound.get(), **fields})
    try:
        yield
    finally:
        _bound.reset(token)


def with_bindings(call: Callable[P, T]) -> Callable[P, T]:
    """Return a callable that runs with the fields bound now, in whichever thread calls it."""
    context = copy_context()

    @wraps(call)
    def in_context(*args: P.args, **kwargs: P.kwargs) -> T:
        return context.copy().run(call, *args, **kwargs)  # a copy: two threads cannot enter one context at once

    return in_context
