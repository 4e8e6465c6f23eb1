"""Surcharge rules, by edition of their file."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime

import asyncpg

from payments.collecting.domain.surcharges import SurchargeRule

RULE = "id, valid_from, valid_until, currency, country, state, brand, funding, rate, cap_minor, source"
ADD_RULES = f"""
INSERT INTO surcharge_rules (edition, {RULE})
SELECT $1, * FROM unnest($2::text[], $3::date[], $4::date[], $5::text[], $6::text[], $7::text[], $8::text[], $9::text[],
    $10::numeric[], $11::bigint[], $12::text[])
"""  # noqa: S608


class EditionChangedError(ValueError):
    """A known edition has other content now: give the new rules a later edition."""


async def take_rules(
    connection: asyncpg.Connection, edition: date, digest: bytes, rules: Sequence[SurchargeRule], now: datetime
) -> bool:
    """Save an edition once; return whether it was new. If many processes start at once, one of them saves it."""
    async with connection.transaction():
        sql = "INSERT INTO surcharge_editions (edition, digest, taken_at) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING"
        if await connection.execute(sql, edition, digest, now) == "INSERT 0 1":
            columns = [list(each) for each in zip(*map(_values, rules), strict=True)]
            await connection.execute(ADD_RULES, edition, *columns)
            return True
    known = await connection.fetchval("SELECT digest FROM surcharge_editions WHERE edition = $1", edition)
    if known != digest:
        raise EditionChangedError(f"the surcharge rules of {edition} were taken in with other content")
    return False


def _values(rule: SurchargeRule) -> tuple[object, ...]:
    return (
        rule.id, rule.valid_from, rule.valid_until, rule.currency, rule.country, rule.state, rule.brand, rule.funding,
        rule.rate, rule.cap, rule.source,
    )  # fmt: skip


async def load_rules(connection: asyncpg.Connection) -> tuple[SurchargeRule, ...]:
    """Load the rules of the latest edition."""
    sql = f"""SELECT {RULE} FROM surcharge_rules WHERE edition = (SELECT max(edition) FROM surcharge_editions)
        ORDER BY id"""  # noqa: S608
    return tuple(SurchargeRule(*row.values()) for row in await connection.fetch(sql))
