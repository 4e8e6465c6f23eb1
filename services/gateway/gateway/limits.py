"""Limits of one process: a bucket per key and per address, and slots that are shared fairly."""

from __future__ import annotations

import asyncio
import contextlib
import math
import time
from collections import Counter, OrderedDict, deque
from collections.abc import AsyncIterator, Callable
from typing import NamedTuple

from chassis.http.problems import Problem

MOST_BUCKETS = 50_000


class Share(NamedTuple):
    """A caller, and the part of a common resource that it may hold at a time."""

    name: str
    part: float


EVERYBODY = Share("", 1)


class Room:
    """A bounded amount of something. A caller that takes more than its share, or than is left, is refused."""

    def __init__(self, most: int, refusal: Callable[[], Problem]) -> None:
        self.left, self._most, self._refusal = most, most, refusal
        self._held: Counter[str] = Counter()

    def take(self, share: Share, amount: int = 1) -> None:
        if amount > self.left or self._held[share.name] + amount > math.ceil(self._most * share.part):
            raise self._refusal()
        self.left -= amount
        self._held[share.name] += amount

    def give(self, share: Share, amount: int = 1) -> None:
        self.left += amount
        self._held[share.name] -= amount
        if not self._held[share.name]:
            del self._held[share.name]


class Buckets:
    """Token buckets: `rate` requests a second for each name, one second's worth saved at most. Unused ones go."""

    def __init__(self, rate: float) -> None:
        self.rate = rate
        self.burst = max(rate, 1.0)
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def take(self, name: str) -> None:
        """Count a request, or raise a 429 problem that says when to come back."""
        now = time.monotonic()
        left, since = self._buckets.get(name, (self.burst, now))
        left = min(self.burst, left + (now - since) * self.rate)
        self._buckets[name] = (left - 1 if left >= 1 else left, now)
        self._buckets.move_to_end(name)
        if len(self._buckets) > MOST_BUCKETS:
            self._buckets.popitem(last=False)
        if left < 1:
            raise too_many((1 - left) / self.rate)


class Slots:
    """A bounded number at a time. Turns go round among the shares that wait, however many requests each has."""

    def __init__(self, most: int) -> None:
        self.free = most
        self._held: Counter[str] = Counter()
        self._waiting: OrderedDict[str, deque[asyncio.Future[None]]] = OrderedDict()
        self._most: dict[str, int] = {}

    @contextlib.asynccontextmanager
    async def taken(self, share: str, most: int) -> AsyncIterator[None]:
        """One slot while the block runs; a share has at most so many at a time."""
        if self.free and share not in self._waiting and self._held[share] < most:
            self._give(share)
        else:
            await self._turn(share, most)
        try:
            yield
        finally:
            self._back(share)

    async def _turn(self, share: str, most: int) -> None:
        turn = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(share, deque()).append(turn)
        self._most[share] = most
        try:
            await turn
        except BaseException:
            if turn.done() and not turn.cancelled():  # given in the same moment
                self._back(share)
            raise

    def _give(self, share: str) -> None:
        self.free -= 1
        self._held[share] += 1

    def _back(self, share: str) -> None:
        self.free += 1
        self._held[share] -= 1
        if not self._held[share]:
            del self._held[share]
        for waiting in list(self._waiting):
            if self.free and self._held[waiting] < self._most[waiting]:
                self._next(waiting)

    def _next(self, share: str) -> None:
        """Give the turn to the first request of the next share; that share goes to the end of the row."""
        turns = self._waiting[share]
        while turns and (turn := turns.popleft()):
            if not turn.done():
                self._give(share)
                turn.set_result(None)
                break
        self._waiting.move_to_end(share)
        if not turns:
            del self._waiting[share], self._most[share]


def too_many(seconds: float) -> Problem:
    return Problem(
        status=429,
        slug="too-many-requests",
        detail="Send fewer requests a second; Retry-After says when the next one is taken.",
        headers={"Retry-After": str(max(1, math.ceil(seconds)))},
    )
