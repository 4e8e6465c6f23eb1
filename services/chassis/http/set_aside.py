"""What a service has set aside for a person, for the company to read: no keys, no bodies, no personal data."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

import orjson
from fastapi import APIRouter, Request, Response
from pydantic import BaseModel

from chassis.http.bodies import StrictRoute
from chassis.http.identity import Identity, allow
from chassis.messaging import dead_letters
from chassis.running import running_of
from chassis.tasks import queue as tasks


class LetterView(BaseModel):
    """A record that could not be handled. `waiting`: it is tried again, or waits behind one that is."""

    id: int
    consumer: str
    topic: str
    partition: int
    offset: int
    sequence: int | None
    type: str | None
    state: Literal["waiting", "unreadable"]
    error: str
    attempts: int | None
    created_at: datetime


class TaskView(BaseModel):
    """A task that failed too often."""

    queue: str
    id: str
    error: str | None
    attempts: int
    set_aside_at: datetime


class SetAside(BaseModel):
    """Up to 1,000 of each, the oldest first. `error`: its kind alone, for its words may hold personal data."""

    letters: list[LetterView]
    tasks: list[TaskView]


def router_of(service: str) -> APIRouter:
    """The route by which a service shows what it has set aside."""
    router = APIRouter(route_class=StrictRoute)

    @router.get(
        f"/v1/dead-letters/{service}",
        response_model=SetAside,
        tags=["operating"],
        name=f"list_dead_letters_of_{service}",
    )
    async def list_set_aside(
        request: Request, _: Annotated[Identity, allow("dead-letters:read", by="company")]
    ) -> Response:
        """List records and tasks that a person has to decide on. `paidup dead-letters` decides."""
        pool = running_of(request).pool
        body = {
            "letters": [_shown(row, LetterView) for row in await dead_letters.listing(pool)],
            "tasks": [_shown(row, TaskView) for row in await tasks.listing(pool)],
        }
        return Response(orjson.dumps(body), media_type="application/json")

    return router


def _shown(row: dict[str, Any], view: type[BaseModel]) -> dict[str, Any]:
    shown = {name: row[name] for name in view.model_fields}
    return shown | {"error": row["error"].partition(":")[0] if row["error"] else None}
