"""How a consumer waits for more, without a broker."""

from __future__ import annotations

import asyncio
import time
from types import SimpleNamespace

from chassis.messaging import patience

GATHERS = 0.05


class Fetches:
    """Stands for the library's fetcher: gives each answer in turn, and keeps when it was asked."""

    def __init__(self, *answers: bool) -> None:
        self._answers, self.asked = iter(answers), list[float]()

    async def _proc_fetch_request(self, *_: object) -> bool:
        self.asked.append(time.monotonic())
        return next(self._answers)


async def waits_of(*answers: bool) -> list[bool]:
    """Whether each fetch but the first waited before it was asked."""
    fetches = Fetches(*answers)
    patience.gather(SimpleNamespace(_fetcher=fetches), GATHERS)
    for _ in answers:
        await fetches._proc_fetch_request()
    pairs = zip(fetches.asked, fetches.asked[1:], strict=False)
    return [later - earlier >= GATHERS for earlier, later in pairs]


class TestGathering:
    async def test_waits_only_after_a_record(self) -> None:
        assert await waits_of(False, True, True, False, True) == [False, True, True, False]

    async def test_ends_at_once_when_cancelled(self) -> None:
        fetches = Fetches(True, True)
        patience.gather(SimpleNamespace(_fetcher=fetches), 60)
        await fetches._proc_fetch_request()
        waiting = asyncio.create_task(fetches._proc_fetch_request())
        await asyncio.sleep(0)
        waiting.cancel()
        assert await asyncio.wait_for(waiting, 1) is False
        assert len(fetches.asked) == 1


class TestResting:
    def test_idle_fetches_grow_longer(self) -> None:
        fetcher = SimpleNamespace(_fetch_max_wait_ms=500, _fetcher_timeout=0)
        waits = []
        for came in (False, False, False, False, True):
            patience.rest(SimpleNamespace(_fetcher=fetcher), came)
            waits.append(fetcher._fetch_max_wait_ms)
        assert waits == [1_000, 2_000, 4_000, 4_000, 500]
