"""Saves what the provider says about charges. Replies, webhooks and polls all come through here."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from chassis.clock import Clock
from chassis.messaging.work import Cause, Units, Work
from contracts.ids import is_id
from contracts.money import Money
from contracts.refusals import Refusal
from payments.collecting.announcing import methods_failed, payouts_changed
from payments.collecting.domain.observing import Seen, accept, consequence, observe
from payments.collecting.domain.payments import PAYER_CANCELLED, Payment, Reversal, Step
from payments.collecting.domain.reversals import SeenBack
from payments.collecting.messages import payment_events
from payments.collecting.store.payments import keep_amounts, lock_payment, lock_payments, save_steps
from payments.collecting.store.reversals import load_reversals
from payments.methods import setting_up
from payments.providers import Charge, Provider, ProviderEvent, ProviderRefused, TakenBack
from payments.providers.codes import Code
from payments.providers.data_files import CODES


@dataclass(frozen=True, slots=True)
class Observed:
    """A charge as the provider shows it. `evidence`: from its own record, not only the reply to our call.

    `payment_id`: if the charge may not name its attempt. `event`: the provider's event that brought it. `asked`: the
    record was requested because of what is known here.
    """

    charge: Charge | None
    evidence: bool
    payment_id: str | None = None
    event: ProviderEvent | None = None
    asked: bool = False

    @property
    def attempt_id(self) -> str | None:
        """The attempt's id; None also if another system of the account made the charge."""
        named = self.charge.attempt_id if self.charge else None
        return named if named and is_id(named) else None


async def save_observed(observed: Sequence[Observed], work: Work) -> Sequence[None]:
    """Save the steps that follow from these charges, for each payment in order."""
    payments, of_attempts = await lock_payments(
        work,
        attempts=[each.attempt_id for each in observed if each.attempt_id],
        payments=[each.payment_id for each in observed if each.payment_id],
    )
    steps: list[Step] = []
    reversals = await _reversals(observed, payments, work)
    for each in observed:
        payment = payments.get(each.payment_id or of_attempts.get(each.attempt_id or "", ""))
        if payment is not None and each.charge is not None:
            seen = _seen(each.charge, work.clock, evidence=each.evidence, asked=each.asked)
            known = reversals[payment.id]
            following = observe(payment, seen, work.now, list(known.values()))
            gave_up = payment.let_go_by if any(one.payment.reason == PAYER_CANCELLED for one in following) else None
            work.cause = Cause(payment.correlation, each.event.id if each.event else None, gave_up)
            work.emit(*payment_events(following, work.now))
            payments[payment.id] = following[-1].payment if following else payment
            known |= {step.reversal.id: step.reversal for step in following if step.reversal}
            steps += following
    payouts = {each.event.payout_id for each in observed if each.event and each.event.payout_id}
    if payouts:
        await payouts_changed(sorted(payouts), work)
    await follow_codes(steps, work)
    events = [(each.event.id, each.event.kind, each.event.occurred_at) for each in observed if each.event]
    if steps or events:
        await save_steps(work, steps, events=events)
    return [None] * len(observed)


async def _reversals(
    observed: Sequence[Observed], payments: Mapping[str, Payment], work: Work
) -> defaultdict[str, dict[str, Reversal]]:
    """Load known reversals, by payment and id. Only if there may be some, because most payments have none."""
    some = any(each.charge and each.charge.taken_back for each in observed)
    wanted = [payment.id for payment in payments.values() if some or payment.going_back]
    found: defaultdict[str, dict[str, Reversal]] = defaultdict(dict)
    for reversal in await load_reversals(work.connection, wanted) if wanted else ():
        found[reversal.payment_id][reversal.id] = reversal
    return found


def _seen(charge: Charge, clock: Clock, *, evidence: bool, asked: bool = False) -> Seen:
    """Translate a charge. The provider's instants become days of the company's calendar."""
    return Seen(
        provider_id=charge.provider_id,
        state=charge.state,
        captured=Money(charge.captured_minor, charge.currency),
        on=clock.date_of(charge.cleared_on) if charge.cleared_on else clock.today(),
        reason=charge.reason,
        evidence=evidence,
        back=tuple(_seen_back(each, charge.currency, clock) for each in charge.taken_back),
        next_action_url=charge.next_action_url,
        asked=asked,
    )


def _seen_back(back: TakenBack, currency: str, clock: Clock) -> SeenBack:
    ours = back.refund_id if back.refund_id and is_id(back.refund_id) else None
    money = Money(back.amount_minor, currency)
    # A later decision counts from the day on which it arrives here, because Stripe dates only the beginning.
    decided = (back.kind, back.state) in {("chargeback", "succeeded"), ("chargeback", "won"), ("refund", "failed")}
    on = clock.today() if decided else clock.date_of(back.at)
    return SeenBack(back.provider_id, back.kind, back.state, money, on, back.code, ours)


async def take_event(units: Units, provider: Provider, event: ProviderEvent) -> None:
    """Take an event of the provider. If its charge doesn't name its attempt, the record is read first.

    A repeated event changes nothing. An event about another system's charge is noted, so that the events after it are
    read. Only the record shows whose charge it is: a charge of ours may go back before its own events, or the reply to
    our call, arrive.
    """
    charge = event.charge
    if event.setup_id is not None:
        await setting_up.take_event(units, provider, event.setup_id)
    if charge is not None and charge.attempt_id is None:
        charge = await _record_of(provider, charge.provider_id)
    await units.together(save_observed, Observed(charge, evidence=True, event=event))


async def _record_of(provider: Provider, provider_id: str) -> Charge | None:
    try:
        return await provider.get_charge(provider_id)
    except ProviderRefused as refused:
        if refused.code != "resource_missing":
            raise
        return None


async def poll(units: Units, provider: Provider, payment_id: str, provider_id: str) -> None:
    """Read the provider's own record of one charge."""
    charge = await provider.get_charge(provider_id)
    await units.together(save_observed, Observed(charge, evidence=True, payment_id=payment_id, asked=True))


async def take_as_it_is(charge: Charge, payment_id: str, work: Work) -> Refusal | None:
    """Make the payment what the provider's record has, as a person decided; or return why it can't be."""
    payment = await lock_payment(work, payment_id)
    if payment is None or payment.provider_id != charge.provider_id:
        return Refusal("changed-meanwhile", "This payment has changed. Look at it again.", conflict=True)
    reversals = await load_reversals(work.connection, [payment_id])
    steps = accept(payment, _seen(charge, work.clock, evidence=True), work.now, reversals)
    if isinstance(steps, Refusal):
        return steps
    steps = [step.under(payment.correlation) for step in steps]
    work.emit(*payment_events(steps, work.now))
    await follow_codes(steps, work)
    await keep_amounts(work, steps[-1].payment)
    await save_steps(work, steps)
    return None


async def follow_codes(steps: Sequence[Step], work: Work) -> None:
    """Disable methods, or hold autopay, as the codes of declines, returns and chargebacks say."""
    meant: dict[str, Code] = {}
    for step in steps:
        code = consequence(CODES, step, work.clock.today())
        if code is not None and step.payment.method_id is not None:
            meant[step.payment.method_id] = code
    if not meant:
        return
    disabled = {method_id: code.words for method_id, code in meant.items() if code.disables}
    if disabled:
        await setting_up.disable_methods(disabled, work)
    # A decline does not hold autopay here: a payer may only have mistyped. Autopay handles its own declines itself.
    grave = {method_id: code for method_id, code in meant.items() if code.disables or code.kind != "decline"}
    failed = {method_id: code.code for method_id, code in grave.items() if code.holds_autopay}
    if failed:
        await methods_failed(failed, work)
