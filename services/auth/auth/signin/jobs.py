"""Tasks: make the codes and resets that were asked for. Whoever asked got the same answer, address known or not."""

from __future__ import annotations

from datetime import timedelta

from auth.links import store as links
from auth.own import Own
from auth.people import store as people
from auth.people.domain import Person
from auth.signin import store
from auth.signin.domain import RESET, RESETS_AN_HOUR, SignIn
from auth.signin.entering import send_code, send_link
from chassis.jobs import Job
from chassis.messaging.work import Work
from chassis.running import Running
from chassis.tasks.queue import Queues, Task, done

QUEUES = Queues()
MAKE_CODES, MAKE_RESETS = "make-codes", "make-resets"


@QUEUES.on(MAKE_CODES)
async def make_code(task: Task, running: Running[Own]) -> None:
    async with running.units.begin(task.cause) as work:
        if not await done(work, task):
            return
        one = await store.lock_sign_in(work, task.id)
        if one is None or one.code is not None or work.now >= one.expires_at or not await store.code_wanted(work, one):
            return
        person = await _who_may(work, one)
        if person is not None:
            await send_code(work, running.own, one, person)


async def _who_may(work: Work, one: SignIn) -> Person | None:
    """Who is mailed the code of a request: nobody, unless the address is one of an enabled person whom it is for."""
    found = await people.of_account(work.connection, one.account)
    if one.session_id is not None:
        session = await store.load_session(work.connection, one.session_id)
        found = [person for person in found if session and person.id == session.person_id]
    if one.link_id is not None:
        link = await links.load_link(work.connection, one.link_id)
        found = [person for person in found if link and link.alive(work.now) and person.customer_id == link.customer_id]
    return found[0] if found else None


@QUEUES.on(MAKE_RESETS)
async def make_reset(task: Task, running: Running[Own]) -> None:
    async with running.units.begin(task.cause) as work:
        if not await done(work, task):
            return
        found = await people.of_account(work.connection, bytes.fromhex(task.body["account"]))
        if not found:
            return
        if await store.resets_since(work, found[0].id, work.now - timedelta(hours=1)) < RESETS_AN_HOUR:
            await send_link(work, running.own, found[0], "reset", RESET)


async def prune(running: Running[Own]) -> bool:
    await store.prune(running.pool, running.clock.now())
    return False


JOBS = (Job("prune-sign-ins", 3600, prune, alone=True),)
