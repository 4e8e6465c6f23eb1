"""Payments, their postings in the ledger, and the one statement that saves each decision."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import asyncpg
import orjson

from chassis.db.reads import Reads
from chassis.http.idempotency import Key
from chassis.messaging.work import Work, insert_history, insert_outbox
from contracts import topics
from contracts.allocation import Part
from contracts.invoicing import AllocatedPart
from contracts.money import Money
from contracts.payments import FINAL
from payments import ledger
from payments.collecting.domain.payments import Attempt, Payment, Step
from payments.collecting.domain.quotes import by_invoice
from payments.collecting.store.reversals import save_reversals
from payments.exceptions.domain import Open
from payments.exceptions.store import close_exceptions, open_exceptions
from payments.methods.domain.consents import Consent
from payments.methods.store.consents import consents_argument, insert_consents
from payments.sql import Rows, columns_of, firsts

OUTBOX_WIDTH = 8  # parameters of `insert_outbox`
PAYMENT = """id, customer_id, way, status, reconciliation, reason, currency, amount, surcharge, asked_invoices, asked_amounts,
    method_id, quote_id, received_on, reference, effective_on, expected_by, allocated_invoices, allocated_amounts, credit,
    reversed, reversed_surcharge, going_back, disputed, provider_id, sequence, polls, next_poll_at, created_at,
    method_kind, correlation, new_quote_id, credit_used, return_url, next_action_url, act_by, on_account,
    let_go_by, gone_invoices, gone_amounts, credit_invoices, credit_amounts, credit_gone_invoices, credit_gone_amounts,
    metadata"""


def payment_of(row: Mapping[str, Any]) -> Payment:
    currency, by_credit = row["currency"], row["credit_invoices"]
    gone = parts_of(row["gone_invoices"] or (), row["gone_amounts"] or (), currency)
    credit_gone = parts_of(row["credit_gone_invoices"] or (), row["credit_gone_amounts"] or (), currency)
    return Payment(
        id=row["id"], customer_id=row["customer_id"], way=row["way"], status=row["status"],
        reconciliation=row["reconciliation"], reason=row["reason"], amount=Money(row["amount"], currency),
        surcharge=Money(row["surcharge"], currency),
        asked=parts_of(row["asked_invoices"], row["asked_amounts"], currency), created_at=row["created_at"],
        method_id=row["method_id"], quote_id=row["quote_id"], received_on=row["received_on"], reference=row["reference"],
        effective_on=row["effective_on"], expected_by=row["expected_by"],
        allocations=parts_of(row["allocated_invoices"], row["allocated_amounts"], currency), credit=row["credit"],
        reversed=row["reversed"], reversed_surcharge=row["reversed_surcharge"], going_back=row["going_back"],
        disputed=row["disputed"], provider_id=row["provider_id"], sequence=row["sequence"], polls=row["polls"],
        next_poll_at=row["next_poll_at"], method_kind=row["method_kind"],
        correlation=row["correlation"], new_quote_id=row["new_quote_id"], credit_used=row["credit_used"], return_url=row["return_url"],
        next_action_url=row["next_action_url"], act_by=row["act_by"], on_account=row["on_account"],
        let_go_by=row["let_go_by"], metadata=orjson.loads(row["metadata"]) if row["metadata"] else None,
        gone_back=by_invoice((*gone, *credit_gone)), credit_gone=by_invoice(credit_gone),
        credit_paid=None if by_credit is None else parts_of(by_credit, row["credit_amounts"], currency),
    )  # fmt: skip


async def load_payment(connection: Reads, payment_id: str, only: str | None) -> Payment | None:
    sql = f"SELECT {PAYMENT} FROM payments WHERE id = $1 AND ($2::uuid IS NULL OR customer_id = $2)"  # noqa: S608
    row = await connection.fetchrow(sql, payment_id, only)
    return payment_of(row) if row else None


async def answerable(connection: asyncpg.Connection, payment_ids: Sequence[str]) -> list[str]:
    """Return which payments are final and compared with the provider's record, or wait for their payer."""
    sql = """SELECT id FROM payments WHERE id = ANY($1::uuid[]) AND status = ANY($2::text[])
        AND (status <> 'succeeded' OR reconciliation <> 'waiting')"""
    rows = await connection.fetch(sql, payment_ids, ["requires_action", *sorted(FINAL)])
    return [row["id"] for row in rows]


async def waiting_for_payer(connection: Reads, customer_id: str, invoice_ids: Sequence[str]) -> str | None:
    """A payment of one of the invoices (without names, of any) that its payer has not yet confirmed at the bank."""
    sql = """SELECT id FROM payments WHERE act_by IS NOT NULL AND customer_id = $1 AND status = 'requires_action'
        AND (asked_invoices && $2::uuid[] OR $2::uuid[] = '{}') LIMIT 1"""
    found: str | None = await connection.fetchval(sql, customer_id, invoice_ids)
    return found


HELD = """
SELECT ARRAY(
    SELECT unnest(asked_invoices || allocated_invoices) FROM payments WHERE customer_id = $1
        AND status IN ('submitted', 'reserved', 'requires_action', 'processing', 'unknown')
    UNION ALL
    SELECT unnest(asked_invoices || allocated_invoices) FROM payments WHERE customer_id = $1
        AND reconciliation IN ('waiting', 'mismatch', 'exception')
) @> $2::uuid[]
"""


async def all_held(connection: Reads, customer_id: str, invoice_ids: Sequence[str]) -> bool:
    """Whether a payment that has not ended, or is not yet reconciled, pays each of the invoices."""
    held: bool = await connection.fetchval(HELD, customer_id, invoice_ids)
    return held


async def lock_payment(work: Work, payment_id: str) -> Payment | None:
    row = await work.connection.fetchrow(f"SELECT {PAYMENT} FROM payments WHERE id = $1 FOR NO KEY UPDATE", payment_id)  # noqa: S608
    return payment_of(row) if row else None


LOCK_PAYMENTS = f"""
SELECT {columns_of("p", PAYMENT)}, a.id AS attempt FROM payments p
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
SELECT {columns_of("p", PAYMENT)}, m.provider_id AS method, c.provider_id AS whose
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


_NEW = Rows(
    "n", id="uuid", customer_id="uuid", way="text", status="text", reconciliation="text", reason="text", currency="text",
    amount="bigint", surcharge="bigint", asked_ids="text", asked_amounts="text", method_id="uuid", quote_id="uuid",
    received_on="date", reference="text", effective_on="date", expected_by="date", allocated_ids="text",
    allocated_amounts="text", sequence="bigint", created_at="timestamptz", method_kind="text", line_id="bigint",
    correlation="text", return_url="text", credit_used="bigint", on_account="bool", metadata="jsonb", autopay_charge_id="uuid",
)  # fmt: skip
_ANSWERS = Rows(
    "a", payment_id="uuid", customer="text", route="text", key="text", fingerprint="bytea", status="int", body="bytea",
    seen="text", created_at="timestamptz",
)  # fmt: skip
_NEW_AT, _ANSWERS_AT, _BOOKING_AT, _OUTBOX_AT, _CONSENTS_AT = firsts(
    len(_NEW), len(_ANSWERS), ledger.WIDTH, OUTBOX_WIDTH
)
# New payments, their postings, their events and the answers under their Idempotency-Keys: one statement, one round trip.
# A payment is left out if its key has an answer, if its quote was used meanwhile, or if its customer, or one of its invoices
# with this customer and currency, is not known here. The statement fails if another request answers the same key at the same
# moment, or on a second payment by a method for one payment, or on a second payment of an autopay charge.
ADD_PAYMENTS = f"""
WITH known AS (
    SELECT n.*, asked_ids::uuid[] AS asked_invoices FROM {_NEW.at(_NEW_AT)}
    LEFT JOIN {_ANSWERS.at(_ANSWERS_AT, "payment_id", "customer", "route", "key")} ON a.payment_id = n.id
    WHERE NOT EXISTS (SELECT FROM idempotency_keys k WHERE k.customer = a.customer AND k.route = a.route AND k.key = a.key)
    AND EXISTS (SELECT FROM customers c WHERE c.id = n.customer_id) AND cardinality(n.asked_ids::uuid[]) = (
        SELECT count(*) FROM invoices i
        WHERE i.id = ANY(n.asked_ids::uuid[]) AND i.customer_id = n.customer_id AND i.currency = n.currency)
), used AS (
    UPDATE quotes q SET payment_id = known.id FROM known WHERE q.id = known.quote_id AND q.payment_id IS NULL
    RETURNING q.payment_id
), paid AS (
    INSERT INTO payments (id, customer_id, way, status, reconciliation, reason, currency, amount, surcharge, asked_invoices,
        asked_amounts, method_id, quote_id, received_on, reference, effective_on, expected_by, allocated_invoices,
        allocated_amounts, sequence, created_at, method_kind, bank_line_id, correlation, return_url, credit_used, on_account,
        metadata, autopay_charge_id, once_method_id)
    SELECT id, customer_id, way, status, reconciliation, reason, currency, amount, surcharge, asked_invoices,
        asked_amounts::bigint[], method_id, quote_id, received_on, reference, effective_on, expected_by,
        allocated_ids::uuid[], allocated_amounts::bigint[], sequence, created_at, method_kind, line_id, correlation, return_url,
        credit_used, on_account, metadata, autopay_charge_id, (SELECT m.id FROM methods m WHERE m.id = method_id AND NOT m.saved)
    FROM known WHERE quote_id IS NULL OR id IN (SELECT payment_id FROM used)
    RETURNING id, bank_line_id, payments.asked_invoices, payments.asked_amounts
), {ledger.booking(_BOOKING_AT, "SELECT id FROM paid")}, answered AS (
    INSERT INTO idempotency_keys (customer, route, key, fingerprint, status, body, seen, created_at)
    SELECT customer, route, key, fingerprint, status, body, seen, created_at
    FROM {_ANSWERS.at(_ANSWERS_AT)} WHERE payment_id IN (SELECT id FROM paid)
), said AS (
    {insert_outbox(_OUTBOX_AT)} WHERE aggregate IN (SELECT id::text FROM paid)
), kept AS (
    {insert_history(_OUTBOX_AT, topics.PAYMENT.name)} AND aggregate IN (SELECT id::text FROM paid)
)"""  # noqa: S608
PAID = "\nSELECT id FROM paid"
# The parts of invoices that bank receipts pay, so that the next lines respect them before invoicing has settled them.
ASKED = """, asked AS (
    INSERT INTO receipt_parts (invoice_id, payment_id, amount)
    SELECT a.invoice_id, paid.id, a.minor FROM paid
    CROSS JOIN LATERAL unnest(asked_invoices, asked_amounts) AS a (invoice_id, minor) WHERE bank_line_id IS NOT NULL
)"""
# Consents to surcharges. They cost a twentieth of the statement, so they are left out for the many payments without any.
AGREED = f", agreed AS ({insert_consents(_CONSENTS_AT)} WHERE c.payment_id IN (SELECT id FROM paid))"  # noqa: S608


@dataclass(frozen=True, slots=True)
class Answer:
    """The stored answer of an Idempotency-Key."""

    status: int
    body: bytes
    seen: str


@dataclass(frozen=True, slots=True)
class NewPayment:
    """A payment to be saved, with the answer to its request, or with its bank line.

    `consent`: the payer's consent or refusal of the surcharge. `autopay_charge_id`: the autopay charge that it makes.
    """

    step: Step
    key: Key | None = None
    answer: Answer | None = None
    line_id: int | None = None
    consent: Consent | None = None
    autopay_charge_id: str | None = None


async def add_payments(work: Work, new: Sequence[NewPayment]) -> set[str]:
    """Save payments with their events; return the ids of those with a free key, a free quote and known names.

    Raises UniqueViolationError, and writes nothing: of `idempotency_keys` if a key gets its answer at the same moment,
    of `payments_once` on a second payment by a method for one payment, of `payments_of_autopay_charges` on a second
    payment of an autopay charge.
    """
    new = sorted(
        new, key=lambda each: (each.step.payment.quote_id or "", each.key and (each.key.customer, each.key.key))
    )
    answers = [(each.step.payment.id, each.key, each.answer) for each in new if each.key and each.answer]
    consents = [each.consent for each in new if each.consent]
    from_bank = any(each.line_id is not None for each in new)
    rows = await work.connection.fetch(
        f"{ADD_PAYMENTS}{ASKED if from_bank else ''}{AGREED if consents else ''}{PAID}",
        *_NEW.arrays(map(_row_of, new)),
        *_ANSWERS.arrays(
            (payment_id, key.customer, key.route, key.key, key.fingerprint, said.status, said.body, said.seen, work.now)
            for payment_id, key, said in answers
        ),
        *ledger.booking_arguments([each.step.posting for each in new if each.step.posting], work.now),
        *work.outbox_arguments(),
        *([consents_argument(consents)] if consents else []),
    )
    return {row["id"] for row in rows}


def _row_of(new: NewPayment) -> tuple[Any, ...]:
    """In the order of `_NEW`."""
    p = new.step.payment
    return (
        p.id, p.customer_id, p.way, p.status, p.reconciliation, p.reason, p.amount.currency, p.amount.minor,
        p.surcharge.minor, *arrays_of(p.asked), p.method_id, p.quote_id, p.received_on, p.reference, p.effective_on,
        p.expected_by, *arrays_of(p.allocations), p.sequence, p.created_at, p.method_kind, new.line_id, p.correlation,
        p.return_url, p.credit_used, p.on_account, orjson.dumps(p.metadata).decode() if p.metadata else None,
        new.autopay_charge_id,
    )  # fmt: skip


def arrays_of(parts: Sequence[Part]) -> tuple[str, str]:
    """Ids and amounts of the parts of one payment. Arrays of arrays of several lengths travel as text alone."""
    ids = "{" + ",".join(part.invoice_id for part in parts) + "}"
    amounts = "{" + ",".join(str(part.amount.minor) for part in parts) + "}"
    return ids, amounts


_CHANGED = Rows(
    "s", id="uuid", status="text", reconciliation="text", reason="text", effective_on="date", expected_by="date",
    ids="text", amounts="text", credit="bigint", provider_id="text", sequence="bigint", polls="int",
    next_poll_at="timestamptz", reversed="bigint", reversed_surcharge="bigint", going_back="bigint", disputed="bigint",
    new_quote_id="uuid", next_action_url="text", act_by="timestamptz",
)  # fmt: skip
_BEGUN = Rows(
    "a", id="uuid", payment_id="uuid", provider_customer="text", provider_method="text", amount="bigint",
    currency="text", begun_at="timestamptz", return_url="text",
)  # fmt: skip
_NOTED = Rows("n", id="text", kind="text", occurred_at="timestamptz", received_at="timestamptz")
_CHANGED_AT, _BOOKED_AT, _ENDED_AT, _BEGUN_AT, _NOTED_AT, _SAID_AT = firsts(
    len(_CHANGED), ledger.WIDTH, 1, len(_BEGUN), len(_NOTED)
)
# One statement saves payments after their last steps, all postings, calls that end or begin, the provider's events that were
# taken, and the events that go out. Reversals, if there are any, are saved before it.
SAVE_STEPS = f"""
WITH changed AS (
    UPDATE payments p SET status = s.status, reconciliation = s.reconciliation, reason = s.reason,
        effective_on = s.effective_on, expected_by = s.expected_by, allocated_invoices = s.ids::uuid[],
        allocated_amounts = s.amounts::bigint[], credit = s.credit, provider_id = s.provider_id, sequence = s.sequence,
        polls = s.polls, next_poll_at = s.next_poll_at, reversed = s.reversed, reversed_surcharge = s.reversed_surcharge,
        going_back = s.going_back, disputed = s.disputed, new_quote_id = s.new_quote_id,
        next_action_url = s.next_action_url, act_by = s.act_by
    FROM {_CHANGED.at(_CHANGED_AT)} WHERE p.id = s.id
), {ledger.booking(_BOOKED_AT)}, ended AS (
    UPDATE attempts SET state = 'answered' WHERE payment_id = ANY(${_ENDED_AT}::uuid[]) AND state = 'begun'
), begun AS (
    INSERT INTO attempts ({_BEGUN.columns}, calls, state, call_after)
    SELECT a.*, 0, 'begun', now() FROM {_BEGUN.at(_BEGUN_AT)}
), noted AS (
    INSERT INTO provider_events ({_NOTED.columns}) SELECT * FROM {_NOTED.at(_NOTED_AT)} ORDER BY 1 ON CONFLICT DO NOTHING
), kept AS (
    {insert_history(_SAID_AT, topics.PAYMENT.name)}
)
{insert_outbox(_SAID_AT)}
"""  # noqa: S608


async def save_steps(
    work: Work,
    steps: Sequence[Step],
    *,
    attempts: Sequence[Attempt] = (),
    events: Sequence[tuple[str, str, datetime]] = (),
) -> None:
    """Save all that follows from steps, with their events. When the provider's answer is known, its call ends.

    `attempts`: calls that begin; `events`: id, kind and instant of the provider's events that were taken.
    """
    last = {step.payment.id: step.payment for step in steps}
    payments = [last[payment_id] for payment_id in sorted(last)]
    reversals = {step.reversal.id: step.reversal for step in steps if step.reversal}
    if any(payment.next_poll_at for payment in payments):
        work.wake("poll-provider")
    if reversals:
        await save_reversals(work, list(reversals.values()))
    opened = [
        Open(each.opens, each.in_doubt, payment_id=each.payment.id, provider_id=each.about_id)
        for each in steps
        if each.opens
    ]
    if opened:
        await open_exceptions(work, opened)
    for ended, why in ((False, "the provider's record agrees now"), (True, "the payment ended without money")):
        closed = [
            (each.payment.id, each.about_id) for each in steps if each.closes and each.payment.without_money == ended
        ]
        if closed:
            await close_exceptions(work, closed, why)
    await work.connection.execute(
        SAVE_STEPS,
        *_CHANGED.arrays(map(_changed_row_of, payments)),
        *ledger.booking_arguments([step.posting for step in steps if step.posting], work.now),
        [p.id for p in payments if p.final or p.status in ("processing", "requires_action")],
        *_BEGUN.arrays(
            (a.id, a.payment_id, a.provider_customer, a.provider_method, a.amount.minor, a.amount.currency, a.begun_at,
             a.return_url)
            for a in attempts
        ),
        *_NOTED.arrays((*event, work.now) for event in events),
        *work.outbox_arguments(),
    )  # fmt: skip


def _changed_row_of(p: Payment) -> tuple[Any, ...]:
    """In the order of `_CHANGED`."""
    return (
        p.id, p.status, p.reconciliation, p.reason, p.effective_on, p.expected_by, *arrays_of(p.allocations), p.credit,
        p.provider_id, p.sequence, p.polls, p.next_poll_at, p.reversed, p.reversed_surcharge, p.going_back, p.disputed,
        p.new_quote_id, p.next_action_url, p.act_by,
    )  # fmt: skip


async def keep_given_up(work: Work, payment: Payment) -> None:
    """Save that a payment was given up, and by whom. Its charge is then cancelled as if its time had run out."""
    sql = "UPDATE payments SET let_go_by = $2, next_action_url = $3, act_by = $4 WHERE id = $1"
    await work.connection.execute(sql, payment.id, payment.let_go_by, payment.next_action_url, payment.act_by)


async def keep_amounts(work: Work, payment: Payment) -> None:
    """Save new amounts of a payment, if the provider took another amount. A method for one payment may have paid again."""
    sql = "UPDATE payments SET amount = $2, surcharge = $3, credit_used = $4, once_method_id = NULL WHERE id = $1"
    await work.connection.execute(sql, payment.id, payment.amount.minor, payment.surcharge.minor, payment.credit_used)


# If a receipt did not pay an invoice that it was for, no event of that invoice will show it, so its part is freed here.
_SETTLED = """
WITH kept AS (
    UPDATE payments p SET allocated_invoices = s.ids::uuid[], allocated_amounts = s.amounts::bigint[], credit = s.credit,
        credit_invoices = coalesce(s.by_credit::uuid[], p.credit_invoices),
        credit_amounts = coalesce(s.credit_amounts::bigint[], p.credit_amounts){gone}
    FROM unnest($1::uuid[], $2::text[], $3::text[], $4::bigint[], $5::text[], $6::text[])
        AS s (id, ids, amounts, credit, by_credit, credit_amounts) WHERE p.id = s.id
    RETURNING p.id, p.asked_invoices, p.allocated_invoices
)
UPDATE receipt_parts r SET settled = true FROM kept CROSS JOIN LATERAL unnest(asked_invoices) AS a (invoice_id)
WHERE r.invoice_id = a.invoice_id AND r.payment_id = kept.id AND NOT r.settled AND a.invoice_id <> ALL(allocated_invoices)
"""
# Amounts that go back are added to earlier ones. Most payments have none, so nothing is written for them.
_GONE = """,
        gone_invoices = gone_invoices || ARRAY(SELECT g.invoice_id FROM unnest($7::uuid[], $8::uuid[])
            WITH ORDINALITY AS g (payment_id, invoice_id, place) WHERE g.payment_id = p.id ORDER BY place),
        gone_amounts = gone_amounts || ARRAY(SELECT g.minor FROM unnest($7::uuid[], $9::bigint[])
            WITH ORDINALITY AS g (payment_id, minor, place) WHERE g.payment_id = p.id ORDER BY place)"""
SETTLED, SETTLED_BACK = _SETTLED.format(gone=""), _SETTLED.format(gone=_GONE)


async def keep_allocations(
    work: Work,
    settled: Sequence[tuple[str, Sequence[AllocatedPart], int]],
    back: Sequence[tuple[str, Sequence[AllocatedPart]]] = (),
    by_credit: Mapping[str, Sequence[AllocatedPart]] | None = None,
) -> None:
    """Save how invoicing settled payments: their parts and credit; `back`: parts that it took away, added once.

    `by_credit`: what credit of other payments paid beside them, if the event has it. It is not changed later.
    """
    newest = {payment_id: (parts, credit) for payment_id, parts, credit in settled}
    gone = [(payment_id, part.invoice_id, part.amount.amount_minor) for payment_id, parts in back for part in parts]
    ids, beside = sorted(newest), by_credit or {}
    await work.connection.execute(
        SETTLED_BACK if gone else SETTLED,
        ids,
        [_ids(newest[i][0]) for i in ids],
        [_minors(newest[i][0]) for i in ids],
        [newest[i][1] for i in ids],
        [_ids(beside[i]) if i in beside else None for i in ids],
        [_minors(beside[i]) if i in beside else None for i in ids],
        *(list(column) for column in zip(*gone, strict=True)),
    )


def _ids(parts: Sequence[AllocatedPart]) -> str:
    return "{" + ",".join(part.invoice_id for part in parts) + "}"


def _minors(parts: Sequence[AllocatedPart]) -> str:
    return "{" + ",".join(str(part.amount.amount_minor) for part in parts) + "}"


def parts_of(ids: Sequence[str], amounts: Sequence[int], currency: str) -> tuple[Part, ...]:
    return tuple(Part(invoice_id, Money(minor, currency)) for invoice_id, minor in zip(ids, amounts, strict=True))
