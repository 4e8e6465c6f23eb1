"""The queues of mails."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from chassis.jobs import Job
from chassis.messaging.work import Cause
from chassis.running import Running
from chassis.tasks.queue import Queues, Task
from notify import store
from notify.domain.methods import WARNED
from notify.mailing import AT_ONCE, MAILS, UNADDRESSED, Occasion, mail, read
from notify.sending import PAUSES, send
from notify.settings import MOST_CONNECTIONS

QUEUES = Queues()
MOST_AT_ONCE = 500


@QUEUES.on(MAILS, at_once=MOST_CONNECTIONS, pauses=PAUSES)
async def send_mail(task: Task, running: Running[Any]) -> None:
    await send(task, running, running.own.room)


@QUEUES.on(AT_ONCE, at_once=MOST_CONNECTIONS, pauses=PAUSES)
async def send_at_once(task: Task, running: Running[Any]) -> None:
    await send(task, running, running.own.room_at_once)


async def address_mails(running: Running[Any]) -> bool:
    """Mail those who were not known when the event came. True if there may be more.

    After a minute there is nobody to mail.
    """
    async with running.units.begin(Cause(actor="system:notify")) as work:
        found = await store.take_unaddressed(work, MOST_AT_ONCE)
        await mail([read(one) for one in found], work)
        await store.forget_unaddressed(work)
    return len(found) == MOST_AT_ONCE


async def warn_of_expiring(running: Running[Any]) -> bool:
    """Mail each customer whose card expires within 30 days, once for each last day. True if there may be more."""
    today = running.clock.today()
    async with running.units.begin(Cause(actor="system:notify")) as work:
        found = await store.take_expiring(work, today, today + WARNED, MOST_AT_ONCE)
        await mail([_expiring(row) for row in found], work)
    return len(found) == MOST_AT_ONCE


def _expiring(row: Mapping[str, Any]) -> Occasion:
    facts = {"method_id": row["id"], "last_day": row["last_day"].isoformat(), "is_default": row["is_default"]}
    cause = f"method {row['id']} expires {row['last_day']}"
    return Occasion(cause, "method_expiring", facts, customer_id=row["customer_id"])


JOBS = (
    Job(UNADDRESSED, 5, address_mails),
    Job("warn-of-expiring-methods", 3600, warn_of_expiring, alone=True),
)
