"""How a Kafka consumer waits: the broker holds its question, longer and longer, until something comes.

So an idle consumer costs next to nothing, and what comes is answered at once.
"""

from __future__ import annotations

from typing import Any

POLL_MS = 1_000  # how long a reader waits for its own fetches: it returns as soon as there is a record
SHORTEST_MS, LONGEST_MS = 500, 4_000
LOOK_SECONDS = 1.0  # how often the library looks whether there is more to fetch, beside each answer


def rest(consumer: Any, came: bool, *, busy_ms: int = SHORTEST_MS, busy_bytes: int = 1) -> None:
    """Call it after each poll: `came` says whether there was a record.

    After a record the broker holds a fetch `busy_ms` at most, for `busy_bytes`. A long fetch would hold up partitions
    that were not in it; while nothing comes, all of them are.
    """
    fetcher = consumer._fetcher
    if came:
        fetcher._fetch_max_wait_ms, fetcher._fetch_min_bytes = busy_ms, busy_bytes
    else:
        fetcher._fetch_max_wait_ms = min(LONGEST_MS, 2 * max(fetcher._fetch_max_wait_ms, SHORTEST_MS))
        fetcher._fetch_min_bytes = 1
    fetcher._fetcher_timeout = LOOK_SECONDS
