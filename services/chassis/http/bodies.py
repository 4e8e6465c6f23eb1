"""Bodies of requests: JSON in UTF-8, each member once, or a problem that says what is wrong with it and where."""

from __future__ import annotations

import json
from collections.abc import Callable, Coroutine
from typing import Any

from fastapi import Request, Response
from fastapi.routing import APIRoute

from chassis.http.problems import Problem


class TwiceError(ValueError):
    """A member stands twice: which of the two was meant can't be known, and it may be an amount."""


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) < len(pairs):
        seen: set[str] = set()
        for name, _ in pairs:
            if name in seen:
                raise TwiceError(name)
            seen.add(name)
    return members


def _no_number(text: str) -> None:
    raise ValueError(f"{text} is not a number of JSON")


_decoder = json.JSONDecoder(object_pairs_hook=_once, parse_constant=_no_number)


def read_json(body: bytes) -> Any:
    """What the body says, or a 400 problem."""
    try:
        return _decoder.decode(body.decode("utf-8-sig"))
    except json.JSONDecodeError as error:
        raise _malformed(f"{error.msg} (line {error.lineno}, column {error.colno}).") from None
    except UnicodeDecodeError as error:
        raise _malformed(f"Byte {error.start} is not UTF-8.") from None
    except RecursionError:
        raise _malformed("It is nested too deeply.") from None
    except TwiceError as error:
        raise _malformed(f"The member {str(error)!a:.80} stands twice in one object.") from None
    except ValueError as error:
        raise _malformed(f"A number can't be read: {error}.") from None


def _malformed(detail: str) -> Problem:
    return Problem(status=400, slug="malformed-json", title="The body is not JSON", detail=detail)


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
