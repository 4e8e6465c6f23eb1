"""Sends one mail: looks whether it is still to be sent, renders it, hands it over, records the end."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import structlog

from chassis.db.pool import out_of_reach
from chassis.messaging.work import Work
from chassis.running import Running
from chassis.tasks.queue import Later, Task, done, hasten
from notify import store
from notify.domain.catalogue import BY_NAME
from notify.domain.mails import End, Mail, Person, Wait, after_refusal, before_sending
from notify.domain.unsubscribe import token_of
from notify.own import Own
from notify.rendering.compose import compose
from notify.rendering.view import load_view
from notify.smtp import AwayError, RefusedError

log = structlog.get_logger()
TURN = timedelta(seconds=15)  # at most: the mail before lets it go
AGAIN = timedelta(seconds=1)
PAUSES = tuple(timedelta(seconds=seconds) for seconds in (5, 30, 120, 600, 1800, 7200, 21600))


async def send(task: Task, running: Running[Own], room: asyncio.Semaphore) -> None:
    """`room`: a crash between the server's answer and its record repeats as many mails as are in it at once."""
    async with room:
        mail = await store.find_queued(running.pool, task.id)
        if mail is None:
            return
        kind = BY_NAME[mail.kind]
        if await store.another_comes_first(running.pool, mail, kind.at_once):
            raise Later(TURN)
        person = await store.find_person(running.pool, mail.person_id)
        unwanted = await store.find_unwanted(running.pool, mail.person_id)
        match before_sending(mail, kind, person, unwanted, running.clock.now()):
            case Wait():
                raise Later(AGAIN)
            case End() as end:
                await _end(running, task, mail, end, person)
                return
        assert person is not None
        try:
            await _hand_over(running, task, mail, person)
        except (Later, RefusedError):
            raise
        except Exception as error:
            if not out_of_reach(error):
                await _failed(running, task, mail, person)
            raise


async def _hand_over(running: Running[Own], task: Task, mail: Mail, person: Person) -> None:
    own = running.own
    view = await load_view(running, mail, person)
    if view is None:
        raise Later(AGAIN)
    secrets = own.opener.open(mail.sealed) if mail.sealed else {}
    unsubscribe = address_to_stop(running, mail)
    message, language = compose(own.texts, view, secrets, running.settings.sender, unsubscribe)
    try:
        await own.outgoing.send(message, running.settings.sender, person.email)
    except AwayError as error:
        log.warning("the mail server is away", mail=mail.id, error=str(error))
        raise Later(AGAIN) from None
    except RefusedError as error:
        await _refused(running, task, mail, person, error)
        return
    async with running.units.begin() as work:
        await store.save_sent(work, mail, person, language, str(message["Subject"]))
        await done(work, task)
        await _let_next_go(work, task, mail)


async def _failed(running: Running[Any], task: Task, mail: Mail, person: Person) -> None:
    """The mail can't be made, by a fault of ours: it holds no other up, and is given up after the last try."""
    if task.attempt > len(PAUSES):
        await _end(running, task, mail, End("failed", "it could not be written"), person)
    else:
        await _tried(running, task, mail, "it could not be written")


async def _refused(running: Running[Any], task: Task, mail: Mail, person: Person, error: RefusedError) -> None:
    end = after_refusal(error.code, error.said, error.part)
    if end is None and task.attempt > len(PAUSES):
        end = End("failed", f"the mail server put it off again and again ({error.code})")
    if end is None:
        await _tried(running, task, mail, str(error))
        raise error  # the task comes again after its pause
    await _end(running, task, mail, end, person, attempted=True)


async def _end(
    running: Running[Any], task: Task, mail: Mail, end: End, person: Person | None, *, attempted: bool = False
) -> None:
    async with running.units.begin() as work:
        await store.save_end(work, mail, end, person, attempted=attempted)
        if end.state == "bounced" and person is not None:
            await store.mark_bounced(work, person.email)
        await done(work, task)
        await _let_next_go(work, task, mail)


async def _tried(running: Running[Any], task: Task, mail: Mail, why: str) -> None:
    """The mail comes again after a pause; until then others go before it."""
    async with running.units.begin() as work:
        await store.save_attempt(work, mail, why)
        await _let_next_go(work, task, mail)


async def _let_next_go(work: Work, task: Task, mail: Mail) -> None:
    following = await store.next_after(work, mail, BY_NAME[mail.kind].at_once)
    if following is not None:
        await hasten(work, task.queue, following)


def address_to_stop(running: Running[Any], mail: Mail) -> str | None:
    """Where a reader stops mails of this group; None if they can't be stopped."""
    group = BY_NAME[mail.kind].group
    if group is None:
        return None
    secret = running.settings.unsubscribe_secret.get_secret_value().encode()
    return f"{running.settings.public_url.rstrip('/')}/v1/unsubscribe/{token_of(secret, mail.person_id, group)}"
