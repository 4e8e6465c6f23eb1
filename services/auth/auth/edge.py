"""What the requests of several contexts share: who asks, and where a page begins."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends
from pydantic import BaseModel, ConfigDict

from auth.people.domain import OWN_SCOPE
from chassis.http.identity import Identity, allow
from chassis.http.problems import invalid
from contracts.ids import is_id

SignedIn = Annotated[Identity, allow(OWN_SCOPE)]


class Strict(BaseModel):
    model_config = ConfigDict(extra="forbid")


async def before(cursor: str | None = None) -> str | None:
    """The id after which a page begins; a 422 problem if the cursor is none."""
    if cursor is not None and not is_id(cursor):
        raise invalid([{"field": "cursor", "message": "not a cursor of this list"}])
    return cursor


Before = Annotated[str | None, Depends(before)]
