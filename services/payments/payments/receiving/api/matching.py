"""`match`: the money of a bank line is known already, as receipts, as a payout, or as a receipt that went back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from chassis.http.problems import problem_of
from chassis.messaging.work import Work
from contracts.ids import is_id
from contracts.money import Money
from contracts.refusals import Refusal
from payments.collecting.domain.payment_numbers import number_of
from payments.collecting.domain.reversals import VOIDED, taken_by_bank
from payments.collecting.messages import payment_events
from payments.collecting.store.payments import lock_payment, save_steps
from payments.collecting.store.reversals import load_reversals
from payments.exceptions import store as exceptions
from payments.receiving.api.resolutions import Resolution, money_of_line, proposal_of
from payments.receiving.domain.payouts import kept_by_bank
from payments.receiving.store import payouts, remittances


async def match(row: Any, asked: Resolution, work: Work) -> str | None:
    """Match the line with recorded receipts or a payout; or, if money went out, with the receipt that it took back."""
    money_of_line(row, work, out=True)
    proposed = proposal_of(row, asked.proposal) if asked.proposal is not None else {}
    if payout_id := asked.payout_id or proposed.get("payout_id"):
        await _match_payout(row, payout_id, asked.rest_is_fee, work)
        return None
    if asked.rest_is_fee:
        raise problem_of(Refusal("not-used", "Only of a payout is the rest a fee; leave it out.", "rest_is_fee"))
    payment_id = asked.payment_id or proposed.get("payment_id")
    payment_ids = [payment_id] if payment_id else asked.payment_ids or proposed.get("payment_ids", [])
    if not payment_ids:
        detail = "Say which receipt or payout it is: payment_id, payment_ids, payout_id, or a proposal."
        raise problem_of(Refusal("unknown-payment", detail, "payment_id"))
    if row["amount"] < 0:
        if len(payment_ids) > 1:
            detail = "Money that went out is matched with one receipt."
            raise problem_of(Refusal("not-used", detail, "payment_ids"))
        return await _take_back(row, payment_ids[0], work)
    await _match_receipts(row, payment_ids, "payment_ids" if asked.payment_ids else "payment_id", work)
    return payment_ids[0] if len(payment_ids) == 1 else None


async def _match_receipts(row: Any, payment_ids: Sequence[str], field: str, work: Work) -> None:
    """Link the line to recorded receipts. Nothing is booked: the receipts were booked when they were recorded."""
    found = {each["id"]: each for each in await remittances.lock_recorded(work, list(filter(is_id, payment_ids)))}
    for payment_id in payment_ids:
        if payment_id not in found:
            raise problem_of(_no_such_payment(payment_id, field))
    if len(found) < len(payment_ids):
        raise problem_of(Refusal("payment-twice", "A receipt is named twice.", field))
    sums = {each["currency"]: 0 for each in found.values()}
    for each in found.values():
        sums[each["currency"]] += each["amount"]
    if sums != {row["currency"]: row["amount"]}:
        named = " and ".join(str(Money(minor, currency)) for currency, minor in sums.items())
        detail = f"What is named comes to {named}, and the line is of {Money(row['amount'], row['currency'])}."
        raise problem_of(Refusal("other-amount", detail, field))
    if any(one["way"] != "receive" or one["bank_line_id"] or one["reason"] == VOIDED for one in found.values()):
        detail = "Only a recorded receipt that was not voided, and has no bank line yet, can be this money."
        raise problem_of(Refusal("not-this-money", detail, field, conflict=True))
    linked = await remittances.link_payments(work, dict.fromkeys(found, row["line_id"]), gone=True)
    assert linked, "their rows are locked, and were looked at"
    await exceptions.note(work, row["id"], work.cause.actor or "", "payment", "; ".join(map(number_of, payment_ids)))


async def _match_payout(row: Any, payout_id: str, rest_is_fee: bool, work: Work) -> None:
    """Link the line to a payout. The payout itself was booked when the provider had paid it.

    A failed payout can be linked, too: its money may have reached the bank, which takes it back with another line.
    """
    found = await payouts.lock_payout(work, payout_id)
    if found is None:
        raise problem_of(Refusal("unknown-payout", f"There is no payout {payout_id}.", "payout_id"))
    if found["bank_line_id"] is not None:
        detail = (
            "Another bank line is matched with this payout already. If this line is the same money, dismiss it. If the "
            "money came once more, ask the provider."
        )
        raise problem_of(Refusal("not-this-money", detail, "payout_id", conflict=True))
    money, came = Money(found["amount"], found["currency"]), Money(row["amount"], row["currency"])
    whole = money.currency == came.currency and row["voided_id"] is None  # the rest of a share is another's money
    kept = money - came if rest_is_fee and whole and 0 < came.minor < money.minor else None
    if kept is None and money != came:
        detail = (
            f"The payout is of {money}, the line is not. Ask the provider what it sent, and the bank: what that kept "
            "is a fee with rest_is_fee. Else dismiss the line, saying what it was."
        )
        raise problem_of(Refusal("other-amount", detail, "payout_id"))
    if kept and not found["booked"]:
        detail = "The provider has not said that it paid this out; wait until it has."
        if found["state"] in ("failed", "cancelled"):
            detail = (
                "It came to nothing, so there is no fee of it. Dismiss this once the bank has taken its money back."
            )
        raise problem_of(Refusal("not-paid-out", detail, "payout_id", conflict=True))
    if kept:
        await payouts.book_payout(work, kept_by_bank(payout_id, kept, row["booked_on"]))
    linked = await remittances.link_payouts(work, {payout_id: row["line_id"]})
    assert linked, "its row is locked, and was looked at"
    said = f"{payout_id}; the bank kept {kept}" if kept else payout_id
    await exceptions.note(work, row["id"], work.cause.actor or "", "payout", said)


async def _take_back(row: Any, payment_id: str, work: Work) -> str:
    """Reverse this amount of a receipt, because the bank took it back: its invoices are owed again."""
    payment = await lock_payment(work, payment_id) if is_id(payment_id) else None
    if payment is None:
        raise problem_of(_no_such_payment(payment_id))
    if payment.way != "receive":
        detail = "The bank takes back only what was received there. What goes back of a charge, the provider reports."
        raise problem_of(Refusal("not-this-money", detail, "payment_id", conflict=True))
    money, reversals = Money(-row["amount"], row["currency"]), await load_reversals(work.connection, [payment_id])
    if payment.amount.currency != money.currency:
        detail = f"This receipt is in {payment.amount.currency}, the line in {money.currency}."
        raise problem_of(Refusal("other-currency", detail, "payment_id"))
    step = taken_by_bank(payment, reversals, row["booked_on"], work.now, money)
    if step is None:
        detail = f"Less than {money} of this receipt is left to take back."
        raise problem_of(Refusal("more-than-left", detail, "payment_id", conflict=True))
    work.emit(*payment_events([step], work.now))
    await save_steps(work, [step])
    return payment_id


def _no_such_payment(payment_id: str, field: str = "payment_id") -> Refusal:
    return Refusal("unknown-payment", f"There is no payment {payment_id}.", field)
