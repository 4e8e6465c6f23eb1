"""Lists of invoices: pages, and how many each tab holds."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date, timedelta
from typing import Any

from chassis.db.reads import Reads
from invoicing.store.customers import contains
from invoicing.store.invoices import EXPECTED_BY, INVOICE

BALANCE = "total - credited - settled"
TABS = {
    "all": "true",
    "open": f"state = 'open' AND {BALANCE} > pending",
    "in_progress": f"state = 'open' AND pending > 0 AND {BALANCE} = pending",
    "paid": "state = 'paid'",
}
OWED = f"state = 'open' AND {BALANCE} > 0"
STATUSES = {
    "unpaid": OWED,
    "overdue": f"{OWED} AND due_on < {{today}}",
    "draft": "state = 'draft'",
    "open": f"state = 'open' AND ({BALANCE} > pending OR pending = 0)",
    "in_progress": TABS["in_progress"],
    "paid": TABS["paid"],
    "void": "state = 'void'",
    "uncollectible": "state = 'uncollectible'",
}
# Days past due, the first and the last of each bucket of aging.
AGES = {
    "amount_due": (None, 0),
    "days_0_30": (1, 30),
    "days_31_60": (31, 60),
    "days_61_90": (61, 90),
    "over_90": (91, None),
}
SORTS = {"issued_on": "date", "due_on": "date", "number": "text", "total": "bigint", "balance": "bigint"}
SORTED_BY = {"balance": f"(CASE WHEN state = 'void' THEN 0 ELSE {BALANCE} END)"}
LAST_CHARACTER = "\U0010ffff"


@dataclass(frozen=True, slots=True)
class Filter:
    """Which invoices a list shows. Days are inclusive; `age` is a bucket of aging on `today`."""

    customer_id: str | None
    drafts: bool
    today: date
    tab: str = "all"
    status: str | None = None
    currency: str | None = None
    issued_from: date | None = None
    issued_to: date | None = None
    due_from: date | None = None
    due_to: date | None = None
    age: str | None = None
    q: str | None = None


@dataclass(frozen=True, slots=True)
class Page:
    """What a list asks for. `sort` is a column with `-` for descending; `after` is the last row's value and id."""

    filter: Filter
    sort: str
    limit: int
    after: tuple[Any, str] | None


class Arguments(list[Any]):
    """The parameters of a statement, numbered as they come."""

    def bind(self, value: Any, kind: str) -> str:
        self.append(value)
        return f"${len(self)}::{kind}"


async def list_invoices(connection: Reads, page: Page) -> list[dict[str, Any]]:
    """One more than `limit`, to show whether a next page exists."""
    arguments = Arguments()
    where = [TABS[page.filter.tab], *_conditions(page.filter, arguments)]
    column, way = page.sort.lstrip("-"), "DESC" if page.sort.startswith("-") else "ASC"
    sorted_by = SORTED_BY.get(column, column)
    if page.after:
        value, sign = arguments.bind(page.after[0], SORTS[column]), "<" if way == "DESC" else ">"
        where.append(f"({sorted_by}, id) {sign} ({value}, {arguments.bind(page.after[1], 'uuid')})")
    sql = f"""SELECT {INVOICE}, po_number, {EXPECTED_BY} FROM invoices i WHERE {" AND ".join(where)}
        ORDER BY {sorted_by} {way}, id {way} LIMIT {arguments.bind(page.limit + 1, "int")}"""  # noqa: S608
    return [dict(row) for row in await connection.fetch(sql, *arguments)]


async def count_invoices(connection: Reads, asked: Filter) -> dict[str, int]:
    """How many invoices of one customer each tab holds, and how many it would hold if only these statuses were asked."""
    arguments = Arguments()
    where = " AND ".join(["true", *_conditions(replace(asked, status=None), arguments)])
    of_status = " AND ".join(["true", *_status(asked, arguments)])
    counted = {name: f"{tab} AND {of_status}" for name, tab in (TABS | {"draft": STATUSES["draft"]}).items()} | {
        "overdue": STATUSES["overdue"].format(today=arguments.bind(asked.today, "date")),
        "unpaid": STATUSES["unpaid"],
    }
    counts = ", ".join(f"count(*) FILTER (WHERE {condition}) AS {name}" for name, condition in counted.items())
    (row,) = await connection.fetch(f"SELECT {counts} FROM invoices WHERE {where}", *arguments)  # noqa: S608
    return dict(row)


def _conditions(asked: Filter, arguments: Arguments) -> list[str]:
    """All but the tab."""
    bind, where = arguments.bind, []
    if not asked.drafts:
        where.append("state <> 'draft'")
    if asked.customer_id:
        where.append(f"customer_id = {bind(asked.customer_id, 'uuid')}")
    where += _status(asked, arguments)
    if asked.currency:
        where.append(f"currency = {bind(asked.currency, 'text')}")
    for column, sign, day in (
        ("issued_on", ">=", asked.issued_from),
        ("issued_on", "<=", asked.issued_to),
        ("due_on", ">=", asked.due_from),
        ("due_on", "<=", asked.due_to),
    ):
        if day is not None:
            where.append(f"{column} {sign} {bind(day, 'date')}")
    if asked.age:
        first, last = AGES[asked.age]
        where += [OWED, f"issued_on <= {bind(asked.today, 'date')}"]  # aging counts no invoice before its day of issue
        if first is not None:
            where.append(f"due_on <= {bind(asked.today - timedelta(days=first), 'date')}")
        if last is not None:
            where.append(f"due_on >= {bind(asked.today - timedelta(days=last), 'date')}")
    if asked.q:
        where.append(_matches(asked.q, arguments, everywhere=asked.customer_id is None))
    return where


def _status(asked: Filter, arguments: Arguments) -> list[str]:
    if not asked.status:
        return []
    today = arguments.bind(asked.today, "date") if asked.status == "overdue" else ""
    return [f"({STATUSES[asked.status].format(today=today)})"]


def _matches(q: str, arguments: Arguments, *, everywhere: bool) -> str:
    """Number, PO, amount and text of a customer's invoices; over all customers, numbers that begin so."""
    if everywhere:
        # As a range, since a plan for any pattern can't know that this one has a beginning.
        low, high = q.lower(), q.lower() + LAST_CHARACTER
        return f"lower(number) ~>=~ {arguments.bind(low, 'text')} AND lower(number) ~<~ {arguments.bind(high, 'text')}"
    like, digits = arguments.bind(contains(q), "text"), q.replace(".", "").replace(",", "")
    amount = (
        f" OR total = {arguments.bind(int(digits), 'bigint')}"
        if digits.isascii() and digits.isdigit() and len(digits) < 16
        else ""
    )
    return f"(lower(number) LIKE {like} OR search LIKE {like}{amount})"
