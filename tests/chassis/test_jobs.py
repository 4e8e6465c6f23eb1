"""Jobs of a work process: woken, repeated, and ended."""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import Any, cast

import pytest

from chassis.jobs import Job, repeat
from chassis.running import Running


@pytest.mark.parametrize("turns", range(5))
async def test_job_woken_and_ended_at_once_ends(turns: int) -> None:
    async def nothing(_: Running) -> bool:
        return False

    woken: defaultdict[str, asyncio.Event] = defaultdict(asyncio.Event)
    running = cast(Running, SimpleNamespace(units=SimpleNamespace(woken=woken)))
    task: asyncio.Task[Any] = asyncio.create_task(repeat(Job("job", 60, nothing), running))
    await asyncio.sleep(0.01)
    woken["job"].set()
    for _ in range(turns):
        await asyncio.sleep(0)
    task.cancel()
    done, _ = await asyncio.wait([task], timeout=1)
    assert done, "the job goes on although it was ended"


class Looks:
    """A job that finds nothing. It notes when it looked, and what it says is due next: nothing after the last."""

    def __init__(self, *due: float) -> None:
        self.at: list[float] = []
        self._due: Iterator[float] = iter(due)
        self._looked = asyncio.Event()
        self.woken: defaultdict[str, asyncio.Event] = defaultdict(asyncio.Event)

    async def look(self, _: Running) -> bool:
        self.at.append(asyncio.get_running_loop().time())
        self._looked.set()
        return False

    async def next_due(self, _: Running) -> float | None:
        return next(self._due, None)

    @asynccontextmanager
    async def repeated(self, every_seconds: float) -> AsyncIterator[None]:
        running = cast(Running, SimpleNamespace(units=SimpleNamespace(woken=self.woken)))
        job = Job("job", every_seconds, self.look, next_due=self.next_due)
        task = asyncio.create_task(repeat(job, running))
        yield
        task.cancel()
        await asyncio.wait([task])

    async def until(self, count: int) -> None:
        async with asyncio.timeout(20):
            while len(self.at) < count:
                self._looked.clear()
                await self._looked.wait()

    def pauses(self) -> list[float]:
        return [after - before for before, after in zip(self.at, self.at[1:], strict=False)]


class TestNextDue:
    async def test_job_sleeps_until_it(self) -> None:
        looks = Looks(0.3, 0.2)
        async with looks.repeated(0.01):
            await looks.until(3)
        first, second = looks.pauses()
        assert first >= 0.29
        assert second >= 0.19

    async def test_nothing_due_is_not_looked_for(self) -> None:
        looks = Looks()
        async with looks.repeated(0.01):
            await looks.until(1)
            await asyncio.sleep(0.3)
            assert len(looks.at) == 1
            looks.woken["job"].set()
            await looks.until(2)

    async def test_many_wakes_are_one_look(self) -> None:
        looks = Looks()
        async with looks.repeated(0.2):
            await looks.until(1)
            for _ in range(10):
                looks.woken["job"].set()
                await asyncio.sleep(0.001)
            await looks.until(2)
        assert looks.pauses()[0] >= 0.19

    async def test_what_is_due_waits_for_the_next_turn(self) -> None:
        looks = Looks(-3, -3)
        async with looks.repeated(0.1):
            await looks.until(3)
        assert min(looks.pauses()) >= 0.09
