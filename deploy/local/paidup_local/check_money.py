"""Compares every book, balance, event and projection of a stack: what it lists is money that does not add up."""

import asyncio
import contextlib
import json
import time
import urllib.request
from collections.abc import Iterable
from typing import Any

import asyncpg

from paidup_local import plan
from paidup_local.settings import Settings

PATIENCE_SECONDS = 30.0
MOST = 50

# Each statement lists what is wrong: an id, and what about it.
INVOICING = {
    "an invoice's balance is not the sum of its entries": """
        SELECT i.id::text, format('balance %s, entries %s', CASE WHEN state = 'void' THEN 0 ELSE total - credited - settled END, e.sum)
        FROM invoices i LEFT JOIN (SELECT invoice_id, sum(amount) FROM entries GROUP BY 1) e ON e.invoice_id = i.id
        WHERE state <> 'draft' AND coalesce(e.sum, 0) <> CASE WHEN state = 'void' THEN 0 ELSE total - credited - settled END""",
    "an invoice's settled amount is not what its entries settled": """
        SELECT i.id::text, format('settled %s, entries %s', settled, e.sum) FROM invoices i LEFT JOIN (
            SELECT invoice_id, -sum(amount) AS sum FROM entries WHERE kind IN ('settle', 'reverse') GROUP BY 1
        ) e ON e.invoice_id = i.id WHERE settled <> coalesce(e.sum, 0)""",
    "an invoice's pending amount is not what reservations hold": """
        SELECT i.id::text, format('pending %s, reserved %s', pending, coalesce(r.sum, 0)) FROM invoices i LEFT JOIN (
            SELECT id, sum(amount) FROM reservations, unnest(invoice_ids, amounts) AS p (id, amount) WHERE state = 'placed' GROUP BY 1
        ) r ON r.id = i.id WHERE pending <> coalesce(r.sum, 0)""",
    "a credit's balance is not the sum of its entries": """
        SELECT c.id::text, format('balance %s, entries %s', balance, e.sum) FROM credits c
        LEFT JOIN (SELECT credit_id, sum(amount) FROM credit_entries GROUP BY 1) e ON e.credit_id = c.id
        WHERE balance <> coalesce(e.sum, 0)""",
}
PAYMENTS = {
    "a ledger transaction does not sum to zero": """
        SELECT transaction_id::text, currency || ' ' || sum(amount) FROM ledger_entries GROUP BY transaction_id, currency
        HAVING sum(amount) <> 0""",
    "a payment and its ledger transaction don't agree": """
        SELECT p.id::text, format('%s, total %s, booked %s', p.reconciliation, p.amount + p.surcharge, l.sum) FROM payments p
        LEFT JOIN (SELECT t.payment_id, sum(e.amount) FROM ledger_transactions t JOIN ledger_entries e ON e.transaction_id = t.id
            WHERE t.kind <> 'reversal' AND e.amount > 0 GROUP BY 1) l ON l.payment_id = p.id
        WHERE CASE WHEN p.reconciliation = 'matched' THEN p.amount + p.surcharge ELSE 0 END <> coalesce(l.sum, 0)""",
    "a reversal and its payment don't agree": """
        SELECT p.id::text, format('reversed %s, booked %s', p.reversed, l.sum) FROM payments p
        LEFT JOIN (SELECT t.payment_id, sum(e.amount) FROM ledger_transactions t JOIN ledger_entries e ON e.transaction_id = t.id
            WHERE t.kind = 'reversal' AND e.amount > 0 GROUP BY 1) l ON l.payment_id = p.id WHERE p.reversed <> coalesce(l.sum, 0)""",
    "a payment is neither final nor has anything to wait for": """
        SELECT id::text, status FROM payments p WHERE status NOT IN ('succeeded', 'declined', 'cancelled', 'expired')
        AND next_poll_at IS NULL AND status <> 'submitted'
        AND NOT EXISTS (SELECT FROM attempts a WHERE a.payment_id = p.id AND a.state = 'begun')""",
    "a payment's parts and credit are not its amount": """
        SELECT id::text, format('amount %s, parts %s, credit %s', amount, allocated_amounts, credit) FROM payments
        WHERE reconciliation = 'matched' AND reversed = 0
        AND amount <> credit + coalesce((SELECT sum(a) FROM unnest(allocated_amounts) AS a), 0)""",
}
EVERYWHERE = {
    "an event is not published": "SELECT aggregate, type FROM outbox WHERE published_at IS NULL",
    "a message waits in the dead letters": "SELECT d.id::text, d.error FROM dead_letters d WHERE state = 'waiting'",
}

FUNDS = "SELECT customer_id::text, currency, -sum(amount) FROM ledger_entries WHERE account = 'customer_funds' GROUP BY 1, 2"
HELD = """SELECT customer_id::text, currency, sum(amount) FROM (
    SELECT customer_id, currency, settled AS amount FROM invoices UNION ALL SELECT customer_id, currency, balance FROM credits
) held GROUP BY 1, 2"""
INVOICES = "SELECT id::text, sequence, CASE WHEN state IN ('open', 'uncollectible') THEN total - credited - settled - pending ELSE 0 END FROM invoices WHERE sequence > 0"
PROJECTED = "SELECT id::text, sequence, payable_now FROM invoices"
PAYMENT_SEQUENCES = "SELECT id::text, sequence FROM payments"
SEEN = "SELECT aggregate, sequence FROM seen WHERE topic = $1 AND consumer = $2"
CHARGED = "SELECT provider_id, amount + surcharge FROM payments WHERE way = 'collect' AND reconciliation = 'matched'"


def run(settings: Settings) -> dict[str, Any]:
    """`ok` and `violations`. A living stack is looked at again until it is quiet or half a minute has passed."""
    return asyncio.run(check(settings))


async def check(settings: Settings) -> dict[str, Any]:
    end = time.monotonic() + PATIENCE_SECONDS
    violations = await _look(settings)
    while violations and time.monotonic() < end:
        await asyncio.sleep(1)
        violations = [one for one in await _look(settings) if one in violations]
    return {"ok": not violations, "violations": violations[:MOST], "count": len(violations)}


async def _look(settings: Settings) -> list[str]:
    async with contextlib.AsyncExitStack() as stack:
        found: dict[str, asyncpg.Connection] = {}
        for service in ("auth", "invoicing", "payments"):
            url = plan.environment(settings, service)[f"{service.upper()}_OWNER_URL"]
            found[service] = await asyncpg.connect(url)
            stack.push_async_callback(found[service].close)
        wrong: list[str] = []
        for service, checks in (("invoicing", INVOICING), ("payments", PAYMENTS)):
            wrong += [line for what, sql in checks.items() for line in await _listed(found[service], what, sql)]
        for service, connection in found.items():
            wrong += [
                f"{service}: {line}"
                for what, sql in EVERYWHERE.items()
                for line in await _listed(connection, what, sql)
            ]
        wrong += await _between(found["invoicing"], found["payments"])
        return wrong + await _provider(settings, found["payments"])


async def _listed(connection: asyncpg.Connection, what: str, sql: str) -> list[str]:
    return [f"{what}: {row[0]} ({row[1]})" for row in await connection.fetch(sql + f" LIMIT {MOST}")]


async def _between(invoicing: asyncpg.Connection, payments: asyncpg.Connection) -> list[str]:
    """The two books agree; projections and seen sequences are where their sources are."""
    funds, held = _amounts(await payments.fetch(FUNDS)), _amounts(await invoicing.fetch(HELD))
    wrong = [
        f"the two books differ: customer {place[0]} {place[1]}, funds {funds.get(place, 0)}, settled and credit {held.get(place, 0)}"
        for place in sorted(funds.keys() | held.keys())
        if funds.get(place, 0) != held.get(place, 0)
    ]
    source = {row[0]: (row[1], row[2]) for row in await invoicing.fetch(INVOICES)}
    copy = {row[0]: (row[1], row[2]) for row in await payments.fetch(PROJECTED)}
    wrong += [
        f"payments' copy of invoice {one} is {copy.get(one)}, not {source.get(one)}" for one in _differing(source, copy)
    ]
    said = {row[0]: row[1] for row in await payments.fetch(PAYMENT_SEQUENCES)}
    heard = dict(await invoicing.fetch(SEEN, "payments.payment.v1", "invoicing"))
    wrong += [
        f"invoicing heard {heard.get(one)} events of payment {one}, not {said.get(one)}"
        for one in _differing(said, heard)
    ]
    return wrong


def _amounts(rows: Iterable[Any]) -> dict[tuple[str, str], int]:
    return {(row[0], row[1]): int(row[2]) for row in rows}


def _differing(one: dict[str, Any], other: dict[str, Any]) -> list[str]:
    return [key for key in sorted(one.keys() | other.keys()) if one.get(key) != other.get(key)][:MOST]


async def _provider(settings: Settings, payments: asyncpg.Connection) -> list[str]:
    """Every charge at the provider is one payment of the same total, and the other way round."""
    charges = await asyncio.to_thread(_charges, settings)
    matched = {row[0]: row[1] for row in await payments.fetch(CHARGED)}
    return [
        f"charge of {one}: the provider has {charges.get(one)}, payments {matched.get(one)}"
        for one in _differing(charges, matched)
    ]


def _charges(settings: Settings) -> dict[str, int]:
    base = f"http://127.0.0.1:{settings.port_of('sandbox')}/_control/charges"
    found: dict[str, int] = {}
    after: str | None = None
    while True:
        with urllib.request.urlopen(base + (f"?after={after}" if after else "")) as answer:  # noqa: S310 - loopback
            page = json.load(answer)
        for charge in page["items"]:
            if charge["status"] == "succeeded":
                found[charge["payment_intent"]] = charge["amount"]
        after = page["next"]
        if not after:
            return found
