"""Quotes: previews of payments. Values in, values out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from contracts.allocation import Part, allocate
from contracts.ids import new_id
from contracts.money import Money, total, zero
from contracts.refusals import Refusal
from payments.collecting.domain.surcharges import NO_SURCHARGE, surcharge
from payments.methods.domain.consents import Consent, Terms, Witness
from payments.methods.domain.methods import Method
from payments.projections.domain import CLOSED, OpenInvoice

QUOTE_VALID = timedelta(minutes=15)
MOST_PARTS = 1_000
MOST_NAMED = 3


@dataclass(frozen=True, slots=True)
class Quote:
    """A preview that can be confirmed once. `whole[i]`: part i has no edited amount; it means all that is payable.

    Without a `method_id`, credit alone pays, and `total` is zero.

    `amount` goes to the parts; if the payer chose a larger amount, the rest becomes credit. `terms` of the surcharge
    and `step` are those with which the quote was made.
    """

    id: str
    customer_id: str
    method_id: str | None
    amount: Money
    surcharge: Money
    parts: tuple[Part, ...]
    whole: tuple[bool, ...]
    expires_at: datetime
    payment_id: str | None = None
    choice: Literal["invoices", "all", "amount"] = "invoices"
    terms: Terms = NO_SURCHARGE
    step: int = 1
    credit_used: int = 0

    @property
    def total(self) -> Money:
        return self.amount + self.surcharge

    @property
    def credit(self) -> Money:
        return self.amount - total([part.amount for part in self.cash_parts], self.amount.currency)

    @property
    def credit_parts(self) -> tuple[Part, ...]:
        """The parts that unapplied credit pays: the first ones."""
        return first_of(self.parts, Money(self.credit_used, self.amount.currency))

    @property
    def cash_parts(self) -> tuple[Part, ...]:
        """The parts that `amount` pays: those after the credit."""
        paid = {part.invoice_id: part.amount for part in self.credit_parts}
        nothing = zero(self.amount.currency)
        left = (Part(part.invoice_id, part.amount - paid.get(part.invoice_id, nothing)) for part in self.parts)
        return tuple(part for part in left if part.amount)


@dataclass(frozen=True, slots=True)
class Wish:
    """An invoice to pay; without an amount, all that is payable of it."""

    invoice_id: str
    amount_minor: int | None


@dataclass(frozen=True, slots=True)
class Wishes:
    """Named invoices, each whole or with an edited amount."""

    wishes: tuple[Wish, ...]


@dataclass(frozen=True, slots=True)
class Everything:
    """All payable invoices of the customer in a currency."""

    currency: str


@dataclass(frozen=True, slots=True)
class Sum:
    """An amount that pays the oldest invoices first; the rest becomes credit."""

    money: Money


Choice = Wishes | Everything | Sum


def first_of(parts: Sequence[Part], money: Money) -> tuple[Part, ...]:
    """The parts that a sum pays, in their order."""
    found = []
    for part in parts:
        share = money.capped_at(part.amount)
        money -= share
        found += [Part(part.invoice_id, share)] if share else []
    return tuple(found)


def by_invoice(parts: Sequence[Part]) -> tuple[Part, ...]:
    """One part for each invoice, with the sum of its parts, in the order of their first parts."""
    found: dict[str, Money] = {}
    for part in parts:
        found[part.invoice_id] = found.get(part.invoice_id, zero(part.amount.currency)) + part.amount
    return tuple(Part(invoice_id, amount) for invoice_id, amount in found.items())


def make_quote(
    method: Method | None,
    choice: Choice,
    invoices: Mapping[str, OpenInvoice],
    terms: Terms,
    now: datetime,
    step: int = 1,
    credit: int = 0,
    *,
    customer_id: str | None = None,
) -> Quote | Refusal:
    """Make a quote of the choice, or return the first reason against it.

    `customer_id`: needed if there is no method; then credit has to pay everything.

    `invoices`: the named ones; or the oldest payable ones of the currency, one more than a payment may hold.
    `step`: the provider charges multiples of so many minor units; a surcharge never makes another sum.
    `credit`: the customer's unapplied credit in minor units, which pays first.
    """
    chosen: _Chosen | Refusal
    whose = method.customer_id if method else customer_id or ""
    match choice:
        case Wishes(wishes):
            chosen = _choose_named(whose, wishes, invoices, credit)
        case Everything(currency):
            money = total([Money(invoice.payable_now, currency) for invoice in invoices.values()], currency)
            chosen = _choose_oldest("all", money, invoices, credit)
        case Sum(money):
            chosen = _choose_oldest("amount", money, invoices, credit)
    if isinstance(chosen, Refusal):
        return chosen
    amount = chosen.amount
    if method is None and amount:
        return _method_needed(chosen)
    return Quote(
        id=new_id(), customer_id=whose, method_id=method.id if method else None, amount=amount,
        surcharge=surcharge(method, amount, terms, step) if method else zero(amount.currency), parts=chosen.parts,
        whole=chosen.whole, expires_at=now + QUOTE_VALID, choice=chosen.choice, terms=terms, step=step,
        credit_used=chosen.credit_used.minor,
    )  # fmt: skip


def _method_needed(chosen: _Chosen) -> Refusal:
    """The refusal if credit does not pay the whole choice, and no method is named for the rest."""
    left, used = chosen.amount, chosen.credit_used
    if chosen.choice == "amount":
        detail = (
            "An amount is what a method pays, on top of the credit: name its method_id. To pay with credit alone, name "
            "the invoices, or all."
        )
    elif used:
        detail = (
            f"Credit pays {used.minor} minor units of it; {left.minor} minor units of {left.currency} are left to be "
            "paid by a method. Name its method_id, or invoices with amounts that the credit reaches."
        )
    else:
        detail = f"{left.minor} minor units of {left.currency} are left to be paid by a method: name its method_id."
    values: dict[str, str | int] = {
        "left_minor": left.minor,
        "credit_used_minor": used.minor,
        "currency": left.currency,
    }
    return Refusal("method-needed", detail, "method_id", values=values)


@dataclass(frozen=True, slots=True)
class _Chosen:
    """The parts of a quote: the method pays `amount`, and credit pays `credit_used` before it."""

    choice: Literal["invoices", "all", "amount"]
    amount: Money
    parts: tuple[Part, ...]
    whole: tuple[bool, ...]
    credit_used: Money


def _choose_oldest(
    choice: Literal["all", "amount"], money: Money, invoices: Mapping[str, OpenInvoice], credit: int
) -> _Chosen | Refusal:
    """Choose everything payable, or a sum. The part of a sum that no invoice needs becomes credit, even all of it."""
    used = Money(credit, money.currency)
    if choice == "all":
        used = used.capped_at(money)
        money -= used
    parts = allocate(money + used, [invoice.due() for invoice in invoices.values()]).parts
    used = used.capped_at(total([part.amount for part in parts], money.currency))
    if not money + used:
        return Refusal("nothing-payable", f"Nothing can be paid in {money.currency} now.", "currency")
    if len(parts) > MOST_PARTS:
        detail = f"One payment pays at most {MOST_PARTS} invoices. Choose an amount that the oldest of them hold."
        return Refusal("too-many-invoices", detail, "all" if choice == "all" else "amount_minor")
    return _Chosen(choice, money, parts, (choice == "all",) * len(parts), used)


def _choose_named(
    customer_id: str, wishes: Sequence[Wish], invoices: Mapping[str, OpenInvoice], credit: int
) -> _Chosen | Refusal:
    parts: list[Part] = []
    for place, wish in enumerate(wishes):
        part = _part(f"invoices.{place}", customer_id, wish, invoices)
        if isinstance(part, Refusal):
            return part
        parts.append(part)
    currencies = {part.amount.currency for part in parts}
    if len(currencies) > 1:
        return Refusal("mixed-currencies", "Pay invoices of one currency at a time.", "invoices")
    if len({part.invoice_id for part in parts}) < len(parts):
        return Refusal("invoice-twice", "An invoice is named twice.", "invoices")
    amount = total([part.amount for part in parts], currencies.pop())
    used = Money(credit, amount.currency).capped_at(amount)
    whole = tuple(wish.amount_minor is None for wish in wishes)
    return _Chosen("invoices", amount - used, tuple(parts), whole, used)


def _part(field: str, customer_id: str, wish: Wish, invoices: Mapping[str, OpenInvoice]) -> Part | Refusal:
    invoice = invoices.get(wish.invoice_id)
    if invoice is None or invoice.customer_id != customer_id:
        detail = f"This customer has no invoice {wish.invoice_id}."
        return Refusal("unknown-invoice", detail, f"{field}.invoice_id")
    if invoice.status == "in_progress":
        detail = f"A payment of invoice {invoice.number} is under way; wait until it is confirmed."
        return Refusal("payment-under-way", detail, f"{field}.invoice_id", values={"number": invoice.number})
    if invoice.payable_now <= 0:
        detail = f"Invoice {invoice.number} is {invoice.status}: nothing of it can be paid."
        closed = {"number": invoice.number, "status": invoice.status}
        return Refusal("invoice-closed", detail, f"{field}.invoice_id", values=closed)
    minor = invoice.payable_now if wish.amount_minor is None else wish.amount_minor
    if minor > invoice.payable_now:
        detail = f"At most {invoice.payable_now} minor units of invoice {invoice.number} can be paid now."
        values: dict[str, str | int] = {"number": invoice.number, "payable_now_minor": invoice.payable_now}
        return Refusal("more-than-payable", detail, f"{field}.amount_minor", values=values)
    return Part(invoice.id, Money(minor, invoice.currency))


def still_fits(quote: Quote, invoices: Mapping[str, OpenInvoice]) -> bool:
    """Whether every part can still be paid as quoted, and each `whole` part is still all of its invoice."""
    for part, whole in zip(quote.parts, quote.whole, strict=True):
        invoice = invoices.get(part.invoice_id)
        if invoice is None or invoice.payable_now < part.amount.minor:
            return False
        if whole and invoice.payable_now != part.amount.minor:
            return False
    return True


def choose_again(quote: Quote, invoices: Mapping[str, OpenInvoice]) -> Choice | None:
    """Make the same choice again. Named invoices keep what is still payable of them; None if nothing is."""
    if quote.choice == "all":
        return Everything(quote.amount.currency)
    if quote.choice == "amount":
        return Sum(quote.amount)
    again = []
    for part, whole in zip(quote.parts, quote.whole, strict=True):
        invoice = invoices.get(part.invoice_id)
        if invoice is not None and invoice.payable_now > 0 and invoice.status != "in_progress":
            again.append(Wish(part.invoice_id, None if whole else min(part.amount.minor, invoice.payable_now)))
    return Wishes(tuple(again)) if again else None


def why_nothing(quote: Quote, invoices: Mapping[str, OpenInvoice]) -> str:
    """Explain why none of the quote's invoices can be paid now, and what to do."""
    mine = [invoices[part.invoice_id] for part in quote.parts]
    waiting = [each.number for each in mine if each.status not in CLOSED]
    if waiting:
        more = f" and {len(waiting) - MOST_NAMED} more" if len(waiting) > MOST_NAMED else ""
        why = f"a payment of invoice {', '.join(waiting[:MOST_NAMED])}{more} is under way"
        wait = "Wait until that is confirmed, then make a new quote of what is left."
        return f"Nothing of it can be paid now: {why}. {wait}"
    states = " or ".join(sorted({each.status for each in mine}))
    return f"Nothing of it can be paid any more: its invoices are {states}. Make a new quote for others."


def to_surcharge(
    quote: Quote, payment_id: str, given: bool, text_version: str, who: Witness, now: datetime
) -> Consent | None:
    """The consent, or the refusal of it, to a quote's surcharge; None if the quote has no surcharge."""
    if not quote.surcharge:
        return None
    consent = Consent(
        new_id(), "surcharge", given, quote.customer_id, who.actor, now, text_version, payment_id, quote.id,
        quote.method_id, None, quote.amount, quote.surcharge, quote.terms,
    )  # fmt: skip
    return who.to(consent)
