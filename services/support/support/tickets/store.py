"""Every SQL statement of tickets."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from chassis.db.reads import Reads
from chassis.messaging.work import Work
from contracts.ids import is_id
from support.tickets.domain import Author, Entry, People, State, Ticket

LONGEST_SEARCH = 20_000
WINDOW, SHORTEST = 2_000, 3
TICKET = """t.id, t.number, t.customer_id, t.kind, t.subject, t.invoice_id, t.payment_id, t.follows, t.created_at, t.status, t.changed_at,
    t.assignee, t.escalated, t.ended_at, t.answered_at, t.sequence, t.notices, t.entries, t.merged_into"""


def number_of(number: int) -> str:
    return f"T-{number}"


def ticket_of(row: Any) -> Ticket:
    state = State(
        row["status"], row["changed_at"], row["assignee"], row["escalated"], row["ended_at"], row["answered_at"],
        row["merged_into"] is not None,
    )  # fmt: skip
    return Ticket(
        row["id"], row["customer_id"], row["kind"], row["subject"], row["invoice_id"], row["payment_id"],
        row["follows"], row["created_at"], state, number_of(row["number"]), row["sequence"], row["notices"],
        row["entries"], row["merged_into"],
    )  # fmt: skip


# --- saving

ADD = """
INSERT INTO tickets (id, customer_id, kind, subject, invoice_id, payment_id, follows, search, created_at, status, changed_at,
    assignee, escalated, ended_at, answered_at, sequence, notices, entries)
VALUES ($1, $2, $3, $4, $5, $6, $7, left(lower($8), $9), $10, $11, $12, $13, $14, $15, $16, $17, $18, $19) RETURNING number
"""


async def add_ticket(work: Work, ticket: Ticket, words: Sequence[str]) -> str:
    """Insert a ticket that is found by these words, and get its number."""
    state = ticket.state
    number = await work.connection.fetchval(
        ADD, ticket.id, ticket.customer_id, ticket.kind, ticket.subject, ticket.invoice_id, ticket.payment_id,
        ticket.follows, " ".join(words), LONGEST_SEARCH, ticket.created_at, state.status, state.changed_at,
        state.assignee, state.escalated, state.ended_at, state.answered_at, ticket.sequence, ticket.notices,
        ticket.entries,
    )  # fmt: skip
    return number_of(number)


SAVE = """
UPDATE tickets SET status = $2, changed_at = $3, assignee = $4, escalated = $5, ended_at = $6, answered_at = $7,
    sequence = $8, notices = $9, entries = $10, merged_into = $13,
    search = CASE WHEN $11 = '' THEN search ELSE left(search || ' ' || lower($11), $12) END
WHERE id = $1
"""


async def save_ticket(work: Work, ticket: Ticket, words: str) -> None:
    """Save a locked ticket as it is now; from now on it is found by these words, too."""
    state = ticket.state
    await work.connection.execute(
        SAVE, ticket.id, state.status, state.changed_at, state.assignee, state.escalated, state.ended_at,
        state.answered_at, ticket.sequence, ticket.notices, ticket.entries, words, LONGEST_SEARCH,
        ticket.merged_into,
    )  # fmt: skip


ADD_ENTRY = """
INSERT INTO ticket_events (ticket_id, place, customer_id, what, at, side, by_kind, by_id, acting_for, text, internal, assignee, status,
    files, other)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)
"""


async def add_entry(work: Work, ticket: Ticket, entry: Entry) -> None:
    """Keep what happened last to the ticket."""
    author = entry.author
    await work.connection.execute(
        ADD_ENTRY, ticket.id, ticket.entries, ticket.customer_id, entry.what, entry.at, author.side, author.kind,
        author.id, author.acting_for, entry.text, entry.internal, entry.assignee, ticket.state.status,
        list(entry.files), entry.other,
    )  # fmt: skip


OF_CUSTOMER = "($2::uuid IS NULL OR t.customer_id = $2)"
LOCK = f"SELECT {TICKET} FROM tickets t WHERE t.id = $1 AND {OF_CUSTOMER} FOR NO KEY UPDATE"  # noqa: S608


async def lock_ticket(work: Work, ticket_id: str, customer_id: str | None) -> Ticket | None:
    """`customer_id`: only if it is a ticket of this customer."""
    row = await work.connection.fetchrow(LOCK, ticket_id, customer_id)
    return ticket_of(row) if row else None


WHERE_WRITTEN = f"SELECT coalesce(t.merged_into, t.id) FROM tickets t WHERE t.id = $1 AND {OF_CUSTOMER}"  # noqa: S608


async def lock_to_write(work: Work, ticket_id: str, customer_id: str | None) -> Ticket | None:
    """The ticket, or the one that it was merged into: what is written to the one is written there."""
    while (place := await work.connection.fetchval(WHERE_WRITTEN, ticket_id, customer_id)) is not None:
        if (ticket := await _lock_unmerged(work, place)) is not None:
            return ticket
    return None


async def _lock_unmerged(work: Work, ticket_id: str) -> Ticket | None:
    """None, and no lock, if it was merged in this moment: a merge of the next moment locks in another order."""
    savepoint = work.connection.transaction()
    await savepoint.start()
    ticket = await lock_ticket(work, ticket_id, None)
    if ticket is not None and ticket.merged_into is None:
        await savepoint.commit()
        return ticket
    await savepoint.rollback()
    return None


TO_MERGE = f"""
SELECT {TICKET} FROM tickets t WHERE t.id = ANY($1::uuid[]) OR t.merged_into = $2 ORDER BY t.id FOR NO KEY UPDATE
"""  # noqa: S608


async def lock_to_merge(work: Work, ticket_id: str, into: str) -> tuple[Ticket | None, Ticket | None]:
    """Both tickets, and those that were merged into the first; every merge locks in the order of ids."""
    rows = await work.connection.fetch(TO_MERGE, [ticket_id, into], ticket_id)
    found = {row["id"]: ticket_of(row) for row in rows}
    return found.get(ticket_id), found.get(into)


async def point_at(work: Work, ticket: Ticket, into: Ticket) -> None:
    """Those that were merged into the first ticket are now merged into the second."""
    sql = "UPDATE tickets SET merged_into = $2 WHERE merged_into = $1"
    await work.connection.execute(sql, ticket.id, into.id)


OF_PAYMENTS = f"""
SELECT {TICKET} FROM tickets t WHERE t.payment_id = ANY($1::uuid[]) AND t.ended_at IS NULL ORDER BY t.id FOR NO KEY UPDATE
"""  # noqa: S608


async def lock_tickets_of_payments(work: Work, payment_ids: Sequence[str]) -> list[Ticket]:
    """Those that have not ended and took no other one in. A merge that held one of them is seen by the second look."""
    found = [ticket_of(row) for row in await work.connection.fetch(OF_PAYMENTS, payment_ids)]
    sql = "SELECT DISTINCT merged_into FROM tickets WHERE merged_into = ANY($1::uuid[])"
    took_in = {row["merged_into"] for row in await work.connection.fetch(sql, [ticket.id for ticket in found])}
    return [ticket for ticket in found if ticket.id not in took_in]


async def lock_follower(work: Work, ticket_id: str) -> Ticket | None:
    """The newest ticket that follows a locked one, or what that was merged into."""
    sql = "SELECT id FROM tickets WHERE follows = $1 ORDER BY id DESC LIMIT 1"
    follower = await work.connection.fetchval(sql, ticket_id)
    return await lock_to_write(work, follower, None) if follower else None


async def lock_payment(work: Work, payment_id: str) -> tuple[str | None, datetime | None]:
    """Its number, and when it reconciled if nothing happened to it since.

    Its events wait for this transaction, so none of them misses a ticket that is made in it.
    """
    row = await work.connection.fetchrow(
        "SELECT number, reconciled_at FROM payments WHERE id = $1 FOR SHARE", payment_id
    )
    return (row["number"], row["reconciled_at"]) if row else (None, None)


async def find_invoice_number(work: Work, invoice_id: str) -> str | None:
    number: str | None = await work.connection.fetchval("SELECT number FROM invoices WHERE id = $1", invoice_id)
    return number


MANAGER = """
SELECT p.id, lower(p.email) = lower(c.account_manager) OR p.id::text = c.account_manager AS surely
FROM customers c JOIN people p ON p.customer_id IS NULL AND p.enabled
    AND lower(c.account_manager) IN (lower(p.email), p.id::text, lower(p.name))
WHERE c.id = $1
"""


async def find_manager(work: Work, customer_id: str) -> str | None:
    """The account manager by address or id, else by a name that only one of the company's people has."""
    rows = await work.connection.fetch(MANAGER, customer_id)
    found = [row["id"] for row in rows if row["surely"]] or [row["id"] for row in rows]
    return found[0] if len(found) == 1 else None


STAFF = "SELECT id, role FROM people WHERE customer_id IS NULL AND enabled ORDER BY id"
WITH_MERGED = "ANY (ARRAY(SELECT id FROM tickets WHERE merged_into = $1) || $1::uuid)"
ASKING = f"""
SELECT DISTINCT e.by_id FROM ticket_events e JOIN people p ON p.id::text = e.by_id AND p.customer_id = e.customer_id AND p.enabled
WHERE e.ticket_id = {WITH_MERGED} AND e.customer_id = $2 AND e.by_kind = 'contact' AND e.text <> '' ORDER BY 1
"""  # noqa: S608


async def load_people(work: Work, ticket: Ticket) -> People:
    """Who may be mailed of a ticket."""
    asking = [row["by_id"] for row in await work.connection.fetch(ASKING, ticket.id, ticket.customer_id)]
    staff = {row["id"]: row["role"] for row in await work.connection.fetch(STAFF)}
    return People(
        tuple(asking),
        ticket.state.assignee if ticket.state.assignee in staff else None,
        await find_manager(work, ticket.customer_id),
        tuple(one for one, role in staff.items() if role == "account_manager"),
        tuple(one for one, role in staff.items() if role == "administrator"),
    )


CONTACTS = "SELECT id FROM people WHERE customer_id = $1 AND enabled ORDER BY id LIMIT $2"


async def find_contacts(work: Work, customer_id: str, most: int) -> list[str]:
    return [row["id"] for row in await work.connection.fetch(CONTACTS, customer_id, most)]


async def find_name(work: Work, author: Author) -> str:
    """The name of who wrote; empty: a program, or it is not known."""
    sql = "SELECT name FROM people WHERE id = $1"
    return (await work.connection.fetchval(sql, author.id) if is_id(author.id) else None) or ""


# --- reading

SHOWN = f"""{TICKET}, c.name AS customer_name, i.number AS invoice_number, p.number AS payment_number,
    (SELECT m.number FROM tickets m WHERE m.id = t.merged_into) AS merged_number"""  # noqa: S608
BESIDE = """LEFT JOIN customers c ON c.id = t.customer_id LEFT JOIN invoices i ON i.id = t.invoice_id
    LEFT JOIN payments p ON p.id = t.payment_id"""
LOAD = f"SELECT {SHOWN} FROM tickets t {BESIDE} WHERE t.id = $1 AND {OF_CUSTOMER}"  # noqa: S608


async def load_ticket(reads: Reads, ticket_id: str, customer_id: str | None) -> dict[str, Any] | None:
    row = await reads.fetchrow(LOAD, ticket_id, customer_id)
    return dict(row) if row else None


ENTRIES = """
SELECT place, what, at, side, by_kind, by_id, acting_for, text, internal, assignee, status, files, other,
    (SELECT t.number FROM tickets t WHERE t.id = other) AS other_number FROM ticket_events
WHERE ticket_id = $1 AND ($2 OR NOT internal) ORDER BY place DESC LIMIT 1000
"""


async def load_entries(reads: Reads, ticket_id: str, *, internal: bool) -> list[dict[str, Any]]:
    """The newest 1,000 of what happened, the oldest first; without `internal` only what the customer may see."""
    return [dict(row) for row in reversed(await reads.fetch(ENTRIES, ticket_id, internal))]


async def find_followers(reads: Reads, ticket_id: str) -> list[dict[str, Any]]:
    """The tickets that follow this one."""
    return await _named(reads, "SELECT id, number FROM tickets WHERE follows = $1 ORDER BY id", ticket_id)


async def find_merged(reads: Reads, ticket_id: str) -> list[dict[str, Any]]:
    """The tickets that were merged into this one."""
    return await _named(reads, "SELECT id, number FROM tickets WHERE merged_into = $1 ORDER BY id", ticket_id)


async def _named(reads: Reads, sql: str, ticket_id: str) -> list[dict[str, Any]]:
    return [{"id": row["id"], "number": number_of(row["number"])} for row in await reads.fetch(sql, ticket_id)]


@dataclass(frozen=True, slots=True)
class Filter:
    """Which tickets a list has. `statuses`: none for all. `assignee`: an id, or an empty text for tickets of nobody.

    `mergeable`: others can be merged into them, as `refusal_of_merge` says it.
    """

    customer_id: str | None = None
    statuses: tuple[str, ...] = ()
    kind: str | None = None
    assignee: str | None = None
    q: str | None = None
    mergeable: bool = False


async def list_tickets(
    reads: Reads, asked: Filter, after: tuple[datetime, str] | None, limit: int
) -> list[dict[str, Any]]:
    """The tickets that changed last, one more than `limit` to show whether there is a next page.

    Words that many tickets have are found among those that changed last. The index of words is asked only for those
    that few tickets have, because it would give all of them before the first. It knows no parts of less than three
    letters.
    """
    if not asked.q:
        return await _list(reads, asked, after, limit, "plain")
    if asked.customer_id is not None:
        return await _list(reads, asked, after, limit, "in turn")
    found = await _list(reads, asked, after, limit, "newest")
    whole = len(found) > limit or len(asked.q.strip()) < SHORTEST
    return found if whole else await _list(reads, asked, after, limit, "by words")


async def _list(
    reads: Reads, asked: Filter, after: tuple[datetime, str] | None, limit: int, way: str
) -> list[dict[str, Any]]:
    sql, arguments = query(asked, after, limit, way)
    return [dict(row) for row in await reads.fetch(sql, *arguments)]


def query(asked: Filter, after: tuple[datetime, str] | None, limit: int, way: str) -> tuple[str, list[Any]]:
    """The statement and its parameters."""
    arguments: list[Any] = []

    def bind(value: Any, kind: str) -> str:
        arguments.append(value)
        return f"${len(arguments)}::{kind}"

    where = ["true"]
    for column, kind, value in (
        ("customer_id", "uuid", asked.customer_id), ("kind", "text", asked.kind),
        ("assignee", "uuid", asked.assignee or None),
    ):  # fmt: skip
        if value is not None:
            where.append(f"t.{column} = {bind(value, kind)}")
    if asked.assignee == "":
        where.append("t.assignee IS NULL")
    if asked.mergeable:  # one that was merged has ended
        where.append("t.kind <> 'dispute' AND t.ended_at IS NULL")
    if after is not None:
        where.append(f"(t.changed_at, t.id) < ({bind(after[0], 'timestamptz')}, {bind(after[1], 'uuid')})")
    words = _words(asked.q, bind) if asked.q else "true"
    newest, most = "ORDER BY t.changed_at DESC, t.id DESC", f"LIMIT {bind(limit + 1, 'int')}"
    chosen = " AND ".join(where)
    rows = "SELECT * FROM"

    def some(bound: str) -> str:
        """Those that changed last. Each state's by its index: one that few tickets have needs no walk through all."""
        each = [f"{chosen} AND t.status = {bind(one, 'text')}" for one in asked.statuses] or [chosen]
        parts = [f"{rows} tickets t WHERE {one} {newest} {bound}" for one in each]
        if len(parts) == 1:
            return parts[0]
        return f"{rows} ({' UNION ALL '.join(f'({one})' for one in parts)}) t {newest} {bound}"

    if way == "plain":
        found = some(most)
    elif way == "by words":
        if asked.statuses:
            chosen += f" AND t.status = ANY({bind(list(asked.statuses), 'text[]')})"
        found = f"{rows} ({rows} tickets t WHERE {words} OFFSET 0) t WHERE {chosen} {newest} {most}"
    else:
        found = f"{rows} ({some(f'LIMIT {WINDOW}' if way == 'newest' else 'OFFSET 0')}) t WHERE {words} {newest} {most}"
    return f"SELECT {SHOWN} FROM ({found}) t {BESIDE} {newest}", arguments  # noqa: S608


def _words(q: str, bind: Any) -> str:
    """A part of what was written, or the whole number."""
    plain = q.strip().lower()
    pattern = plain.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    words, digits = f"t.search LIKE {bind(f'%{pattern}%', 'text')}", plain.removeprefix("t-")
    if digits.isascii() and digits.isdigit() and len(digits) < 16:
        return f"(t.number = {bind(int(digits), 'bigint')} OR {words})"
    return words
