"""How a Kafka consumer waits: the broker holds its question, longer and longer, until something comes.

So an idle consumer costs next to nothing, and what comes is answered at once.
"""

from __future__ import annotations

import asyncio
from typing import Any

POLL_MS = 1_000  # how long a reader waits for its own fetches: it returns as soon as there is a record
SHORTEST_MS, LONGEST_MS = 500, 4_000
LOOK_SECONDS = 1.0  # how often the library looks whether there is more to fetch, beside each answer


def rest(consumer: Any, came: bool) -> None:
    """Call it after each poll: `came` says whether there was a record.

    Without a record, the broker may hold the next fetch twice as long as the one before. After a record it holds a
    fetch only shortly: a partition that the fetch does not name waits for its end.
    """
    fetcher = consumer._fetcher
    longer = min(LONGEST_MS, 2 * max(fetcher._fetch_max_wait_ms, SHORTEST_MS))
    fetcher._fetch_max_wait_ms = SHORTEST_MS if came else longer
    fetcher._fetcher_timeout = LOOK_SECONDS


def gather(consumer: Any, seconds: float) -> None:
    """Call it once, after the start: while records come, the consumer asks for more only so often.

    The first record after a pause never waits. The consumer waits before it asks, because waiting costs the broker
    more: for each new record, it looks at all partitions of each fetch that it holds.
    """
    ask, came = consumer._fetcher._proc_fetch_request, False

    async def ask_later(*fetch: Any) -> bool:
        nonlocal came
        try:
            await asyncio.sleep(seconds if came else 0)
        except asyncio.CancelledError:  # the consumer stops, or its partitions changed: the library expects no error
            return False
        came = bool(await ask(*fetch))
        return came

    consumer._fetcher._proc_fetch_request = ask_later
