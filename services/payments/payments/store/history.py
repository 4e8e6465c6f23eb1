"""The history of payments: what was told of one, and lists of them, newest first."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import asyncpg
import orjson

from chassis.messaging.work import HISTORY
from payments.domain import Payment
from payments.store.payments import PAYMENT, payment_of


async def load_history(connection: asyncpg.Connection, payment_id: str) -> list[dict[str, Any]]:
    """What was told of a payment, oldest first, with the body of each event."""
    return [{**row, "payload": orjson.loads(row["payload"])} for row in await connection.fetch(HISTORY, payment_id)]


@dataclass(frozen=True, slots=True)
class History:
    """What a list of payments asks for; instants from `since` on and before `until`, rows after `after` (instant, id)."""

    customer_id: str | None = None
    status: str | None = None
    method_id: str | None = None
    way: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    after: tuple[datetime, str] | None = None


async def list_payments(connection: asyncpg.Connection, asked: History, limit: int) -> list[Payment]:
    """Newest first."""
    sql, values = history_query(asked, limit)
    return [payment_of(row) for row in await connection.fetch(sql, *values)]


def history_query(asked: History, limit: int) -> tuple[str, list[Any]]:
    """The statement and its values. State and way stand in it as words, so that any plan may use their indexes."""
    words = {"status": asked.status, "way": asked.way}
    conditions = {
        "customer_id = {}": asked.customer_id,
        "method_id = {}": asked.method_id,
        "created_at >= {}": asked.since,
        "created_at < {}": asked.until,
    }
    given = [(condition, value) for condition, value in conditions.items() if value is not None]
    where = [condition.format(f"${place}") for place, (condition, _) in enumerate(given, 2)]
    where += [f"{column} = {_word(word)}" for column, word in words.items() if word is not None]
    values: list[Any] = [limit, *(value for _, value in given)]
    if asked.after is not None:
        where.append(f"(created_at, id) < (${len(values) + 1}, ${len(values) + 2}::uuid)")
        values += asked.after
    sql = f"""SELECT {PAYMENT} FROM payments WHERE {" AND ".join(where) or "true"}
        ORDER BY created_at DESC, id DESC LIMIT $1"""  # noqa: S608
    return sql, values


def _word(word: str) -> str:
    """A state or a way as SQL has it."""
    if not re.fullmatch("[a-z_]+", word):
        raise ValueError(f"{word} is no state and no way of a payment")
    return f"'{word}'"
