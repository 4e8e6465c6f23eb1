"""Reads the provider's payouts and books them."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

import structlog

from chassis.messaging.work import Units, Work
from chassis.running import Running
from contracts.money import Money
from payments.exceptions import store as exceptions
from payments.exceptions.domain import Open, Proposal
from payments.own import Own
from payments.providers import Payout, PayoutLine, Provider
from payments.receiving.domain.payouts import arrived, came_back, comes_again, strays, sum_alone
from payments.receiving.domain.verdicts import Unclear, opened
from payments.receiving.store import bank, payouts
from payments.setbacks import in_turn
from payments.setbacks.store import due_again, put_off_now

log = structlog.get_logger()

AT_ONCE = 50
JOB = "read-payouts"
NOTHING = ("failed", "cancelled")


async def read_payouts(running: Running[Own]) -> bool:
    """Read new payouts, and those whose state may have changed; return whether there may be more."""
    provider = running.own.provider
    listed = await provider.payouts_since(await payouts.newest_payout(running.pool), AT_ONCE)
    again = await due_again(running.pool, JOB, AT_ONCE)
    looked = await payouts.payouts_to_look_at(running.pool, running.clock.now(), AT_ONCE)
    due = {known.provider_id: known for known in looked}
    new = {payout.provider_id: payout for payout in listed}

    async def read(payout_id: str) -> None:
        payout, known = new.get(payout_id) or await provider.get_payout(payout_id), due.get(payout_id)
        booked = known is not None and known.booked
        lines = await _lines_of(provider, payout) if payout.state == "paid" and not booked else []
        await save_payout(running.units, payout, lines, known.look_at if known else None)

    # Known payouts come first, because a new one may pay out the money of a failed one. If one can't be read, its id is
    # kept, and those after it are read.
    waiting = await put_off_now(running.pool, JOB, list(new))
    ids = [each for each in dict.fromkeys([*due, *again, *new]) if each not in waiting]
    await in_turn.one_by_one(running.units, JOB, ids, read)
    return len(listed) == AT_ONCE and bool(new.keys() - waiting)


async def _lines_of(provider: Provider, payout: Payout) -> list[PayoutLine]:
    """Return all lines of a payout. A line that brings a failed payout's money again is replaced by that one's lines.

    A payout that was made by hand has no lines.
    """
    lines = list[PayoutLine]()
    for line in await provider.payout_lines(payout.provider_id) if not payout.by_hand else ():
        failed = await provider.get_payout(line.payout_id) if line.payout_id else None
        lines += await _lines_of(provider, failed) if failed and not failed.by_hand else [line]
    return lines


async def save_payout(units: Units, payout: Payout, lines: list[PayoutLine], looked_at: datetime | None = None) -> None:
    """Book a payout once it is paid, and book it back if it fails later. Unknown charges in it become exceptions.

    `looked_at`: when it was due to be read again; None for a new payout.
    """
    amount = Money(payout.amount_minor, payout.currency)
    async with units.begin() as work:
        if payout.state == "paid":  # the provider's days are UTC's, which begin earlier than ours may
            payout = replace(payout, arrives_on=min(payout.arrives_on, work.clock.today()))
        known = await payouts.keep_payout(work, payout, looked_at)
        if payout.state == known.state == "paid" and not known.booked:
            before = await payouts.lines_known(work.connection, [line.provider_id for line in lines])
            movements = [payouts.movement_of(line) for line in lines]
            if payout.by_hand:
                movements = [sum_alone(payout.provider_id, amount)]
            movements = [comes_again(each) if each.provider_id in before else each for each in movements]
            try:
                posting = arrived(payout.provider_id, amount, movements, payout.arrives_on)
            except ValueError as fault:  # it is read again later; check-money lists it until it is booked
                log.error("a payout is not its lines", payout=payout.provider_id, error=str(fault))
                return
            await payouts.add_payout_lines(work, payout.provider_id, lines)
            await payouts.book_payout(work, posting)
            charged = await payouts.load_charged(work.connection, [line.charge_id or "" for line in lines])
            found = strays(movements, charged)
            if found:
                await exceptions.open_exceptions(
                    work,
                    [Open(s.why, s.movement.amount, payout_line_id=s.movement.provider_id) for s in found],
                )
        elif known.state in NOTHING and known.booked:
            fee = Money(known.bank_fee, payout.currency)
            await payouts.book_payout(work, came_back(payout.provider_id, amount, fee, work.clock.today()))
        if known.state in NOTHING and known.was not in NOTHING:
            came = amount - Money(known.bank_fee, payout.currency)
            await _wait_again(payout.provider_id, known.state, came, work)


async def _wait_again(payout_id: str, state: str, came: Money, work: Work) -> None:
    """Open an exception for the bank line of a payout that failed: a person checks if the bank took the money back."""
    transfer = await payouts.take_from(work, payout_id)
    if transfer is not None:
        await bank.lock_line(work, transfer.line_id)
        transfer = replace(transfer, amount=came)  # if the line was split, only this payout's share
        ended = {"failed": "failed", "cancelled": "was cancelled"}[state]
        reasons = (
            "this line is matched with the payout",
            f"the provider says that the payout {ended}, and has its money",
        )
        unclear = Unclear(transfer, "missing_there", (Proposal(None, (), 0.6, reasons, payout_id=payout_id),))
        await exceptions.open_exceptions(work, [opened(unclear)])
        await bank.keep_states(work, {transfer.line_id: "proposed"})
