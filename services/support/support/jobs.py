"""What support does by itself: it closes tickets, scans files, and forgets which mails it took."""

from __future__ import annotations

from typing import Any

from chassis.files.keeping import scan_in
from chassis.jobs import Job
from chassis.messaging.work import Cause
from chassis.running import Running
from chassis.tasks.queue import Queues, Task
from support.mails import store as mails
from support.mails.domain.replies import KEPT_FOR
from support.tickets import store
from support.tickets.domain import ITSELF, Entry
from support.tickets.threads import CLOSE, act

QUEUES = Queues()
scan_in(QUEUES)
MOST_FORGOTTEN = 1_000


@QUEUES.on(CLOSE)
async def close_solved(task: Task, running: Running[Any]) -> None:
    """Close a ticket that is still solved and can't be reopened any more."""
    async with running.units.begin(Cause(actor="system:support")) as work:
        ticket = await store.lock_ticket(work, task.id, None)
        if ticket is not None and ticket.state.status == "solved" and not ticket.state.reopens(work.now):
            await act(work, ticket, Entry("closed", work.now, ITSELF))


async def forget_mails(running: Running[Any]) -> bool:
    """Forget mails that no server sends again. True if there may be more."""
    async with running.units.begin() as work:
        return await mails.forget_mails(work, work.now - KEPT_FOR, MOST_FORGOTTEN) == MOST_FORGOTTEN


JOBS = (Job("forget-mails", 3600, forget_mails),)
