"""OpenTelemetry traces over HTTP and Kafka; without an endpoint every call is a no-op that costs next to nothing."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from opentelemetry.context import Context
    from opentelemetry.sdk.trace import SpanProcessor
    from opentelemetry.trace import Tracer

_tracer: Tracer | None = None


def setup(service_name: str, endpoint: str | None, *, processor: SpanProcessor | None = None) -> None:
    """Send spans to `endpoint` (the collector's base address, OTLP over HTTP), or to a processor of one's own."""
    global _tracer
    if endpoint is None and processor is None:
        _tracer = None
        return
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    provider = TracerProvider(resource=Resource.create({"service.name": service_name}))
    if processor is None:
        processor = BatchSpanProcessor(OTLPSpanExporter(endpoint=f"{endpoint}".rstrip("/") + "/v1/traces"))
    provider.add_span_processor(processor)
    _tracer = provider.get_tracer("paidup")


def enabled() -> bool:
    return _tracer is not None


class ServerSpan:
    """A request's span; `finish` names it once the route is known."""

    __slots__ = ("_method", "_path", "_span")

    def __init__(self, span: Any, method: str, path: str) -> None:
        self._span, self._method, self._path = span, method, path

    def finish(self, route: str, status: int) -> None:
        self._span.update_name(f"{self._method} {route}")
        path = route if "{token}" in route else self._path  # a token in a path is a secret
        self._span.set_attributes({"http.route": route, "url.path": path, "http.response.status_code": status})


class _NoSpan:
    """Stands for every span while telemetry is off."""

    def __enter__(self) -> _NoSpan:
        return self

    def __exit__(self, *_: object) -> None:
        return None

    def finish(self, route: str, status: int) -> None:
        return None


_NO_SPAN = _NoSpan()


def server_span(
    scope: Mapping[str, Any], headers: Mapping[bytes, bytes]
) -> AbstractContextManager[ServerSpan | _NoSpan]:
    """A span for an ASGI request, under the caller's when it sent `traceparent`."""
    if _tracer is None:
        return _NO_SPAN
    parent = headers.get(b"traceparent")
    return _serving(scope, extract([("traceparent", parent)] if parent else []))


@contextmanager
def _serving(scope: Mapping[str, Any], parent: Context) -> Iterator[ServerSpan]:
    from opentelemetry.trace import SpanKind

    assert _tracer is not None
    attributes = {"http.request.method": scope["method"]}
    with _tracer.start_as_current_span(
        scope["method"], context=parent, kind=SpanKind.SERVER, attributes=attributes
    ) as span:
        yield ServerSpan(span, scope["method"], scope["path"])


def record_span(
    name: str, headers: Iterable[tuple[str, bytes]], **attributes: str | int
) -> AbstractContextManager[Any]:
    """A span for one Kafka record, under the span that emitted it; `name` as "process invoicing.invoice.v1"."""
    if _tracer is None:
        return _NO_SPAN
    from opentelemetry.trace import SpanKind

    named = {f"messaging.{key}": value for key, value in attributes.items()}
    return _tracer.start_as_current_span(name, context=extract(headers), kind=SpanKind.CONSUMER, attributes=named)


def traceparent() -> str | None:
    """The current span as a W3C header, or None when there is none."""
    if _tracer is None:
        return None
    from opentelemetry.trace import get_current_span

    context = get_current_span().get_span_context()
    if not context.is_valid:
        return None
    return f"00-{context.trace_id:032x}-{context.span_id:016x}-{int(context.trace_flags):02x}"


def trace_ids() -> tuple[str, str] | None:
    """Trace and span id for the log."""
    parent = traceparent()
    return (parent[3:35], parent[36:52]) if parent else None


def extract(headers: Iterable[tuple[str, bytes]]) -> Context:
    """The sender's span as a parent; an unreadable header is as good as none."""
    from opentelemetry.context import Context
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

    for name, value in headers:
        if name == "traceparent":
            carrier = {name: value.decode("ascii", "replace")}
            return TraceContextTextMapPropagator().extract(carrier, context=Context())
    return Context()
