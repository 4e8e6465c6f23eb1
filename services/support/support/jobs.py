"""What support does by itself: it closes tickets that were solved 14 days ago, and scans files."""

from __future__ import annotations

from typing import Any

from chassis.files.keeping import scan_in
from chassis.messaging.work import Cause
from chassis.running import Running
from chassis.tasks.queue import Queues, Task
from support.tickets import store
from support.tickets.domain import ITSELF, Entry
from support.tickets.threads import CLOSE, act

QUEUES = Queues()
scan_in(QUEUES)


@QUEUES.on(CLOSE)
async def close_solved(task: Task, running: Running[Any]) -> None:
    """Close a ticket that is still solved and can't be reopened any more."""
    async with running.units.begin(Cause(actor="system:support")) as work:
        ticket = await store.lock_ticket(work, task.id, None)
        if ticket is not None and ticket.state.status == "solved" and not ticket.state.reopens(work.now):
            await act(work, ticket, Entry("closed", work.now, ITSELF))
