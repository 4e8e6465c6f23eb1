"""Takes a mail that answers a mail about a ticket: the reply is in the ticket before the mail server hears "250"."""

from __future__ import annotations

from typing import Any

import structlog
from prometheus_client import Counter

from chassis.messaging.work import Cause, Work
from chassis.running import Running
from support.mails import store
from support.mails.domain.addresses import Answered
from support.mails.domain.automatic import automatic
from support.mails.domain.letters import Letter
from support.mails.domain.proof import proof
from support.mails.domain.replies import HOUR, MOST_IN_AN_HOUR, Outcome, may_write, text_of_reply
from support.own import Own
from support.tickets.domain import Entry
from support.tickets.threads import reply

log = structlog.get_logger()
received = Counter("paidup_mails_received_total", "Mails that came for tickets, by what became of them", ["outcome"])


async def take(running: Running[Own], answered: Answered, letter: Letter, return_path: str) -> Outcome:
    """What became of a mail. Programs get no answer, so that two of them don't write to each other for ever."""
    found = automatic(letter, return_path) or _unproven(running.settings, letter)
    if found is not None:
        return found
    if not letter.written and not letter.attachments:
        return "empty"
    async with running.units.begin() as work:
        return await _write(work, answered, letter)


def _unproven(settings: Any, letter: Letter) -> Outcome | None:
    """None: the server that received the mail has nothing against its sender, or no such server is set."""
    if not settings.mail_authserv_id:
        return None
    match proof(letter.all("authentication-results"), settings.mail_authserv_id, letter.sender):
        case "forged":
            return "forged"
        case "missing":
            log.warning("a mail came without the results that SUPPORT_MAIL_AUTHSERV_ID names; it is put off")
            return "later"
        case _:
            return None


async def _write(work: Work, answered: Answered, letter: Letter) -> Outcome:
    writer = await store.find_writer(work, answered.person_id)
    ticket = await store.lock_ticket_numbered(work, answered.number)
    if ticket is None or writer is None or not may_write(letter.sender, writer, ticket.customer_id):
        return "stranger"
    if await store.was_taken(work, ticket, letter.digest):
        return "repeated"
    if await store.count_mails(work, ticket, writer, work.now - HOUR) >= MOST_IN_AN_HOUR:
        return "too_many"
    await store.keep_mail(work, ticket, writer, letter.digest)
    author = writer.author
    work.cause = Cause(actor=f"{author.kind}:{author.id}")
    text = text_of_reply(letter, [one.name for one in letter.attachments])
    await reply(work, ticket, Entry("replied", work.now, author, text))
    return "replied"
