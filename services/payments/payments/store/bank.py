"""Files of banks, their lines, and what waits for a person."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import asyncpg
import orjson

from chassis.messaging.work import Work
from contracts.ids import new_id
from contracts.money import Money
from payments.bank_files import BankLine
from payments.domain import OpenInvoice
from payments.domain.remittance import (
    ExceptionClass,
    Known,
    Leads,
    PayoutDue,
    Proposal,
    Receipt,
    Recorded,
    Transfer,
    called,
    words_of,
)
from payments.store.projections import INVOICE, columns_of

LINE_COLUMNS = (
    "statement_id", "identity", "place", "account", "currency", "amount", "booked_on", "booked", "bank_reference",
    "entry_reference", "reversal", "refs", "text", "payer", "payer_account", "code",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Run:
    """A bank statement and how many of its lines came to what."""

    id: str
    status: str
    format: str
    account: str | None
    lines: int
    received_at: datetime
    counts: Mapping[str, int]


RUN = """
SELECT s.id, s.status, s.format, s.account, s.lines, s.received_at,
    (SELECT coalesce(jsonb_object_agg(state, n), '{}')::text FROM bank_line_counts WHERE statement_id = s.id) AS counts
FROM bank_statements s
"""


async def load_run(connection: asyncpg.Connection, statement_id: str) -> Run | None:
    return _run(await connection.fetchrow(f"{RUN} WHERE s.id = $1", statement_id))


async def find_run(connection: asyncpg.Connection, digest: bytes) -> Run | None:
    """The run of the file with this content."""
    return _run(await connection.fetchrow(f"{RUN} WHERE s.digest = $1", digest))


async def list_runs(connection: asyncpg.Connection, after: tuple[datetime, str] | None, limit: int) -> list[Run]:
    """The newest first."""
    sql = f"""{RUN} WHERE $1::timestamptz IS NULL OR (s.received_at, s.id) < ($1, $2::uuid)
        ORDER BY s.received_at DESC, s.id DESC LIMIT $3"""
    rows = await connection.fetch(sql, *(after or (None, None)), limit)
    return [run for run in map(_run, rows) if run]


def _run(row: asyncpg.Record | None) -> Run | None:
    return Run(**{**row, "counts": orjson.loads(row["counts"])}) if row else None


LINES = """
SELECT l.id, l.place, l.account, l.booked_on, l.currency, l.amount AS amount_minor, l.refs AS "references", l.text, l.payer,
    l.state, p.id AS payment_id, e.id AS exception_id
FROM bank_lines l LEFT JOIN LATERAL (SELECT id FROM payments WHERE bank_line_id = l.id LIMIT 1) p ON true
LEFT JOIN LATERAL (SELECT id FROM exceptions WHERE line_id = l.id LIMIT 1) e ON true
WHERE l.statement_id = $1 AND l.state BETWEEN $2 AND $3 AND (l.state, l.id) > ($4, $5) ORDER BY l.state, l.id LIMIT $6
"""


async def list_lines(
    connection: asyncpg.Connection, statement_id: str, state: str | None, after: tuple[str, int] | None, limit: int
) -> list[asyncpg.Record]:
    """By what became of them, then as they stand in the file."""
    bounds = (state, state) if state else ("a", "z")
    return list(await connection.fetch(LINES, statement_id, *bounds, *(after or ("", 0)), limit))


ADD_STATEMENT = """
INSERT INTO bank_statements (id, digest, format, status, lines, received_at, actor) VALUES ($1, $2, $3, 'running', 0, $4, $5)
ON CONFLICT (digest) DO NOTHING RETURNING id
"""


async def lock_digest(work: Work, digest: bytes) -> bool:
    """Whether no other transaction takes this file in now. To wait for it would take as long as the file is large."""
    key = int.from_bytes(digest[:8], "big", signed=True)
    free: bool = await work.connection.fetchval("SELECT pg_try_advisory_xact_lock($1)", key)
    return free


async def add_statement(work: Work, statement_id: str, digest: bytes, form: str, actor: str | None) -> bool:
    """False when a file of this content is there."""
    return await work.connection.fetchval(ADD_STATEMENT, statement_id, digest, form, work.now, actor) is not None


async def add_lines(work: Work, statement_id: str, lines: Iterable[tuple[BankLine, str]]) -> None:
    rows = [
        (
            statement_id, identity, line.place, line.account, line.currency, line.amount_minor,
            line.booked_on or line.value_on, line.status == "booked", line.bank_reference, line.entry_reference,
            line.reversal, [*line.references, *([line.end_to_end_id] if line.end_to_end_id else [])], line.text, line.payer,
            line.payer_account, line.code,
        )
        for line, identity in lines
    ]  # fmt: skip
    await work.connection.copy_records_to_table("bank_lines", records=rows, columns=LINE_COLUMNS)


async def count_lines(work: Work, statement_id: str, lines: int, account: str | None) -> None:
    sql = "UPDATE bank_statements SET lines = $2, account = $3 WHERE id = $1"
    await work.connection.execute(sql, statement_id, lines, account)


LOCK_RUNNING = """
WITH turn AS MATERIALIZED (SELECT pg_try_advisory_xact_lock($1) AS mine)
SELECT s.id, s.taken_up_to FROM turn CROSS JOIN LATERAL (
    SELECT id, taken_up_to FROM bank_statements WHERE status = 'running' ORDER BY received_at, id LIMIT 1) s WHERE turn.mine
"""
TURN = 7_208_851_906


async def lock_running(work: Work) -> tuple[str, int] | None:
    """The oldest statement with lines to take, and the id of the last that was, unless another process takes lines now.

    One process at a time, whichever the file: what two files tell of the same money shows in committed lines only.
    """
    row = await work.connection.fetchrow(LOCK_RUNNING, TURN)
    return (row["id"], row["taken_up_to"]) if row else None


async def move_on(work: Work, statement_id: str, line_id: int) -> None:
    """The statement's lines are taken up to this one."""
    await work.connection.execute("UPDATE bank_statements SET taken_up_to = $2 WHERE id = $1", statement_id, line_id)


async def end_run(work: Work, statement_id: str) -> None:
    await work.connection.execute("UPDATE bank_statements SET status = 'done' WHERE id = $1", statement_id)


NEW_LINES = """
SELECT id, identity, currency, amount, booked_on, booked, refs, text, payer, payer_account, reversal, code
FROM bank_lines WHERE statement_id = $1 AND state = 'new' AND id > $2 ORDER BY id LIMIT $3
"""


@dataclass(frozen=True, slots=True)
class NewLine:
    """`transfer` is None for a line that is not booked: it may yet change."""

    id: int
    transfer: Transfer | None


async def new_lines(work: Work, statement_id: str, after: int, limit: int) -> list[NewLine]:
    """Those that follow the line of this id: by their state alone, each batch would pass over all that were taken."""
    rows = await work.connection.fetch(NEW_LINES, statement_id, after, limit)
    return [NewLine(row["id"], _transfer(row) if row["booked"] and row["booked_on"] else None) for row in rows]


def _transfer(row: asyncpg.Record) -> Transfer:
    return Transfer(
        row["id"], row["identity"], Money(row["amount"], row["currency"]), row["booked_on"], tuple(row["refs"]), row["text"],
        row["payer"], row["payer_account"], row["reversal"], row["code"],
    )  # fmt: skip


PLAIN = "upper(regexp_replace({}, '[^A-Za-z0-9]+', '', 'g'))"  # as `remittance.plain`

WRITTEN = "string_to_array(upper(regexp_replace(array_to_string({}.refs, '|'), '[^A-Za-z0-9|]+', '', 'g')), '|')"


def _other_references(one: str) -> str:
    """Whether a line `one` and the line `l` tell references, and none in common."""
    return f"({one}.refs <> '{{}}' AND l.refs <> '{{}}' AND NOT {WRITTEN.format(one)} && {WRITTEN.format('l')})"


# A line counts when its identity is new, and no other file's that counted tells the same money in one sum, or in parts:
# of the entry's reference, the same kind of movement, and to the cent. Banks give a transfer's reference to its fee and
# its return, too. Sums are made once for an entry, and looked up by references; joined, each line would be compared with
# all of its account.
CLAIM = """
WITH asked AS MATERIALIZED (
    SELECT id, identity, statement_id, account, currency, amount, reversal, bank_reference, entry_reference
    FROM bank_lines WHERE id = ANY($1::bigint[])
), told_in_one AS MATERIALIZED (
    SELECT * FROM (
        SELECT DISTINCT statement_id, account, currency, reversal, entry_reference FROM asked WHERE entry_reference IS NOT NULL
    ) e WHERE EXISTS (
        SELECT FROM bank_lines o JOIN bank_identities i ON i.identity = o.identity AND i.line_id = o.id
        WHERE o.account = e.account AND o.bank_reference = e.entry_reference AND o.entry_reference IS NULL
            AND o.statement_id <> e.statement_id AND o.currency = e.currency AND o.reversal = e.reversal
            AND o.amount = (SELECT sum(p.amount) FROM bank_lines p WHERE p.account = e.account AND p.booked
                AND p.entry_reference = e.entry_reference AND p.statement_id = e.statement_id AND p.currency = e.currency
                AND p.reversal = e.reversal)
    )
), told AS (
    SELECT l.id, l.identity FROM asked l LEFT JOIN LATERAL (
        SELECT true AS counted FROM bank_lines o LEFT JOIN bank_identities i ON i.identity = o.identity AND i.line_id = o.id
        WHERE o.account = l.account AND o.entry_reference = l.bank_reference AND o.statement_id <> l.statement_id
            AND o.booked AND o.currency = l.currency AND o.reversal = l.reversal
        GROUP BY o.statement_id HAVING sum(o.amount) = l.amount AND count(i.line_id) > 0 LIMIT 1
    ) parts ON true
    WHERE parts.counted IS NULL AND NOT EXISTS (
        SELECT FROM told_in_one t WHERE t.statement_id = l.statement_id AND t.account = l.account AND t.currency = l.currency
            AND t.reversal = l.reversal AND t.entry_reference = l.entry_reference)
)
INSERT INTO bank_identities (identity, line_id) SELECT identity, min(id) FROM told GROUP BY identity ORDER BY identity
ON CONFLICT DO NOTHING RETURNING line_id
"""

# Both tell an account, and neither is the end of the other.
OTHER_ACCOUNT = f"""(NOT coalesce({PLAIN.format("o.payer_account")} LIKE '%' || {PLAIN.format("l.payer_account")}, true)
    AND NOT coalesce({PLAIN.format("l.payer_account")} LIKE '%' || {PLAIN.format("o.payer_account")}, true))"""

# One that counted has the identity of these, and they may be other money all the same: under the bank's reference, another
# day and another text, a day far off (references of days or months repeat), or another account; without one, another account (of which a file may tell the end alone), where one tells none another
# name, or other references. Each that differs is told once; none is where another of the day that counted is just it: files
# may tell a day in another order.
DOUBTED = f"""
WITH told AS (
    SELECT l.id, concat_ws('/', l.identity, l.booked_on, md5(CASE WHEN l.bank_reference IS NOT NULL THEN l.text
        ELSE concat_ws('/', l.text, l.payer_account, l.payer, array_to_string(l.refs, '/')) END)) AS identity
    FROM bank_lines l JOIN bank_identities i ON i.identity = l.identity JOIN bank_lines o ON o.id = i.line_id
    WHERE l.id = ANY($1::bigint[]) AND o.id <> l.id AND CASE
        WHEN l.bank_reference IS NOT NULL
        THEN o.booked_on <> l.booked_on AND o.text <> l.text OR abs(o.booked_on - l.booked_on) > 10 OR {OTHER_ACCOUNT}
        WHEN o.payer_account IS NOT NULL AND l.payer_account IS NOT NULL THEN {OTHER_ACCOUNT} OR {_other_references("o")}
        ELSE NOT starts_with({PLAIN.format("o.payer")}, {PLAIN.format("l.payer")})
            AND NOT starts_with({PLAIN.format("l.payer")}, {PLAIN.format("o.payer")}) OR {_other_references("o")} END
    AND NOT EXISTS (
        SELECT FROM bank_lines c JOIN bank_identities k ON k.identity = c.identity AND k.line_id = c.id
        WHERE l.bank_reference IS NULL AND c.account = l.account AND c.payer_account = l.payer_account AND c.amount = l.amount
            AND c.currency = l.currency AND c.booked_on = l.booked_on AND c.text = l.text AND c.statement_id <> l.statement_id
            AND NOT {_other_references("c")})
)
INSERT INTO bank_identities (identity, line_id) SELECT identity, min(id) FROM told GROUP BY identity ORDER BY identity
ON CONFLICT DO NOTHING RETURNING line_id
"""  # noqa: S608


SAME_OF_DAY = """{0}.account = {1}.account AND {0}.payer_account = {1}.payer_account AND {0}.amount = {1}.amount
    AND {0}.booked_on = {1}.booked_on AND {0}.currency = {1}.currency AND {0}.booked"""
REFERENCED = "(num_nonnulls({0}.bank_reference, {0}.entry_reference) > 0)"
# Two tellings of one transfer have one identity only where both tell the bank's reference, or neither does and the place of
# the day is the same: another payer's line between moves it. What a payer's account made no oftener than another file told
# otherwise and counted may be that: a person says. Counted once for all alike.
MOVED = f"""
WITH alike AS (
    SELECT l.*, {REFERENCED.format("l")} AS referenced, row_number() OVER (same ORDER BY id) AS nth, min(id) OVER same AS first
    FROM bank_lines l WHERE id = ANY($1::bigint[]) AND payer_account IS NOT NULL
    WINDOW same AS (PARTITION BY statement_id, account, payer_account, amount, currency, booked_on, {REFERENCED.format("l")},
        CASE WHEN {REFERENCED.format("l")} THEN '' ELSE text END)
), known AS MATERIALIZED (
    SELECT a.first, c.n - (SELECT count(*) FROM bank_lines m WHERE {SAME_OF_DAY.format("m", "a")}
        AND m.statement_id = a.statement_id AND m.id < a.first AND {REFERENCED.format("m")} = a.referenced
        AND (a.referenced OR m.text = a.text)) AS n
    FROM alike a CROSS JOIN LATERAL (
        SELECT count(*) AS n FROM bank_lines o JOIN bank_identities k ON k.identity = o.identity AND k.line_id = o.id
        WHERE {SAME_OF_DAY.format("o", "a")} AND o.statement_id <> a.statement_id
            AND ({REFERENCED.format("o")} <> a.referenced OR NOT a.referenced AND o.text = a.text) OFFSET 0
    ) c WHERE a.id = a.first AND c.n > 0
)
SELECT a.id FROM alike a JOIN known USING (first) WHERE a.id = ANY($2::bigint[]) AND a.nth <= known.n
"""  # noqa: S608


async def moved_lines(work: Work, line_ids: Sequence[int], new: Collection[int]) -> set[int]:
    """Those of the new lines, among all of these, that another file may have told of otherwise."""
    return {row["id"] for row in await work.connection.fetch(MOVED, line_ids, list(new))} if new else set()


async def claim_lines(work: Work, line_ids: Sequence[int]) -> set[int]:
    """Those of the lines that no file has told of before."""
    return {row["line_id"] for row in await work.connection.fetch(CLAIM, line_ids)}


async def doubted_lines(work: Work, line_ids: Sequence[int]) -> set[int]:
    """Those of the lines that did not count which may be other money than the one that did."""
    return {row["line_id"] for row in await work.connection.fetch(DOUBTED, line_ids)} if line_ids else set()


NAMED = f"""
SELECT {PLAIN.format("number")} AS plain, {INVOICE} FROM invoices WHERE {PLAIN.format("number")} = ANY($1::text[])
"""  # noqa: S608
ALIKE = f"""
SELECT {columns_of("i", INVOICE)} FROM unnest($1::text[], $2::bigint[]) AS w (currency, minor) CROSS JOIN LATERAL (
    SELECT {INVOICE} FROM invoices WHERE currency = w.currency AND payable_now = w.minor AND payable_now > 0
    ORDER BY due_on LIMIT 5) i
"""  # noqa: S608
RECORDED = """
SELECT p.id, p.customer_id, p.currency, p.amount, p.received_on, p.reference, p.asked_invoices || p.allocated_invoices AS pays,
    p.allocated_invoices <> '{}' OR p.credit > 0 AS settled
FROM unnest($1::text[], $2::bigint[], $3::date[]) AS w (currency, minor, day) CROSS JOIN LATERAL (
    SELECT * FROM payments WHERE way = 'receive' AND bank_line_id IS NULL AND currency = w.currency AND amount = w.minor
        AND received_on BETWEEN w.day - 10 AND w.day + 10 AND going_back = 0 ORDER BY received_on LIMIT 20) p
"""
ARRIVING = """
SELECT p.provider_id, p.currency, p.amount, p.arrives_on, p.trace FROM unnest($1::text[], $2::bigint[]) AS w (currency, minor)
JOIN payouts p ON p.currency = w.currency AND p.amount = w.minor WHERE p.bank_line_id IS NULL AND p.state <> 'cancelled'
"""
PAYERS = """
SELECT w.account, l.customer_id FROM unnest($1::text[]) AS w (account) CROSS JOIN LATERAL (
    SELECT p.customer_id FROM bank_lines b JOIN payments p ON p.bank_line_id = b.id
    WHERE b.payer_account = w.account AND b.state IN ('posted', 'resolved') ORDER BY b.id DESC LIMIT 1) l
"""
NAMESAKES = """
SELECT c.id, c.called FROM unnest($1::text[]) AS w (name) CROSS JOIN LATERAL (
    SELECT id, called FROM customers WHERE called = w.name ORDER BY id LIMIT 3) c
"""
OWING = f"""
SELECT {columns_of("i", INVOICE)} FROM unnest($1::uuid[], $2::text[]) AS w (customer_id, currency) CROSS JOIN LATERAL (
    SELECT {INVOICE} FROM invoices WHERE customer_id = w.customer_id AND currency = w.currency AND payable_now > 0
    ORDER BY due_on, issued_on, number LIMIT 50) i
"""  # noqa: S608


# What receipts from the bank ask of invoices while invoicing has not answered: the projection does not show it yet.
# OFFSET 0: each payment is looked up by its id, also by a plan made while there were none.
UNSETTLED = """
SELECT r.invoice_id, sum(r.amount)::bigint AS minor FROM receipt_parts r CROSS JOIN LATERAL (
    SELECT FROM payments p WHERE p.id = r.payment_id AND p.allocated_invoices = '{}' AND p.credit = 0 AND p.going_back = 0 OFFSET 0
) p
WHERE r.invoice_id = ANY($1::uuid[]) GROUP BY r.invoice_id
"""


async def _less_unsettled(work: Work, *found: dict[Any, list[OpenInvoice]]) -> None:
    """Take off what is asked of each invoice already."""
    ids = {one.id for each in found for invoices in each.values() for one in invoices if one.payable_now > 0}
    rows = await work.connection.fetch(UNSETTLED, sorted(ids)) if ids else ()
    asked = {row["invoice_id"]: row["minor"] for row in rows}
    for each in found if asked else ():
        for key, invoices in each.items():
            each[key] = [replace(one, payable_now=max(0, one.payable_now - asked.get(one.id, 0))) for one in invoices]


async def load_known(work: Work, transfers: Sequence[Transfer]) -> Known:
    """What decides whose money the transfers are."""
    fetch = work.connection.fetch
    words = {word for transfer in transfers for word in words_of(transfer)}
    days = sorted({(each.amount.currency, each.amount.minor, each.booked_on) for each in transfers})
    accounts = sorted({each.payer_account for each in transfers if each.payer_account})
    named, recorded, arriving = (defaultdict[Any, list[Any]](list) for _ in range(3))
    for row in await fetch(NAMED, sorted(words)):
        named[row["plain"]].append(OpenInvoice(*tuple(row)[1:]))
    by_payment = {row["id"]: row for row in await fetch(RECORDED, *map(list, zip(*days, strict=True)))} if days else {}
    for row in by_payment.values():
        money = Money(row["amount"], row["currency"])
        pays = frozenset(row["pays"])
        one = Recorded(row["id"], row["customer_id"], money, row["received_on"], row["reference"], pays, row["settled"])
        recorded[money.currency, money.minor].append(one)
    for row in await fetch(ARRIVING, *_sums(transfers)):
        due = PayoutDue(row["provider_id"], row["arrives_on"], row["trace"])
        arriving[row["currency"], row["amount"]].append(due)
    payers = {row["account"]: row["customer_id"] for row in await fetch(PAYERS, accounts)} if accounts else {}
    await _less_unsettled(work, named)
    return Known(named, recorded, payers, arriving)


async def load_leads(work: Work, transfers: Sequence[Transfer], payers: Mapping[str, str]) -> Leads:
    """What the transfers may pay besides what they name. `payers`: customers by the account that paid for them."""
    alike, owing = defaultdict[tuple[str, int], list[OpenInvoice]](list), defaultdict[str, list[OpenInvoice]](list)
    for row in await work.connection.fetch(ALIKE, *_sums(transfers)):
        alike[row["currency"], row["payable_now"]].append(OpenInvoice(*row))
    namesakes = defaultdict[str, list[str]](list)
    for row in await work.connection.fetch(NAMESAKES, sorted({called(each.payer) for each in transfers if each.payer})):
        namesakes[row["called"]].append(row["id"])
    whose = sorted(
        {
            (customer, each.amount.currency)
            for each in transfers
            for customer in (payers.get(each.payer_account or ""), *namesakes.get(called(each.payer or ""), ()))
            if customer
        }
    )
    for row in await work.connection.fetch(OWING, *map(list, zip(*whose, strict=True))) if whose else ():
        owing[row["customer_id"]].append(OpenInvoice(*row))
    await _less_unsettled(work, alike, owing)
    return Leads(alike, namesakes, owing)


def _sums(transfers: Sequence[Transfer]) -> tuple[list[str], list[int]]:
    """Currencies and minor units of the different amounts."""
    sums = sorted({(each.amount.currency, each.amount.minor) for each in transfers})
    return [currency for currency, _ in sums], [minor for _, minor in sums]


async def link_payouts(work: Work, lines: Mapping[str, int]) -> set[int]:
    """Payouts with the lines that tell of their arrival; gives the lines that it are now."""
    sql = """UPDATE payouts p SET bank_line_id = l.line FROM unnest($1::text[], $2::bigint[]) AS l (id, line)
        WHERE p.provider_id = l.id AND p.bank_line_id IS NULL RETURNING l.line"""
    return {row["line"] for row in await work.connection.fetch(sql, list(lines), list(lines.values()))}


# What a reversing line takes back: a payment that a line of the same account and amount brought, and that this is told of,
# with whether anything is left of it. One look-up for each way to tell, so that each has its index.
BACK = """
SELECT l.id AS line, p.id AS payment, p.remains FROM unnest($1::bigint[]) AS w (id) JOIN bank_lines l ON l.id = w.id
CROSS JOIN LATERAL (
    SELECT p.id, p.going_back < p.amount + p.surcharge AS remains FROM bank_lines o JOIN payments p ON p.bank_line_id = o.id
    WHERE o.account = l.account AND o.amount = -l.amount AND o.currency = l.currency AND o.id <> l.id AND {told}
    ORDER BY remains DESC LIMIT 2
) p
"""
BACK_BY_REFERENCE = BACK.format(told="o.bank_reference = l.bank_reference")
BACK_BY_ENTRY = BACK.format(told="o.entry_reference = l.entry_reference")
BACK_BY_PAYER = BACK.format(told="o.payer_account = l.payer_account AND o.refs && l.refs")


# Money that went out, and names an invoice that a receipt of just this amount, or with just this much of credit, has paid.
# Receipts that a bank brought are found by what they asked for, those that people recorded by their amount.
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
    """The receipts that transfers which went out may give back, by the invoices that they name."""
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
    """By line the newest receipts of the amount of money that went out, of about a year."""
    asked = [(each.line_id, each.amount.currency, -each.amount.minor, each.booked_on) for each in paid_out]
    found = defaultdict[int, list[Receipt]](list)
    for row in await work.connection.fetch(RECEIPTS, *map(list, zip(*asked, strict=True))) if asked else ():
        line, payment, customer, day, refs, account, name = row
        found[line].append(Receipt(payment, customer, day, tuple(refs), account, name))
    return found


async def find_taken_back(work: Work, line_ids: Sequence[int]) -> dict[int, str]:
    """The payments that reversing lines undo, each where there is one alone that still has something left.

    The bank's own reference decides, else that of the entry, else the payer's account with a reference of the payer's.
    References of payers repeat, and so do amounts and texts: alone they say nothing.
    """
    back: dict[int, str] = {}
    unknown = list(line_ids)
    for sql in (BACK_BY_REFERENCE, BACK_BY_ENTRY, BACK_BY_PAYER):
        found = defaultdict[int, list[asyncpg.Record]](list)
        for row in await work.connection.fetch(sql, unknown):
            found[row["line"]].append(row)
        for line_id, rows in found.items():
            remaining = [row["payment"] for row in rows if row["remains"]]
            if len(remaining) == 1:
                back[line_id] = remaining[0]
        unknown = [line_id for line_id in unknown if line_id not in found]
    return back


KEEP_STATES = """
WITH kept AS (
    UPDATE bank_lines l SET state = s.state
    FROM unnest($1::bigint[], $2::text[]) AS s (id, state) JOIN bank_lines b ON b.id = s.id
    WHERE l.id = s.id RETURNING l.statement_id, b.state AS before, l.state AS after
), moved AS (
    SELECT statement_id, after AS state, 1 AS n FROM kept
    UNION ALL SELECT statement_id, before, -1 FROM kept WHERE before <> 'new'
)
INSERT INTO bank_line_counts AS c (statement_id, state, n)
SELECT statement_id, state, sum(n) FROM moved GROUP BY 1, 2 ORDER BY 1, 2
ON CONFLICT (statement_id, state) DO UPDATE SET n = c.n + excluded.n
"""


async def keep_states(work: Work, states: Mapping[int, str]) -> None:
    """What became of lines, and of how many: whoever follows a long run doesn't count its lines each time."""
    await work.connection.execute(KEEP_STATES, list(states), list(states.values()))


LINK_PAYMENTS = """
WITH linked AS (
    UPDATE payments p SET bank_line_id = l.line FROM unnest($1::uuid[], $2::bigint[]) AS l (id, line)
    WHERE p.id = l.id AND p.bank_line_id IS NULL AND p.going_back = 0 RETURNING l.line, p.id, p.asked_invoices, p.asked_amounts
), asked AS (
    INSERT INTO receipt_parts (invoice_id, payment_id, amount)
    SELECT a.invoice_id, linked.id, a.minor FROM linked
    CROSS JOIN LATERAL unnest(asked_invoices, asked_amounts) AS a (invoice_id, minor)
)
SELECT line FROM linked
"""


async def link_payments(work: Work, lines: Mapping[str, int]) -> set[int]:
    """Payments with the lines that brought their money; gives the lines that it are now.

    Another line may have become the payment's, or the payment have gone back, since it was looked at.
    """
    return {row["line"] for row in await work.connection.fetch(LINK_PAYMENTS, list(lines), list(lines.values()))}


# --- what waits for a person


@dataclass(frozen=True, slots=True)
class Open:
    """An exception to be opened: about a line or about a payment; `provider_id`: of what goes back of the payment."""

    why: ExceptionClass
    amount: Money
    payment_id: str | None = None
    provider_id: str | None = None
    line_id: int | None = None
    payout_line_id: str | None = None
    proposals: Sequence[Proposal] = ()


OPEN_EXCEPTIONS = """
WITH told AS (
    SELECT * FROM unnest($1::uuid[], $2::text[], $3::uuid[], $4::text[], $5::bigint[], $6::text[], $7::bigint[], $8::jsonb[],
        $9::text[]) AS e (id, class, payment_id, provider_id, line_id, currency, amount, proposals, payout_line_id)
), amended AS (
    UPDATE exceptions e SET amount = told.amount FROM told WHERE e.payment_id = told.payment_id
        AND e.provider_id = told.provider_id AND e.class = told.class AND e.state = 'open'
)
INSERT INTO exceptions (id, class, state, payment_id, provider_id, line_id, currency, amount, proposals, payout_line_id, created_at)
SELECT id, class, 'open', payment_id, provider_id, line_id, currency, amount, proposals, payout_line_id, $10 FROM told
ON CONFLICT DO NOTHING
"""


async def open_exceptions(work: Work, exceptions: Sequence[Open]) -> None:
    """One for a line, for a payment, and of each class for what goes back of it, however often it is opened.

    What goes back may be told with another amount the next time.
    """
    await work.connection.execute(
        OPEN_EXCEPTIONS,
        [new_id() for _ in exceptions], [e.why for e in exceptions], [e.payment_id for e in exceptions],
        [e.provider_id for e in exceptions], [e.line_id for e in exceptions], [e.amount.currency for e in exceptions],
        [e.amount.minor for e in exceptions],
        [orjson.dumps([_view_of(each) for each in e.proposals]).decode() for e in exceptions],
        [e.payout_line_id for e in exceptions], work.now,
    )  # fmt: skip


def _view_of(proposal: Proposal) -> dict[str, Any]:
    return {
        "customer_id": proposal.customer_id,
        "invoices": [{"invoice_id": part.invoice_id, "amount_minor": part.amount.minor} for part in proposal.parts],
        "score": proposal.score,
        "reasons": list(proposal.reasons),
        "payment_id": proposal.payment_id,
    }


CLOSE_EXCEPTIONS = """
WITH closed AS (
    UPDATE exceptions e SET state = 'resolved', resolved_at = $3
    FROM unnest($1::uuid[], $2::text[]) AS c (payment_id, provider_id)
    WHERE e.payment_id = c.payment_id AND e.provider_id IS NOT DISTINCT FROM c.provider_id
        AND (e.provider_id IS NULL OR e.class = 'wrong_amount')
        AND e.line_id IS NULL AND e.payout_line_id IS NULL AND e.state = 'open' RETURNING e.id
)
INSERT INTO exception_notes (exception_id, at, actor, action, detail)
SELECT id, $3, 'system:payments', 'resolved', $4 FROM closed
"""


async def close_exceptions(work: Work, about: Sequence[tuple[str, str | None]], why: str) -> None:
    """What was open about payments, or about the amount of what goes back of them (its id at the provider), and agrees."""
    ids, provider_ids = [one for one, _ in about], [one for _, one in about]
    await work.connection.execute(CLOSE_EXCEPTIONS, ids, provider_ids, work.now, why)


EXCEPTION = """
SELECT e.id, e.class, e.state, e.payment_id, e.provider_id, e.currency, e.amount, e.proposals::text, e.assigned_to, e.created_at, e.resolved_at,
    e.line_id, e.payout_line_id, l.statement_id, l.place, l.account, l.booked_on, l.refs, l.text, l.payer, l.state AS line_state, l.identity,
    l.payer_account, l.reversal, e.decision, e.answer
FROM exceptions e LEFT JOIN bank_lines l ON l.id = e.line_id
"""


async def list_exceptions(
    connection: asyncpg.Connection, state: str | None, why: str | None, after: tuple[datetime, str] | None, limit: int
) -> list[asyncpg.Record]:
    """Oldest first; `why` is their class."""
    sql = f"""{EXCEPTION} WHERE ($1::text IS NULL OR e.state = $1) AND ($2::text IS NULL OR e.class = $2)
        AND ($3::timestamptz IS NULL OR (e.created_at, e.id) > ($3, $4::uuid)) ORDER BY e.created_at, e.id LIMIT $5"""
    return list(await connection.fetch(sql, state, why, *(after or (None, None)), limit))


async def load_exception(connection: asyncpg.Connection, exception_id: str) -> asyncpg.Record | None:
    return await connection.fetchrow(f"{EXCEPTION} WHERE e.id = $1", exception_id)


async def lock_exception(work: Work, exception_id: str) -> asyncpg.Record | None:
    return await work.connection.fetchrow(f"{EXCEPTION} WHERE e.id = $1 FOR NO KEY UPDATE OF e", exception_id)


async def resolve_exception(work: Work, exception_id: str, payment_id: str | None) -> None:
    sql = """UPDATE exceptions SET state = 'resolved', resolved_at = $2, payment_id = coalesce(payment_id, $3) WHERE id = $1"""
    await work.connection.execute(sql, exception_id, work.now, payment_id)


async def keep_decision(work: Work, exception_id: str, decision: bytes, answer: bytes) -> None:
    """What was decided, and the answer that the same request gets again."""
    sql = "UPDATE exceptions SET decision = $2, answer = $3 WHERE id = $1"
    await work.connection.execute(sql, exception_id, decision, answer)


async def lock_recorded(work: Work, payment_id: str) -> asyncpg.Record | None:
    sql = "SELECT id, way, currency, amount, going_back, bank_line_id FROM payments WHERE id = $1 FOR NO KEY UPDATE"
    return await work.connection.fetchrow(sql, payment_id)


async def assign_exception(work: Work, exception_id: str, whom: str | None) -> None:
    await work.connection.execute("UPDATE exceptions SET assigned_to = $2 WHERE id = $1", exception_id, whom)


async def note(work: Work, exception_id: str, actor: str, action: str, detail: str | None) -> None:
    sql = "INSERT INTO exception_notes (exception_id, at, actor, action, detail) VALUES ($1, $2, $3, $4, $5)"
    await work.connection.execute(sql, exception_id, work.now, actor, action, detail)


async def list_notes(connection: asyncpg.Connection, exception_id: str) -> list[dict[str, Any]]:
    sql = "SELECT at, actor, action, detail FROM exception_notes WHERE exception_id = $1 ORDER BY id"
    return [dict(row) for row in await connection.fetch(sql, exception_id)]
