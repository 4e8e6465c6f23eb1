"""Takes the lines of bank files: links, posts or reverses the clear ones, and opens exceptions for the others."""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace

import structlog

from chassis.db.pool import COLLIDED, out_of_reach
from chassis.messaging.dead_letters import describe
from chassis.messaging.work import Cause, Units, Work
from chassis.running import Running
from payments.collecting.domain.payments import Reversal, Step, receive
from payments.collecting.domain.reversals import taken_by_bank
from payments.collecting.messages import payment_events
from payments.collecting.store.payments import NewPayment, add_payments, lock_payments, save_steps
from payments.collecting.store.reversals import load_reversals
from payments.exceptions import store as exceptions
from payments.own import Own
from payments.receiving.domain.remittance import Matcher
from payments.receiving.domain.returned import gives_back, says_returned
from payments.receiving.domain.transfers import Transfer, remittance_of
from payments.receiving.domain.verdicts import Arrived, Posted, RecordedAlready, Unclear, opened
from payments.receiving.intake import BATCH
from payments.receiving.store import bank, remittances
from payments.setbacks import in_turn

log = structlog.get_logger()


Take = Callable[[Sequence[bank.NewLine], Work], Awaitable[None]]


async def take_lines(running: Running[Own]) -> bool:
    """Take the next lines of the oldest file; return whether there may be more. A bad line stops no other."""
    try:
        return await _next_lines(running.units, BATCH, _take)
    except Exception as error:
        if _passes(error):
            raise
        log.warning("bank lines not taken together, one by one now", error=describe(error))
    for _ in range(BATCH):
        try:
            await _next_lines(running.units, 1, _take)
        except Exception as error:
            if _passes(error):
                raise
            log.error("bank line not taken, a person has to look", error=describe(error))
            await _leave_to_a_person(running)
            return True
    return True


async def _leave_to_a_person(running: Running[Own]) -> None:
    """Make the next line an exception. If that fails, too, put its file off, so that other files are read."""
    statement_id = await bank.oldest_running(running.units.pool)

    async def set_aside(_: str) -> None:
        await _next_lines(running.units, 1, _set_aside)

    await in_turn.one_by_one(running.units, "take-bank-lines", [statement_id] if statement_id else [], set_aside)


def _passes(error: Exception) -> bool:
    """Whether the error is not about the lines: then they are taken when the job runs again."""
    return isinstance(error, COLLIDED) or out_of_reach(error)


async def _next_lines(units: Units, count: int, take: Take) -> bool:
    async with units.begin(Cause(actor="system:payments")) as work:
        running = await bank.lock_running(work)
        if running is None:
            return False
        statement_id, taken_up_to = running
        lines = await bank.new_lines(work, statement_id, taken_up_to, count)
        work.cause = Cause(correlation=statement_id, actor="system:payments")
        if lines:
            await take(lines, work)
            await bank.move_on(work, statement_id, lines[-1].id)
        else:
            await bank.end_run(work, statement_id)
    return True


async def _set_aside(lines: Sequence[bank.NewLine], work: Work) -> None:
    """Open exceptions for lines that can't be taken, unless an earlier file had them."""
    booked = [line.transfer for line in lines if line.transfer is not None]
    new = await bank.claim_lines(work, [each.line_id for each in booked])
    unclear = [Unclear(each, "missing_here") for each in booked if each.line_id in new]
    states = {line.id: "ignored" if line.transfer is None else "duplicate" for line in lines}
    await exceptions.open_exceptions(work, [opened(each) for each in unclear])
    await bank.keep_states(work, states | {each.transfer.line_id: "proposed" for each in unclear})


async def _take(lines: Sequence[bank.NewLine], work: Work) -> None:
    states = {line.id: "ignored" if line.transfer is None else "duplicate" for line in lines}
    booked = [line.transfer for line in lines if line.transfer is not None]
    ids = [each.line_id for each in booked]
    new = await bank.claim_lines(work, ids) if booked else set()
    moved = await bank.moved_lines(work, ids, new)
    doubted = moved | await bank.doubted_lines(work, [each for each in ids if each not in new])
    fresh = [each for each in booked if each.line_id in new - moved]
    today = work.clock.today()
    due = [each for each in fresh if each.booked_on <= today]
    came = [each for each in due if each.amount.minor > 0 and not each.reversal]
    went = [each for each in due if each.amount.minor < 0 and each.reversal]
    # A person decides about lines of a future day, and about the company's own money that came back.
    strange = [each for each in fresh if each.booked_on > today and _counts(each)]
    strange += [each for each in due if each.amount.minor > 0 and each.reversal]
    doubts = [Unclear(each, "doubled") for each in booked if each.line_id in doubted and _counts(each)]
    states |= {each.line_id: "ignored" for each in fresh}  # what the company paid is not reconciled here
    matcher = Matcher(await remittances.load_facts(work, [*came, *(each.transfer for each in doubts)]))
    verdicts = matcher.judge(came)
    unclear = await proposed(matcher, [*(each for each in verdicts if isinstance(each, Unclear)), *doubts], work)
    unclear += [Unclear(each, "missing_here") for each in strange]
    confirmed = [each for each in verdicts if isinstance(each, RecordedAlready)]
    arrived = [each for each in verdicts if isinstance(each, Arrived)]
    unclear += await _post([each for each in verdicts if isinstance(each, Posted)], states, work)
    linked = set[int]()
    if confirmed:  # before reversals: the bank may bring money and take it back in the same file
        linked |= await remittances.link_payments(work, {each.payment_id: each.transfer.line_id for each in confirmed})
    if arrived:
        linked |= await remittances.link_payouts(work, {each.payout_id: each.transfer.line_id for each in arrived})
    unclear += await _undo(went, [each.transfer.line_id for each in unclear], states, work)
    here = {each.line_id for each in fresh} | doubted
    unclear += await _perhaps_back([each for each in booked if each.line_id in here and not _counts(each)], work)
    # Another line was linked to the same receipt or payout at this very moment.
    told = [each.transfer for each in confirmed] + [each.transfer for each in arrived]
    unclear += [Unclear(each, "doubled") for each in told if each.line_id not in linked]
    states |= dict.fromkeys(linked, "matched")
    states |= {each.transfer.line_id: "proposed" for each in unclear}
    if unclear:
        await exceptions.open_exceptions(work, [opened(each) for each in unclear])
    await bank.keep_states(work, states)


async def proposed(matcher: Matcher, unclear: Sequence[Unclear], work: Work) -> list[Unclear]:
    if not unclear:
        return []
    return matcher.propose(
        unclear, await remittances.load_leads(work, [each.transfer for each in unclear], matcher.facts)
    )


async def _perhaps_back(paid_out: Sequence[Transfer], work: Work) -> list[Unclear]:
    """Open exceptions for outgoing lines that may take back a receipt, although the bank does not mark them so."""
    if not paid_out:
        return []
    found = await remittances.find_taken_back(work, [each.line_id for each in paid_out])
    named, receipts = await remittances.find_named_back(work, paid_out), await remittances.find_receipts(work, paid_out)
    strange = []
    for each in paid_out:
        told = {one.payment_id: one for one in gives_back(each, receipts.get(each.line_id, ()))}
        told |= {one.payment_id: one for one in named.get(each.line_id, ()) if one.payment_id not in told}
        if told or each.line_id in found or says_returned(each):
            strange.append(Unclear(each, "missing_here", tuple(told.values())))
    return strange


def _counts(transfer: Transfer) -> bool:
    """Whether it brought money or is the bank's correction. The company's own payments are not reconciled here."""
    return transfer.amount.minor > 0 or transfer.reversal


def received(transfer: Transfer, posted: Posted, work: Work) -> Step:
    """Make the payment of a transfer, dated on the bank's day."""
    reference = remittance_of(transfer.references, transfer.text)
    step = receive(posted.customer_id, transfer.amount, transfer.booked_on, reference, posted.parts, work.now)
    return step.under(work.cause.correlation)


async def _post(verdicts: Sequence[Posted], states: dict[int, str], work: Work) -> list[Unclear]:
    """Save exact transfers as payments. Those that can't be saved become exceptions."""
    steps = {each.transfer.line_id: received(each.transfer, each, work) for each in verdicts}
    work.emit(*payment_events(steps.values(), work.now))
    new = [NewPayment(step, line_id=line_id) for line_id, step in steps.items()]
    saved = await add_payments(work, new) if new else set()
    states |= {line_id: "posted" for line_id, step in steps.items() if step.payment.id in saved}
    return [
        Unclear(each.transfer, "missing_here")
        for each in verdicts
        if steps[each.transfer.line_id].payment.id not in saved
    ]


async def _undo(
    went: Sequence[Transfer], unclear_lines: Sequence[int], states: dict[int, str], work: Work
) -> list[Unclear]:
    """Reverse the payments of transfers that the bank takes back."""
    if not went:
        return []
    found = await remittances.find_taken_back(work, [each.line_id for each in went], unclear_lines)
    payments, _ = await lock_payments(work, payments=itertools.chain(*found.values()))
    known = defaultdict[str, list[Reversal]](list)
    for each in await load_reversals(work.connection, list(payments)):
        known[each.payment_id].append(each)
    receipts = await remittances.find_receipts(work, [each for each in went if each.line_id not in found])
    unclear, steps = [], list[Step]()
    for transfer in went:
        rest = transfer.amount
        for payment_id in found.get(transfer.line_id, ()):
            step = taken_by_bank(payments[payment_id], known[payment_id], transfer.booked_on, work.now)
            if step is not None and step.reversal is not None:
                payments[payment_id] = step.payment
                known[payment_id].append(step.reversal)
                steps.append(step)
                rest += step.reversal.total
        if rest == transfer.amount:
            unclear.append(
                Unclear(transfer, "missing_here", tuple(gives_back(transfer, receipts.get(transfer.line_id, ()))))
            )
            continue
        states[transfer.line_id] = "posted"
        if rest:  # some of it had gone back before, so it went back twice
            unclear.append(Unclear(replace(transfer, amount=rest), "wrong_amount"))
    work.emit(*payment_events(steps, work.now))
    if steps:
        await save_steps(work, steps)
    return unclear
