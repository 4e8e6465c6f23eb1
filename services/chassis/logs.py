"""Logs: one JSON object a line on stdout, with request and trace ids, without secrets or e-mail addresses.

To log never raises. Most lines are written where an error is handled: a full disk or a dead pipe costs the line, and
never the work that the line is about.
"""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import Callable
from contextvars import ContextVar
from functools import wraps
from typing import Any, TextIO

import orjson
import structlog
from prometheus_client import Counter
from structlog.typing import EventDict, WrappedLogger

from chassis import telemetry

request_id: ContextVar[str] = ContextVar("request_id", default="")

lost = Counter("paidup_log_lines_lost_total", "Log lines that could not be made or written")

LEVELS = ("debug", "info", "msg", "warning", "warn", "error", "exception", "critical", "fatal", "log")
HIDDEN = "[hidden]"
SECRET_NAMES = re.compile(r"(password|secret|token|authorization|cookie|api_?key|private_?key|dsn)$", re.IGNORECASE)
SECRET_TEXTS = re.compile(
    r"\b(?:paidup_sk|pk|sk|rk|whsec)_[A-Za-z0-9_\-+/=]{8,}"  # keys of this system and of the provider
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
    lines = Lines(sys.stdout)
    structlog.configure(
        processors=[*shared, structlog.processors.JSONRenderer(serializer=_dumps)],
        wrapper_class=_never_raising(structlog.make_filtering_bound_logger(number), lines),
        logger_factory=structlog.WriteLoggerFactory(file=lines),  # type: ignore[arg-type]
        cache_logger_on_first_use=True,
    )
    logging.raiseExceptions = False
    handler = logging.StreamHandler(lines)
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


class Lines:
    """A stream of lines that never raises. Once lines can be written again, it reports how many were lost."""

    def __init__(self, stream: TextIO) -> None:
        self._stream, self._missing = stream, 0

    def write(self, text: str) -> None:
        try:
            if self._missing:  # the last line may have been cut off
                self._put(f'\n{{"event":"log lines were lost","level":"warning","count":{self._missing}}}\n')
                self._missing = 0
            self._put(text)
        except Exception:
            self._missing += 1
            lost.inc()

    def _put(self, text: str) -> None:
        self._stream.write(text)
        self._stream.flush()

    def flush(self) -> None:
        """Every line is flushed already."""


def _never_raising(kind: type[Any], lines: Lines) -> type[Any]:
    """A logger of this kind. Instead of a line that can't be made, it writes a line that says so."""

    def guarded(method: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(method)
        def attempt(*words: Any, **more: Any) -> Any:
            try:
                return method(*words, **more)
            except Exception as error:
                lost.inc()
                line = {"event": "a log line could not be made", "level": "error", "error": type(error).__name__}
                lines.write(orjson.dumps(line).decode() + "\n")

        return attempt

    return type("NeverRaising", (kind,), {name: guarded(getattr(kind, name)) for name in LEVELS})


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
