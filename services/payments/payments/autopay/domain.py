"""Autopay: when it charges an invoice, by which method, and how often. Values in, values out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Literal

from contracts.calendar import business_date, start_of
from contracts.ids import new_id
from contracts.refusals import Refusal
from payments.collecting.domain.payments import NEVER_MADE, PAYER_CANCELLED, Step, expected_by, submit
from payments.collecting.domain.quotes import Quote, Wish, Wishes, make_quote
from payments.collecting.domain.surcharges import SurchargeRule, highest_rate, terms_for
from payments.methods.domain.methods import Currencies, Method, MethodKind, cannot_pay, pays_in, unusable
from payments.projections.domain import CLOSED, OpenInvoice
from payments.providers.codes import Code, CodeKind, known, meaning, meaning_of_decline

AUTOPAY_ACTOR = "system:autopay"
NOTICE = timedelta(days=2)
CHANGED_WAIT = timedelta(minutes=1)
PUT_OFF = timedelta(days=1)
PART_HELD, ALL_HELD = "part_held", "all_held"
HELD_BACK = frozenset({("paid", PART_HELD), ("skipped", ALL_HELD)})  # a further try follows once the hold ends
ChargeDay = Literal["due", "issue"]

# Our own reasons why autopay is held, besides the provider's codes, and what to do.
WITH_ANOTHER = "Switch autopay on again with another method."
HELD = {
    "method-removed": f"The payment method was removed. {WITH_ANOTHER}",
    "method-used": f"The payment method was given for one payment, which it made. {WITH_ANOTHER}",
    "method-disabled": f"The payment method can't be used any more. {WITH_ANOTHER}",
    "method-unverified": (
        "The bank account is not verified. Verify it and switch autopay on again, or do so with another method."
    ),
    "method-expired": "The card has expired. Add the card that replaced it, and switch autopay on again with that one.",
    "surcharge_without_consent": (
        "The surcharge is higher than what was agreed to. Agree to it by switching autopay on again with "
        "surcharge_consent true, or do so with another method."
    ),
    "not_confirmed": f"The bank asked for a confirmation, which nobody gave in time. {WITH_ANOTHER}",
    "authentication_required": f"The bank asks for a confirmation, and nobody is there to give it. {WITH_ANOTHER}",
}
BY_HAND = "What was issued before that is paid by hand."


@dataclass(frozen=True, slots=True)
class Autopay:
    """Charges invoices issued since `enabled_at`. `surcharge_rate`: the highest rate that the payer agreed to.

    `by_currency` has the methods of single currencies; `method_id` pays all other currencies that it can.
    """

    customer_id: str
    enabled: bool
    method_id: str | None
    day: ChargeDay
    surcharge_consent: bool
    surcharge_rate: Decimal = Decimal(0)
    enabled_at: datetime | None = None
    enabled_by: str | None = None
    held_reason: str | None = None
    held_at: datetime | None = None
    sequence: int = 0
    by_currency: tuple[tuple[str, str], ...] = ()

    def method_for(self, currency: str) -> str | None:
        return dict(self.by_currency).get(currency, self.method_id)

    @property
    def method_ids(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys([*filter(None, [self.method_id]), *(one for _, one in self.by_currency)]))

    @property
    def charges(self) -> bool:
        return self.enabled and self.held_reason is None


@dataclass(frozen=True, slots=True)
class Retries:
    """From `since` on: on which days after the first try a kind of method is tried again, and the last day for that."""

    kind: MethodKind
    since: date
    days: tuple[int, ...]
    within_days: int | None = None

    def allows(self, first_at: datetime, at: datetime) -> bool:
        return self.within_days is None or at <= first_at + timedelta(days=self.within_days)


def retries_of(retries: Sequence[Retries], kind: MethodKind | None, on: date) -> Retries:
    """The retries that hold on a day; no days if the file has none for this kind of method."""
    found = [each for each in retries if each.kind == kind and each.since <= on]
    return max(found, key=lambda each: each.since) if found else Retries(kind or "card", on, ())


@dataclass(frozen=True, slots=True)
class AutopayCharge:
    """One try to charge an invoice. The notice went out at `notice_at`; `first_at` is the instant of the first try.

    `attempt` counts the tries; `declines` counts those before this one that the bank declined. It charges no more than
    was `announced`, in minor units. `left_out`: what further tries may charge besides; 0 once the invoice was closed.
    """

    id: str
    customer_id: str
    invoice_id: str
    attempt: int
    first_at: datetime
    notice_at: datetime
    charge_at: datetime
    charge_on: date
    state: Literal["scheduled", "submitted", "paid", "declined", "skipped"] = "scheduled"
    reason: str | None = None
    payment_id: str | None = None
    declines: int = 0
    announced: int | None = None
    left_out: int | None = None

    @property
    def allowed(self) -> int | None:
        """What this try, until it is paid, and further ones may charge in all. It only falls from try to try.

        So money that went back to the payer is not charged again. None: the try is from before amounts were announced.
        """
        if self.state == "paid":
            return self.left_out
        return None if self.announced is None else self.announced + (self.left_out or 0)

    def within(self, amount: int) -> int:
        return amount if self.allowed is None else min(amount, self.allowed)

    def in_time(self, retries: Sequence[Retries], kind: MethodKind, on: date, at: datetime) -> bool:
        """Whether it may still be made at `at`, on the day `on`: after a decline there is a last day for that."""
        return not self.declines or retries_of(retries, kind, on).allows(self.first_at, at)


def switch_off(before: Autopay) -> Autopay:
    return replace(before, enabled=False, held_reason=None, held_at=None, sequence=before.sequence + 1)


@dataclass(frozen=True, slots=True)
class Payers:
    """The methods that autopay will charge. `rest` pays all currencies that it can, except those in `by_currency`."""

    rest: Method | None
    by_currency: tuple[tuple[str, Method], ...] = ()
    others: tuple[Method, ...] = ()  # the customer's methods, so that a refusal can name those that can pay

    def refused(self, known: Sequence[Currencies], today: date) -> Refusal | None:
        """Return the first reason why one of them can't be used; None if all can."""
        for place, (currency, method) in enumerate(self.by_currency):
            against = _against(method, today) or cannot_pay(known, method, currency, today, self.others)
            if against is not None:
                return against.at(f"methods.{place}.method_id")
        return _against(self.rest, today) if self.rest else None

    def highest_rate(self, rules: Sequence[SurchargeRule], today: date) -> Decimal:
        rates = [terms_for(rules, method, currency, today).rate for currency, method in self.by_currency]
        return max([*rates, highest_rate(rules, self.rest, today) if self.rest else Decimal(0)])


def _against(method: Method, today: date) -> Refusal | None:
    if not method.saved:
        return Refusal("method-not-saved", "A method for one payment can't pay again. Save it first.", "method_id")
    return unusable(method, today)


def switch_on(
    before: Autopay | None,
    customer_id: str,
    payers: Payers,
    day: ChargeDay,
    rules: Sequence[SurchargeRule],
    currencies: Sequence[Currencies],
    *,
    surcharge_consent: bool,
    actor: str,
    today: date,
    now: datetime,
) -> Autopay | Refusal:
    """Switch autopay on with these methods, from the next invoice on, also if it was held."""
    against = payers.refused(currencies, today)
    if against is not None:
        return against
    rate = payers.highest_rate(rules, today)
    if rate and not surcharge_consent:
        detail = (
            "Payments by this card carry a surcharge: send surcharge_consent true to agree to it, or choose a bank "
            "account or another card."
        )
        return Refusal("surcharge-consent-missing", detail, "surcharge_consent")
    wanted = Autopay(
        customer_id, True, payers.rest.id if payers.rest else None, day, surcharge_consent,
        rate if surcharge_consent else Decimal(0), now, actor, sequence=before.sequence + 1 if before else 1,
        by_currency=tuple((currency, method.id) for currency, method in payers.by_currency),
    )  # fmt: skip
    if before is None or not before.charges:
        return wanted
    same = replace(wanted, enabled_at=before.enabled_at, enabled_by=before.enabled_by, sequence=before.sequence)
    return before if same == before else replace(wanted, enabled_at=before.enabled_at)


def hold(autopay: Autopay, reason: str, now: datetime, announced_at: datetime | None = None) -> Autopay | None:
    """Hold autopay: nothing is charged until a person switches it on again. None if it charges nothing anyway.

    None also if the failed charge was announced before autopay was switched on the last time.
    """
    if not autopay.charges or autopay.enabled_at is None or (announced_at and announced_at < autopay.enabled_at):
        return None
    return replace(autopay, held_reason=reason, held_at=now, sequence=autopay.sequence + 1)


def held_because(autopay: Autopay, codes: Sequence[Code], zone: str) -> str | None:
    """Why it is held and what to do; None if it is not. A code may be of several kinds, so all of them are named."""
    reason, at = autopay.held_reason, autopay.held_at
    if reason is None or at is None:
        return None
    if reason in HELD:
        return f"{HELD[reason]} {BY_HAND}"
    on = business_date(at, zone)
    kinds: tuple[CodeKind, ...] = ("return", "decline", "chargeback")
    found = [code for kind in kinds if (code := known(codes, kind, reason, on))]
    first, *others = found or [meaning(codes, "decline", reason, on)]
    why = ", or ".join((first.words, *(code.clause for code in others)))
    settle = "Settle that and switch autopay on again, or do so with another method."
    return f"{why}. {WITH_ANOTHER if any(code.disables for code in found) else settle} {BY_HAND}"


def schedule(
    autopay: Autopay, invoice_id: str, issued_on: date, due_on: date, issued_at: datetime, now: datetime, zone: str
) -> AutopayCharge | None:
    """Make the first try: on the chosen day of the company's calendar, or two days after the notice if that is later.

    None if the invoice was issued before autopay was switched on.
    """
    if not autopay.charges or autopay.enabled_at is None or issued_at < autopay.enabled_at:
        return None
    chosen = due_on if autopay.day == "due" else issued_on
    at = max(start_of(chosen, zone), now + NOTICE)
    return AutopayCharge(new_id(), autopay.customer_id, invoice_id, 1, at, now, at, business_date(at, zone))


def resume(
    autopay: Autopay, last: AutopayCharge, invoice: OpenInvoice, now: datetime, zone: str
) -> AutopayCharge | None:
    """Make the try for what the last try left out: after the hold, two days' notice at least.

    None while the last try is under way or may be tried again, and while all that it left out is in dispute.
    None also if autopay was switched on only after the last try was announced. If the last try charged nothing, the
    declines before it still count.
    """
    if not autopay.charges or autopay.enabled_at is None or last.notice_at < autopay.enabled_at:
        return None
    payable, owed = last.within(invoice.payable_now), last.within(max(invoice.payable_now, invoice.balance or 0))
    if (last.state, last.reason) not in HELD_BACK or payable <= invoice.disputed:
        return None
    at = now + NOTICE
    if invoice.held_until is not None:
        at = max(at, start_of(invoice.held_until + timedelta(days=1), zone))
    again = _again(last, at, zone, 0 if last.state == "paid" else last.declines)
    announced = payable - invoice.disputed
    return replace(again, notice_at=now, announced=announced, left_out=owed - announced)


def payer_of(
    autopay: Autopay, methods: Mapping[str, Method], currency: str, currencies: Sequence[Currencies], today: date
) -> Method | None:
    """Return the method of autopay for a currency; None if there is none that can pay in it."""
    method = methods.get(autopay.method_for(currency) or "")
    return method if method is not None and pays_in(currencies, method, currency, today) else None


LeftBecause = Literal["held", "no_method_for_currency", "tries_ended", "issued_before"]


LEFT: dict[LeftBecause, str] = {
    "held": "Autopay is held: pay this invoice by hand.",
    "no_method_for_currency": (
        "No method of autopay pays in {currency}: pay this invoice by hand. For those to come, name a method that does."
    ),
    "tries_ended": "Autopay has tried and does not try again: pay this invoice by hand.",
    "issued_before": "It was issued before autopay was switched on: pay this invoice by hand.",
}


@dataclass(frozen=True, slots=True)
class Left:
    """An invoice that autopay will not charge, so that a person has to pay it."""

    invoice: OpenInvoice
    because: LeftBecause


def left_by_hand(
    autopay: Autopay,
    methods: Mapping[str, Method],
    invoices: Sequence[tuple[OpenInvoice, bool]],
    currencies: Sequence[Currencies],
    today: date,
) -> list[Left]:
    """Return invoices that autopay will not charge. `invoices`: without a coming try; with each, if it had one."""
    if not autopay.enabled:
        return []
    return [Left(invoice, _because(autopay, methods, invoice, tried, currencies, today)) for invoice, tried in invoices]


def _because(
    autopay: Autopay,
    methods: Mapping[str, Method],
    invoice: OpenInvoice,
    tried: bool,
    currencies: Sequence[Currencies],
    today: date,
) -> LeftBecause:
    if payer_of(autopay, methods, invoice.currency, currencies, today) is None:
        return "no_method_for_currency"
    if autopay.held_reason is not None:
        return "held"
    return "tries_ended" if tried else "issued_before"


@dataclass(frozen=True, slots=True)
class ConfirmedQuote:
    """A quote, and the payment that confirms it. `reason`: why it leaves out a part of what it may charge."""

    quote: Quote
    step: Step
    reason: str | None = None
    left_out: int | None = None


@dataclass(frozen=True, slots=True)
class Skip:
    """This try charges nothing. `hold`: the reason to hold autopay until a person has looked."""

    reason: str
    hold: str | None = None


@dataclass(frozen=True, slots=True)
class PutOff:
    """Nothing is charged today, because a payment is under way. The rest is charged another day."""

    charge: AutopayCharge


def put_off(charge: AutopayCharge, now: datetime, zone: str) -> PutOff:
    """Put a try off by a day. The days of further tries count from the first one that was really made."""
    at = max(charge.charge_at, now) + PUT_OFF
    first_at = charge.first_at if charge.declines else at
    return PutOff(replace(charge, first_at=first_at, charge_at=at, charge_on=business_date(at, zone)))


def confirm(
    charge: AutopayCharge,
    autopay: Autopay,
    method: Method | None,
    invoice: OpenInvoice | None,
    rules: Sequence[SurchargeRule],
    *,
    step: int,
    retries: Sequence[Retries],
    currencies: Sequence[Currencies],
    today: date,
    now: datetime,
    zone: str,
) -> ConfirmedQuote | Skip | PutOff:
    """Make the payment of a due try, by the same quote that a payer would confirm.

    While another payment of the invoice is under way, it is not known how much will be left, so the try is put off.
    It leaves out what is held because of a dispute; if that is all, it ends, and a new notice follows the hold. What
    became payable since the notice beyond what is allowed is paid by hand.
    """
    if not autopay.charges or autopay.enabled_at is None or charge.notice_at < autopay.enabled_at:
        return Skip("switched_off")
    if invoice is None or invoice.status in CLOSED:
        return Skip(f"invoice_{invoice.status}" if invoice else "invoice_unknown")
    chargeable = invoice.chargeable(today, charge.allowed)
    if invoice.pending or invoice.payable_now <= 0:
        return put_off(charge, now, zone)
    if chargeable <= 0:
        return Skip(ALL_HELD)
    if autopay.method_for(invoice.currency) is None or (
        method and not pays_in(currencies, method, invoice.currency, today)
    ):
        return Skip("method-not-for-currency")
    against = unusable(method, today) if method else Refusal("method-removed", "The method is gone.")
    if method is None or against is not None:
        code = against.code if against else "method-removed"
        return Skip(code, hold=code)
    if not charge.in_time(retries, method.kind, today, now):
        return Skip("too_long_ago")
    if charge.announced is not None:
        chargeable = min(chargeable, charge.announced)
    terms, part = terms_for(rules, method, invoice.currency, today), chargeable < invoice.payable_now
    quote = make_quote(
        method, Wishes((Wish(invoice.id, chargeable if part else None),)), {invoice.id: invoice}, terms, now, step
    )
    if isinstance(quote, Refusal):
        return Skip(quote.code)
    if quote.surcharge and (not autopay.surcharge_consent or terms.rate > autopay.surcharge_rate):
        return Skip("surcharge_without_consent", hold="surcharge_without_consent")
    kind: MethodKind = method.kind
    accept = True if quote.surcharge else None
    submitted = submit(quote, kind, accept, expected_by=expected_by(kind, today), now=now)
    assert isinstance(submitted, Step), "the surcharge was answered"
    left_out = charge.within(invoice.payable_now) - chargeable
    return ConfirmedQuote(quote, submitted, PART_HELD, left_out) if left_out else ConfirmedQuote(quote, submitted)


@dataclass(frozen=True, slots=True)
class Followed:
    """The outcome of a try: its new state, the next try, and why autopay is held."""

    charge: AutopayCharge
    again: AutopayCharge | None = None
    hold: str | None = None


def follow(
    charge: AutopayCharge,
    status: str,
    reason: str | None,
    kind: MethodKind | None,
    codes: Sequence[Code],
    retries: Sequence[Retries],
    now: datetime,
    zone: str,
) -> Followed:
    """Decide what follows from the end of a try's payment.

    A soft decline is tried again on the days of its kind of method. A hard decline holds autopay. So does the last try,
    if its code holds autopay: for example, a bank debit that was returned three times.
    If the payment was cancelled because its invoice changed, or never reached the provider, the rest is charged again:
    in a minute, and if that fails in the same way, after a day. Only declines of the bank count as tries.
    """
    if status == "succeeded":
        return Followed(replace(charge, state="paid"))
    ended = replace(charge, state="declined", reason=reason or status)
    if reason == PAYER_CANCELLED:
        return Followed(ended, hold="not_confirmed")
    if status == "cancelled" or reason == NEVER_MADE:
        wait = PUT_OFF if charge.attempt - 1 > charge.declines else CHANGED_WAIT
        return Followed(ended, _again(charge, now + wait, zone, charge.declines))
    if status == "expired":
        return Followed(ended, hold="not_confirmed")
    on = business_date(now, zone)
    code, again = meaning_of_decline(codes, kind, reason, on), retries_of(retries, kind, on)
    if not code.retry:
        return Followed(ended, hold=code.code)
    last = Followed(ended, hold=code.code if code.holds_autopay else None)
    if charge.declines >= len(again.days):
        return last
    at = charge.first_at + timedelta(days=again.days[charge.declines])
    at = at if at >= now else now + PUT_OFF  # if days were missed, the tries must not come all at once
    if not again.allows(charge.first_at, at):
        return last
    return Followed(ended, _again(charge, at, zone, charge.declines + 1))


def _again(charge: AutopayCharge, at: datetime, zone: str, declines: int) -> AutopayCharge:
    first_at = charge.first_at if declines else at  # a try without an answer of the bank does not count
    return replace(
        charge, id=new_id(), attempt=charge.attempt + 1, first_at=first_at, charge_at=at,
        charge_on=business_date(at, zone), state="scheduled", reason=None, payment_id=None, declines=declines,
    )  # fmt: skip
