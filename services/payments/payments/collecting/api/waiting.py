"""`Prefer: wait=10` (RFC 7240): the answer comes when the payment is final. Waiting holds no database connection."""

from __future__ import annotations

import asyncio
import re
from collections import defaultdict
from collections.abc import Iterable
from typing import Annotated

import structlog
from fastapi import Depends, Header, Request

from chassis.running import Running
from payments.collecting.store.payments import answerable
from payments.own import Own

log = structlog.get_logger()

LONGEST_WAIT = 30
MOST_WAITING = 1_000
LOOK_EVERY = 0.05
LOOK_AFTER_FAILURE = 1.0
_WAIT = re.compile(r'wait\s*=\s*"?([0-9]{1,9})"?', re.ASCII | re.IGNORECASE)


def seconds_of(values: Iterable[str]) -> int | None:
    """How long to wait, at most half a minute. The first readable preference of that name counts."""
    for value in values:
        for part in value.split(","):
            named = part.partition(";")[0].strip()
            if named.partition("=")[0].strip().lower() == "wait":
                read = _WAIT.fullmatch(named)
                return min(int(read[1]), LONGEST_WAIT) if read else None
    return None


async def wait_of(
    request: Request,
    prefer: Annotated[
        str | None,
        Header(description="`wait=10`: answer when it is final, or after so many seconds (RFC 7240)"),
    ] = None,
) -> int | None:
    """The seconds that a request asks to wait. The header may be there several times."""
    return seconds_of(request.headers.getlist("prefer")) if prefer else None


Wait = Annotated[int | None, Depends(wait_of)]


class Outcomes:
    """Wakes the waiting requests whose payments can be answered, by one query for all of them."""

    def __init__(self) -> None:
        self._waiting: defaultdict[str, list[asyncio.Future[None]]] = defaultdict(list)
        self._looking: asyncio.Task[None] | None = None

    @property
    def full(self) -> bool:
        return len(self._waiting) >= MOST_WAITING

    async def known(self, running: Running[Own], payment_id: str, seconds: float) -> None:
        """Return once a payment is final or waits for its payer, or when the time is over."""
        told = asyncio.get_running_loop().create_future()
        self._waiting[payment_id].append(told)
        if self._looking is None or self._looking.done():
            self._looking = asyncio.create_task(self._look(running))
        try:
            async with asyncio.timeout(seconds):
                await told
        except TimeoutError:
            pass
        finally:
            self._leave(payment_id, told)

    def _leave(self, payment_id: str, told: asyncio.Future[None]) -> None:
        others = [one for one in self._waiting.pop(payment_id, []) if one is not told]
        if others:
            self._waiting[payment_id] = others

    async def _look(self, running: Running[Own]) -> None:
        while self._waiting:
            pause = LOOK_EVERY
            try:
                for payment_id in await answerable(running.pool, list(self._waiting)):
                    for told in self._waiting.get(payment_id, ()):
                        if not told.done():
                            told.set_result(None)
            except Exception as error:  # those who wait are answered when their time is over
                log.warning("payments that are waited for can't be looked at now", error=repr(error))
                pause = LOOK_AFTER_FAILURE
            await asyncio.sleep(pause)


def outcomes_of(running: Running[Own]) -> Outcomes:
    if running.own.outcomes is None:
        running.own.outcomes = Outcomes()
    return running.own.outcomes
