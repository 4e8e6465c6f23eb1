"""Saved replies over HTTP: the company's people list, write, change and delete them."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, Field, StringConstraints

from chassis.http.bodies import StrictRoute
from chassis.http.identity import Identity
from chassis.http.problems import not_found, problem_of
from chassis.running import cause_of, running_of
from contracts.ids import is_id, new_id
from contracts.normal import Name
from support.edge import Asked, ReadAsCompany, Words, WorkTickets, answer
from support.saved_replies import store
from support.saved_replies.domain import SavedReply, refusal_of

router = APIRouter(route_class=StrictRoute)
Title = Annotated[Name, StringConstraints(max_length=100)]


class SavedReplyText(Asked):
    title: Title
    text: Words


class SavedReplyView(BaseModel):
    """A saved reply. Who writes in a ticket puts its text there, and changes it for the case."""

    id: str
    title: Annotated[str, Field(description="What it is found by; no two have the same, in small or capital letters")]
    text: Annotated[str, Field(description="What is put into a reply")]
    changed_at: Annotated[datetime, Field(description="When it was last written, in UTC")]


class SavedReplies(BaseModel):
    items: list[SavedReplyView]


@router.get("/v1/saved-replies", response_model=SavedReplies, tags=["tickets"])
async def list_saved_replies(request: Request, who: ReadAsCompany) -> Response:
    """List all saved replies, 500 at most, by title."""
    return answer({"items": await store.list_replies(running_of(request).pool)})


async def _save(request: Request, who: Identity, asked: SavedReplyText, reply_id: str | None) -> SavedReply:
    """`reply_id`: of one that is there; None: a new one."""
    async with running_of(request).units.begin(cause_of(request, who)) as work:
        others = await store.lock_replies(work)
        if reply_id is not None and others.pop(reply_id, None) is None:
            raise not_found("saved reply", reply_id)
        reply = SavedReply(reply_id or new_id(), asked.title, asked.text, work.now)
        if refusal := refusal_of(reply, list(others.values())):
            raise problem_of(refusal)
        await store.save_reply(work, reply)
        return reply


@router.post("/v1/saved-replies", status_code=201, response_model=SavedReplyView, tags=["tickets"])
async def add_saved_reply(asked: SavedReplyText, request: Request, who: WorkTickets) -> Response:
    """Save a text that replies often need."""
    return answer(view_of(await _save(request, who, asked, None)), 201)


@router.put("/v1/saved-replies/{saved_reply_id}", response_model=SavedReplyView, tags=["tickets"])
async def change_saved_reply(
    saved_reply_id: str, asked: SavedReplyText, request: Request, who: WorkTickets
) -> Response:
    """Write a saved reply anew. Replies that were sent with it stay as they are."""
    return answer(view_of(await _save(request, who, asked, saved_reply_id)))


@router.delete("/v1/saved-replies/{saved_reply_id}", status_code=204, response_class=Response, tags=["tickets"])
async def delete_saved_reply(saved_reply_id: str, request: Request, who: WorkTickets) -> Response:
    """Delete a saved reply. Replies that were sent with it stay as they are."""
    async with running_of(request).units.begin(cause_of(request, who)) as work:
        if not is_id(saved_reply_id) or not await store.delete_reply(work, saved_reply_id):
            raise not_found("saved reply", saved_reply_id)
    return Response(status_code=204)


def view_of(reply: SavedReply) -> dict[str, object]:
    return {"id": reply.id, "title": reply.title, "text": reply.text, "changed_at": reply.changed_at}
