"""Every SQL statement of saved replies."""

from __future__ import annotations

from typing import Any

from chassis.db.reads import Reads
from chassis.messaging.work import Work
from support.saved_replies.domain import SavedReply

LIST = "SELECT id, title, text, changed_at FROM saved_replies ORDER BY title_key"


async def list_replies(reads: Reads) -> list[dict[str, Any]]:
    """All of them, by title."""
    return [dict(row) for row in await reads.fetch(LIST)]


async def lock_replies(work: Work) -> dict[str, SavedReply]:
    """All of them, by id. Nobody else changes one until this transaction ends."""
    await work.connection.execute("LOCK TABLE saved_replies IN SHARE ROW EXCLUSIVE MODE")
    return {row["id"]: SavedReply(**row) for row in await work.connection.fetch(LIST)}


SAVE = """
INSERT INTO saved_replies (id, title, title_key, text, changed_at) VALUES ($1, $2, $3, $4, $5)
ON CONFLICT (id) DO UPDATE SET title = excluded.title, title_key = excluded.title_key, text = excluded.text,
    changed_at = excluded.changed_at
"""


async def save_reply(work: Work, reply: SavedReply) -> None:
    await work.connection.execute(SAVE, reply.id, reply.title, reply.title_key, reply.text, reply.changed_at)


async def delete_reply(work: Work, reply_id: str) -> bool:
    """False: there is none of this id."""
    done: str = await work.connection.execute("DELETE FROM saved_replies WHERE id = $1", reply_id)
    return done != "DELETE 0"
