"""What a request, an event or a job is known by: bound once, it is in every record logged until it is over.

Context variables carry it: into coroutines and tasks by themselves, into a thread by `carried`.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar, copy_context
from functools import wraps
from types import MappingProxyType
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")

BOUND = "bound"  # the attribute in which a record carries what was bound when it was logged
AREA = "area"  # the `Context` that the request in hand belongs to; it chooses the file, and is no field of the record

_bound: ContextVar[Mapping[str, object]] = ContextVar("logs_bound", default=MappingProxyType({}))

current = _bound.get


def reset(**fields: object) -> None:
    """Start anew, with these fields alone: a thread that serves one request after another keeps nothing of the last."""
    _bound.set(MappingProxyType(fields))


def bind(**fields: object) -> None:
    """Add fields to all further records, until the `bound` around this, or the request, is over."""
    _bound.set({**_bound.get(), **fields})


@contextmanager
def bound(**fields: object) -> Iterator[None]:
    """Add fields to all records inside the block; what is bound inside it ends with it."""
    before = _bound.set({**_bound.get(), **fields})
    try:
        yield
    finally:
        _bound.reset(before)


def with_bindings(call: Callable[P, T]) -> Callable[P, T]:
    """Return a callable that logs, in other threads, with what is bound here now."""
    context = copy_context()

    @wraps(call)
    def in_context(*args: P.args, **kwargs: P.kwargs) -> T:
        return context.copy().run(call, *args, **kwargs)  # a copy: one context cannot be entered twice at once

    return in_context
