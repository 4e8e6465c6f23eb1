"""Payment methods, and whether one may be used. Values in, values out."""

from __future__ import annotations

from calendar import monthrange
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from typing import Literal

from contracts.refusals import Refusal

MethodKind = Literal["card", "bank_account"]


Verification = Literal["verified", "pending", "failed"]
Warning = Literal["expired", "expires_soon"]
SOON = timedelta(days=30)


@dataclass(frozen=True, slots=True)
class Method:
    """A card or bank account at the provider. If it is not `saved`, it is for one payment, and then `used`.

    `country`, `state` and `postal_code` are of its billing address.
    """

    id: str
    customer_id: str
    provider_id: str
    kind: Literal["card", "bank_account"]
    funding: str | None
    brand: str | None
    last4: str | None
    exp_year: int | None = None
    exp_month: int | None = None
    country: str | None = None
    state: str | None = None
    postal_code: str | None = None
    saved: bool = True
    is_default: bool = False
    verification: Verification = "verified"
    disabled_at: datetime | None = None
    disabled_reason: str | None = None
    removed_at: datetime | None = None
    sequence: int = 1
    setup_reference: str | None = None
    used: bool = False

    @property
    def expires_on(self) -> date | None:
        """The last day on which a card is valid: the last of its month."""
        if self.exp_year is None or self.exp_month is None:
            return None
        return date(self.exp_year, self.exp_month, monthrange(self.exp_year, self.exp_month)[1])

    def warning(self, today: date) -> Warning | None:
        last = self.expires_on
        if last is None or today + SOON < last:
            return None
        return "expired" if last < today else "expires_soon"


@dataclass(frozen=True, slots=True)
class Currencies:
    """From `since` on: the currencies that a kind of method can pay in."""

    kind: Literal["card", "bank_account"]
    since: date
    currencies: tuple[str, ...]
    called: str


def currencies_of(known: Sequence[Currencies], kind: str, on: date) -> Currencies | None:
    """The currencies of a kind of method on a day; None if it can pay in all currencies of the provider."""
    found = [each for each in known if each.kind == kind and each.since <= on]
    return max(found, key=lambda each: each.since) if found else None


def pays_in(known: Sequence[Currencies], method: Method, currency: str, on: date) -> bool:
    only = currencies_of(known, method.kind, on)
    return only is None or currency in only.currencies


def cannot_pay(
    known: Sequence[Currencies], method: Method, currency: str, on: date, others: Sequence[Method] = ()
) -> Refusal | None:
    """Return why a method can't pay in a currency, and which of `others` can; None if it can."""
    only = currencies_of(known, method.kind, on)
    if only is None or currency in only.currencies:
        return None
    why = f"{only.called} pays in {' or '.join(only.currencies)}, not in {currency}."
    able = payable_by(known, others, currency, on)
    values = {"currency": currency, "pays_in": " ".join(only.currencies)}
    if not able:
        detail = f"{why} None of this customer's methods can: add a card."
        return Refusal("method-not-for-currency", detail, "method_id", values=values)
    names = ", ".join(f"{one.id} ({one.brand or one.kind} {one.last4 or ''})".replace(" )", ")") for one in able)
    return Refusal("method-not-for-currency", f"{why} Use one that can: {names}.", "method_id", values=values)


def payable_by(known: Sequence[Currencies], methods: Sequence[Method], currency: str, on: date) -> list[Method]:
    """Return the methods that can pay in a currency now."""
    return [one for one in methods if pays_in(known, one, currency, on) and unusable(one, on) is None]


def unusable(method: Method, today: date) -> Refusal | None:
    """Return why a method can't be charged, with the remedy; None if it can."""
    if method.removed_at is not None:
        return _refusal("method-removed", "This payment method was removed. Choose another one, or add it again.")
    if method.used:
        return _refusal("method-used", "This payment method was given for one payment, which it made. Add it again.")
    if method.disabled_at is not None:
        detail = f"This payment method can't be used any more ({method.disabled_reason}). Choose or add another one."
        return _refusal("method-disabled", detail, reason=method.disabled_reason or "")
    if method.verification == "pending":
        detail = "This bank account is not verified yet. Verify it with the two small deposits on its statement."
        return _refusal("method-unverified", detail, verification="pending")
    if method.verification == "failed":
        detail = "This bank account could not be verified. Add it again, or another one."
        return _refusal("method-unverified", detail, verification="failed")
    if method.warning(today) == "expired":
        detail = (
            f"This card expired at the end of {method.exp_year}-{method.exp_month:02}. Add the card that replaced it."
        )
        return _refusal("method-expired", detail, expired=f"{method.exp_year}-{method.exp_month:02}")
    return None


def _refusal(code: str, detail: str, **values: str) -> Refusal:
    return Refusal(code, detail, "method_id", conflict=True, values=values)


def make_default(methods: Sequence[Method], method_id: str, today: date) -> list[Method] | Refusal:
    """Make a method the default; return all methods that change, the former default first."""
    chosen = next((method for method in methods if method.id == method_id), None)
    if chosen is None:
        return Refusal("unknown-method", f"This customer has no payment method {method_id}.", "method_id")
    if not chosen.saved:
        return Refusal("method-not-saved", "A method given for one payment is no default. Save it first.", "is_default")
    against = unusable(chosen, today)
    if against is not None:
        return against
    if chosen.is_default:
        return []
    before = [changed(method, is_default=False) for method in methods if method.is_default]
    return [*before, changed(chosen, is_default=True)]


def remove(method: Method, *, autopay_needs: bool, under_way: bool, now: datetime) -> Method | Refusal:
    """Remove a method from lists. A task lets the provider forget it."""
    if autopay_needs:
        detail = "Autopay uses this payment method. Choose another one for autopay, or switch it off, first."
        return Refusal("autopay-needs-method", detail, conflict=True)
    if under_way:
        detail = "A payment by this method is under way. Remove the method once that payment has ended."
        return Refusal("method-in-use", detail, conflict=True)
    return changed(method, removed_at=now, is_default=False)


def disable(method: Method, reason: str, now: datetime) -> Method | None:
    """Disable a method that must not be charged again; None if it was disabled before."""
    if method.disabled_at is not None or method.removed_at is not None:
        return None
    return changed(method, disabled_at=now, disabled_reason=reason)


def changed(method: Method, **changes: object) -> Method:
    """Change a method, with an event: its sequence goes up by one."""
    return replace(method, sequence=method.sequence + 1, **changes)  # type: ignore[arg-type]
