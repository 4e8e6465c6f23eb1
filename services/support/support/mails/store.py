"""Every SQL statement of replies by mail."""

from __future__ import annotations

from datetime import datetime

from chassis.messaging.work import Work
from support.mails.domain.replies import Writer
from support.tickets.domain import Ticket
from support.tickets.store import TICKET, ticket_of

LOCK = f"SELECT {TICKET} FROM tickets t WHERE t.number = $1 FOR NO KEY UPDATE"  # noqa: S608


async def lock_ticket_numbered(work: Work, number: int) -> Ticket | None:
    row = await work.connection.fetchrow(LOCK, number)
    return ticket_of(row) if row else None


async def find_writer(work: Work, person_id: str) -> Writer | None:
    row = await work.connection.fetchrow("SELECT id, customer_id, email, enabled FROM people WHERE id = $1", person_id)
    return Writer(**row) if row else None


async def count_mails(work: Work, ticket: Ticket, writer: Writer, since: datetime) -> int:
    sql = "SELECT count(*) FROM mails_taken WHERE ticket_id = $1 AND person_id = $2 AND at > $3"
    return int(await work.connection.fetchval(sql, ticket.id, writer.id, since))


async def was_taken(work: Work, ticket: Ticket, digest: str) -> bool:
    sql = "SELECT true FROM mails_taken WHERE ticket_id = $1 AND digest = $2"
    return bool(await work.connection.fetchval(sql, ticket.id, digest))


async def keep_mail(work: Work, ticket: Ticket, writer: Writer, digest: str) -> None:
    sql = "INSERT INTO mails_taken (ticket_id, digest, person_id, at) VALUES ($1, $2, $3, $4)"
    await work.connection.execute(sql, ticket.id, digest, writer.id, work.now)


FORGET = "DELETE FROM mails_taken WHERE ctid IN (SELECT ctid FROM mails_taken WHERE at < $1 ORDER BY at LIMIT $2)"


async def forget_mails(work: Work, before: datetime, most: int) -> int:
    """How many were forgotten."""
    return int((await work.connection.execute(FORGET, before, most)).rpartition(" ")[2])
