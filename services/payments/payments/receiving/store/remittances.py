"""Reads the facts about bank lines' money, and links lines to payments and payouts."""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

import asyncpg

from chassis.messaging.work import Work
from contracts.money import Money
from payments.exceptions.domain import Proposal
from payments.projections.domain import OpenInvoice, called
from payments.projections.store import INVOICE
from payments.receiving.domain.numbers import plain
from payments.receiving.domain.returned import Receipt
from payments.receiving.domain.transfers import Transfer, words_of
from payments.receiving.domain.verdicts import SHORTEST_TRACE, Facts, Leads, PayoutDue, Recorded
from payments.receiving.store.bank import PLAIN, TRANSFER, other_file, transfer_of
from payments.sql import columns_of

# An invoice less the parts of bank receipts that invoicing's events don't show yet. Both are read in one statement, because an event
# could arrive between two.
OWED = columns_of("i", INVOICE).replace(
    "i.payable_now",
    """greatest(0, i.payable_now - coalesce((SELECT sum(r.amount) FROM receipt_parts r
        WHERE r.invoice_id = i.id AND NOT r.settled), 0))::bigint AS payable_now""",
)
NAMED = f"""
SELECT {PLAIN.format("number")} AS plain, {OWED} FROM invoices i WHERE {PLAIN.format("number")} = ANY($1::text[])
"""  # noqa: S608
ALIKE = f"""
SELECT {OWED} FROM unnest($1::text[], $2::bigint[]) AS w (currency, minor) CROSS JOIN LATERAL (
    SELECT {INVOICE} FROM invoices WHERE currency = w.currency AND payable_now = w.minor AND payable_now > 0
    ORDER BY due_on LIMIT 5) i
"""  # noqa: S608
RECORDED = """
SELECT p.id, p.customer_id, p.currency, p.amount, p.received_on, p.reference, p.asked_invoices || p.allocated_invoices AS pays,
    p.allocated_invoices <> '{}' OR p.credit > 0 AS settled, p.bank_line_id IS NOT NULL AS banked, p.going_back > 0 AS gone
FROM unnest($1::text[], $2::bigint[], $3::date[]) AS w (currency, minor, day) CROSS JOIN LATERAL ((
    SELECT * FROM payments WHERE way = 'receive' AND bank_line_id IS NULL AND currency = w.currency AND amount = w.minor
        AND received_on BETWEEN w.day - 10 AND w.day + 10 AND going_back = 0 ORDER BY received_on LIMIT 20
) UNION ALL (
    SELECT * FROM payments WHERE way = 'receive' AND going_back > 0 AND reason IS DISTINCT FROM 'voided' AND currency = w.currency AND amount = w.minor
        AND received_on BETWEEN w.day - 10 AND w.day + 10 ORDER BY received_on LIMIT 200
)) p
"""
# Receipts by day, of any amount: at most 300 of the days before and 100 of those after.
DEPOSITED = """
SELECT w.currency AS of_currency, w.day, p.id, p.customer_id, p.currency, p.amount, p.received_on, p.reference
FROM unnest($1::text[], $2::date[]) AS w (currency, day) CROSS JOIN LATERAL ((
    SELECT * FROM payments WHERE way = 'receive' AND bank_line_id IS NULL AND going_back = 0 AND currency = w.currency
        AND received_on BETWEEN w.day - 10 AND w.day ORDER BY received_on DESC LIMIT 300
) UNION ALL (
    SELECT * FROM payments WHERE way = 'receive' AND bank_line_id IS NULL AND going_back = 0 AND currency = w.currency
        AND received_on BETWEEN w.day + 1 AND w.day + 3 ORDER BY received_on LIMIT 100
)) p
"""
ARRIVING = """
SELECT p.provider_id, p.currency, p.amount, p.arrives_on, p.trace, p.state = 'failed' AS failed, false AS banked
FROM unnest($1::text[], $2::bigint[]) AS w (currency, minor) CROSS JOIN LATERAL (
    SELECT * FROM payouts WHERE currency = w.currency AND amount = w.minor AND bank_line_id IS NULL AND state <> 'cancelled'
    OFFSET 0) p
"""
# Payouts by trace, of any amount. A cancelled payout should not have left the provider; if a line has its trace, it did.
TRACED = f"""
SELECT provider_id, currency, amount, arrives_on, trace, state IN ('failed', 'cancelled') AS failed,
    bank_line_id IS NOT NULL AS banked
FROM payouts WHERE {PLAIN.format("trace")} = ANY($1::text[]) AND trace IS NOT NULL
"""  # noqa: S608
# The customer of an account's newest line that was one customer's alone, and all customers of its newest lines.
PAYERS = """
SELECT w.account, l.customer_id, ARRAY(
    SELECT p.customer_id FROM bank_lines b JOIN payments p ON p.bank_line_id = b.id
    WHERE b.payer_account = w.account AND b.state IN ('posted', 'resolved') ORDER BY b.id DESC LIMIT 50) AS paid_for
FROM unnest($1::text[]) AS w (account) LEFT JOIN LATERAL (
    SELECT p.customer_id FROM bank_lines b JOIN payments p ON p.bank_line_id = b.id
    WHERE b.payer_account = w.account AND b.state IN ('posted', 'resolved')
        AND NOT EXISTS (SELECT FROM payments o WHERE o.bank_line_id = b.id AND o.customer_id <> p.customer_id)
    ORDER BY b.id DESC LIMIT 1) l ON true
"""
NAMESAKES = """
SELECT c.id, c.called FROM unnest($1::text[]) AS w (name) CROSS JOIN LATERAL (
    SELECT id, called FROM customers WHERE called = w.name ORDER BY id LIMIT 20) c
"""
OWING = f"""
SELECT {OWED} FROM unnest($1::uuid[], $2::text[]) AS w (customer_id, currency) CROSS JOIN LATERAL (
    SELECT {INVOICE} FROM invoices WHERE customer_id = w.customer_id AND currency = w.currency AND payable_now > 0
    ORDER BY due_on, issued_on, number LIMIT 50) i
"""  # noqa: S608


# Other lines of the same amount with the same invoice number ($2), about which a person decides or decided. Two lines with
# different references of the bank are two transfers, and so are two of one file. A line that itself only waits as `doubled`
# is no reason for doubt.
DECIDED = f"""
SELECT l.id AS line, {columns_of("o", TRANSFER)} FROM unnest($1::bigint[], $2::text[]) AS w (id, number)
JOIN bank_lines l ON l.id = w.id CROSS JOIN LATERAL (
    SELECT * FROM bank_lines b WHERE account = l.account AND currency = l.currency AND amount = l.amount AND id <> l.id
        AND booked_on BETWEEN l.booked_on - 10 AND l.booked_on + 10 AND state IN ('proposed', 'resolved')
        AND num_nonnulls(bank_reference, l.bank_reference) < 2 AND {other_file("b", "l")}
        AND strpos({PLAIN.format("array_to_string(b.refs || b.text, '')")}, w.number) > 0
        AND NOT EXISTS (SELECT FROM exceptions WHERE line_id = b.id AND class = 'doubled' AND resolved_at IS NULL)
) o
"""  # noqa: S608


async def load_facts(work: Work, transfers: Sequence[Transfer]) -> Facts:
    """Load the facts that decide whose money the transfers are."""
    fetch = work.connection.fetch
    told = {each.line_id: words_of(each) for each in transfers}
    words = set(itertools.chain(*told.values()))
    days = sorted({(each.amount.currency, each.amount.minor, each.booked_on) for each in transfers})
    accounts = sorted({each.payer_account for each in transfers if each.payer_account})
    named, recorded, arriving, traced, decided = (defaultdict[Any, list[Any]](list) for _ in range(5))
    for row in await fetch(NAMED, sorted(words)):
        named[row["plain"]].append(OpenInvoice(*tuple(row)[1:]))
    by_payment = {row["id"]: row for row in await fetch(RECORDED, *map(list, zip(*days, strict=True)))} if days else {}
    for row in by_payment.values():
        money = Money(row["amount"], row["currency"])
        pays = frozenset(row["pays"])
        one = Recorded(
            row["id"], row["customer_id"], money, row["received_on"], row["reference"], pays, row["settled"], row["gone"],
            row["banked"],
        )  # fmt: skip
        recorded[money.currency, money.minor].append(one)
    for row in await fetch(ARRIVING, *_sums(transfers)):
        arriving[row["currency"], row["amount"]].append(_payout(row))
    for row in await fetch(TRACED, sorted(word for word in words if len(word) >= SHORTEST_TRACE)):
        traced[plain(row["trace"])].append(_payout(row))
    numbers = [(line_id, word) for line_id, these in told.items() for word in these if word in named]
    for row in await fetch(DECIDED, *map(list, zip(*numbers, strict=True))) if numbers else ():
        decided[row["line"]].append(transfer_of(row))
    rows = await fetch(PAYERS, accounts) if accounts else []
    payers = {row["account"]: row["customer_id"] for row in rows if row["customer_id"]}
    paid_for = {row["account"]: frozenset(row["paid_for"]) for row in rows}
    names = sorted({called(each.payer) for each in transfers if each.payer} - {""})
    namesakes = defaultdict[str, list[str]](list)
    for row in await fetch(NAMESAKES, names) if names else ():
        namesakes[row["called"]].append(row["id"])
    return Facts(named, recorded, payers, arriving, traced, decided, paid_for, namesakes)


def _payout(row: asyncpg.Record) -> PayoutDue:
    money = Money(row["amount"], row["currency"])
    return PayoutDue(
        row["provider_id"], money, row["arrives_on"], row["trace"], failed=row["failed"], banked=row["banked"]
    )


async def load_invoices(work: Work, ids: Sequence[str]) -> dict[str, OpenInvoice]:
    """Load invoices as they are known here. Parts that bank receipts pay count as paid already."""
    sql = f"SELECT {OWED} FROM invoices i WHERE id = ANY($1::uuid[])"  # noqa: S608
    return {row["id"]: OpenInvoice(*row) for row in await work.connection.fetch(sql, ids)}


async def load_leads(work: Work, transfers: Sequence[Transfer], known: Facts) -> Leads:
    """Load what the transfers may be, besides the invoices that they name."""
    alike, owing = defaultdict[tuple[str, int], list[OpenInvoice]](list), defaultdict[str, list[OpenInvoice]](list)
    for row in await work.connection.fetch(ALIKE, *_sums(transfers)):
        alike[row["currency"], row["payable_now"]].append(OpenInvoice(*row))
    whose = sorted(
        {
            (customer, each.amount.currency)
            for each in transfers
            for customer in (
                known.payers.get(each.payer_account or ""), *known.namesakes.get(called(each.payer or ""), ())[:3]
            )
            if customer
        }
    )  # fmt: skip
    for row in await work.connection.fetch(OWING, *map(list, zip(*whose, strict=True))) if whose else ():
        owing[row["customer_id"]].append(OpenInvoice(*row))
    days = sorted({(each.amount.currency, each.booked_on) for each in transfers if each.amount.minor > 0})
    deposited = defaultdict[Any, list[Recorded]](list)
    for row in await work.connection.fetch(DEPOSITED, *map(list, zip(*days, strict=True))) if days else ():
        money = Money(row["amount"], row["currency"])
        one = Recorded(row["id"], row["customer_id"], money, row["received_on"], row["reference"])
        deposited[row["of_currency"], row["day"]].append(one)
    return Leads(alike, owing, deposited)


def _sums(transfers: Sequence[Transfer]) -> tuple[list[str], list[int]]:
    """Currencies and minor units of the different amounts."""
    sums = sorted({(each.amount.currency, each.amount.minor) for each in transfers})
    return [currency for currency, _ in sums], [minor for _, minor in sums]


async def link_payouts(work: Work, lines: Mapping[str, int]) -> set[int]:
    """Link payouts to bank lines; return the ids of the lines that were linked."""
    sql = """UPDATE payouts p SET bank_line_id = l.line FROM unnest($1::text[], $2::bigint[]) AS l (id, line)
        WHERE p.provider_id = l.id AND p.bank_line_id IS NULL RETURNING l.line"""
    return {row["line"] for row in await work.connection.fetch(sql, list(lines), list(lines.values()))}


# The line that a reversing line takes back: of the same account and amount (found by `alike`), with its payments and whether any
# money of it is left. If that line waits for a person (all or a share of it, here or among the lines $2), nothing is taken back
# by itself. There is one query for each way to find it, so that each has its index.
BACK = """
SELECT l.id AS line, b.payments, b.remains FROM unnest($1::bigint[]) AS w (id) JOIN bank_lines l ON l.id = w.id
CROSS JOIN LATERAL (
    SELECT array_agg(p.id ORDER BY p.id) FILTER (WHERE o.state <> 'proposed' AND p.going_back < p.amount + p.surcharge) AS payments,
        bool_or(o.state = 'proposed' OR coalesce(p.going_back < p.amount + p.surcharge, true)) AS remains
    FROM bank_lines o LEFT JOIN payments p ON p.bank_line_id = o.id
    WHERE o.account = l.account AND o.amount = -l.amount AND o.currency = l.currency AND o.id <> l.id AND {alike}
        AND o.booked_on BETWEEN l.booked_on - 400 AND l.booked_on + 10
        AND (p.id IS NOT NULL OR o.state = 'proposed' OR o.id = ANY($2::bigint[]))
    GROUP BY o.id ORDER BY remains DESC LIMIT 2
) b
"""
BACK_BY_REFERENCE = BACK.format(alike="o.bank_reference = l.bank_reference")
BACK_BY_ENTRY = BACK.format(alike="o.entry_reference = l.entry_reference")
BACK_BY_PAYER = BACK.format(alike="o.payer_account = l.payer_account AND o.refs && l.refs")


# Receipts that an outgoing line may give back: they paid an invoice that the line names, and have its amount, or credit of its
# amount. Receipts from the bank are found by their parts, recorded receipts by their amount.
BACK_BY_INVOICE = f"""
WITH told AS (
    SELECT l.id AS line, l.currency, -l.amount AS amount, i.id AS invoice, i.customer_id
    FROM unnest($1::bigint[], $2::text[]) AS w (line, word) JOIN bank_lines l ON l.id = w.line
    JOIN invoices i ON {PLAIN.format("i.number")} = w.word
)
SELECT t.line, p.id AS payment, p.customer_id FROM told t JOIN receipt_parts r ON r.invoice_id = t.invoice
JOIN payments p ON p.id = r.payment_id
WHERE t.amount IN (p.amount, p.credit) AND p.currency = t.currency AND p.going_back < p.amount + p.surcharge
UNION SELECT t.line, p.id, p.customer_id FROM told t CROSS JOIN LATERAL (
    SELECT * FROM payments WHERE way = 'receive' AND bank_line_id IS NULL AND customer_id = t.customer_id
        AND currency = t.currency AND amount = t.amount OFFSET 0
) p WHERE t.invoice = ANY(p.asked_invoices || p.allocated_invoices)
    AND p.going_back < p.amount + p.surcharge
"""  # noqa: S608


async def find_named_back(work: Work, transfers: Sequence[Transfer]) -> dict[int, list[Proposal]]:
    """Propose receipts that outgoing transfers may give back, by the invoices that they name."""
    told = [(transfer.line_id, word) for transfer in transfers for word in words_of(transfer)]
    found = defaultdict[int, list[Proposal]](list)
    for row in await work.connection.fetch(BACK_BY_INVOICE, [line for line, _ in told], [word for _, word in told]):
        reasons = ("names an invoice that this receipt has paid: it, or its credit, may have been given back",)
        found[row["line"]].append(Proposal(row["customer_id"], (), 0.5, reasons, row["payment"]))
    return found


_OF_AMOUNT = """(SELECT id, customer_id, received_on, reference, bank_line_id FROM payments
    WHERE way = 'receive' AND bank_line_id IS {} AND currency = w.currency AND amount = w.minor
        AND received_on BETWEEN w.day - 400 AND w.day AND going_back = 0 ORDER BY received_on DESC LIMIT 50)"""
RECEIPTS = f"""
SELECT w.line, p.id, p.customer_id, p.received_on, array_remove(p.reference || coalesce(o.refs, '{{}}'), NULL) AS refs,
    o.payer_account, c.called
FROM unnest($1::bigint[], $2::text[], $3::bigint[], $4::date[]) AS w (line, currency, minor, day)
CROSS JOIN LATERAL ({_OF_AMOUNT.format("NULL")} UNION ALL {_OF_AMOUNT.format("NOT NULL")}) p
JOIN customers c ON c.id = p.customer_id LEFT JOIN bank_lines o ON o.id = p.bank_line_id
"""  # noqa: S608


async def find_receipts(work: Work, paid_out: Sequence[Transfer]) -> dict[int, list[Receipt]]:
    """Return for each outgoing line the newest receipts of its amount, of about a year."""
    asked = [(each.line_id, each.amount.currency, -each.amount.minor, each.booked_on) for each in paid_out]
    found = defaultdict[int, list[Receipt]](list)
    for row in await work.connection.fetch(RECEIPTS, *map(list, zip(*asked, strict=True))) if asked else ():
        line, payment, customer, day, refs, account, name = row
        found[line].append(Receipt(payment, customer, day, tuple(refs), account, name))
    return found


async def find_taken_back(work: Work, line_ids: Sequence[int], unclear: Sequence[int] = ()) -> dict[int, list[str]]:
    """Return the payments that reversing lines take back, if exactly one line that still has money left fits.

    The bank's own reference decides, else the entry's reference, else the payer's account with a reference of the payer.
    A payer's references, amounts and texts repeat, so they are not enough alone. `unclear`: lines that will wait for a
    person; if such a line fits, nothing is taken back by itself.
    """
    back: dict[int, list[str]] = {}
    unknown = list(line_ids)
    for sql in (BACK_BY_REFERENCE, BACK_BY_ENTRY, BACK_BY_PAYER):
        found = defaultdict[int, list[asyncpg.Record]](list)
        for row in await work.connection.fetch(sql, unknown, unclear):
            found[row["line"]].append(row)
        for line_id, rows in found.items():
            remaining = [row["payments"] for row in rows if row["remains"]]
            if len(remaining) == 1 and remaining[0]:
                back[line_id] = remaining[0]
        unknown = [line_id for line_id in unknown if line_id not in found]
    return back


LINK_PAYMENTS = """
WITH linked AS (
    UPDATE payments p SET bank_line_id = l.line FROM unnest($1::uuid[], $2::bigint[]) AS l (id, line)
    WHERE p.id = l.id AND p.bank_line_id IS NULL AND (p.going_back = 0 OR $3) RETURNING l.line, p.id, p.asked_invoices, p.asked_amounts,
        p.allocated_invoices <> '{}' OR p.credit > 0 AS settled
), asked AS (
    INSERT INTO receipt_parts (invoice_id, payment_id, amount, settled)
    SELECT a.invoice_id, linked.id, a.minor, linked.settled FROM linked
    CROSS JOIN LATERAL unnest(asked_invoices, asked_amounts) AS a (invoice_id, minor)
)
SELECT line FROM linked
"""


async def link_payments(work: Work, lines: Mapping[str, int], *, gone: bool = False) -> set[int]:
    """Link payments to the bank lines of their money; return the ids of the lines that were linked.

    A payment is left out if another line was linked to it meanwhile, or if it has gone back (unless `gone`).
    """
    rows = await work.connection.fetch(LINK_PAYMENTS, list(lines), list(lines.values()), gone)
    return {row["line"] for row in rows}


async def lock_recorded(work: Work, payment_ids: Sequence[str]) -> list[asyncpg.Record]:
    sql = """SELECT id, way, reason, currency, amount, bank_line_id FROM payments WHERE id = ANY($1::uuid[])
        ORDER BY id FOR NO KEY UPDATE"""
    return list(await work.connection.fetch(sql, payment_ids))
