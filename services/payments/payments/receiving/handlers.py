"""What receiving does when collecting voids a receipt, and when the provider says something new of payouts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from chassis.messaging.work import Work
from payments.collecting.announcing import Voided
from payments.collecting.domain.payment_numbers import number_of
from payments.exceptions import store as exceptions
from payments.receiving.domain.remittance import Matcher
from payments.receiving.domain.verdicts import Unclear, opened
from payments.receiving.jobs.bank_lines import proposed
from payments.receiving.store import bank, remittances
from payments.receiving.store.payouts import look_now


async def wait_again(voided: Voided, work: Work) -> str | None:
    """Open an exception for the bank line of a receipt that was just voided; return its id, None if there was no line.

    The invoices that the receipt paid will be owed again, so they may be proposed.
    """
    payment = voided.payment
    transfer = await bank.take_from(work, payment.id)
    if transfer is None:
        return None
    await bank.lock_line(work, transfer.line_id)
    transfer = replace(transfer, amount=payment.amount)  # of a line that was split, this share
    known = await remittances.load_facts(work, [transfer])
    freed = {part.invoice_id: part.amount.minor for part in payment.allocations}
    named = {
        word: [replace(one, payable_now=one.payable_now + freed.get(one.id, 0)) for one in invoices]
        for word, invoices in known.named.items()
    }
    (unclear,) = await proposed(Matcher(replace(known, named=named)), [Unclear(transfer, "missing_here")], work)
    actor, said = work.cause.actor or "", f"{number_of(payment.id)}: {voided.why}"
    await exceptions.note_line(work, transfer.line_id, actor, "voided", said)
    (exception_id,) = await exceptions.open_exceptions(work, [replace(opened(unclear), voided_id=payment.id)])
    await exceptions.note(work, exception_id, actor, "voided", said)
    await bank.keep_states(work, {transfer.line_id: "proposed"})
    return exception_id


async def read_payouts_again(payout_ids: Sequence[str], work: Work) -> None:
    """Let the job read these payouts at once, because the provider's events were about them."""
    await look_now(work, payout_ids)
    work.wake("read-payouts")
