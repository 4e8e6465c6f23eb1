"""Lists of payments, newest first."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Literal

from chassis.db.reads import Reads
from payments.collecting.domain.payments import Payment
from payments.collecting.store.payments import PAYMENT, payment_of

Sort = Literal["-created_at", "created_at", "-amount", "amount"]


@dataclass(frozen=True, slots=True)
class PaymentFilter:
    """The filters of a list of payments: instants from `since` on and before `until`, rows after `after`.

    `after`: the instant (or, if sorted by amount, the amount with surcharge) and the id of the last row. `invoice_id`:
    payments that were for it, paid it, or would pay it by credit. `digits`: the end of the id, from a payment's number. `q`: a part of the
    reference of one customer's payments, or else the number of which `q_digits` are the digits.
    """

    customer_id: str | None = None
    status: str | None = None
    method_id: str | None = None
    way: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    after: tuple[datetime | int, str] | None = None
    reconciliation: str | None = None
    currency: str | None = None
    method_kind: str | None = None
    invoice_id: str | None = None
    digits: str | None = None
    received_since: date | None = None
    received_until: date | None = None
    sort: Sort = "-created_at"
    q: str | None = None
    q_digits: str | None = None


ABOUT = """({0} = ANY(asked_invoices) OR {0} = ANY(allocated_invoices) OR {0} = ANY(credit_invoices)
    OR {0} = ANY(gone_invoices) OR {0} = ANY(credit_gone_invoices))"""
NUMBERED, REFERRED = "right(id::text, 12) = {}", "position(lower({}::text) IN lower(reference)) > 0"
SORTED_BY = {"created_at": "created_at", "amount": "(amount + surcharge)"}


async def list_payments(connection: Reads, asked: PaymentFilter, limit: int) -> list[Payment]:
    """List payments in the requested order; without one, the newest first."""
    sql, values = list_query(asked, limit)
    return [payment_of(row) for row in await connection.fetch(sql, *values)]


def list_query(asked: PaymentFilter, limit: int) -> tuple[str, list[Any]]:
    """The statement and its values. State and way are literals in it, so that every plan can use their indexes."""
    words = {
        "status": asked.status,
        "way": asked.way,
        "reconciliation": asked.reconciliation,
        "method_kind": asked.method_kind,
    }
    conditions = (
        ("customer_id = {}", asked.customer_id),
        ("method_id = {}", asked.method_id),
        ("created_at >= {}", asked.since),
        ("created_at < {}", asked.until),
        ("currency = {}", asked.currency),
        (NUMBERED, asked.digits),
        (NUMBERED, asked.q_digits),
        (REFERRED, asked.q if asked.q_digits is None else None),
        ("received_on >= {}", asked.received_since),
        ("received_on <= {}", asked.received_until),
        (ABOUT, asked.invoice_id),
    )
    given = [(condition, value) for condition, value in conditions if value is not None]
    where = [condition.format(f"${place}") for place, (condition, _) in enumerate(given, 2)]
    where += [f"{column} = {_word(word)}" for column, word in words.items() if word is not None]
    values: list[Any] = [limit, *(value for _, value in given)]
    by, back = SORTED_BY[asked.sort.removeprefix("-")], asked.sort.startswith("-")
    if asked.after is not None:
        where.append(f"({by}, id) {'<' if back else '>'} (${len(values) + 1}, ${len(values) + 2}::uuid)")
        values += asked.after
    direction = " DESC" if back else ""
    sql = f"""SELECT {PAYMENT} FROM payments WHERE {" AND ".join(where) or "true"}
        ORDER BY {by}{direction}, id{direction} LIMIT $1"""  # noqa: S608
    return sql, values


async def customer_of(connection: Reads, invoice_id: str) -> str | None:
    """The customer of an invoice; None if it is not known here."""
    found: str | None = await connection.fetchval("SELECT customer_id FROM invoices WHERE id = $1", invoice_id)
    return found


def _word(word: str) -> str:
    """A state or a way as an SQL literal."""
    if not re.fullmatch("[a-z_]+", word):
        raise ValueError(f"{word} is no state and no way of a payment")
    return f"'{word}'"
