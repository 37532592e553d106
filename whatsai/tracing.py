"""Sends traces to OpenTelemetry, if its variables name a receiver: requests, batches of events, SQL, round trips.

OpenTelemetry's own variables (`OTEL_…`) say where to send, how many traces, and under which name. The packages are in
whatsai/requirements-otel.txt, and only this module imports them. Every trace begins here: a header of a client cannot.
"""

import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from django.core.exceptions import ImproperlyConfigured

from logs import spans
from logs.spans import Attributes, Span

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import SpanProcessor

# Seconds to wait for a receiver, unless the same variable says otherwise; the end of a process waits for it, too.
TIMEOUT = ("OTEL_EXPORTER_OTLP_TIMEOUT", "2")
RECEIVERS = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")


def is_wanted(variables: Mapping[str, str]) -> bool:
    """Return whether the variables name a receiver of traces and do not turn traces off."""
    is_off = variables.get("OTEL_SDK_DISABLED", "").lower() == "true" or variables.get("OTEL_TRACES_EXPORTER") == "none"
    return not is_off and any(variables.get(name) for name in RECEIVERS)


def configure() -> None:
    """Record spans from now on, if the environment wants it.

    Raises:
        ImproperlyConfigured: the packages are not installed.
    """
    if spans.recorder is not None or not is_wanted(os.environ):
        return
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import (  # noqa: PLC0415 - an optional package
            OTLPSpanExporter,
        )
        from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415 - an optional package
    except ImportError:
        text = "needs more packages: pip install -r whatsai/requirements-otel.txt"
        raise ImproperlyConfigured(f"{RECEIVERS[0]}: {text}") from None
    os.environ.setdefault(*TIMEOUT)
    start(BatchSpanProcessor(OTLPSpanExporter()))


def start(processor: "SpanProcessor") -> None:
    """Record spans from now on, and give them to a processor."""
    from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415 - an optional package

    os.environ.setdefault("OTEL_SERVICE_NAME", "whatsai")
    provider = TracerProvider()
    provider.add_span_processor(processor)
    spans.recorder = _Recorder(provider.get_tracer("whatsai"))


class _Recorder:
    """Records spans with OpenTelemetry. Texts of exceptions are not recorded, because they may quote rows."""

    def __init__(self, tracer: Any) -> None:
        from opentelemetry import context, trace  # noqa: PLC0415 - an optional package

        self._tracer, self._context, self._trace = tracer, context, trace

    @contextmanager
    def root(self, name: str) -> Iterator[Span]:
        """Record a block as the first span of a new trace."""
        with self._tracer.start_as_current_span(
            name,
            context=self._context.Context(),
            kind=self._trace.SpanKind.SERVER,
            record_exception=False,
            set_status_on_exception=False,
        ) as span:
            yield _RecordedSpan(span)

    def past(self, name: str, seconds: float, attributes: Attributes) -> None:
        """Record work that has just ended as a part of the present span."""
        if self._trace.get_current_span().is_recording():
            now = time.time_ns()
            kind = self._trace.SpanKind.CLIENT
            span = self._tracer.start_span(name, kind=kind, attributes=attributes, start_time=now - int(seconds * 1e9))
            span.end(now)


class _RecordedSpan(Span):
    def __init__(self, span: Any) -> None:
        self._span = span

    def describe(self, name: str, attributes: Attributes) -> None:
        """Rename the span, and add attributes."""
        self._span.update_name(name)
        self._span.set_attributes(attributes)
