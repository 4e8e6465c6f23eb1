"""What happened to an invoice: its own events, and events of other services about it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import asyncpg
import orjson

from chassis.db.reads import Reads
from chassis.messaging.work import HISTORY, Work

UNDER_WAY = """
SELECT payment_id, expected_by, (SELECT sum(a)::bigint FROM unnest(invoice_ids, amounts) AS p (id, a) WHERE p.id = $1) AS amount
FROM reservations WHERE payment_id = ANY($2::uuid[]) AND state = 'placed' ORDER BY expected_by, payment_id
"""
NOTES = """
SELECT h.type, h.at, h.payload FROM credit_notes n JOIN history h ON h.aggregate = n.id AND h.sequence = 1
WHERE n.invoice_id = $1 ORDER BY n.id LIMIT 100
"""
HEARD = "SELECT type, at, payload FROM heard WHERE about = ANY($1::uuid[]) ORDER BY id LIMIT 1000"


async def add_heard(work: Work, events: Sequence[tuple[str, datetime, str, bytes]]) -> None:
    """Events about an invoice, a payment or a customer (its id): instant, type and body."""
    sql = """INSERT INTO heard (about, at, type, payload)
        SELECT * FROM unnest($1::uuid[], $2::timestamptz[], $3::text[], $4::bytea[])"""
    await work.connection.execute(sql, *map(list, zip(*events, strict=True)))


@dataclass(frozen=True, slots=True)
class History:
    """The events of an invoice, of its payments, credit notes and its customer's autopay, with bodies, oldest first.

    An event of the invoice itself also has the body `before` it.

    `under_way`: the payments that hold some of it.
    """

    events: list[dict[str, Any]]
    under_way: list[dict[str, Any]]


async def load_history(connection: Reads, invoice_id: str, customer_id: str) -> History:
    emitted = [_event(row) for row in await connection.fetch(HISTORY, invoice_id)]
    for event, before in zip(emitted, [{}, *emitted], strict=False):
        event["before"] = before.get("payload")
    notes = [_event(row) for row in await connection.fetch(NOTES, invoice_id)]
    payments = sorted({event["payload"]["payment_id"] for event in emitted if event["payload"].get("payment_id")})
    heard = [_event(row) for row in await connection.fetch(HEARD, [invoice_id, customer_id, *payments])]
    under_way = [dict(row) for row in await connection.fetch(UNDER_WAY, invoice_id, payments)]
    return History(sorted([*emitted, *heard, *notes], key=lambda event: event["at"]), under_way)


def _event(row: asyncpg.Record) -> dict[str, Any]:
    return {**row, "payload": orjson.loads(row["payload"])}
