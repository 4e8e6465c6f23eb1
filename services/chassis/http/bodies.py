"""Bodies of requests: JSON in UTF-8, each member once, or a problem that says what is wrong with it and where."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any

from fastapi import Request, Response
from fastapi.routing import APIRoute

from chassis.http.problems import Problem
from chassis.strict_json import NotJsonError, read_strict


def read_json(body: bytes) -> Any:
    """What the body says, or a 400 problem."""
    try:
        return read_strict(body)
    except NotJsonError as error:
        raise Problem(status=400, slug="malformed-json", title="The body is not JSON", detail=str(error)) from None


class _StrictRequest(Request):
    async def json(self) -> Any:
        return read_json(await self.body())


def _is_json(content_type: str) -> bool:
    media_type = content_type.partition(";")[0].strip().lower()
    return media_type == "application/json" or media_type.endswith("+json")


class StrictRoute(APIRoute):
    """For `APIRouter(route_class=StrictRoute)`. The framework takes the last of two members, NaN, and any charset."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle, has_body = super().get_route_handler(), self.body_field is not None

        async def strictly(request: Request) -> Response:
            strict = _StrictRequest(request.scope, request.receive)
            if has_body and not _is_json(request.headers.get("content-type", "")) and await strict.body():
                detail = "Send the body as JSON, with Content-Type: application/json."
                raise Problem(status=415, slug="unsupported-media-type", detail=detail)
            return await handle(strict)

        return strictly
