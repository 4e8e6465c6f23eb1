"""Wakes the relay and the jobs of a service, in this process and in its others, by NOTIFY."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterable, Mapping

import asyncpg
import structlog

from chassis.messaging.work import Wake

log = structlog.get_logger()
CALL = "SELECT pg_notify('jobs', $1)"  # a job, by its name
GATHER_SECONDS = 0.002  # one NOTIFY for many commits
AGAIN_SECONDS = 1.0


class Bell(Wake):
    """`works`: the jobs run in this process, so others need not hear of them."""

    def __init__(self, pool: asyncpg.Pool, *, works: bool = False) -> None:
        self._pool, self._works = pool, works
        self._pending: asyncio.Task[None] | None = None
        self._called: set[str] = set()
        self._rung = False
        self.heard = asyncio.Event()
        self.leading = False

    def ring(self) -> None:
        self.heard.set()
        if not self.leading:
            self._rung = True
            self._soon()

    def call(self, jobs: Iterable[str]) -> None:
        if not self._works:
            self._called.update(jobs)
            self._soon()

    def _soon(self) -> None:
        if self._pending is None or self._pending.done():
            self._pending = asyncio.create_task(self._notify())

    async def _notify(self) -> None:
        await asyncio.sleep(GATHER_SECONDS)
        called, self._called = self._called, set()
        rung, self._rung = self._rung, False
        with contextlib.suppress(Exception):  # who is not woken looks by itself, later
            if rung:
                await self._pool.execute("NOTIFY outbox")
            for job in called:
                await self._pool.execute(CALL, job)


async def listen(dsn: str, bell: Bell, woken: Mapping[str, asyncio.Event]) -> None:
    """Hear what other processes of the service commit, until cancelled. After a fault everybody looks once."""
    while True:
        try:
            await _listen(dsn, bell, woken)
        except Exception as error:
            with contextlib.suppress(Exception):  # to log must not end the listening
                log.warning("nobody is woken by other processes, trying again", error=repr(error))
        await asyncio.sleep(AGAIN_SECONDS)


async def _listen(dsn: str, bell: Bell, woken: Mapping[str, asyncio.Event]) -> None:
    lost = asyncio.Event()
    connection = await asyncpg.connect(dsn, server_settings={"application_name": "listening"})
    try:
        connection.add_termination_listener(lambda _: lost.set())
        await connection.add_listener("outbox", lambda *_: bell.heard.set())
        await connection.add_listener("jobs", lambda *said: woken[said[3]].set() if said[3] in woken else None)
        bell.heard.set()
        for event in list(woken.values()):
            event.set()
        await lost.wait()
    finally:
        await connection.close(timeout=2)
