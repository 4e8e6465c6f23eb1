"""Every SQL statement of payments."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

import asyncpg

from chassis.http.idempotency import STORED, Key
from chassis.messaging.consume import Received
from chassis.messaging.work import Work, insert_outbox
from contracts.allocation import Part
from contracts.invoicing import AllocatedPart, InvoiceState
from contracts.money import Money
from payments.domain import Attempt, Method, OpenInvoice, Payment, Posting, Quote, Step

# --- projections


async def keep_customers(work: Work, ids: Sequence[str]) -> None:
    sql = "INSERT INTO customers (id, sequence) SELECT id, 1 FROM unnest($1::uuid[]) AS c (id) ON CONFLICT DO NOTHING"
    await work.connection.execute(sql, ids)


KEEP_INVOICES = """
INSERT INTO invoices AS i (id, customer_id, number, status, currency, issued_on, due_on, balance, payable_now, sequence)
SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::text[], $4::text[], $5::text[], $6::date[], $7::date[], $8::bigint[],
    $9::bigint[], $10::bigint[])
ON CONFLICT (id) DO UPDATE SET status = excluded.status, balance = excluded.balance, payable_now = excluded.payable_now,
    sequence = excluded.sequence
WHERE i.sequence < excluded.sequence
"""


async def keep_invoices(work: Work, events: Sequence[Received[InvoiceState]]) -> None:
    """Each invoice as its newest event says."""
    newest = {received.event.invoice_id: received for received in events}
    rows = [newest[invoice_id] for invoice_id in sorted(newest)]
    states = [row.event for row in rows]
    await work.connection.execute(
        KEEP_INVOICES,
        [s.invoice_id for s in states], [s.customer_id for s in states], [s.number for s in states],
        [s.status for s in states], [s.total.currency for s in states], [s.issued_on for s in states],
        [s.due_on for s in states], [s.balance.amount_minor for s in states],
        [s.payable_now.amount_minor for s in states], [row.sequence for row in rows],
    )  # fmt: skip


INVOICE = "id, customer_id, number, status, currency, due_on, payable_now"


async def load_invoices(connection: asyncpg.Connection, ids: Sequence[str]) -> dict[str, OpenInvoice]:
    sql = f"SELECT {INVOICE} FROM invoices WHERE id = ANY($1::uuid[])"  # noqa: S608
    return {row["id"]: OpenInvoice(*row.values()) for row in await connection.fetch(sql, ids)}


async def seen_sequence(connection: asyncpg.Connection, invoice_id: str) -> int:
    """How far the projection of an invoice, or the knowledge of a customer, has come."""
    sql = "SELECT sequence FROM invoices WHERE id = $1 UNION ALL SELECT sequence FROM customers WHERE id = $1 LIMIT 1"
    found: int | None = await connection.fetchval(sql, invoice_id)
    return found or 0


# --- methods

METHOD = "id, customer_id, provider_id, kind, funding, brand, last4"
METHOD_WIDTH = 7


async def customer_known(connection: asyncpg.Connection, customer_id: str) -> bool:
    return bool(await connection.fetchval("SELECT true FROM customers WHERE id = $1", customer_id))


async def find_provider_customer(connection: asyncpg.Connection, customer_id: str) -> str | None:
    sql = "SELECT provider_id FROM provider_customers WHERE customer_id = $1"
    found: str | None = await connection.fetchval(sql, customer_id)
    return found


async def keep_provider_customer(connection: asyncpg.Connection, customer_id: str, provider_id: str) -> None:
    sql = "INSERT INTO provider_customers (customer_id, provider_id) VALUES ($1, $2) ON CONFLICT DO NOTHING"
    await connection.execute(sql, customer_id, provider_id)


async def add_method(work: Work, method: Method) -> None:
    sql = f"INSERT INTO methods ({METHOD}, terms_accepted_at, created_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $8)"  # noqa: S608
    values = (
        method.id,
        method.customer_id,
        method.provider_id,
        method.kind,
        method.funding,
        method.brand,
        method.last4,
    )
    await work.connection.execute(sql, *values, work.now)


async def list_methods(connection: asyncpg.Connection, customer_id: str) -> list[Method]:
    sql = f"SELECT {METHOD} FROM methods WHERE customer_id = $1 ORDER BY created_at LIMIT 100"  # noqa: S608
    return [Method(*row.values()) for row in await connection.fetch(sql, customer_id)]


async def load_method(connection: asyncpg.Connection, method_id: str, customer_id: str) -> Method | None:
    sql = f"SELECT {METHOD} FROM methods WHERE id = $1 AND customer_id = $2"  # noqa: S608
    row = await connection.fetchrow(sql, method_id, customer_id)
    return Method(*row.values()) if row else None


async def load_wished(
    connection: asyncpg.Connection, method_id: str, customer_id: str, invoice_ids: Sequence[str]
) -> tuple[Method | None, dict[str, OpenInvoice]]:
    """The customer's method, and those of the invoices that are known, in one round trip."""
    sql = f"""SELECT {_of("m", METHOD)}, {_of("i", INVOICE)} FROM methods m
        LEFT JOIN invoices i ON i.id = ANY($3::uuid[]) WHERE m.id = $1 AND m.customer_id = $2"""  # noqa: S608
    rows = await connection.fetch(sql, method_id, customer_id, invoice_ids)
    return (Method(*tuple(rows[0])[:METHOD_WIDTH]) if rows else None), _invoices_of(rows, METHOD_WIDTH)


def _of(table: str, columns: str) -> str:
    return ", ".join(f"{table}.{name}" for name in columns.split(", "))


def _invoices_of(rows: Sequence[asyncpg.Record], first: int) -> dict[str, OpenInvoice]:
    """Invoices that stand at the end of joined rows, from the column `first` on."""
    found = (OpenInvoice(*tuple(row)[first:]) for row in rows if row[first] is not None)
    return {invoice.id: invoice for invoice in found}


# --- quotes


async def add_quote(work: Work, quote: Quote) -> None:
    await work.connection.execute(
        """INSERT INTO quotes (id, customer_id, method_id, currency, amount, surcharge, invoice_ids, amounts, whole,
            expires_at, created_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)""",
        quote.id, quote.customer_id, quote.method_id, quote.amount.currency, quote.amount.minor, quote.surcharge.minor,
        [part.invoice_id for part in quote.parts], [part.amount.minor for part in quote.parts], list(quote.whole),
        quote.expires_at, work.now,
    )  # fmt: skip


QUOTE = "id, customer_id, method_id, currency, amount, surcharge, invoice_ids, amounts, whole, expires_at, payment_id"
QUOTE_WIDTH = 11
STORED_WIDTH = 4


@dataclass(frozen=True, slots=True)
class Confirming:
    """What the confirmation of a quote looks at; `stored` is the answer under its Idempotency-Key."""

    quote: Quote
    stored: Mapping[str, Any] | None
    method: Method
    invoices: dict[str, OpenInvoice]


async def load_confirming(
    connection: asyncpg.Connection, quote_id: str, only: str | None, route: str, key: str
) -> Confirming | None:
    """All of it in one round trip, when the quote is the identity's to confirm."""
    sql = f"""SELECT {_of("q", QUOTE)}, {_of("k", STORED)}, {_of("m", METHOD)}, {_of("i", INVOICE)} FROM quotes q
        JOIN methods m ON m.id = q.method_id AND m.customer_id = q.customer_id
        LEFT JOIN idempotency_keys k ON k.customer = q.customer_id::text AND k.route = $3 AND k.key = $4
        LEFT JOIN invoices i ON i.id = ANY(q.invoice_ids)
        WHERE q.id = $1 AND ($2::uuid IS NULL OR q.customer_id = $2)"""  # noqa: S608
    rows = await connection.fetch(sql, quote_id, only, route, key)
    if not rows:
        return None
    values = tuple(rows[0])
    q = dict(zip(QUOTE.split(", "), values, strict=False))
    currency = q["currency"]
    quote = Quote(
        q["id"], q["customer_id"], q["method_id"], Money(q["amount"], currency), Money(q["surcharge"], currency),
        _parts(q["invoice_ids"], q["amounts"], currency), tuple(q["whole"]), q["expires_at"], q["payment_id"],
    )  # fmt: skip
    after_key = QUOTE_WIDTH + STORED_WIDTH
    stored = dict(zip(STORED.split(", "), values[QUOTE_WIDTH:after_key], strict=True))  # an invoice has a status too
    method = Method(*values[after_key : after_key + METHOD_WIDTH])
    return Confirming(
        quote, stored if stored["fingerprint"] else None, method, _invoices_of(rows, after_key + METHOD_WIDTH)
    )


def _parts(ids: Sequence[str], amounts: Sequence[int], currency: str) -> tuple[Part, ...]:
    return tuple(Part(invoice_id, Money(minor, currency)) for invoice_id, minor in zip(ids, amounts, strict=True))


# --- payments

ATTEMPT = "id, payment_id, provider_customer, provider_method, amount, currency, begun_at, calls"
PAYMENT = """id, customer_id, way, status, reconciliation, reason, currency, amount, surcharge, asked_invoices, asked_amounts,
    method_id, quote_id, received_on, reference, effective_on, expected_by, allocated_invoices, allocated_amounts, credit,
    reversed, provider_id, sequence, polls, next_poll_at, created_at"""


def payment_of(row: Mapping[str, Any]) -> Payment:
    currency = row["currency"]
    return Payment(
        id=row["id"], customer_id=row["customer_id"], way=row["way"], status=row["status"],
        reconciliation=row["reconciliation"], reason=row["reason"], amount=Money(row["amount"], currency),
        surcharge=Money(row["surcharge"], currency),
        asked=_parts(row["asked_invoices"], row["asked_amounts"], currency), created_at=row["created_at"],
        method_id=row["method_id"], quote_id=row["quote_id"], received_on=row["received_on"], reference=row["reference"],
        effective_on=row["effective_on"], expected_by=row["expected_by"],
        allocations=_parts(row["allocated_invoices"], row["allocated_amounts"], currency), credit=row["credit"],
        reversed=row["reversed"], provider_id=row["provider_id"], sequence=row["sequence"], polls=row["polls"],
        next_poll_at=row["next_poll_at"],
    )  # fmt: skip


async def load_payment(connection: asyncpg.Connection, payment_id: str, only: str | None) -> Payment | None:
    sql = f"SELECT {PAYMENT} FROM payments WHERE id = $1 AND ($2::uuid IS NULL OR customer_id = $2)"  # noqa: S608
    row = await connection.fetchrow(sql, payment_id, only)
    return payment_of(row) if row else None


async def lock_payment(work: Work, payment_id: str) -> Payment | None:
    row = await work.connection.fetchrow(f"SELECT {PAYMENT} FROM payments WHERE id = $1 FOR NO KEY UPDATE", payment_id)  # noqa: S608
    return payment_of(row) if row else None


LOCK_PAYMENTS = f"""
SELECT {", ".join("p." + name.strip() for name in PAYMENT.split(","))}, a.id AS attempt FROM payments p
LEFT JOIN attempts a ON a.payment_id = p.id AND a.id = ANY($1::uuid[])
WHERE p.id = ANY($2::uuid[] || ARRAY(SELECT payment_id FROM attempts WHERE id = ANY($1::uuid[])))
ORDER BY p.id FOR NO KEY UPDATE OF p
"""  # noqa: S608


async def lock_payments(
    work: Work, *, attempts: Iterable[str] = (), payments: Iterable[str] = ()
) -> tuple[dict[str, Payment], dict[str, str]]:
    """Payments by id, locked in order, and the payment's id of each attempt."""
    rows = await work.connection.fetch(LOCK_PAYMENTS, sorted(set(attempts)), sorted(set(payments)))
    of_attempts = {row["attempt"]: row["id"] for row in rows if row["attempt"] is not None}
    return {row["id"]: payment_of(row) for row in rows}, of_attempts


LOAD_CHARGEABLE = f"""
SELECT {", ".join("p." + name.strip() for name in PAYMENT.split(","))}, m.provider_id AS method, c.provider_id AS whose
FROM payments p LEFT JOIN methods m ON m.id = p.method_id AND m.customer_id = p.customer_id
LEFT JOIN provider_customers c ON c.customer_id = p.customer_id
WHERE p.id = ANY($1::uuid[])
"""  # noqa: S608


@dataclass(frozen=True, slots=True)
class Chargeable:
    """A payment with the provider's ids of its method and of its customer."""

    payment: Payment
    provider_method: str | None
    provider_customer: str | None


async def load_chargeable(work: Work, payment_ids: Sequence[str]) -> dict[str, Chargeable]:
    rows = await work.connection.fetch(LOAD_CHARGEABLE, payment_ids)
    return {row["id"]: Chargeable(payment_of(row), row["method"], row["whose"]) for row in rows}


# New payments, their bookings, their events and the answers under their Idempotency-Keys: one statement, one round trip.
# A payment is left out when its quote was used meanwhile, or when its customer, or one of the invoices asked for, is not
# known here as the customer's and in the currency. Keys that have an answer fail the statement.
ADD_PAYMENTS = f"""
WITH known AS (
    SELECT n.*, asked_ids::uuid[] AS asked_invoices FROM unnest($1::uuid[], $2::uuid[], $3::text[], $4::text[], $5::text[],
        $6::text[], $7::text[], $8::bigint[], $9::bigint[], $10::text[], $11::text[], $12::uuid[], $13::uuid[], $14::date[],
        $15::text[], $16::date[], $17::date[], $18::text[], $19::text[], $20::bigint[], $21::timestamptz[])
        AS n (id, customer_id, way, status, reconciliation, reason, currency, amount, surcharge, asked_ids, asked_amounts,
            method_id, quote_id, received_on, reference, effective_on, expected_by, allocated_ids, allocated_amounts,
            sequence, created_at)
    WHERE EXISTS (SELECT FROM customers c WHERE c.id = n.customer_id) AND cardinality(n.asked_ids::uuid[]) = (
        SELECT count(*) FROM invoices i
        WHERE i.id = ANY(n.asked_ids::uuid[]) AND i.customer_id = n.customer_id AND i.currency = n.currency)
), used AS (
    UPDATE quotes q SET payment_id = known.id FROM known WHERE q.id = known.quote_id AND q.payment_id IS NULL
    RETURNING q.payment_id
), paid AS (
    INSERT INTO payments (id, customer_id, way, status, reconciliation, reason, currency, amount, surcharge, asked_invoices,
        asked_amounts, method_id, quote_id, received_on, reference, effective_on, expected_by, allocated_invoices,
        allocated_amounts, sequence, created_at)
    SELECT id, customer_id, way, status, reconciliation, reason, currency, amount, surcharge, asked_invoices,
        asked_amounts::bigint[], method_id, quote_id, received_on, reference, effective_on, expected_by,
        allocated_ids::uuid[], allocated_amounts::bigint[], sequence, created_at
    FROM known WHERE quote_id IS NULL OR id IN (SELECT payment_id FROM used)
    RETURNING id
), booked AS (
    INSERT INTO ledger_transactions (id, payment_id, kind, effective_on, booked_at)
    SELECT b.id, b.payment_id, b.kind, b.effective_on, $22
    FROM unnest($23::uuid[], $24::uuid[], $25::text[], $26::date[]) AS b (id, payment_id, kind, effective_on)
    WHERE b.payment_id IN (SELECT id FROM paid)
), entered AS (
    INSERT INTO ledger_entries (transaction_id, account, customer_id, currency, amount)
    SELECT e.transaction_id, e.account, e.customer_id, e.currency, e.amount
    FROM unnest($27::uuid[], $28::uuid[], $29::text[], $30::uuid[], $31::text[], $32::bigint[])
        AS e (payment_id, transaction_id, account, customer_id, currency, amount)
    WHERE e.payment_id IN (SELECT id FROM paid)
), answered AS (
    INSERT INTO idempotency_keys (customer, route, key, fingerprint, status, body, seen, created_at)
    SELECT a.customer, a.route, a.key, a.fingerprint, a.status, a.body, a.seen, $22
    FROM unnest($1::uuid[], $33::text[], $34::text[], $35::text[], $36::bytea[], $37::int[], $38::bytea[], $39::text[])
        AS a (payment_id, customer, route, key, fingerprint, status, body, seen)
    WHERE a.payment_id IN (SELECT id FROM paid)
), said AS (
    {insert_outbox(40)} WHERE aggregate IN (SELECT id::text FROM paid)
)
SELECT id FROM paid
"""  # noqa: S608


@dataclass(frozen=True, slots=True)
class Answer:
    """What is stored under an Idempotency-Key."""

    status: int
    body: bytes
    seen: str


@dataclass(frozen=True, slots=True)
class NewPayment:
    """A payment to be saved with the answer that its request gets."""

    step: Step
    key: Key
    answer: Answer


async def add_payments(work: Work, new: Sequence[NewPayment]) -> set[str]:
    """Save payments with what was emitted for them; the ids of those whose quote was free and whose names are known.

    UniqueViolationError of `idempotency_keys` when a key has an answer already; then nothing is written.
    """
    payments = [each.step.payment for each in new]
    postings = [each.step.posting for each in new if each.step.posting]
    entries = [(each, account, money) for each in postings for account, money in each.entries]
    rows = await work.connection.fetch(
        ADD_PAYMENTS,
        [p.id for p in payments], [p.customer_id for p in payments], [p.way for p in payments],
        [p.status for p in payments], [p.reconciliation for p in payments], [p.reason for p in payments],
        [p.amount.currency for p in payments], [p.amount.minor for p in payments],
        [p.surcharge.minor for p in payments], *_part_arrays([p.asked for p in payments]),
        [p.method_id for p in payments], [p.quote_id for p in payments], [p.received_on for p in payments],
        [p.reference for p in payments], [p.effective_on for p in payments], [p.expected_by for p in payments],
        *_part_arrays([p.allocations for p in payments]), [p.sequence for p in payments],
        [p.created_at for p in payments], work.now,
        [each.id for each in postings], [each.payment_id for each in postings], [each.kind for each in postings],
        [each.effective_on for each in postings],
        [each.payment_id for each, _, _ in entries], *_entry_arrays(entries),
        [each.key.customer for each in new], [each.key.route for each in new], [each.key.key for each in new],
        [each.key.fingerprint for each in new], [each.answer.status for each in new],
        [each.answer.body for each in new], [each.answer.seen for each in new],
        *work.outbox_arguments(),
    )  # fmt: skip
    return {row["id"] for row in rows}


def _part_arrays(each: Sequence[Sequence[Part]]) -> tuple[list[str], list[str]]:
    """Ids and amounts of the parts of each payment. Arrays of arrays of several lengths travel as text alone."""
    ids = ["{" + ",".join(part.invoice_id for part in parts) + "}" for parts in each]
    amounts = ["{" + ",".join(str(part.amount.minor) for part in parts) + "}" for parts in each]
    return ids, amounts


def _entry_arrays(entries: Sequence[tuple[Posting, str, Money]]) -> tuple[list[Any], ...]:
    """Transaction, account, customer, currency and minor units of ledger entries."""
    return (
        [posting.id for posting, _, _ in entries],
        [account for _, account, _ in entries],
        [posting.customer_id for posting, _, _ in entries],
        [money.currency for _, _, money in entries],
        [money.minor for _, _, money in entries],
    )


# Payments as their last steps leave them, every booking, calls to the provider that end or begin, the provider's events
# that led here, and the events that go out: one statement. A reversal names the transaction that it takes back.
SAVE_STEPS = f"""
WITH changed AS (
    UPDATE payments p SET status = s.status, reconciliation = s.reconciliation, reason = s.reason,
        effective_on = s.effective_on, expected_by = s.expected_by, allocated_invoices = s.ids::uuid[],
        allocated_amounts = s.amounts::bigint[], credit = s.credit, reversed = s.reversed, provider_id = s.provider_id,
        sequence = s.sequence, polls = s.polls, next_poll_at = s.next_poll_at
    FROM unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::date[], $6::date[], $7::text[], $8::text[],
        $9::bigint[], $10::bigint[], $11::text[], $12::bigint[], $13::int[], $14::timestamptz[])
        AS s (id, status, reconciliation, reason, effective_on, expected_by, ids, amounts, credit, reversed, provider_id,
            sequence, polls, next_poll_at)
    WHERE p.id = s.id
), booked AS (
    INSERT INTO ledger_transactions (id, payment_id, kind, effective_on, booked_at, reverses_id)
    SELECT b.id, b.payment_id, b.kind, b.effective_on, $15, coalesce(b.reverses_id, CASE WHEN b.kind = 'reversal' THEN
        (SELECT o.id FROM ledger_transactions o WHERE o.payment_id = b.payment_id AND o.kind IN ('charge', 'receipt')) END)
    FROM unnest($16::uuid[], $17::uuid[], $18::text[], $19::date[], $20::uuid[])
        AS b (id, payment_id, kind, effective_on, reverses_id)
), entered AS (
    INSERT INTO ledger_entries (transaction_id, account, customer_id, currency, amount)
    SELECT * FROM unnest($21::uuid[], $22::text[], $23::uuid[], $24::text[], $25::bigint[])
), ended AS (
    UPDATE attempts SET state = 'answered' WHERE payment_id = ANY($26::uuid[]) AND state = 'begun'
), begun AS (
    INSERT INTO attempts ({ATTEMPT}, state, call_after)
    SELECT a.*, 0, 'begun', now() FROM unnest($27::uuid[], $28::uuid[], $29::text[], $30::text[], $31::bigint[],
        $32::text[], $33::timestamptz[]) AS a
), noted AS (
    INSERT INTO provider_events (id, kind, occurred_at, received_at)
    SELECT n.*, $15 FROM unnest($34::text[], $35::text[], $36::timestamptz[]) AS n ORDER BY 1 ON CONFLICT DO NOTHING
)
{insert_outbox(37)}
"""  # noqa: S608


async def save_steps(
    work: Work,
    steps: Sequence[Step],
    *,
    attempts: Sequence[Attempt] = (),
    events: Sequence[tuple[str, str, datetime]] = (),
) -> None:
    """Save all that follows from steps, with what was emitted. Once the provider's answer is known, no call is due.

    `attempts`: calls that begin; `events`: id, kind and instant of the provider's events that were taken.
    """
    last = {step.payment.id: step.payment for step in steps}
    payments = [last[payment_id] for payment_id in sorted(last)]
    postings = [step.posting for step in steps if step.posting]
    entries = [(each, account, money) for each in postings for account, money in each.entries]
    charged = {each.payment_id: each.id for each in postings if each.kind != "reversal"}
    await work.connection.execute(
        SAVE_STEPS,
        [p.id for p in payments], [p.status for p in payments], [p.reconciliation for p in payments],
        [p.reason for p in payments], [p.effective_on for p in payments], [p.expected_by for p in payments],
        *_part_arrays([p.allocations for p in payments]), [p.credit for p in payments], [p.reversed for p in payments], [p.provider_id for p in payments],
        [p.sequence for p in payments], [p.polls for p in payments], [p.next_poll_at for p in payments], work.now,
        [each.id for each in postings], [each.payment_id for each in postings], [each.kind for each in postings],
        [each.effective_on for each in postings],
        [charged.get(each.payment_id) if each.kind == "reversal" else None for each in postings],
        *_entry_arrays(entries),
        [p.id for p in payments if p.final or p.status == "processing"],
        [a.id for a in attempts], [a.payment_id for a in attempts], [a.provider_customer for a in attempts],
        [a.provider_method for a in attempts], [a.amount.minor for a in attempts],
        [a.amount.currency for a in attempts], [a.begun_at for a in attempts],
        [event[0] for event in events], [event[1] for event in events], [event[2] for event in events],
        *work.outbox_arguments(),
    )  # fmt: skip


SETTLED = """
UPDATE payments p SET allocated_invoices = s.ids::uuid[], allocated_amounts = s.amounts::bigint[], credit = s.credit
FROM unnest($1::uuid[], $2::text[], $3::text[], $4::bigint[]) AS s (id, ids, amounts, credit) WHERE p.id = s.id
"""


async def keep_allocations(work: Work, settled: Sequence[tuple[str, Sequence[AllocatedPart], int]]) -> None:
    """What invoicing made of payments: the parts of each and its credit."""
    newest = {payment_id: (parts, credit) for payment_id, parts, credit in settled}
    ids = sorted(newest)
    await work.connection.execute(
        SETTLED,
        ids,
        ["{" + ",".join(part.invoice_id for part in newest[i][0]) + "}" for i in ids],
        ["{" + ",".join(str(part.amount.amount_minor) for part in newest[i][0]) + "}" for i in ids],
        [newest[i][1] for i in ids],
    )


async def load_names(
    connection: asyncpg.Connection, customer_id: str, invoice_ids: Sequence[str]
) -> tuple[bool, dict[str, str]]:
    """Whether the customer is known, and the currencies of those of the invoices that are its own."""
    sql = "SELECT id, currency FROM invoices WHERE id = ANY($2::uuid[]) AND customer_id = $1"
    rows = await connection.fetch(sql, customer_id, invoice_ids)
    return bool(rows) or await customer_known(connection, customer_id), {row["id"]: row["currency"] for row in rows}


# --- calls to the provider


def attempt_of(row: Mapping[str, Any]) -> Attempt:
    money = Money(row["amount"], row["currency"])
    return Attempt(
        row["id"],
        row["payment_id"],
        row["provider_customer"],
        row["provider_method"],
        money,
        row["begun_at"],
        row["calls"],
    )


CLAIM_ATTEMPTS = f"""
UPDATE attempts SET calls = calls + 1, call_after = now() + interval '15 seconds'
WHERE id IN (
    SELECT id FROM attempts WHERE state = 'begun' AND call_after <= now() ORDER BY call_after LIMIT $1 FOR UPDATE SKIP LOCKED
)
RETURNING {ATTEMPT}
"""  # noqa: S608


async def claim_attempts(connection: asyncpg.Connection, limit: int) -> list[Attempt]:
    """Calls that are due, leased for 15 s of real time (a call lasts 10 at most): one that dies leaves it to the next."""
    return [attempt_of(row) for row in await connection.fetch(CLAIM_ATTEMPTS, limit)]


async def call_again(work: Work, attempt_id: str, after: timedelta) -> None:
    """Put a call off by real time."""
    await work.connection.execute(
        "UPDATE attempts SET call_after = now() + $2 WHERE id = $1 AND state = 'begun'", attempt_id, after
    )


async def load_attempt(connection: asyncpg.Connection, payment_id: str) -> Attempt | None:
    sql = f"SELECT {ATTEMPT} FROM attempts WHERE payment_id = $1 ORDER BY begun_at DESC LIMIT 1"  # noqa: S608
    row = await connection.fetchrow(sql, payment_id)
    return attempt_of(row) if row else None


async def payments_to_poll(connection: asyncpg.Connection, now: datetime, limit: int) -> list[tuple[str, str]]:
    """Payment and provider ids whose record is to be asked."""
    sql = """SELECT id, provider_id FROM payments WHERE next_poll_at <= $1 AND provider_id IS NOT NULL
        ORDER BY next_poll_at LIMIT $2"""
    return [(row["id"], row["provider_id"]) for row in await connection.fetch(sql, now, limit)]


async def payments_overdue(connection: asyncpg.Connection, today: date, limit: int) -> list[str]:
    sql = "SELECT id FROM payments WHERE reconciliation = 'waiting' AND expected_by < $1 ORDER BY expected_by LIMIT $2"
    return [row["id"] for row in await connection.fetch(sql, today, limit)]


async def events_known(connection: asyncpg.Connection, ids: Sequence[str]) -> set[str]:
    """Those of the provider's events that were taken before."""
    rows = await connection.fetch("SELECT id FROM provider_events WHERE id = ANY($1::text[])", ids)
    return {row["id"] for row in rows}


async def load_cursor(connection: asyncpg.Connection) -> str | None:
    found: str | None = await connection.fetchval("SELECT cursor FROM provider_cursor")
    return found


async def save_cursor(connection: asyncpg.Connection, cursor: str) -> None:
    sql = "INSERT INTO provider_cursor (cursor) VALUES ($1) ON CONFLICT (one) DO UPDATE SET cursor = excluded.cursor"
    await connection.execute(sql, cursor)
