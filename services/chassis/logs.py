"""Logs: one JSON object a line on stdout, with request and trace ids, without secrets or e-mail addresses."""

from __future__ import annotations

import logging
import re
import sys
from contextvars import ContextVar
from typing import Any

import orjson
import structlog
from structlog.typing import EventDict, WrappedLogger

from chassis import telemetry

request_id: ContextVar[str] = ContextVar("request_id", default="")

HIDDEN = "[hidden]"
SECRET_NAMES = re.compile(r"(password|secret|token|authorization|cookie|api_?key|private_?key|dsn)$", re.IGNORECASE)
SECRET_TEXTS = re.compile(
    r"\b(?:pk|sk|rk|whsec)_[A-Za-z0-9_\-+/=]{8,}"  # keys of this system and of the provider
    r"|\beyJ[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]*"  # JSON web tokens
    r"|(?<=://)[^\s/:@]+:[^\s/@]+(?=@)"  # user:password in an address
    r"|[A-Za-z0-9._%+-]+@[A-Za-z0-9.-]+\.[A-Za-z]{2,}"  # e-mail addresses
)


def configure(level: str) -> None:
    """Route structlog and the standard library's loggers (uvicorn, aiokafka) into the same lines."""
    number = logging.getLevelNamesMapping().get(level.upper(), logging.INFO)
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        add_ids,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
        redact,
    ]
    structlog.configure(
        processors=[*shared, structlog.processors.JSONRenderer(serializer=_dumps)],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=structlog.WriteLoggerFactory(file=sys.stdout),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[structlog.stdlib.add_logger_name, *shared],
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.JSONRenderer(serializer=_dumps),
            ],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(max(number, logging.INFO))
    for name in ("aiokafka", "faststream", "uvicorn.error"):
        logging.getLogger(name).setLevel(max(number, logging.WARNING))


def add_ids(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    if identifier := request_id.get():
        event.setdefault("request_id", identifier)
    if trace := telemetry.trace_ids():
        event["trace_id"], event["span_id"] = trace
    return event


def redact(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    return {name: _hide(name, value) for name, value in event.items()}


def _hide(name: str, value: Any) -> Any:
    if SECRET_NAMES.search(name) and value:
        return HIDDEN
    if isinstance(value, str):
        return SECRET_TEXTS.sub(HIDDEN, value)
    if isinstance(value, dict):
        return {str(inner): _hide(str(inner), item) for inner, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_hide("", item) for item in value]
    if value is None or isinstance(value, (bool, int, float)):
        return value
    return SECRET_TEXTS.sub(HIDDEN, str(value))


def _dumps(event: EventDict, **_: Any) -> str:
    return orjson.dumps(event, default=str, option=orjson.OPT_NON_STR_KEYS).decode()
