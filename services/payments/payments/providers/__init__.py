"""What payments asks of a payment provider: one small interface, in ISO minor units and UTC instants."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal, Protocol

MethodKind = Literal["card", "bank_account"]
Funding = Literal["credit", "debit", "prepaid", "unknown"]
BackKind = Literal["refund", "return", "chargeback"]
BackState = Literal["processing", "open", "succeeded", "failed", "won"]
ChargeState = Literal["succeeded", "processing", "requires_action", "declined", "cancelled", "open"]


class ProviderError(Exception):
    """What every error of a provider is."""


class ProviderRefused(ProviderError):
    """The provider refused for good and did nothing (a bad token, an amount it can't take, an unknown id)."""

    def __init__(self, message: str, code: str | None = None) -> None:
        super().__init__(message)
        self.code = code


class ProviderUnknown(ProviderError):
    """Whether the provider acted is not known (a timeout, a lost connection, its own failure): ask again."""


class ProviderDown(ProviderUnknown):
    """The provider can't be reached, or turns everything away. What an earlier call did stays unknown."""


class BadSignature(ProviderError):
    """A webhook was not signed by the provider, or too long ago."""


@dataclass(frozen=True, slots=True)
class MethodDetails:
    """A way to pay as the provider keeps it. `expires` is (year, month); `funding` is None for a bank account."""

    provider_id: str
    kind: MethodKind
    funding: Funding | None
    brand: str | None
    last4: str | None
    expires: tuple[int, int] | None


@dataclass(frozen=True, slots=True)
class ChargeRequest:
    """One attempt to take money. `amount_minor` is in ISO 4217 minor units."""

    attempt_id: str
    payment_id: str
    provider_customer: str
    provider_method: str
    amount_minor: int
    currency: str


@dataclass(frozen=True, slots=True)
class RefundRequest:
    """Money to give back of a charge, once per `refund_id`. `amount_minor` is in ISO 4217 minor units."""

    refund_id: str
    charge_id: str
    amount_minor: int
    currency: str


@dataclass(frozen=True, slots=True)
class TakenBack:
    """Money of a charge that goes back: a refund, a bank's return, or a chargeback, in ISO 4217 minor units.

    `open`: the payer's bank holds it until it is decided; `won`: decided for us. `refund_id`: the refund of ours that
    it is; `code` is the provider's reason, `at` its instant of the state.
    """

    provider_id: str
    kind: BackKind
    state: BackState
    amount_minor: int
    at: datetime
    code: str | None = None
    refund_id: str | None = None


@dataclass(frozen=True, slots=True)
class Charge:
    """A charge as the provider's record has it, in ISO 4217 minor units.

    `captured_minor` is what it has taken for good: a bank debit's is 0 until it clears. `cleared_on` is the
    provider's instant of that, `reason` its decline code. In an event about money that goes back `attempt_id` is None:
    `get_charge` has the whole record.
    """

    provider_id: str
    attempt_id: str | None
    state: ChargeState
    amount_minor: int
    currency: str
    captured_minor: int
    cleared_on: datetime | None
    reason: str | None
    taken_back: tuple[TakenBack, ...] = ()


@dataclass(frozen=True, slots=True)
class ProviderEvent:
    """Something that happened at the provider; `charge` is None where payments has nothing to do."""

    id: str
    kind: str
    occurred_at: datetime
    charge: Charge | None


class Provider(Protocol):
    """A payment provider. Every call may raise `ProviderRefused` or `ProviderUnknown`."""

    async def create_customer(self, customer_id: str) -> str:
        """The provider's id of a customer of ours; the same one when asked again."""
        ...

    async def attach_method(self, provider_customer: str, token: str, idempotency_key: str) -> MethodDetails:
        """Keep what the token stands for with the customer."""
        ...

    async def charge(self, request: ChargeRequest) -> Charge:
        """Take money once per `attempt_id`, however often it is called. A decline is an answer, not an error."""
        ...

    async def get_charge(self, provider_id: str) -> Charge:
        """The provider's record now, with all that has gone back of it or is about to."""
        ...

    async def find_charge(self, provider_customer: str, attempt_id: str, since: datetime) -> Charge | None:
        """The charge that an attempt made, begun at `since` or later; None: not made so far."""
        ...

    async def cancel_charge(self, provider_id: str) -> Charge:
        """End a charge that has taken no money. Too late: the charge as it is, in another state than `cancelled`."""
        ...

    async def refund(self, request: RefundRequest) -> TakenBack:
        """Give money back once per `refund_id`, however often it is called."""
        ...

    async def events_since(self, cursor: str | None, limit: int) -> list[ProviderEvent]:
        """Events after the one with the id `cursor`, or from the oldest that is kept; oldest first."""
        ...

    def read_webhook(self, body: bytes, signature: str, now: datetime) -> ProviderEvent:
        """The event that the provider pushed; `BadSignature` unless signed within 300 s of `now`."""
        ...

    def accepts(self, amount_minor: int, currency: str) -> str | None:
        """Why the provider can't take this amount; None when it can."""
        ...

    def charges_in(self, currency: str) -> int:
        """The provider charges multiples of so many minor units."""
        ...

    async def close(self) -> None: ...
