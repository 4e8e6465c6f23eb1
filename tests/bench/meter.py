"""CPU and memory of a stack by process, of the client, and of everybody else."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import psutil

from paidup_local import state
from tests.kit.stack import LocalStack


@dataclass(frozen=True)
class Reading:
    """CPU seconds by process of the stack, of this process and of the whole machine, and when (seconds)."""

    stack: dict[str, float]
    client: float
    machine: float
    at: float

    def since(self, before: Reading) -> Spent:
        stack = {name: max(0.0, spent - before.stack.get(name, 0.0)) for name, spent in self.stack.items()}
        return Spent(stack, self.client - before.client, self.machine - before.machine, self.at - before.at)


@dataclass(frozen=True)
class Spent:
    """What was used between two readings, in seconds."""

    stack: dict[str, float]
    client: float
    machine: float
    seconds: float

    @property
    def noise_percent(self) -> float:
        """Share of all cores that other programs took."""
        others = self.machine - sum(self.stack.values()) - self.client
        return max(0.0, 100 * others / (self.seconds * (psutil.cpu_count() or 1)))

    def each_ms(self, count: int) -> dict[str, float]:
        return {name: round(spent * 1000 / count, 3) for name, spent in self.stack.items()}


def read(stack: LocalStack) -> Reading:
    found = state.running(stack.settings)
    assert found, "the stack is not running"
    assert found.supervisor.pid
    spent = {one.name: _with_children(one.pid) for one in found.processes if one.pid}
    spent["supervisor"] = _own(psutil.Process(found.supervisor.pid))
    machine = psutil.cpu_times()
    return Reading(spent, _own(psutil.Process()), machine.user + machine.nice + machine.system, time.monotonic())


REST_SHARE, REST_SECONDS, RESTLESS_SECONDS = 0.15, 1.0, 300


async def at_rest(stack: LocalStack) -> None:
    """Return once the stack takes next to nothing for a second: all who hear what was done have taken it up.

    AssertionError if that takes minutes.
    """
    deadline, before = time.monotonic() + RESTLESS_SECONDS, read(stack)
    while True:
        await asyncio.sleep(REST_SECONDS)
        now = read(stack)
        spent, before = now.since(before), now
        if sum(spent.stack.values()) < REST_SHARE * spent.seconds:
            return
        assert time.monotonic() < deadline, f"not at rest after {RESTLESS_SECONDS} s: {spent.stack}"


@dataclass
class Memory:
    """Resident megabytes of a process of a stack: at first, and the most since."""

    first: float
    most: float = field(default=0)

    @property
    def grown(self) -> float:
        return round(self.most - self.first, 1)


@contextlib.asynccontextmanager
async def memory(stack: LocalStack, name: str) -> AsyncIterator[Memory]:
    """Watches a process, ten times a second, while the block runs."""
    process = psutil.Process(stack.pid(name))
    seen = Memory(_resident(process))

    async def watch() -> None:
        while True:
            seen.most = max(seen.most, _resident(process))
            await asyncio.sleep(0.1)

    watching = asyncio.create_task(watch())
    try:
        yield seen
    finally:
        watching.cancel()
        seen.most = max(seen.most, _resident(process))


def _resident(process: psutil.Process) -> float:
    return float(process.memory_info().rss) / 1_000_000


def _own(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


def _with_children(pid: int) -> float:
    """A process with all below it; those that have ended stand in their parent's account."""
    total, root = 0.0, psutil.Process(pid)
    for one in [root, *root.children(recursive=True)]:
        try:
            times = one.cpu_times()
        except psutil.NoSuchProcess:
            continue
        total += times.user + times.system + times.children_user + times.children_system
    return float(total)
