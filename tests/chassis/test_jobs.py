"""Jobs of a work process: woken, repeated, and ended."""

import asyncio
from collections import defaultdict
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
