"""Every SQL statement of the company's settings."""

from __future__ import annotations

from typing import Any

import orjson

from chassis.db.reads import Reads
from chassis.messaging.work import Work


async def load_company(reads: Reads) -> dict[str, Any] | None:
    text = await reads.fetchval("SELECT settings::text FROM company WHERE id = 'company'")
    return dict(orjson.loads(text)) if text else None


SAVE = """
INSERT INTO company (id, settings, sequence) VALUES ('company', $1::jsonb, 1)
ON CONFLICT (id) DO UPDATE SET settings = excluded.settings, sequence = company.sequence + 1 RETURNING sequence
"""


async def save_company(work: Work, settings: dict[str, Any]) -> int:
    """Keep the settings; gives the sequence of their event."""
    sequence: int = await work.connection.fetchval(SAVE, orjson.dumps(settings).decode())
    return sequence
