"""Makes a payer link for each invoice that is issued, and ends it after the invoice is paid."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from auth.hashes import LINK_BYTES, new_token
from auth.links import messages, store
from auth.links.domain import AFTER_PAID, PayerLink
from chassis.messaging.records import Received
from chassis.messaging.work import Work
from contracts import invoicing as heard
from contracts.envelope import Envelope
from contracts.ids import is_id, new_id


async def make_links(events: Sequence[Received[heard.InvoiceIssued]], work: Work) -> None:
    """For the customers who have a contact to mail it to."""
    await store.keep_invoices(work, {one.event.invoice_id: one.event.customer_id for one in events})
    reached = await store.to_be_mailed(work, sorted({one.event.customer_id for one in events}))
    made = [(one, new_token(LINK_BYTES)) for one in events if one.event.customer_id in reached]
    links = [
        PayerLink(new_id(), work.own.pepper.token(text), one.event.customer_id, one.event.invoice_id, work.now, said=1)
        for one, text in made
    ]
    if links:
        await store.insert_links(work, links)
    for link, (one, text) in zip(links, made, strict=True):
        work.cause = one.cause
        work.emit(messages.made(link, work.own.sealer.seal(link=work.own.link(f"/i/{text}")), "invoice_issued"))


async def with_links(envelopes: Sequence[Envelope], work: Work) -> Collection[str]:
    linked = await store.with_links(work, sorted({one.subject for one in envelopes if is_id(one.subject)}))
    return {one.id for one in envelopes if one.subject in linked}


async def end_links(events: Sequence[Received[heard.InvoiceState]], work: Work) -> None:
    """30 days after it was paid or voided; a reopened invoice's links go on."""
    ends = {
        one.event.invoice_id: None if isinstance(one.event, heard.InvoiceReopened) else work.now + AFTER_PAID
        for one in events
    }
    await store.end_links(work, ends)
