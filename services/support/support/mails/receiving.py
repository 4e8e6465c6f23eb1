"""Takes a mail that answers a mail about a ticket: the reply is in the ticket before the mail server hears "250"."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO
from typing import Any

import structlog
from prometheus_client import Counter

from chassis.files.keeping import LARGEST, Sender, keep
from chassis.messaging.work import Cause, Work
from chassis.running import Running
from contracts.refusals import Refusal
from support.mails import store
from support.mails.domain.addresses import Answered
from support.mails.domain.automatic import automatic
from support.mails.domain.letters import Attachment, Letter
from support.mails.domain.proof import proof
from support.mails.domain.replies import HOUR, MOST_FILES, MOST_IN_AN_HOUR, Outcome, Writer, may_write, text_of_reply
from support.own import Own
from support.tickets.domain import Entry, Ticket
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
        ready = await _judge(work, answered, letter)
    if not isinstance(ready, Ready):
        return ready
    kept, unkept = await _keep(running, letter.attachments, ready.writer)
    async with running.units.begin() as work:
        ready = await _judge(work, answered, letter)
        return ready if not isinstance(ready, Ready) else await _write(work, ready, letter, kept, unkept)


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


@dataclass(frozen=True, slots=True)
class Ready:
    """Who writes in which locked ticket."""

    ticket: Ticket
    writer: Writer


async def _judge(work: Work, answered: Answered, letter: Letter) -> Ready | Outcome:
    writer = await store.find_writer(work, answered.person_id)
    ticket = await store.lock_numbered_to_write(work, answered.number)
    if ticket is None or writer is None or not may_write(letter.sender, writer, ticket.customer_id):
        return "stranger"
    if await store.was_taken(work, ticket, letter.digest):
        return "repeated"
    if await store.count_mails(work, ticket, writer, work.now - HOUR) >= MOST_IN_AN_HOUR:
        return "too_many"
    return Ready(ticket, writer)


async def _keep(
    running: Running[Own], attachments: Sequence[Attachment], writer: Writer
) -> tuple[tuple[str, ...], list[str]]:
    """Ids of the files that are kept, outside of any transaction; names of those that are not.

    If the reply is not written after all, the files go as those that were attached to nothing.
    """
    fit = [one for one in attachments if len(one.content) <= LARGEST][:MOST_FILES]
    kept: list[str] = []
    unkept = [one.name for one in attachments if one not in fit]
    sender = Sender(writer.customer_id, writer.author.sends_as)
    for one in fit:
        try:
            found = await keep(BytesIO(one.content), one.name, running, running.own.files, sender, _cause(writer))
            kept.append(found["id"])
        except Refusal:
            unkept.append(one.name)
    return tuple(kept), unkept


async def _write(work: Work, ready: Ready, letter: Letter, kept: tuple[str, ...], unkept: Sequence[str]) -> Outcome:
    ticket, writer = ready.ticket, ready.writer
    await store.keep_mail(work, ticket, writer, letter.digest)
    work.cause = _cause(writer)
    entry = Entry("replied", work.now, writer.author, text_of_reply(letter, unkept), files=kept)
    await reply(work, ticket, entry)
    return "replied"


def _cause(writer: Writer) -> Cause:
    return Cause(actor=f"{writer.author.kind}:{writer.id}")
