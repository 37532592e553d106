"""Fields bound to the current request, event or job, which every log record of the request, event or job contains.

A context variable holds the bound fields, so coroutines and asyncio tasks inherit the fields. A callable that runs in
another thread must be wrapped in `with_bindings`.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar, copy_context
from functools import wraps
from types import MappingProxyType
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")

BOUND = "bound"  # the attribute of a log record with the fields that were bound when the record was logged

# The bound name under which the middleware stores the request's `Context`. This log context selects the log file for
# records about the request, and is not written as a field.
REQUEST_CONTEXT = "request_context"

_bound: ContextVar[Mapping[str, object]] = ContextVar("logs_bound", default=MappingProxyType({}))

current = _bound.get


def reset(**fields: object) -> None:
    """Replace all bound fields: a thread that serves many requests must keep no field of the last request."""
    _bound.set(MappingProxyType(fields))


def bind(**fields: object) -> None:
    """Add fields to all further log records, until the enclosing `bound` block or the request ends."""
    _bound.set({**_bound.get(), **fields})


@contextmanager
def bound(**fields: object) -> Iterator[None]:
    """Add fields to all log records inside the block; fields added by `bind` inside the block end with it."""
    token = _bound.set({**_bound.get(), **fields})
    try:
        yield
    finally:
        _bound.reset(token)


def with_bindings(call: Callable[P, T]) -> Callable[P, T]:
    """Return a callable that runs `call` with the fields bound now, even if another thread runs the callable."""
    context = copy_context()

    @wraps(call)
    def in_context(*args: P.args, **kwargs: P.kwargs) -> T:
        return context.copy().run(call, *args, **kwargs)  # two threads cannot enter the same context at the same time

    return in_context
