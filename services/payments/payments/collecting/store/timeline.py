"""The events of a payment."""

from __future__ import annotations

from typing import Any

import orjson

from chassis.db.reads import Reads
from chassis.messaging.work import HISTORY


async def load_history(connection: Reads, payment_id: str) -> list[dict[str, Any]]:
    """Load the events of a payment with their bodies, oldest first."""
    return [{**row, "payload": orjson.loads(row["payload"])} for row in await connection.fetch(HISTORY, payment_id)]
