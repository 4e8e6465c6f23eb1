"""The queues of mails."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from chassis.running import Running
from chassis.tasks.queue import Later, Queues, Task, done
from notify import store
from notify.mailing import AT_ONCE, LATE, MAILS, mail, read
from notify.sending import PAUSES, send

QUEUES = Queues()


@QUEUES.on(MAILS, lease_seconds=180, pauses=PAUSES)
async def send_mail(task: Task, running: Running[Any]) -> None:
    await send(task, running, running.own.room)


@QUEUES.on(AT_ONCE, lease_seconds=180, pauses=PAUSES)
async def send_at_once(task: Task, running: Running[Any]) -> None:
    await send(task, running, running.own.room_at_once)


@QUEUES.on(LATE)
async def address_again(task: Task, running: Running[Any]) -> None:
    """Mail the contacts of a customer who had none when the event came; after a while there is nobody to mail."""
    occasion, until = read(task.body["occasion"]), datetime.fromisoformat(task.body["until"])
    async with running.units.begin(task.cause) as work:
        if await store.contacts_of(work, [occasion.customer_id or ""]):
            await mail([occasion], work)
        elif work.now < until:
            raise Later(timedelta(seconds=1))
        await done(work, task)
