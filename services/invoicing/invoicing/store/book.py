"""The book: locked, decided on, saved whole."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

import asyncpg

from chassis.messaging.work import Work, insert_history, insert_outbox
from contracts import topics
from contracts.allocation import Part
from contracts.money import Money
from invoicing.domain import MOST_PARTS, Book, Booked, Credit, CreditNote, Dispute, Reservation, Settlement
from invoicing.store.invoices import INVOICE, invoice_of

LOAD_PAYMENTS = """
SELECT w.id, r.customer_id, r.currency, r.state, r.invoice_ids, r.amounts, r.sequence, r.credit_ids, r.credit_amounts,
    s.customer_id AS s_customer, s.currency AS s_currency, s.invoice_ids AS s_invoices, s.amounts AS s_amounts,
    s.credit AS s_credit, s.effective_on, s.reversed, s.sequence AS s_sequence,
    c.id AS c_id, c.customer_id AS c_customer, c.currency AS c_currency, c.amount AS c_amount, c.balance AS c_balance,
    c.sequence AS c_sequence, c.pending AS c_pending
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


LOAD_DISPUTES = """
SELECT id, customer_id, invoice_id, amount, state, held_until FROM disputes
WHERE invoice_id = ANY($1::uuid[]) AND (state IN ('open', 'waits') OR held_until >= $2)
"""
LOAD_NOTED = (
    "SELECT invoice_id, sum(amount)::bigint AS sum FROM credit_notes WHERE invoice_id = ANY($1::uuid[]) GROUP BY 1"
)
LOCK_NUMBER = "SELECT last FROM credit_note_number FOR NO KEY UPDATE"
NOTE = "id, customer_id, number, invoice_id, dispute_id, currency, amount, applied, issued_on"
LOAD_NOTES = f"SELECT {NOTE} FROM credit_notes WHERE id = ANY($1::uuid[])"  # noqa: S608


async def load_book(
    work: Work,
    *,
    payments: Sequence[str] = (),
    invoices: Iterable[str] = (),
    oldest: Mapping[tuple[str, str], int] | None = None,
    most: int = MOST_PARTS,
    credits_of: Iterable[tuple[str, str]] = (),
    disputed: Iterable[str] = (),
    accepting: bool = False,
) -> Book:
    """Lock and load what decisions need. `oldest`: minor units received by customer and currency, to go to the oldest invoices,
    of which at most `most` are loaded. `credits_of`: customers and currencies whose unapplied credit is to be used.
    `disputed`: invoices whose disputes and credit notes count. `accepting`: credit notes may be issued.
    """
    book, wanted = Book(), {*invoices, *disputed}
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
    in_dispute = {*disputed, *(one.id for one in book.invoices.values() if one.in_dispute)}
    await _load_disputes(work, book, in_dispute, accepting=accepting)
    await _load_notes_of_credits(work, book)
    return book


async def _load_notes_of_credits(work: Work, book: Book) -> None:
    """Credit that no settlement has brought may be of a credit note."""
    brought = sorted(payment_id for payment_id in book.credits if payment_id not in book.settlements)
    for row in await work.connection.fetch(LOAD_NOTES, brought) if brought else ():
        book.credits[row["id"]] = replace(book.credits[row["id"]], note=CreditNote(*row))


async def _load_disputes(work: Work, book: Book, invoice_ids: set[str], *, accepting: bool) -> None:
    """What is disputed of these invoices, the credit notes that they have, and the last number where one may be issued.

    Every credit note locks that number until its transaction ends.
    """
    if not invoice_ids:
        return
    ids = sorted(invoice_ids)
    for row in await work.connection.fetch(LOAD_DISPUTES, ids, work.clock.today()):
        book.disputes[row["id"]] = Dispute(*row)
    book.noted = {row["invoice_id"]: row["sum"] for row in await work.connection.fetch(LOAD_NOTED, ids)}
    may_issue = accepting or any(one.state == "waits" for one in book.disputes.values())
    book.last_number = await work.connection.fetchval(LOCK_NUMBER) if may_issue else None


def _load_payment(book: Book, row: asyncpg.Record) -> set[str]:
    """Put a payment's reservation, settlement and credit into the book. Returns the invoices that they name."""
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
            row["c_customer"],
            payment_id,
            row["c_currency"],
            row["c_amount"],
            row["c_balance"],
            row["c_sequence"],
            row["c_pending"],
        )
    return named


def _parts(ids: Sequence[str], amounts: Sequence[int], currency: str) -> tuple[Part, ...]:
    return tuple(Part(invoice_id, Money(minor, currency)) for invoice_id, minor in zip(ids, amounts, strict=True))


BOOKED = """
SELECT s.payment_id, e.invoice_id, -e.amount AS amount, e.effective_on FROM settlements s
JOIN entries e ON e.invoice_id = ANY(s.invoice_ids) AND e.payment_id = s.payment_id WHERE s.payment_id = ANY($1::uuid[])
UNION ALL SELECT c.payment_id, NULL, e.amount, e.effective_on FROM credits c
JOIN credit_entries e ON e.customer_id = c.customer_id AND e.credit_id = c.id WHERE c.payment_id = ANY($1::uuid[])
"""


async def load_booked(work: Work, payment_ids: Sequence[str]) -> dict[str, Booked]:
    """All entries of settlements. Their customers' rows are locked, so nothing changes meanwhile."""
    booked = dict.fromkeys(payment_ids, Booked())
    for payment_id, invoice_id, minor, day in await work.connection.fetch(BOOKED, payment_ids) if payment_ids else ():
        one = booked[payment_id]
        if invoice_id is None:
            booked[payment_id] = replace(one, credit=(*one.credit, (minor, day)))
        else:
            booked[payment_id] = replace(one, paid=(*one.paid, (invoice_id, minor, day)))
    return booked


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
    INSERT INTO settlements AS s (payment_id, customer_id, currency, invoice_ids, amounts, credit, effective_on, came_on,
        reversed, sequence)
    SELECT payment_id, customer_id, currency, ids::uuid[], amounts::bigint[], credit, effective_on, effective_on, reversed,
        sequence
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
    {insert_history(49, topics.INVOICE.name, topics.CREDIT_NOTE.name)}
)
{insert_outbox(49)}
"""  # noqa: S608


SAVE_DISPUTES = f"""
WITH kept AS (
    INSERT INTO disputes AS d (id, customer_id, invoice_id, amount, state, held_until)
    SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::bigint[], $5::text[], $6::date[])
    ON CONFLICT (id) DO UPDATE SET state = excluded.state, held_until = excluded.held_until
), held AS (
    UPDATE invoices i SET in_dispute = h.in_dispute, resting = h.resting, held_until = h.held_until
    FROM unnest($7::uuid[], $8::bigint[], $9::bigint[], $10::date[]) AS h (id, in_dispute, resting, held_until)
    WHERE i.id = h.id
), numbered AS (
    UPDATE credit_note_number SET last = $11 WHERE last < $11
)
INSERT INTO credit_notes ({NOTE})
SELECT * FROM unnest($12::uuid[], $13::uuid[], $14::text[], $15::uuid[], $16::uuid[], $17::text[], $18::bigint[],
    $19::bigint[], $20::date[])
"""  # noqa: S608


async def _save_disputes(work: Work, book: Book) -> None:
    """Disputes, what they hold, and new credit notes."""
    disputes = [book.disputes[dispute_id] for dispute_id in sorted(book.disputes_touched)]
    invoices = [book.invoices[invoice_id] for invoice_id in sorted({one.invoice_id for one in disputes})]
    await work.connection.execute(
        SAVE_DISPUTES,
        [d.id for d in disputes], [d.customer_id for d in disputes], [d.invoice_id for d in disputes],
        [d.amount for d in disputes], [d.state for d in disputes], [d.held_until for d in disputes],
        [i.id for i in invoices], [i.in_dispute for i in invoices], [i.resting for i in invoices],
        [i.held_until for i in invoices], book.last_number,
        *([getattr(note, name) for note in book.notes] for name in NOTE.split(", ")),
    )  # fmt: skip


async def save_book(work: Work, book: Book) -> None:
    """Everything that decisions changed, and everything that was emitted, in one statement; before it, disputes."""
    if book.disputes_touched:
        await _save_disputes(work, book)
    touched = sorted(book.touched)
    settlements = [book.settlements[payment_id] for payment_id in touched if payment_id in book.settlements]
    reservations = [book.reservations[payment_id] for payment_id in touched if payment_id in book.reservations]
    credits = [book.credits[payment_id] for payment_id in sorted(book.credits_touched)]
    changed = [book.invoices[invoice_id] for invoice_id in sorted(book.invoices_touched)]
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
