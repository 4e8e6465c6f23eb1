"""Every SQL statement of invoicing."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

import asyncpg
import orjson

from chassis.messaging.work import HISTORY, Work, insert_history, insert_outbox
from contracts import topics
from contracts.allocation import Part
from contracts.invoicing import CreateCustomer
from contracts.money import Money
from invoicing.domain import MOST_PARTS, Book, Credit, Invoice, Reservation, Settlement

INVOICE = "id, customer_id, number, currency, state, issued_on, due_on, total, credited, settled, pending, sequence, reopened_on"


def invoice_of(row: Mapping[str, Any]) -> Invoice:
    return Invoice(*(row[name] for name in INVOICE.split(", ")))


# --- customers

ADD_CUSTOMER = """
INSERT INTO customers (id, external_id, name, email, address, account_manager, sequence, created_at)
VALUES ($1, $2, $3, $4, $5, $6, 1, $7) ON CONFLICT (external_id) DO NOTHING RETURNING id
"""
CUSTOMER = "id, external_id, name, email, address, account_manager, created_at"


async def add_customer(work: Work, customer_id: str, asked: CreateCustomer) -> bool:
    """False when the external id is taken."""
    values = (asked.external_id, asked.name, asked.email, asked.address, asked.account_manager)
    return await work.connection.fetchval(ADD_CUSTOMER, customer_id, *values, work.now) is not None


async def find_customers(
    connection: asyncpg.Connection, external_id: str | None, only: str | None, limit: int = 100
) -> list[dict[str, Any]]:
    """`only`: the identity's own customer, when it has one."""
    given = {"external_id": external_id, "id": only}
    asked = [(column, value) for column, value in given.items() if value is not None]
    where = "".join(f" AND {column} = ${place}" for place, (column, _) in enumerate(asked, 2))
    sql = f"SELECT {CUSTOMER} FROM customers WHERE true{where} ORDER BY external_id LIMIT $1"  # noqa: S608 - own constants
    return [dict(row) for row in await connection.fetch(sql, limit, *(value for _, value in asked))]


async def load_customer(connection: asyncpg.Connection, customer_id: str) -> dict[str, Any] | None:
    row = await connection.fetchrow(f"SELECT {CUSTOMER} FROM customers WHERE id = $1", customer_id)  # noqa: S608
    return dict(row) if row else None


async def resolve_customers(
    connection: asyncpg.Connection, ids: Sequence[str], external_ids: Sequence[str]
) -> tuple[set[str], dict[str, str]]:
    """The ids that are known, and ids by external id: one may be written as another's id. What is unknown is absent."""
    sql = "SELECT id, external_id FROM customers WHERE id = ANY($1::uuid[]) OR external_id = ANY($2::text[])"
    rows = await connection.fetch(sql, ids, external_ids)
    return {row["id"] for row in rows}, {row["external_id"]: row["id"] for row in rows}


# --- issuing


@dataclass(frozen=True, slots=True)
class Document:
    """What an invoice says beside its amounts."""

    lines: list[dict[str, Any]]
    taxes: list[dict[str, Any]]
    po_number: str | None
    terms: str | None
    notes: str | None

    @property
    def search(self) -> str:
        return " ".join([self.po_number or "", *(line["description"] for line in self.lines)]).lower()[:500]


ADD_INVOICES = """
WITH added AS (
    INSERT INTO invoices (id, customer_id, number, currency, state, issued_on, due_on, total, sequence, fingerprint,
        po_number, search, created_at)
    SELECT id, customer_id, number, currency, state, issued_on, due_on, total, sequence, fingerprint, po_number, search, $17
    FROM unnest($1::uuid[], $2::uuid[], $3::text[], $4::text[], $5::text[], $6::date[], $7::date[], $8::bigint[],
        $9::bigint[], $10::bytea[], $11::text[], $12::text[])
        AS i (id, customer_id, number, currency, state, issued_on, due_on, total, sequence, fingerprint, po_number, search)
    ON CONFLICT (number) DO NOTHING RETURNING id
), documented AS (
    INSERT INTO invoice_documents (invoice_id, lines, taxes, terms, notes)
    SELECT d.* FROM unnest($1::uuid[], $13::jsonb[], $14::jsonb[], $15::text[], $16::text[]) AS d (id, l, t, te, n)
    JOIN added USING (id)
)
SELECT id FROM added
"""


async def add_invoices(work: Work, new: Sequence[tuple[Invoice, Document, bytes]]) -> set[str]:
    """Insert invoices with their documents and fingerprints; the ids of those whose number was free."""
    invoices = [invoice for invoice, _, _ in new]
    documents = [document for _, document, _ in new]
    rows = await work.connection.fetch(
        ADD_INVOICES,
        [i.id for i in invoices], [i.customer_id for i in invoices], [i.number for i in invoices],
        [i.currency for i in invoices], [i.state for i in invoices], [i.issued_on for i in invoices],
        [i.due_on for i in invoices], [i.total for i in invoices], [i.sequence for i in invoices],
        [fingerprint for _, _, fingerprint in new],
        [d.po_number for d in documents], [d.search for d in documents],
        [orjson.dumps(d.lines).decode() for d in documents], [orjson.dumps(d.taxes).decode() for d in documents],
        [d.terms for d in documents], [d.notes for d in documents], work.now,
    )  # fmt: skip
    return {row["id"] for row in rows}


async def find_numbers(work: Work, numbers: Sequence[str]) -> dict[str, tuple[Invoice, bytes]]:
    """Invoices and fingerprints by number."""
    sql = f"SELECT {INVOICE}, fingerprint FROM invoices WHERE number = ANY($1::text[])"  # noqa: S608
    rows = await work.connection.fetch(sql, numbers)
    return {row["number"]: (invoice_of(row), bytes(row["fingerprint"])) for row in rows}


# --- the book: locked, decided on, saved whole

LOAD_PAYMENTS = """
SELECT w.id, r.customer_id, r.currency, r.state, r.invoice_ids, r.amounts, r.sequence, r.credit_ids, r.credit_amounts,
    s.customer_id AS s_customer, s.currency AS s_currency, s.invoice_ids AS s_invoices, s.amounts AS s_amounts,
    s.credit AS s_credit, s.effective_on, s.reversed, s.sequence AS s_sequence,
    c.id AS c_id, c.amount AS c_amount, c.balance AS c_balance, c.sequence AS c_sequence,
    c.pending AS c_pending
FROM unnest($1::uuid[]) AS w (id)
LEFT JOIN reservations r ON r.payment_id = w.id
LEFT JOIN settlements s ON s.payment_id = w.id
LEFT JOIN credits c ON c.payment_id = w.id
"""
LOAD_CREDITS = """
SELECT c.id, c.customer_id, c.payment_id, c.currency, c.amount, c.balance, c.sequence, c.pending
FROM unnest($1::uuid[], $2::text[]) AS w (customer_id, currency)
JOIN credits c ON c.customer_id = w.customer_id AND c.currency = w.currency AND c.balance > 0
"""
LOCK_INVOICES = f"SELECT {INVOICE} FROM invoices WHERE id = ANY($1::uuid[]) ORDER BY id FOR NO KEY UPDATE"  # noqa: S608
# As many of the oldest that can be paid as the money reaches, at most 1,000 a payment; their customer's row is locked, so
# they hold still.
LOAD_OLDEST = f"""
SELECT {", ".join("i." + name for name in INVOICE.split(", "))}
FROM unnest($1::uuid[], $2::text[], $3::bigint[]) AS w (customer_id, currency, amount)
CROSS JOIN LATERAL (
    SELECT o.*, sum(o.payable) OVER (ORDER BY o.due_on, o.issued_on, o.number ROWS UNBOUNDED PRECEDING) - o.payable AS before
    FROM (
        SELECT {INVOICE}, total - credited - settled - pending AS payable FROM invoices
        WHERE customer_id = w.customer_id AND currency = w.currency AND state = 'open'
            AND total - credited - settled - pending > 0
        ORDER BY due_on, issued_on, number LIMIT $4
    ) o
) i
WHERE i.before < w.amount
"""  # noqa: S608


async def lock_customers(work: Work, ids: Iterable[str]) -> None:
    """Whoever changes a customer's invoices holds its row: one lock, sorted, so that two never wait for each other."""
    sql = "SELECT FROM customers WHERE id = ANY($1::uuid[]) ORDER BY id FOR NO KEY UPDATE"
    await work.connection.execute(sql, sorted(set(ids)))


async def load_book(
    work: Work,
    *,
    payments: Sequence[str] = (),
    invoices: Iterable[str] = (),
    oldest: Mapping[tuple[str, str], int] | None = None,
    most: int = MOST_PARTS,
    credits_of: Iterable[tuple[str, str]] = (),
) -> Book:
    """Lock what decisions need. `oldest`: minor units received by customer and currency, to go to the oldest invoices,
    of which at most `most` are loaded. `credits_of`: customers and currencies whose unapplied credit is to be used.
    """
    book, wanted = Book(), set(invoices)
    if payments:
        for row in await work.connection.fetch(LOAD_PAYMENTS, sorted(set(payments))):
            wanted |= _load_payment(book, row)
        held = {credit for each in book.reservations.values() if each.state == "placed" for credit, _ in each.credits}
        if held - set(payments):  # credit of earlier payments pays with these
            for row in await work.connection.fetch(LOAD_PAYMENTS, sorted(held - set(payments))):
                _load_payment(book, row)
    using = sorted(credits_of)
    if using:
        for row in await work.connection.fetch(LOAD_CREDITS, *map(list, zip(*using, strict=True))):
            book.credits[row["payment_id"]] = Credit(*row)
    if wanted:
        for row in await work.connection.fetch(LOCK_INVOICES, sorted(wanted)):
            book.invoices[row["id"]] = invoice_of(row)
    if oldest:
        places = list(oldest)
        arguments = (
            [place[0] for place in places],
            [place[1] for place in places],
            [oldest[place] for place in places],
            most,
        )
        for row in await work.connection.fetch(LOAD_OLDEST, *arguments):
            book.invoices[row["id"]] = invoice_of(row)
    return book


def _load_payment(book: Book, row: asyncpg.Record) -> set[str]:
    """Put a payment's reservation, settlement and credit into the book; the invoices that they name."""
    payment_id, named = row["id"], set[str]()
    if row["state"]:
        parts = _parts(row["invoice_ids"], row["amounts"], row["currency"])
        book.reservations[payment_id] = Reservation(
            payment_id, row["customer_id"], row["currency"], row["state"], parts, row["sequence"],
            credits=tuple(zip(row["credit_ids"], row["credit_amounts"], strict=True)),
        )  # fmt: skip
        named |= set(row["invoice_ids"])
    if row["s_sequence"]:
        parts = _parts(row["s_invoices"], row["s_amounts"], row["s_currency"])
        book.settlements[payment_id] = Settlement(
            payment_id, row["s_customer"], parts, Money(row["s_credit"], row["s_currency"]),
            row["effective_on"], row["s_sequence"], row["reversed"],
        )  # fmt: skip
        named |= set(row["s_invoices"])
    if row["c_id"]:
        book.credits[payment_id] = Credit(
            row["c_id"],
            row["s_customer"],
            payment_id,
            row["s_currency"],
            row["c_amount"],
            row["c_balance"],
            row["c_sequence"],
            row["c_pending"],
        )
    return named


def _parts(ids: Sequence[str], amounts: Sequence[int], currency: str) -> tuple[Part, ...]:
    return tuple(Part(invoice_id, Money(minor, currency)) for invoice_id, minor in zip(ids, amounts, strict=True))


SAVE_BOOK = f"""
WITH changed AS (
    UPDATE invoices i SET state = c.state, credited = c.credited, settled = c.settled, pending = c.pending, sequence = c.sequence,
        reopened_on = c.reopened_on
    FROM unnest($1::uuid[], $2::text[], $3::bigint[], $4::bigint[], $5::bigint[], $6::bigint[], $48::date[])
        AS c (id, state, credited, settled, pending, sequence, reopened_on)
    WHERE i.id = c.id
), booked AS (
    INSERT INTO entries (invoice_id, customer_id, currency, due_on, kind, amount, effective_on, payment_id, booked_at)
    SELECT e.*, $15 FROM unnest($7::uuid[], $8::uuid[], $9::text[], $10::date[], $11::text[], $12::bigint[], $13::date[],
        $14::uuid[]) AS e
), dated AS (
    INSERT INTO owed_by_day AS d (customer_id, effective_on, currency, due_on, amount)
    SELECT customer_id, effective_on, currency, due_on, sum(amount)::bigint
    FROM unnest($8::uuid[], $13::date[], $9::text[], $10::date[], $12::bigint[])
        AS e (customer_id, effective_on, currency, due_on, amount)
    GROUP BY 1, 2, 3, 4 ORDER BY 1, 2, 3, 4
    ON CONFLICT (customer_id, effective_on, currency, due_on) DO UPDATE SET amount = d.amount + excluded.amount
), reserved AS (
    INSERT INTO reservations AS r (payment_id, customer_id, currency, state, invoice_ids, amounts, sequence, expected_by,
        credit_ids, credit_amounts)
    SELECT payment_id, customer_id, currency, state, ids::uuid[], amounts::bigint[], sequence, expected_by, credits::uuid[],
        credit_amounts::bigint[]
    FROM unnest($16::uuid[], $17::uuid[], $18::text[], $19::text[], $20::text[], $21::text[], $22::bigint[], $44::date[],
        $45::text[], $46::text[])
        AS n (payment_id, customer_id, currency, state, ids, amounts, sequence, expected_by, credits, credit_amounts)
    ON CONFLICT (payment_id) DO UPDATE SET state = excluded.state, sequence = excluded.sequence
), settled AS (
    INSERT INTO settlements AS s (payment_id, customer_id, currency, invoice_ids, amounts, credit, effective_on, reversed,
        sequence)
    SELECT payment_id, customer_id, currency, ids::uuid[], amounts::bigint[], credit, effective_on, reversed, sequence
    FROM unnest($23::uuid[], $24::uuid[], $25::text[], $26::text[], $27::text[], $28::bigint[], $29::date[], $30::bool[],
        $31::bigint[])
        AS n (payment_id, customer_id, currency, ids, amounts, credit, effective_on, reversed, sequence)
    ON CONFLICT (payment_id) DO UPDATE SET invoice_ids = excluded.invoice_ids, amounts = excluded.amounts,
        credit = excluded.credit, reversed = excluded.reversed, sequence = excluded.sequence,
        effective_on = excluded.effective_on
), credited AS (
    INSERT INTO credits AS c (id, customer_id, payment_id, currency, amount, balance, sequence, pending)
    SELECT * FROM unnest($32::uuid[], $33::uuid[], $34::uuid[], $35::text[], $36::bigint[], $37::bigint[], $38::bigint[],
        $47::bigint[])
    ON CONFLICT (id) DO UPDATE SET amount = excluded.amount, balance = excluded.balance, sequence = excluded.sequence,
        pending = excluded.pending
), credit_booked AS (
    INSERT INTO credit_entries (credit_id, customer_id, currency, amount, effective_on, booked_at)
    SELECT n.*, $15 FROM unnest($39::uuid[], $40::uuid[], $41::text[], $42::bigint[], $43::date[]) AS n
), kept AS (
    {insert_history(49, topics.INVOICE.name)}
)
{insert_outbox(49)}
"""  # noqa: S608


async def save_book(work: Work, book: Book) -> None:
    """Everything that decisions changed, and everything that was emitted, in one statement."""
    touched = sorted(book.touched)
    settlements = [book.settlements[payment_id] for payment_id in touched if payment_id in book.settlements]
    reservations = [book.reservations[payment_id] for payment_id in touched if payment_id in book.reservations]
    credits = [book.credits[payment_id] for payment_id in sorted(book.credits_touched)]
    changed = list({change.invoice.id: book.invoices[change.invoice.id] for change in book.changes}.values())
    entries = book.entries
    await work.connection.execute(
        SAVE_BOOK,
        [i.id for i in changed], [i.state for i in changed], [i.credited for i in changed],
        [i.settled for i in changed], [i.pending for i in changed], [i.sequence for i in changed],
        [e.invoice.id for e in entries], [e.invoice.customer_id for e in entries],
        [e.invoice.currency for e in entries], [e.invoice.due_on for e in entries], [e.kind for e in entries],
        [e.amount for e in entries], [e.effective_on for e in entries], [e.payment_id for e in entries], work.now,
        [r.payment_id for r in reservations], [r.customer_id for r in reservations],
        [r.currency for r in reservations], [r.state for r in reservations],
        *_part_arrays([r.parts for r in reservations]), [r.sequence for r in reservations],
        [s.payment_id for s in settlements], [s.customer_id for s in settlements],
        [s.credit.currency for s in settlements], *_part_arrays([s.parts for s in settlements]),
        [s.credit.minor for s in settlements], [s.effective_on for s in settlements],
        [s.reversed for s in settlements], [s.sequence for s in settlements],
        [c.id for c in credits], [c.customer_id for c in credits], [c.payment_id for c in credits],
        [c.currency for c in credits], [c.amount for c in credits], [c.balance for c in credits],
        [c.sequence for c in credits],
        [c.id for c, _, _ in book.credit_entries], [c.customer_id for c, _, _ in book.credit_entries],
        [c.currency for c, _, _ in book.credit_entries], [minor for _, minor, _ in book.credit_entries],
        [day for _, _, day in book.credit_entries], [r.expected_by for r in reservations],
        ["{" + ",".join(credit for credit, _ in r.credits) + "}" for r in reservations],
        ["{" + ",".join(str(minor) for _, minor in r.credits) + "}" for r in reservations],
        [c.pending for c in credits], [i.reopened_on for i in changed],
        *work.outbox_arguments(),
    )  # fmt: skip


def _part_arrays(each: Sequence[Sequence[Part]]) -> tuple[list[str], list[str]]:
    """Ids and amounts of the parts of each payment. Arrays of arrays of several lengths travel as text alone."""
    ids = ["{" + ",".join(part.invoice_id for part in parts) + "}" for parts in each]
    amounts = ["{" + ",".join(str(part.amount.minor) for part in parts) + "}" for parts in each]
    return ids, amounts


# --- reading


UNDER_WAY = """
SELECT payment_id, expected_by, (SELECT sum(a)::bigint FROM unnest(invoice_ids, amounts) AS p (id, a) WHERE p.id = $1) AS amount
FROM reservations WHERE payment_id = ANY($2::uuid[]) AND state = 'placed' ORDER BY expected_by, payment_id
"""


HEARD = "SELECT type, at, payload FROM heard WHERE about = ANY($1::uuid[]) ORDER BY id LIMIT 1000"


async def add_heard(work: Work, events: Sequence[tuple[str, datetime, str, bytes]]) -> None:
    """Events about an invoice, a payment or a customer (its id): instant, type and body."""
    sql = """INSERT INTO heard (about, at, type, payload)
        SELECT * FROM unnest($1::uuid[], $2::timestamptz[], $3::text[], $4::bytea[])"""
    await work.connection.execute(sql, *map(list, zip(*events, strict=True)))


@dataclass(frozen=True, slots=True)
class History:
    """What was told of an invoice, and heard about it, its payments and its customer's autopay; each oldest first, with
    the body of each event.

    `under_way`: the payments that hold some of it.
    """

    told: list[dict[str, Any]]
    heard: list[dict[str, Any]]
    under_way: list[dict[str, Any]]


async def load_history(connection: asyncpg.Connection, invoice_id: str, customer_id: str) -> History:
    told = [{**row, "payload": orjson.loads(row["payload"])} for row in await connection.fetch(HISTORY, invoice_id)]
    payments = sorted({event["payload"]["payment_id"] for event in told if event["payload"].get("payment_id")})
    rows = await connection.fetch(HEARD, [invoice_id, customer_id, *payments])
    heard = [{**row, "payload": orjson.loads(row["payload"])} for row in rows]
    return History(told, heard, [dict(row) for row in await connection.fetch(UNDER_WAY, invoice_id, payments)])


async def load_invoice(connection: asyncpg.Connection, invoice_id: str, only: str | None) -> dict[str, Any] | None:
    """One invoice with its document, when it is the identity's to see."""
    sql = f"""SELECT {INVOICE}, po_number, created_at, lines, taxes, terms, notes FROM invoices
        JOIN invoice_documents ON invoice_id = id
        WHERE id = $1 AND ($2::uuid IS NULL OR (customer_id = $2 AND state <> 'draft'))"""  # noqa: S608
    row = await connection.fetchrow(sql, invoice_id, only)
    return dict(row) if row else None


TABS = {
    "all": "true",
    "open": "state = 'open' AND total - credited - settled > pending",
    "in_progress": "state = 'open' AND pending > 0 AND total - credited - settled = pending",
    "paid": "state = 'paid'",
}
STATUSES = {"unpaid": "state = 'open'", "overdue": "state = 'open' AND due_on < {today}", "paid": "state = 'paid'"}
SORTS = {"issued_on": "issued_on", "due_on": "due_on", "number": "number"}


@dataclass(frozen=True, slots=True)
class Page:
    """What a list asks for. `sort` is a column with `-` for descending; `after` is the last row's value and id."""

    customer_id: str | None
    tab: str
    status: str | None
    q: str | None
    sort: str
    limit: int
    after: tuple[Any, str] | None
    drafts: bool


async def list_invoices(connection: asyncpg.Connection, page: Page, today: date) -> list[dict[str, Any]]:
    """One more than `limit`, to tell whether a next page exists."""
    arguments: list[Any] = []

    def bind(value: Any, kind: str) -> str:
        arguments.append(value)
        return f"${len(arguments)}::{kind}"

    where = [TABS[page.tab]]
    if not page.drafts:
        where.append("state <> 'draft'")
    if page.customer_id:
        where.append(f"customer_id = {bind(page.customer_id, 'uuid')}")
    if page.status:
        where.append(STATUSES[page.status].format(today=bind(today, "date") if page.status == "overdue" else ""))
    if page.q:
        where.append(_matches(page.q, bind, everywhere=page.customer_id is not None))
    column, way = SORTS[page.sort.lstrip("-")], "DESC" if page.sort.startswith("-") else "ASC"
    if page.after:
        kind = "text" if column == "number" else "date"
        sign = "<" if way == "DESC" else ">"
        where.append(f"({column}, id) {sign} ({bind(page.after[0], kind)}, {bind(page.after[1], 'uuid')})")
    sql = f"""SELECT {INVOICE}, po_number FROM invoices WHERE {" AND ".join(where)}
        ORDER BY {column} {way}, id {way} LIMIT {bind(page.limit + 1, "int")}"""  # noqa: S608
    return [dict(row) for row in await connection.fetch(sql, *arguments)]


LAST_CHARACTER = "\U0010ffff"


def _matches(q: str, bind: Any, *, everywhere: bool) -> str:
    """Number, PO, amount and text of a customer's invoices; over all customers, numbers that begin so."""
    pattern = q.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    if not everywhere:
        # As a range, since a plan for any pattern can't know that this one has a beginning.
        return f"number ~>=~ {bind(q, 'text')} AND number ~<~ {bind(q + LAST_CHARACTER, 'text')}"
    like = bind(f"%{pattern.lower()}%", "text")
    digits = q.replace(".", "").replace(",", "")
    amount = (
        f" OR total = {bind(int(digits), 'bigint')}"
        if digits.isascii() and digits.isdigit() and len(digits) < 16
        else ""
    )
    return f"(lower(number) LIKE {like} OR search LIKE {like}{amount})"


AGING = """
WITH aged AS (
    SELECT currency, sum(amount) AS outstanding,
        coalesce(sum(amount) FILTER (WHERE $2::date - due_on <= 0), 0) AS amount_due,
        coalesce(sum(amount) FILTER (WHERE $2::date - due_on BETWEEN 1 AND 30), 0) AS days_0_30,
        coalesce(sum(amount) FILTER (WHERE $2::date - due_on BETWEEN 31 AND 60), 0) AS days_31_60,
        coalesce(sum(amount) FILTER (WHERE $2::date - due_on BETWEEN 61 AND 90), 0) AS days_61_90,
        coalesce(sum(amount) FILTER (WHERE $2::date - due_on >= 91), 0) AS over_90
    FROM owed_by_day WHERE customer_id = $1 AND effective_on <= $2 GROUP BY currency
), credited AS (
    SELECT currency, sum(amount) AS credits FROM credit_entries
    WHERE customer_id = $1 AND effective_on <= $2 GROUP BY currency
)
SELECT currency, coalesce(outstanding, 0)::bigint AS outstanding_minor, coalesce(amount_due, 0)::bigint AS amount_due_minor,
    coalesce(days_0_30, 0)::bigint AS days_0_30_minor, coalesce(days_31_60, 0)::bigint AS days_31_60_minor,
    coalesce(days_61_90, 0)::bigint AS days_61_90_minor, coalesce(over_90, 0)::bigint AS over_90_minor,
    coalesce(credits, 0)::bigint AS credits_minor,
    (coalesce(outstanding, 0) - coalesce(credits, 0))::bigint AS balance_due_minor
FROM aged FULL JOIN credited USING (currency) ORDER BY currency
"""


async def aging(connection: asyncpg.Connection, customer_id: str, as_of: date) -> list[dict[str, Any]]:
    """Minor units per currency by days past due on a day; an entry for each currency booked by then."""
    return [dict(row) for row in await connection.fetch(AGING, customer_id, as_of)]
