"""Surcharges on credit card payments, by dated rules. Values in, values out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Literal

from contracts.money import Money, zero
from payments.methods.domain.consents import Terms
from payments.methods.domain.methods import Method

NO_SURCHARGE = Terms()
HOME, HOME_CURRENCY = "US", "USD"  # where a surcharge is allowed unless a rule says otherwise


@dataclass(frozen=True, slots=True)
class SurchargeRule:
    """Holds from `valid_from` to `valid_until`, both included, for cards that fit its criteria; None fits everything.

    A rule without a `country` holds in the United States alone, because most other places forbid surcharges. Elsewhere
    a rule must name the country. If a card's address is unknown, the currency decides: USD counts as the United States.

    `country` and `state` are of the card's billing address; `cap` is in minor units of `currency`.
    """

    id: str
    valid_from: date
    valid_until: date | None
    currency: str | None
    country: str | None
    state: str | None
    brand: str | None
    funding: Literal["credit"]
    rate: Decimal
    cap: int | None
    source: str

    def fits(self, method: Method, currency: str, on: date) -> bool:
        if not (self.valid_from <= on and (self.valid_until is None or on <= self.valid_until)):
            return False
        if self.country is None and not _at_home(method, currency):
            return False
        given = (currency, method.country, method.state, method.brand)
        wanted = (self.currency, self.country, self.state, self.brand)
        return all(want is None or want == has for want, has in zip(wanted, given, strict=True))

    @property
    def specific(self) -> tuple[bool, bool, bool, bool, date, str]:
        named = (self.state, self.country, self.brand, self.currency)
        return (*(each is not None for each in named), self.valid_from, self.id)  # type: ignore[return-value]


def _at_home(method: Method, currency: str) -> bool:
    return method.country == HOME or (method.country is None and currency == HOME_CURRENCY)


def carries_surcharge(method: Method) -> bool:
    """Only credit cards can have a surcharge: never debit, prepaid or unknown cards, nor bank accounts."""
    return method.kind == "card" and method.funding == "credit"


def terms_for(rules: Sequence[SurchargeRule], method: Method, currency: str, on: date) -> Terms:
    """Return the terms of the most specific rule that fits; no surcharge if none fits.

    A rule for a state comes before one for the country alone, then one for a brand, then one for a currency, then the
    rule that began last. (The law of a place counts more than the wishes of the company or of a card network.)
    """
    if not carries_surcharge(method):
        return NO_SURCHARGE
    rule = max(
        (rule for rule in rules if rule.fits(method, currency, on)), key=lambda rule: rule.specific, default=None
    )
    return Terms(rule.rate, rule.cap, rule.id) if rule else NO_SURCHARGE


def highest_rate(rules: Sequence[SurchargeRule], method: Method, on: date) -> Decimal:
    """The highest rate that a payment by this method may carry on a day, whatever its currency."""
    currencies = {rule.currency or "" for rule in rules} | {"", HOME_CURRENCY}
    return max(terms_for(rules, method, currency, on).rate for currency in currencies)


def surcharge(method: Method, amount: Money, terms: Terms, step: int = 1) -> Money:
    """The surcharge of an amount: rounded down, at most the cap, and so that the total is a multiple of `step`."""
    if not carries_surcharge(method):
        return zero(amount.currency)
    share = amount.share(terms.rate)
    if terms.cap is not None:
        share = share.capped_at(Money(terms.cap, amount.currency))
    return share - Money(min(share.minor, (amount + share).minor % step), amount.currency)
