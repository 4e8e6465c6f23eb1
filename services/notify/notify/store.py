"""Every SQL statement of notify."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Any

import asyncpg
import orjson

from chassis.db.reads import Reads
from chassis.messaging.work import Work
from contracts import auth, invoicing, payments
from contracts.ids import is_id
from notify.domain.mails import End, Mail, Person
from notify.domain.methods import last_day, usable

# --- who is mailed

KEEP_PEOPLE = """
INSERT INTO people (id, customer_id, email, name, language, enabled)
SELECT DISTINCT ON (id) id, customer_id, email, name, language, enabled
FROM unnest($1::uuid[], $2::uuid[], $3::text[], $4::text[], $5::text[], $6::bool[]) WITH ORDINALITY
    AS p (id, customer_id, email, name, language, enabled, place)
ORDER BY id, place DESC
ON CONFLICT (id) DO UPDATE SET customer_id = excluded.customer_id, email = excluded.email, name = excluded.name,
    language = excluded.language, enabled = excluded.enabled,
    bounced_at = CASE WHEN lower(people.email) = lower(excluded.email) THEN people.bounced_at END
"""


async def keep_people(work: Work, people: Sequence[auth.ContactChanged | auth.StaffChanged]) -> None:
    rows = [
        (one.aggregate_id, getattr(one, "customer_id", None), one.email, one.name, one.language, one.enabled)
        for one in people
    ]
    await work.connection.execute(KEEP_PEOPLE, *zip(*rows, strict=True))


PERSON = "SELECT id, customer_id, email, name, language, enabled, bounced_at IS NOT NULL AS bounced FROM people"
BY_ID = f"{PERSON} WHERE id = $1"
OF_CUSTOMERS = f"{PERSON} WHERE customer_id = ANY($1::uuid[]) ORDER BY id"


async def find_person(pool: asyncpg.Pool, person_id: str) -> Person | None:
    row = await pool.fetchrow(BY_ID, person_id)
    return Person(**row) if row else None


async def contacts_of(work: Work, customers: Sequence[str]) -> list[Person]:
    return [Person(**row) for row in await work.connection.fetch(OF_CUSTOMERS, customers)]


WITHOUT_ANYBODY = """
SELECT c.id FROM customers c WHERE c.id = ANY($1::uuid[]) AND NOT c.has_email
    AND NOT EXISTS (SELECT FROM people p WHERE p.customer_id = c.id)
"""


async def without_anybody(work: Work, customer_ids: Sequence[str]) -> frozenset[str]:
    """Those of the customers who have no contact, nor an address of which one is made."""
    return frozenset(row["id"] for row in await work.connection.fetch(WITHOUT_ANYBODY, customer_ids))


STAFF = """
SELECT id FROM people WHERE lower(email) = lower($1) AND customer_id IS NULL AND enabled
UNION SELECT id FROM people WHERE id = $2 AND customer_id IS NULL AND enabled
"""


async def staff_called(work: Work, text: str) -> list[str]:
    """The company's people with this address or id; mostly one, nobody if the text is a name."""
    rows = await work.connection.fetch(STAFF, text, text if is_id(text) else None)
    return [row["id"] for row in rows]


FORGET_PEOPLE = "DELETE FROM people WHERE id = ANY($1::uuid[])"
FORGET_WISHES = "DELETE FROM unwanted WHERE person_id = ANY($1::uuid[])"
FORGET_PAYERS = "DELETE FROM payers WHERE contact_id = ANY($1::uuid[])"
FORGET_MAILS = """
UPDATE mails SET address = NULL, sealed = NULL, state = CASE state WHEN 'queued' THEN 'cancelled' ELSE state END,
    reason = CASE state WHEN 'queued' THEN 'the person was erased' ELSE reason END
WHERE person_id = ANY($1::uuid[])
"""


async def forget_people(work: Work, ids: Sequence[str]) -> None:
    """Name and address are nowhere any more. What was sent stays, without where it went."""
    for sql in (FORGET_PEOPLE, FORGET_WISHES, FORGET_PAYERS, FORGET_MAILS):
        await work.connection.execute(sql, ids)


# --- what mails name

KEEP_COMPANY = """
INSERT INTO company (id, name, logo, brand_colour, time_zone, languages, reply_address)
VALUES ($1, $2, $3, $4, $5, $6, $7)
ON CONFLICT (id) DO UPDATE SET name = excluded.name, logo = excluded.logo, brand_colour = excluded.brand_colour,
    time_zone = excluded.time_zone, languages = excluded.languages, reply_address = excluded.reply_address
"""


async def keep_company(work: Work, one: auth.CompanyChanged) -> None:
    await work.connection.execute(
        KEEP_COMPANY, one.company_id, one.name, one.logo, one.brand_colour, one.time_zone, list(one.languages),
        one.reply_address,
    )  # fmt: skip


COMPANY = "SELECT name, logo, brand_colour, time_zone, languages, reply_address FROM company WHERE id = 'company'"


async def find_company(pool: asyncpg.Pool) -> dict[str, Any] | None:
    row = await pool.fetchrow(COMPANY)
    return dict(row) if row else None


KEEP_CUSTOMERS = """
INSERT INTO customers (id, name, has_email)
SELECT DISTINCT ON (id) id, name, has_email FROM unnest($1::uuid[], $2::text[], $3::bool[]) WITH ORDINALITY
    AS c (id, name, has_email, place)
ORDER BY id, place DESC
ON CONFLICT (id) DO UPDATE SET name = excluded.name, has_email = excluded.has_email
"""


async def keep_customers(work: Work, customers: Sequence[invoicing.CustomerChanged]) -> None:
    rows = [(one.customer_id, one.name, one.email is not None) for one in customers]
    await work.connection.execute(KEEP_CUSTOMERS, *zip(*rows, strict=True))


async def forget_customers(work: Work, ids: Sequence[str]) -> None:
    await work.connection.execute("DELETE FROM customers WHERE id = ANY($1::uuid[])", ids)


KEEP_INVOICES = """
INSERT INTO invoices (id, customer_id, number, issued_on, due_on, currency, total)
SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::text[], $4::date[], $5::date[], $6::text[], $7::bigint[])
ON CONFLICT DO NOTHING
"""


async def keep_invoices(work: Work, invoices: Sequence[invoicing.InvoiceIssued]) -> None:
    rows = [
        (one.invoice_id, one.customer_id, one.number, one.issued_on, one.due_on, one.total.currency,
         one.total.amount_minor)
        for one in invoices
    ]  # fmt: skip
    await work.connection.execute(KEEP_INVOICES, *zip(*rows, strict=True))


INVOICES = """
SELECT id, number, issued_on, due_on, currency, total FROM invoices WHERE id = ANY($1::uuid[]) ORDER BY due_on, number
"""


async def find_invoices(pool: asyncpg.Pool, ids: Sequence[str]) -> list[dict[str, Any]]:
    return [dict(row) for row in await pool.fetch(INVOICES, ids)] if ids else []


KEEP_METHODS = """
INSERT INTO methods (id, customer_id, kind, is_default, usable, last_day)
SELECT DISTINCT ON (id) id, customer_id, kind, is_default, usable, last_day
FROM unnest($1::uuid[], $2::uuid[], $3::text[], $4::bool[], $5::bool[], $6::date[]) WITH ORDINALITY
    AS m (id, customer_id, kind, is_default, usable, last_day, place)
ORDER BY id, place DESC
ON CONFLICT (id) DO UPDATE SET is_default = excluded.is_default, usable = excluded.usable, last_day = excluded.last_day
"""


async def keep_methods(work: Work, methods: Sequence[Any]) -> None:
    rows = [
        (one.method_id, one.customer_id, one.kind, bool(getattr(one, "is_default", False)), usable(one), last_day(one))
        for one in methods
    ]
    await work.connection.execute(KEEP_METHODS, *zip(*rows, strict=True))


METHOD = "SELECT kind, is_default, last_day FROM methods WHERE id = $1"


async def find_method(pool: asyncpg.Pool, method_id: str | None) -> dict[str, Any]:
    row = await pool.fetchrow(METHOD, method_id) if method_id else None
    return dict(row) if row else {}


EXPIRING = """
UPDATE methods SET warned_of = last_day WHERE id IN (
    SELECT id FROM methods WHERE usable AND last_day IS NOT NULL AND warned_of IS DISTINCT FROM last_day
        AND last_day BETWEEN $1 AND $2 ORDER BY last_day LIMIT $3 FOR NO KEY UPDATE SKIP LOCKED)
RETURNING id, customer_id, last_day, is_default
"""


async def take_expiring(work: Work, today: date, until: date, most: int) -> list[dict[str, Any]]:
    """Cards that expire by then and of which nobody was warned; from now on they count as warned of."""
    return [dict(row) for row in await work.connection.fetch(EXPIRING, today, until, most)]


KEEP_PAYERS = """
INSERT INTO payers (payment_id, customer_id, contact_id)
SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::uuid[]) ON CONFLICT DO NOTHING
"""


async def keep_payers(work: Work, paid: Sequence[tuple[payments.PaymentSubmitted, str]]) -> None:
    if paid:
        rows = [(event.payment_id, event.customer_id, contact) for event, contact in paid]
        await work.connection.execute(KEEP_PAYERS, *zip(*rows, strict=True))


async def find_payers(work: Work, payment_ids: Sequence[str]) -> dict[str, str]:
    sql = "SELECT payment_id, contact_id FROM payers WHERE payment_id = ANY($1::uuid[])"
    return {row["payment_id"]: row["contact_id"] for row in await work.connection.fetch(sql, payment_ids)}


async def find_customer(pool: asyncpg.Pool, customer_id: str | None) -> str | None:
    name: str | None = await pool.fetchval("SELECT name FROM customers WHERE id = $1", customer_id)
    return name


# --- mails

ADD_UNADDRESSED = """
INSERT INTO unaddressed (customer_id, staff, occasion, until)
SELECT w.customer_id, w.staff, w.occasion, $4 FROM unnest($1::uuid[], $2::text[], $3::jsonb[])
    AS w (customer_id, staff, occasion)
LEFT JOIN customers c ON c.id = w.customer_id WHERE coalesce(c.has_email, true)
"""


async def add_unaddressed(work: Work, waiting: Sequence[tuple[str | None, str | None, str]], until: datetime) -> None:
    """Keep what has nobody to go to, unless its customer has no address of which a contact is made.

    Each is a customer or one of the company's people, and the occasion.
    """
    if waiting:
        await work.connection.execute(ADD_UNADDRESSED, *zip(*waiting, strict=True), until)


TAKE_UNADDRESSED = """
DELETE FROM unaddressed WHERE id IN (
    SELECT id FROM unaddressed u WHERE EXISTS (SELECT FROM people WHERE customer_id = u.customer_id)
        OR EXISTS (SELECT FROM people p WHERE lower(p.email) = lower(u.staff) AND p.customer_id IS NULL AND p.enabled)
        OR EXISTS (SELECT FROM people p WHERE p.customer_id IS NULL AND p.enabled
            AND p.id = CASE WHEN u.staff ~ '^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$' THEN u.staff::uuid END)
    ORDER BY id LIMIT $1 FOR UPDATE SKIP LOCKED)
RETURNING id, occasion
"""


async def take_unaddressed(work: Work, most: int) -> list[dict[str, Any]]:
    """What has somebody to go to now, in its order."""
    rows = await work.connection.fetch(TAKE_UNADDRESSED, most)
    return [orjson.loads(row["occasion"]) for row in sorted(rows, key=lambda row: row["id"])]


async def forget_unaddressed(work: Work) -> None:
    await work.connection.execute("DELETE FROM unaddressed WHERE until <= $1", work.now)


ADD_MAILS = """
INSERT INTO mails (id, cause, person_id, customer_id, kind, at_once, facts, sealed, expires_at, state, message_id, made_at)
SELECT * FROM unnest($1::uuid[], $2::text[], $3::uuid[], $4::uuid[], $5::text[], $6::bool[], $7::jsonb[], $8::text[],
    $9::timestamptz[], array_fill('queued'::text, ARRAY[cardinality($1::uuid[])]), $10::text[],
    array_fill($11::timestamptz, ARRAY[cardinality($1::uuid[])]))
ON CONFLICT (cause, person_id) DO NOTHING RETURNING id, at_once
"""


async def add_mails(work: Work, rows: Sequence[tuple[Any, ...]]) -> list[tuple[str, bool]]:
    """Those that are new: one for each cause and person, however often the cause is heard."""
    added = await work.connection.fetch(ADD_MAILS, *zip(*rows, strict=True), work.now) if rows else []
    return [(row["id"], row["at_once"]) for row in added]


MAIL = "id, place, cause, person_id, customer_id, kind, facts, sealed, expires_at, message_id, attempts, made_at"
FIND_QUEUED = f"SELECT {MAIL} FROM mails WHERE id = $1 AND state = 'queued'"  # noqa: S608


async def find_queued(pool: asyncpg.Pool, mail_id: str) -> Mail | None:
    row = await pool.fetchrow(FIND_QUEUED, mail_id)
    return Mail(**{**row, "facts": orjson.loads(row["facts"])}) if row else None


IN_TURN = """
SELECT EXISTS (SELECT FROM mails WHERE person_id = $1 AND at_once = $2 AND place < $3 AND state = 'queued'
    AND attempts = 0)
"""


async def another_comes_first(pool: asyncpg.Pool, mail: Mail, at_once: bool) -> bool:
    """Whether an earlier mail to the same person waits, unless the mail server has asked to try that one later."""
    return bool(await pool.fetchval(IN_TURN, mail.person_id, at_once, mail.place))


NEXT = """
SELECT id FROM mails WHERE person_id = $1 AND at_once = $2 AND place > $3 AND state = 'queued' AND attempts = 0
ORDER BY place LIMIT 1
"""


async def next_after(work: Work, mail: Mail, at_once: bool) -> str | None:
    """The mail to the same person that waits behind this one."""
    found: str | None = await work.connection.fetchval(NEXT, mail.person_id, at_once, mail.place)
    return found


UNWANTED = "SELECT mail_group FROM unwanted WHERE person_id = $1"


async def find_unwanted(reads: Reads, person_id: str) -> frozenset[str]:
    return frozenset(row["mail_group"] for row in await reads.fetch(UNWANTED, person_id))


SENT = """
UPDATE mails SET state = 'sent', sent_at = $2, address = $3, language = $4, subject = $5, attempts = attempts + 1,
    customer_id = $6, sealed = NULL, reason = NULL
WHERE id = $1 AND state = 'queued'
"""


async def save_sent(work: Work, mail: Mail, person: Person, language: str, subject: str) -> None:
    """An erasure that came while it was sent has cancelled it: then where it went is not kept."""
    await work.connection.execute(SENT, mail.id, work.now, person.email, language, subject, person.customer_id)


ENDED = """
UPDATE mails SET state = $2, reason = $3, attempts = attempts + $4, customer_id = coalesce($5, customer_id),
    sealed = NULL WHERE id = $1 AND state = 'queued'
"""


async def save_end(work: Work, mail: Mail, end: End, person: Person | None, *, attempted: bool) -> None:
    customer_id = person.customer_id if person else None
    await work.connection.execute(ENDED, mail.id, end.state, end.reason, int(attempted), customer_id)


BOUNCED = "UPDATE people SET bounced_at = $2 WHERE lower(email) = lower($1) AND bounced_at IS NULL"


async def mark_bounced(work: Work, address: str) -> int:
    """Mark an address of whoever has it; how many have."""
    return int((await work.connection.execute(BOUNCED, address, work.now)).split()[-1])


WORKS = """
UPDATE people SET bounced_at = NULL
WHERE bounced_at IS NOT NULL AND lower(email) = (SELECT lower(email) FROM people WHERE id = $1)
"""


async def clear_bounce(work: Work, person_id: str) -> bool:
    """Take the mark away from a person's address. False: it has none."""
    return bool(await work.connection.execute(WORKS, person_id) != "UPDATE 0")


ATTEMPTED = "UPDATE mails SET attempts = attempts + 1, reason = $2 WHERE id = $1 AND state = 'queued'"


async def save_attempt(work: Work, mail: Mail, reason: str) -> None:
    await work.connection.execute(ATTEMPTED, mail.id, reason)


# --- for people who look at mails, and for readers who want none

VIEW = """
SELECT id, kind, state, reason, customer_id, person_id, address, language, subject, message_id, attempts, resends, made_at, sent_at
FROM mails
"""


async def list_mails(
    reads: Reads, customer_id: str | None, state: str | None, before: str | None, limit: int
) -> list[dict[str, Any]]:
    """Newest first. A statement for each choice of filters, so that each has its index."""
    chosen = {"customer_id = ": customer_id, "state = ": state, "id < ": before}
    wanted = [(column, value) for column, value in chosen.items() if value is not None]
    where = " AND ".join(f"{column}${place}" for place, (column, _) in enumerate(wanted, 1))
    sql = f"{VIEW} {f'WHERE {where}' if where else ''} ORDER BY id DESC LIMIT ${len(wanted) + 1}"
    return [dict(row) for row in await reads.fetch(sql, *(value for _, value in wanted), limit)]


LOCK_VIEW = f"{VIEW} WHERE id = $1 AND ($2::uuid IS NULL OR customer_id = $2) FOR NO KEY UPDATE"


async def lock_mail(work: Work, mail_id: str, customer_id: str | None) -> dict[str, Any] | None:
    row = await work.connection.fetchrow(LOCK_VIEW, mail_id, customer_id)
    return dict(row) if row else None


AGAIN = """
UPDATE mails SET state = 'queued', reason = NULL, resends = resends + 1, attempts = 0, message_id = $2, sent_at = NULL
WHERE id = $1 AND EXISTS (SELECT FROM people WHERE id = mails.person_id)
"""


async def send_again(work: Work, mail_id: str, message_id: str) -> bool:
    """False: its person is gone."""
    return bool(await work.connection.execute(AGAIN, mail_id, message_id) != "UPDATE 0")


async def cause_of_mail(work: Work, mail_id: str) -> str:
    cause: str = await work.connection.fetchval("SELECT cause FROM mails WHERE id = $1", mail_id)
    return cause


MAIL_BOUNCED = """
UPDATE mails SET state = 'bounced', reason = 'the mail came back' WHERE message_id = $1 AND state = 'sent'
"""


async def mark_mail_bounced(work: Work, message_id: str) -> None:
    await work.connection.execute(MAIL_BOUNCED, message_id)


async def want(work: Work, person_id: str, customer_id: str | None, groups: Mapping[str, bool]) -> None:
    """Switch groups of mails on or off for one person."""
    off = [group for group, wanted in groups.items() if not wanted]
    on = [group for group, wanted in groups.items() if wanted]
    await work.connection.execute(WANTED, person_id, on)
    await work.connection.execute(NOT_WANTED, person_id, off, customer_id, work.now)


WANTED = "DELETE FROM unwanted WHERE person_id = $1 AND mail_group = ANY($2::text[])"
NOT_WANTED = """
INSERT INTO unwanted (person_id, mail_group, customer_id, since) SELECT $1, mail_group, $3, $4
FROM unnest($2::text[]) AS u (mail_group) ON CONFLICT DO NOTHING
"""
