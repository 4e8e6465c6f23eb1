"""How a job takes its items. A failed item is put off and its error is kept; it never stops the others."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence

import structlog

from chassis.db.pool import out_of_reach
from chassis.messaging.dead_letters import describe
from chassis.messaging.work import Units
from payments.setbacks import store as setbacks

log = structlog.get_logger()

Take = Callable[[str], Awaitable[None]]
TakeAll = Callable[[Sequence[str]], Awaitable[None]]


async def one_by_one(units: Units, job: str, items: Sequence[str], take: Take, *, at_once: int = 1) -> None:
    """Take each item by itself, `at_once` at a time. It ends early only if the database is away."""
    room = asyncio.Semaphore(at_once)

    async def taken(item: str) -> Exception | None:
        async with room:
            try:
                await take(item)
            except Exception as error:
                if out_of_reach(error):
                    raise
                return error
        return None

    outcomes = await asyncio.gather(*(taken(item) for item in items), return_exceptions=True)
    away = next((each for each in outcomes if isinstance(each, BaseException) and out_of_reach(each)), None)
    if away is not None:
        raise away
    failed = {item: each for item, each in zip(items, outcomes, strict=True) if isinstance(each, Exception)}
    for item, error in failed.items():
        log.error("an item of a job failed, it is put off", job=job, item=item, error=describe(error))
    if failed:
        await setbacks.put_off(units.pool, job, {item: describe(error) for item, error in failed.items()})
    if len(failed) < len(items):
        await setbacks.recovered(units.pool, job, [item for item in items if item not in failed])


async def together(units: Units, job: str, items: Sequence[str], take: TakeAll) -> None:
    """Take all items in one transaction. If that fails, take each in its own transaction."""
    if not items:
        return
    try:
        await take(items)
    except Exception as error:
        if out_of_reach(error):
            raise
        log.warning("items of a job not taken together, one by one now", job=job, error=describe(error))
        await one_by_one(units, job, items, lambda item: take([item]))
        return
    await setbacks.recovered(units.pool, job, items)


async def side_by_side(calls: Iterable[Awaitable[None]]) -> None:
    for outcome in await asyncio.gather(*calls, return_exceptions=True):
        if isinstance(outcome, BaseException):
            log.warning("provider call not recorded, it is asked again", error=repr(outcome))
