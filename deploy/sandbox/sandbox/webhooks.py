"""Events pushed to one address: signed, kept until they are taken, many at once over kept-alive connections."""

import asyncio
import hashlib
import heapq
import hmac
import logging
import time
from functools import partial

import aiohttp

from sandbox.clock import Clock
from sandbox.rules import Rules
from sandbox.store import Store

_AT_ONCE = 32
_MOST_WAITING = 200_000
_MOST_TRIES = 2_000
_FIRST_PAUSE, _LONGEST_PAUSE = 0.1, 5.0
_log = logging.getLogger("sandbox.webhooks")


def signature(body: bytes, secret: str, timestamp: int) -> str:
    """Stripe's header `Stripe-Signature`, scheme v1."""
    digest = hmac.new(secret.encode(), b"%d." % timestamp + body, hashlib.sha256).hexdigest()
    return f"t={timestamp},v1={digest}"


class Webhooks:
    """A queue by time on disk, its order in memory. At least once: a delivery ends after a 2xx.

    Pauses between tries double from 0.1 s to 5 s. Beyond 200,000 waiting deliveries new ones are not made: the list of
    events has them all.
    """

    def __init__(
        self, store: Store, clock: Clock, rules: Rules, url: str | None, secret: str, wanted: frozenset[str]
    ) -> None:
        self._store = store
        self._clock = clock
        self._rules = rules
        self._url = url
        self._secret = secret
        self._wanted = wanted
        self._queue = store.deliveries()
        heapq.heapify(self._queue)
        self._sending: set[asyncio.Task[None]] = set()
        self._wake = asyncio.Event()
        self.delivered = 0
        self.failed = 0

    def schedule(self, event: int, kind: str) -> None:
        """Within a change: deliver an event once the change is on disk."""
        if self._url is None or kind not in self._wanted or len(self._queue) > _MOST_WAITING:
            return
        for delay in self._rules.webhook_delays():
            due = time.time() + delay
            entry = (due, self._store.add_delivery(event, due), event, 0)
            self._store.after_commit(partial(self._push, entry))

    def forget(self) -> None:
        self._queue.clear()

    def waiting(self) -> int:
        return len(self._queue) + len(self._sending)

    async def run(self) -> None:
        """Deliver until cancelled."""
        if self._url is None:
            return
        connector = aiohttp.TCPConnector(limit=_AT_ONCE)
        timeout = aiohttp.ClientTimeout(total=30)
        async with aiohttp.ClientSession(connector=connector, timeout=timeout) as http:
            try:
                while True:
                    await self._pause()
                    self._start_due(http)
            finally:
                for task in self._sending:
                    task.cancel()
                await asyncio.gather(*self._sending, return_exceptions=True)

    def _push(self, entry: tuple[float, int, int, int]) -> None:
        heapq.heappush(self._queue, entry)
        self._wake.set()

    async def _pause(self) -> None:
        """Until something is due and may be sent."""
        self._wake.clear()
        free = len(self._sending) < _AT_ONCE
        if self._rules.dark():
            seconds: float | None = self._rules.now.dark_until - time.time()
        else:
            seconds = self._queue[0][0] - time.time() if self._queue and free else None
        if seconds is None or seconds > 0:
            try:
                await asyncio.wait_for(self._wake.wait(), seconds)
            except TimeoutError:
                return

    def _start_due(self, http: aiohttp.ClientSession) -> None:
        now = time.time()
        while self._queue and self._queue[0][0] <= now and len(self._sending) < _AT_ONCE and not self._rules.dark():
            _, seq, event, tries = heapq.heappop(self._queue)
            task = asyncio.create_task(self._deliver(http, seq, event, tries))
            self._sending.add(task)
            task.add_done_callback(self._sent)

    def _sent(self, task: asyncio.Task[None]) -> None:
        self._sending.discard(task)
        self._wake.set()

    async def _deliver(self, http: aiohttp.ClientSession, seq: int, event: int, tries: int) -> None:
        body = self._store.event_at(event)
        if body is None or await self._send(http, body):
            self.delivered += 1
            with self._store.change():
                self._store.end_delivery(seq)
            return
        self.failed += 1
        self._again(seq, event, tries + 1)

    def _again(self, seq: int, event: int, tries: int) -> None:
        due = time.time() + min(_LONGEST_PAUSE, _FIRST_PAUSE * 2 ** min(tries - 1, 10))
        with self._store.change():
            if tries >= _MOST_TRIES:
                _log.warning("given up after %d tries", tries)
                self._store.end_delivery(seq)
                return
            self._store.put_off_delivery(seq, due, tries)
        self._push((due, seq, event, tries))

    async def _send(self, http: aiohttp.ClientSession, body: bytes) -> bool:
        headers = {
            "Content-Type": "application/json; charset=utf-8",
            "Stripe-Signature": signature(body, self._secret, self._clock.now()),
            "User-Agent": "Stripe/1.0 (+https://stripe.com/docs/webhooks)",
        }
        try:
            async with http.post(self._url or "", data=body, headers=headers) as answer:
                await answer.read()
                return 200 <= answer.status < 300
        except (aiohttp.ClientError, TimeoutError, OSError):
            return False
