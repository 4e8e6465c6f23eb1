"""Consents of payers, append-only."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import asyncpg
import orjson

from chassis.db.reads import Reads
from payments.methods.domain.consents import Consent

CONSENT = """id, kind, given, customer_id, payment_id, quote_id, method_id, setup_id, actor, at, text_version, currency, amount,
    surcharge, rule_id, rate, cap, request_id, address_hash"""


def insert_consents(place: int) -> str:
    """The statement that writes consents from one jsonb parameter; it also stands as a CTE."""
    return f"INSERT INTO consents ({CONSENT}) SELECT {CONSENT} FROM jsonb_populate_recordset(NULL::consents, ${place}::jsonb) AS c"  # noqa: S608


INSERT_CONSENTS = insert_consents(1)


def consents_argument(consents: Sequence[Consent]) -> str:
    """The parameter of `insert_consents`."""
    return orjson.dumps([_record(consent) for consent in consents]).decode()


def _record(consent: Consent) -> dict[str, Any]:
    money, more, rate = consent.amount, consent.surcharge, consent.terms
    return {
        "id": consent.id,
        "kind": consent.kind,
        "given": consent.given,
        "customer_id": consent.customer_id,
        "payment_id": consent.payment_id,
        "quote_id": consent.quote_id,
        "method_id": consent.method_id,
        "setup_id": consent.setup_id,
        "actor": consent.actor,
        "at": consent.at,
        "text_version": consent.text_version,
        "currency": money.currency if money else None,
        "amount": money.minor if money else None,
        "surcharge": more.minor if more else None,
        "rule_id": rate.rule_id if rate else None,
        "rate": str(rate.rate) if rate else None,
        "cap": rate.cap if rate else None,
        "request_id": consent.request_id,
        "address_hash": consent.address_hash,
    }


async def add_consents(connection: asyncpg.Connection, consents: Sequence[Consent]) -> None:
    await connection.execute(INSERT_CONSENTS, consents_argument(consents))


LOAD_CONSENTS = f"""
SELECT {CONSENT} FROM consents WHERE payment_id = $1
UNION ALL
(SELECT {", ".join(f"c.{name.strip()}" for name in CONSENT.split(","))} FROM payments p
JOIN methods m ON m.id = p.method_id
JOIN consents c ON c.payment_id IS NULL AND c.at <= p.created_at AND c.customer_id = p.customer_id
    AND (c.method_id = m.id OR c.setup_id = m.setup_id)
WHERE p.id = $1)
ORDER BY at, id LIMIT 100
"""  # noqa: S608


async def load_consents(connection: Reads, payment_id: str) -> list[asyncpg.Record]:
    """Load the consents to a payment and, before it, to its method; oldest first."""
    found: list[asyncpg.Record] = await connection.fetch(LOAD_CONSENTS, payment_id)
    return found
