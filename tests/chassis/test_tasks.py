"""The task queue on a real PostgreSQL: nothing is lost or done by two, each failure stands alone."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import asyncpg
import pytest

from chassis.clock import Clock
from chassis.db.pool import open_pool
from chassis.jobs import Job, alone
from chassis.messaging.wake import Bell, listen
from chassis.messaging.work import Cause, Units
from chassis.running import Running
from chassis.settings import ServiceSettings
from chassis.tasks import queue as tasks
from chassis.tasks.queue import Later, Queues, Task
from chassis.tasks.worker import Worker, aside, late, measure, waiting
from tests.kit.postgres import Database, drop_database, fresh_database

NO_MIGRATIONS = Path(__file__).parent / "no_migrations"
SOON = (timedelta(milliseconds=10),) * 2


async def eventually(look: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(20):
        while not await look():  # noqa: ASYNC110
            await asyncio.sleep(0.01)


@dataclass
class Desk:
    """One service's database with a process beside it. `did` is what its handlers did."""

    running: Running
    queues: Queues
    did: list[str]

    async def enqueue(self, *ids: str, queue: str = "send", after: timedelta | None = None) -> None:
        async with self.running.units.begin(Cause(correlation="c", actor="staff:ann")) as work:
            for each in ids:
                await tasks.enqueue(work, queue, each, {"to": each}, due_at=work.now + after if after else None)

    @contextlib.asynccontextmanager
    async def working(self, replicas: int = 1, queue: str = "send") -> AsyncIterator[None]:
        workers = [asyncio.create_task(Worker(self.queues.by_name[queue], self.running).run()) for _ in range(replicas)]
        try:
            yield
        finally:
            for worker in workers:
                worker.cancel()
            await asyncio.wait(workers)

    async def begun(self) -> bool:
        return bool(self.did)

    async def put_off(self) -> bool:
        return all(row["lease"] is None for row in await self.rows())

    async def rows(self) -> list[asyncpg.Record]:
        return list(await self.running.pool.fetch("SELECT * FROM tasks ORDER BY queue, id"))

    async def until(self, count: int) -> None:
        """Wait until so many tasks are left that are not set aside."""
        await eventually(lambda: self._left(count))

    async def _left(self, count: int) -> bool:
        return len([row for row in await self.rows() if row["set_aside_at"] is None]) == count


@pytest.fixture(scope="module")
async def database() -> AsyncIterator[Database]:
    made = await fresh_database("auth", NO_MIGRATIONS)
    yield made
    await drop_database(made)


@pytest.fixture
async def desk(database: Database, tmp_path: Path) -> AsyncIterator[Desk]:
    clock = Clock("America/New_York", tmp_path / "clock")
    async with await open_pool(database.work_url, size=8, application="test") as pool:
        await pool.execute("DELETE FROM tasks")
        running = Running(ServiceSettings(), clock, pool, Units(pool, clock, Bell(pool, works=True)), None)
        yield Desk(running, Queues(), [])


class TestHastening:
    async def test_task_put_off_comes_at_once(self, desk: Desk) -> None:
        @desk.queues.on("send")
        async def send(task: Task, running: Running) -> None:
            desk.did.append(task.id)
            if len(desk.did) == 1:
                raise Later(timedelta(hours=1))

        await desk.enqueue("ann")
        async with desk.working():
            await eventually(desk.begun)
            await eventually(desk.put_off)
            async with desk.running.units.begin() as work:
                await tasks.hasten(work, "send", "ann")
                await tasks.hasten(work, "send", "nobody")
            await desk.until(0)
        assert desk.did == ["ann", "ann"]


class TestEnqueueing:
    async def test_task_stands_with_its_transaction(self, desk: Desk) -> None:
        async def fails() -> None:
            async with desk.running.units.begin() as work:
                await tasks.enqueue(work, "send", "1")
                raise RuntimeError

        with pytest.raises(RuntimeError):
            await fails()
        assert await desk.rows() == []

    async def test_same_id_is_one_task(self, desk: Desk) -> None:
        async with desk.running.units.begin() as work:
            assert await tasks.enqueue(work, "send", "1")
            assert not await tasks.enqueue(work, "send", "1")
            assert await tasks.enqueue(work, "other", "1")
        assert len(await desk.rows()) == 2

    async def test_cancelled_task_is_gone(self, desk: Desk) -> None:
        await desk.enqueue("1")
        async with desk.running.units.begin() as work:
            assert await tasks.cancel(work, "send", "1")
            assert not await tasks.cancel(work, "send", "1")
        assert await desk.rows() == []


class TestWorking:
    async def test_handler_gets_body_and_cause(self, desk: Desk) -> None:
        seen: list[Task] = []

        @desk.queues.on("send")
        async def send(task: Task, _: Running) -> None:
            seen.append(task)

        await desk.enqueue("1")
        async with desk.working():
            await desk.until(0)
        (task,) = seen
        assert (task.id, task.body, task.attempt) == ("1", {"to": "1"}, 1)
        assert task.cause == Cause(correlation="c", actor="staff:ann")

    async def test_each_is_done_once_by_three_replicas(self, desk: Desk) -> None:
        @desk.queues.on("send", at_once=4)
        async def send(task: Task, _: Running) -> None:
            desk.did.append(task.id)
            await asyncio.sleep(0.001)

        ids = [f"{n:03}" for n in range(200)]
        await desk.enqueue(*ids)
        async with desk.working(replicas=3):
            await desk.until(0)
        assert sorted(desk.did) == ids

    async def test_no_more_run_at_once_than_allowed(self, desk: Desk) -> None:
        running = most = 0

        @desk.queues.on("send", at_once=3)
        async def send(_task: Task, _: Running) -> None:
            nonlocal running, most
            running += 1
            most = max(most, running)
            await asyncio.sleep(0.01)
            running -= 1

        await desk.enqueue(*map(str, range(12)))
        async with desk.working():
            await desk.until(0)
        assert most == 3

    async def test_result_and_end_are_one_transaction(self, desk: Desk) -> None:
        @desk.queues.on("send")
        async def send(task: Task, running: Running) -> None:
            async with running.units.begin(task.cause) as work:
                assert await tasks.done(work, task)
                await tasks.enqueue(work, "other", task.id)

        async def moved() -> bool:
            return [row["queue"] for row in await desk.rows()] == ["other"]

        await desk.enqueue("1")
        async with desk.working():
            await eventually(moved)


class TestTime:
    async def test_later_task_waits_for_its_day(self, desk: Desk, tmp_path: Path) -> None:
        @desk.queues.on("send")
        async def send(task: Task, _: Running) -> None:
            desk.did.append(task.id)

        await desk.enqueue("tomorrow", after=timedelta(days=1))
        await desk.enqueue("now")
        async with desk.working():
            await desk.until(1)
            assert desk.did == ["now"]
            (tmp_path / "clock").write_text(str(25 * 3600))
            desk.running.units.woken["tasks send"].set()
            await desk.until(0)
        assert desk.did == ["now", "tomorrow"]

    async def test_handler_may_ask_for_another_time(self, desk: Desk) -> None:
        @desk.queues.on("send", pauses=())
        async def send(task: Task, _: Running) -> None:
            desk.did.append(f"{task.id} {task.attempt}")
            if len(desk.did) < 3:
                raise Later(timedelta(milliseconds=10))

        await desk.enqueue("1")
        async with desk.working():
            await desk.until(0)
        assert desk.did == ["1 1"] * 3

    async def test_dead_process_leaves_its_task_to_others(self, desk: Desk) -> None:
        @desk.queues.on("send", lease_seconds=0.3)
        async def send(task: Task, _: Running) -> None:
            desk.did.append(task.id)
            if len(desk.did) == 1:
                await asyncio.sleep(60)

        await desk.enqueue("1")
        async with desk.working():
            await eventually(desk.begun)
        assert len(await desk.rows()) == 1
        async with desk.working():
            desk.running.units.woken["tasks send"].set()
            await desk.until(0)
        assert desk.did == ["1", "1"]


class TestFailing:
    async def test_failure_stops_no_other_and_is_kept(self, desk: Desk) -> None:
        @desk.queues.on("send", pauses=SOON)
        async def send(task: Task, _: Running) -> None:
            desk.did.append(task.id)
            if task.id == "bad":
                raise ValueError("no such address")

        await desk.enqueue("bad", "good", "well")
        async with desk.working():
            await desk.until(0)
        (row,) = await desk.rows()
        assert (row["id"], row["attempts"], row["error"]) == ("bad", 3, "ValueError: no such address")
        assert sorted(desk.did) == ["bad", "bad", "bad", "good", "well"]

    async def test_person_retries_or_drops(self, desk: Desk) -> None:
        broken = True

        @desk.queues.on("send", pauses=())
        async def send(task: Task, _: Running) -> None:
            if broken:
                raise ValueError(task.id)

        await desk.enqueue("1", "2")
        async with desk.working(), desk.running.pool.acquire() as connection:
            await desk.until(0)
            assert [row["id"] for row in await tasks.listing(connection)] == ["1", "2"]
            broken = False
            assert await tasks.retry(connection, "send", "1")
            assert await tasks.drop(connection, "send", "2")
            assert not await tasks.retry(connection, "send", "2")
            desk.running.units.woken["tasks send"].set()
            await desk.until(0)
        assert await desk.rows() == []

    async def test_database_collisions_count_as_no_failure(self, desk: Desk) -> None:
        @desk.queues.on("send", pauses=())
        async def send(task: Task, _: Running) -> None:
            desk.did.append(f"{task.attempt}")
            if len(desk.did) == 1:
                raise asyncpg.DeadlockDetectedError("two met")

        await desk.enqueue("1")
        async with desk.working():
            await desk.until(0)
        assert desk.did == ["1", "1"]

    async def test_queue_is_measured(self, desk: Desk) -> None:
        await desk.enqueue("1", "2")
        await desk.running.pool.execute("UPDATE tasks SET set_aside_at = now() WHERE id = '1'")
        await desk.running.pool.execute("UPDATE tasks SET due_at = $1", desk.running.clock.now() - timedelta(minutes=5))
        await measure(desk.running.pool, desk.running.clock.now(), ["send"])
        values = [gauge.labels("send")._value.get() for gauge in (waiting, aside, late)]
        assert values[:2] == [2, 1]
        assert 299 < values[2] < 320


class TestWaking:
    async def test_other_processes_wake_the_worker(self, desk: Desk, database: Database) -> None:
        @desk.queues.on("send")
        async def send(task: Task, _: Running) -> None:
            desk.did.append(task.id)

        bell = Bell(desk.running.pool, works=True)
        listening = asyncio.create_task(listen(database.work_url, bell, desk.running.units.woken))
        elsewhere = Units(desk.running.pool, desk.running.clock, Bell(desk.running.pool))
        async with desk.working():
            await asyncio.sleep(0.3)  # it has looked, and sleeps for seconds now
            begun = asyncio.get_running_loop().time()
            async with elsewhere.begin() as work:
                await tasks.enqueue(work, "send", "1")
            await desk.until(0)
        listening.cancel()
        assert asyncio.get_running_loop().time() - begun < 2

    async def test_waiting_tasks_are_found_by_index(self, desk: Desk) -> None:
        from chassis.tasks.worker import CLAIM

        plan = await desk.running.pool.fetch(
            "EXPLAIN " + CLAIM.replace("$5", "NULL").replace("$4", "interval '1 s'").replace("$3", "5")
            .replace("$2", "now()").replace("$1", "'send'")
        )  # fmt: skip
        text = "\n".join(row[0] for row in plan)
        assert "tasks_due" in text
        assert "Seq Scan" not in text


class TestAlone:
    async def test_job_runs_in_one_process_at_a_time(self, desk: Desk) -> None:
        inside, most = 0, 0

        async def once(_: Running) -> bool:
            nonlocal inside, most
            inside += 1
            most = max(most, inside)
            await asyncio.sleep(0.05)
            inside -= 1
            return True

        job = Job("once", 1, once, alone=True)
        outcomes = await asyncio.gather(*(alone(job, desk.running) for _ in range(3)))
        assert (sorted(outcomes), most) == ([False, False, True], 1)
        assert await alone(job, desk.running)
