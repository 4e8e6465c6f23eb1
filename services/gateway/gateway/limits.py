"""Rate limits of one process: a bucket per key and per address."""

from __future__ import annotations

import math
import time
from collections import OrderedDict

from chassis.http.problems import Problem

MOST_BUCKETS = 50_000


class Buckets:
    """`rate` requests a second each, with a second's worth saved up at most. The longest unused are forgotten."""

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


def too_many(seconds: float) -> Problem:
    return Problem(
        status=429,
        slug="too-many-requests",
        detail="Send fewer requests a second; Retry-After says when the next one is taken.",
        headers={"Retry-After": str(max(1, math.ceil(seconds)))},
    )
