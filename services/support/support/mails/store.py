"""Every SQL statement of replies by mail."""

from __future__ import annotations

from datetime import datetime

from chassis.messaging.work import Work
from support.mails.domain.replies import Writer
from support.tickets.domain import Ticket
from support.tickets.store import WITH_MERGED, lock_to_write


async def lock_numbered_to_write(work: Work, number: int) -> Ticket | None:
    """The ticket of this number, or the one that it was merged into."""
    ticket_id = await work.connection.fetchval("SELECT id FROM tickets WHERE number = $1", number)
    return await lock_to_write(work, ticket_id, None) if ticket_id else None


async def find_writer(work: Work, person_id: str) -> Writer | None:
    row = await work.connection.fetchrow("SELECT id, customer_id, email, enabled FROM people WHERE id = $1", person_id)
    return Writer(**row) if row else None


async def count_mails(work: Work, ticket: Ticket, writer: Writer, since: datetime) -> int:
    """Those to the tickets that were merged into it count, too."""
    sql = f"SELECT count(*) FROM mails_taken WHERE ticket_id = {WITH_MERGED} AND person_id = $2 AND at > $3"  # noqa: S608
    return int(await work.connection.fetchval(sql, ticket.id, writer.id, since))


async def was_taken(work: Work, ticket: Ticket, digest: str) -> bool:
    """Also by a ticket that was merged into it since."""
    sql = f"SELECT true FROM mails_taken WHERE ticket_id = {WITH_MERGED} AND digest = $2 LIMIT 1"  # noqa: S608
    return bool(await work.connection.fetchval(sql, ticket.id, digest))


async def keep_mail(work: Work, ticket: Ticket, writer: Writer, digest: str) -> None:
    sql = "INSERT INTO mails_taken (ticket_id, digest, person_id, at) VALUES ($1, $2, $3, $4)"
    await work.connection.execute(sql, ticket.id, digest, writer.id, work.now)


FORGET = "DELETE FROM mails_taken WHERE ctid IN (SELECT ctid FROM mails_taken WHERE at < $1 ORDER BY at LIMIT $2)"


async def forget_mails(work: Work, before: datetime, most: int) -> int:
    """How many were forgotten."""
    return int((await work.connection.execute(FORGET, before, most)).rpartition(" ")[2])
