"""Every refusal over HTTP: problem details (RFC 9457) with a stable slug, saying what is wrong and where."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from http import HTTPStatus
from typing import Any

import asyncpg
import orjson
import structlog
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.routing import Match

from chassis.db.pool import COLLIDED, out_of_reach
from chassis.logs import request_id
from contracts import words
from contracts.refusals import Refusal

log = structlog.get_logger()

MEDIA_TYPE = "application/problem+json"
TYPE_PREFIX = "urn:paidup:problem:"
MOST_ERRORS = 50


class Problem(HTTPException):
    """Raise it anywhere under a route. `slug` is stable, in kebab-case; `extra` stands beside the standard members."""

    def __init__(
        self,
        *,
        status: int,
        slug: str,
        title: str | None = None,
        detail: str = "",
        errors: Sequence[Mapping[str, Any]] | None = None,
        headers: Mapping[str, str] | None = None,
        extra: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(status_code=status, detail=detail, headers=dict(headers or {}))
        self.slug = slug
        self.title = title or slug.replace("-", " ").capitalize()
        self.errors = errors
        self.extra = extra

    @property
    def status(self) -> int:
        return self.status_code

    def body(self) -> bytes:
        """The JSON, with the id of the request under way."""
        content: dict[str, Any] = {
            "type": TYPE_PREFIX + self.slug,
            "status": self.status_code,
            "title": self.title,
            "detail": self.detail,
        }
        if self.errors is not None:
            content["errors"] = list(self.errors)
        content["request_id"] = request_id.get()
        return orjson.dumps(content | dict(self.extra or {}), default=str)

    def response(self) -> Response:
        return Response(self.body(), status_code=self.status_code, headers=self.headers, media_type=MEDIA_TYPE)


def not_found(what: str, key: str) -> Problem:
    """`what` in plain words, as "invoice"."""
    return Problem(status=404, slug="not-found", detail=f"There is no {what} {key!r:.80}.")


def conflict(slug: str, detail: str, **extra: Any) -> Problem:
    return Problem(status=409, slug=slug, detail=detail, extra=extra)


def refused(detail: str, *, field: str) -> Problem:
    """422: the request can be read, but this field can't be accepted."""
    return invalid([{"field": field, "message": detail}], detail)


def problem_of(refusal: Refusal, status: int | None = None, **extra: Any) -> Problem:
    """A refusal as people read it; `status` where it is not the refusal's own."""
    return Problem(
        status=status or refusal.status,
        slug=refusal.code,
        detail=refusal.detail,
        errors=[{"field": refusal.field, "message": refusal.detail}] if refusal.field else None,
        extra={**({"values": refusal.values} if refusal.values else {}), **extra} or None,
    )


def invalid(errors: Sequence[Mapping[str, Any]], detail: str = "") -> Problem:
    return Problem(
        status=422,
        slug="invalid-request",
        title="The request can't be accepted",
        detail=detail or "; ".join(f"{error['field'] or 'body'}: {error['message']}" for error in errors[:3]),
        errors=errors,
    )


def too_large(limit: int) -> Problem:
    return Problem(status=413, slug="body-too-large", detail=f"The body is longer than {limit} bytes.")


def method_not_allowed(allowed: Iterable[str]) -> Problem:
    names = ", ".join(sorted(allowed))
    detail = f"The methods of this path are: {names}."
    return Problem(status=405, slug="method-not-allowed", detail=detail, headers={"Allow": names})


def unavailable(detail: str, *, slug: str = "unavailable", retry_after: int = 1) -> Problem:
    """503: nothing is wrong with the request; `retry_after` in seconds."""
    return Problem(status=503, slug=slug, detail=detail, headers={"Retry-After": str(retry_after)})


def of_validation(error: RequestValidationError) -> Problem:
    """The problem of Pydantic's findings, each with its dotted path. A body that is no JSON is 400."""
    found = error.errors()
    if any(item["type"] == "json_invalid" for item in found):
        reason = found[0].get("ctx", {}).get("error", "")
        return Problem(status=400, slug="malformed-json", title="The body is not JSON", detail=str(reason))
    inside = _with_parts_at_fault(found)
    found = [item for item in found if item["type"] != "too_short" or item["loc"] not in inside]
    # Where it was sent (body, query, path) goes without saying.
    return invalid([_error({**item, "loc": item["loc"][1:]}) for item in found[:MOST_ERRORS]])


def _error(finding: Mapping[str, Any]) -> dict[str, Any]:
    """The field, the sentence, and the code with its values, so that it can be said in another language."""
    code, values = words.code(finding), words.values(finding)
    return {"field": words.field(finding), "message": words.sentence(finding), "code": code, "values": values}


def _with_parts_at_fault(found: Sequence[Mapping[str, Any]]) -> set[tuple[int | str, ...]]:
    """The places that have findings inside: a list is said to be too short when its parts are at fault."""
    return {item["loc"][:length] for item in found for length in range(1, len(item["loc"]))}


UNKNOWN = {
    404: "There is nothing at this path. /docs lists all that there is.",
    405: "This path knows no such method. /docs lists all that there is.",
}


def of_status(error: HTTPException) -> Problem:
    """The framework's own refusals: unknown path, wrong method, a body that can't be read."""
    phrase = HTTPStatus(error.status_code).phrase
    detail = UNKNOWN.get(error.status_code, "") if error.detail == phrase else str(error.detail)
    slug = phrase.lower().replace(" ", "-").replace("'", "")
    return Problem(status=error.status_code, slug=slug, title=phrase, detail=detail, headers=error.headers)


def of_failure(error: Exception) -> Problem:
    """The problem of an exception that nobody caught. Internals go to the log, never into the answer."""
    if out_of_reach(error) or isinstance(error, COLLIDED):
        log.warning("request could not be served now", error=repr(error))
        return unavailable("The service can't answer just now. Send the same request again.")
    if isinstance(error, (asyncpg.CharacterNotInRepertoireError, asyncpg.UntranslatableCharacterError)):
        return invalid([{"field": "", "message": "text must not contain the character U+0000"}])
    log.error("request failed", exc_info=error)
    return Problem(
        status=500,
        slug="internal-error",
        title="Something went wrong here",
        detail="Nothing is wrong with the request. Report it with the request_id if it stays.",
    )


def _allowed(request: Request) -> set[str]:
    """The methods of all routes of this path; the framework names those of the first route alone."""
    routes = request.app.routes
    path = next(route.path for route in routes if route.matches(request.scope)[0] is not Match.NONE)
    return {method for route in routes if route.path == path for method in route.methods}


def install(app: FastAPI) -> None:
    """Answer everything that routes raise with a problem."""

    async def on_validation(_: Request, error: Exception) -> Response:
        assert isinstance(error, RequestValidationError)
        return of_validation(error).response()

    async def on_status(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        if error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
            error = method_not_allowed(_allowed(request))
        return (error if isinstance(error, Problem) else of_status(error)).response()

    app.add_exception_handler(RequestValidationError, on_validation)
    app.add_exception_handler(HTTPException, on_status)
