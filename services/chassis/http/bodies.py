"""Bodies of requests: JSON in UTF-8, each member once. Otherwise a problem says what is wrong, and where."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Coroutine, Iterator, Sequence
from typing import Any

from fastapi import Depends, Request, Response
from fastapi.dependencies.models import Dependant
from fastapi.dependencies.utils import get_flat_params
from fastapi.params import Query
from fastapi.routing import APIRoute

from chassis.http.identity import Guard
from chassis.http.once import HEADER, once
from chassis.http.problems import MOST_ERRORS, Problem, invalid
from chassis.http.seen import caught_up
from contracts.strict_json import NotJsonError, TooManyError, read_strict


def read_json(body: bytes) -> Any:
    """The parsed body. Raises a 400 problem if it is no JSON, 422 if it has too many members."""
    try:
        return read_strict(body)
    except TooManyError as error:
        raise invalid([{"field": "", "message": str(error)}]) from None
    except NotJsonError as error:
        raise Problem(status=400, slug="malformed-json", title="The body is not JSON", detail=str(error)) from None


async def answered_anew() -> None:
    """Marks a route whose answer holds a secret, sets a cookie or changes nothing: no Idempotency-Key keeps it."""


NOT_KEPT = Depends(answered_anew)


class _StrictRequest(Request):
    async def json(self) -> Any:
        return read_json(await self.body())


def _is_json(content_type: str) -> bool:
    media_type = content_type.partition(";")[0].strip().lower()
    return media_type == "application/json" or media_type.endswith("+json")


class StrictRoute(APIRoute):
    """For `APIRouter(route_class=StrictRoute)`. The framework takes the last of two members, NaN, any charset, and any
    parameter whose name it doesn't know: a misspelt filter would list everything. It also reads a body before it asks
    who sent it: here the scope comes first, before anything is read, waited for or looked up."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle, has_body = super().get_route_handler(), self.body_field is not None
        known = {one.alias for one in get_flat_params(self.dependant) if isinstance(one.field_info, Query)}
        keeps_answer = self.methods == {"POST"} and not _has_key(self.dependant) and not self.openapi_extra
        calls = list(_calls(self.dependant))
        keeps_answer &= answered_anew not in calls
        guards = [guard for guard in calls if isinstance(guard, Guard)]

        async def strictly(request: Request) -> Response:
            strict = _StrictRequest(request.scope, request.receive)
            for guard in guards:
                guard.check(strict)
            if request.scope["query_string"]:
                _refuse_unknown([name for name, _ in strict.query_params.multi_items()], known)
            if has_body and not _is_json(request.headers.get("content-type", "")) and await strict.body():
                detail = "Send the body as JSON, with Content-Type: application/json."
                raise Problem(status=415, slug="unsupported-media-type", detail=detail)
            await caught_up(strict)
            if keeps_answer and guards and HEADER in request.headers:
                return await once(strict, guards[0].check(strict), self.path, lambda: handle(strict))
            return await handle(strict)

        return strictly


def _has_key(dependant: Dependant) -> bool:
    """Whether the route takes the Idempotency-Key itself."""
    own = any(field.alias.lower() == HEADER.lower() for field in dependant.header_params)
    return own or any(_has_key(inner) for inner in dependant.dependencies)


def _calls(dependant: Dependant) -> Iterator[Any]:
    for inner in dependant.dependencies:
        yield inner.call
        yield from _calls(inner)


def _refuse_unknown(sent: Sequence[str], known: set[str]) -> None:
    there_are = f"there are {', '.join(sorted(known))}" if known else "there are none here"
    unknown = [{"field": name[:80], "message": f"no such parameter; {there_are}"} for name in sent if name not in known]
    twice = [{"field": name, "message": "is sent twice"} for name, times in Counter(sent).items() if times > 1]
    if wrong := [*unknown, *twice]:
        raise invalid(wrong[:MOST_ERRORS])
