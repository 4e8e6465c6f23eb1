"""Every SQL statement of payer links."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from auth.links.domain import PayerLink
from chassis.db.reads import Reads
from chassis.messaging.work import Work

COLUMNS = "id, digest, customer_id, invoice_id, made_at, ends_at, revoked_at, said"

INSERT = f"""
INSERT INTO payer_links ({COLUMNS})
SELECT * FROM unnest($1::uuid[], $2::bytea[], $3::uuid[], $4::uuid[], $5::timestamptz[], $6::timestamptz[],
    $7::timestamptz[], $8::bigint[]) ON CONFLICT (digest) DO NOTHING
"""  # noqa: S608


async def insert_links(work: Work, links: Sequence[PayerLink]) -> bool:
    """False: all of them are there already."""
    names = COLUMNS.split(", ")
    done = await work.connection.execute(INSERT, *([getattr(one, name) for one in links] for name in names))
    return bool(done != "INSERT 0 0")


def _link(row: Any) -> PayerLink:
    return PayerLink(**dict(row))


async def load_link(reads: Reads, link_id: str) -> PayerLink | None:
    row = await reads.fetchrow(f"SELECT {COLUMNS} FROM payer_links WHERE id = $1", link_id)  # noqa: S608
    return _link(row) if row else None


async def find_link(reads: Reads, digest: bytes) -> PayerLink | None:
    row = await reads.fetchrow(f"SELECT {COLUMNS} FROM payer_links WHERE digest = $1", digest)  # noqa: S608
    return _link(row) if row else None


END = """
UPDATE payer_links l SET ends_at = n.ends_at FROM unnest($1::uuid[], $2::timestamptz[]) AS n (invoice_id, ends_at)
WHERE l.invoice_id = n.invoice_id AND l.revoked_at IS NULL
"""


async def end_links(work: Work, ends: Mapping[str, datetime | None]) -> None:
    """When the links of these invoices end; None: not for now."""
    ids = sorted(ends)
    await work.connection.execute(END, ids, [ends[one] for one in ids])


WITH_LINKS = "SELECT DISTINCT invoice_id FROM payer_links WHERE invoice_id = ANY($1::uuid[]) AND revoked_at IS NULL"


async def with_links(work: Work, invoice_ids: Sequence[str]) -> set[str]:
    """Those of the invoices that a link opens."""
    return {row["invoice_id"] for row in await work.connection.fetch(WITH_LINKS, invoice_ids)}


KEEP_INVOICES = "INSERT INTO invoices SELECT * FROM unnest($1::uuid[], $2::uuid[]) ON CONFLICT DO NOTHING"


async def keep_invoices(work: Work, customers: Mapping[str, str]) -> None:
    """Whose each invoice is."""
    await work.connection.execute(KEEP_INVOICES, list(customers), list(customers.values()))


async def invoice_known(work: Work, invoice_id: str, customer_id: str) -> bool:
    """Whether this customer has the invoice. Another customer's is answered as one that does not exist."""
    sql = "SELECT true FROM invoices WHERE id = $1 AND customer_id = $2"
    return bool(await work.connection.fetchval(sql, invoice_id, customer_id))


REVOKE = """
UPDATE payer_links SET revoked_at = $3 WHERE invoice_id = $2 AND ($1::uuid IS NULL OR customer_id = $1) AND revoked_at IS NULL
RETURNING id
"""


async def revoke_links(work: Work, customer_id: str | None, invoice_id: str) -> list[str]:
    """Revoke all links of an invoice; gives the ids of those that were still good."""
    return [row["id"] for row in await work.connection.fetch(REVOKE, customer_id, invoice_id, work.now)]


TO_BE_MAILED = """
SELECT c FROM unnest($1::uuid[]) AS c WHERE NOT EXISTS (SELECT FROM customers k WHERE k.id = c)
    OR EXISTS (SELECT FROM people p WHERE p.customer_id = c AND p.enabled)
"""


async def to_be_mailed(work: Work, customer_ids: Sequence[str]) -> set[str]:
    """Those of the customers to whose contacts a link can be mailed.

    A customer who is not known yet may have one: its invoice may be heard of before the customer itself.
    """
    return {row["c"] for row in await work.connection.fetch(TO_BE_MAILED, list(customer_ids))}
