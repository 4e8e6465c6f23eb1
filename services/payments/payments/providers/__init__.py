"""The interface of a payment provider, in ISO minor units and UTC instants."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from typing import Literal, Protocol

MethodKind = Literal["card", "bank_account"]
Funding = Literal["credit", "debit", "prepaid", "unknown"]
BackKind = Literal["refund", "return", "chargeback"]
BackState = Literal["processing", "open", "succeeded", "failed", "won"]
ChargeState = Literal["succeeded", "processing", "requires_action", "declined", "cancelled", "open"]
SetupState = Literal["open", "verifying", "succeeded", "failed", "expired"]
PayoutState = Literal["pending", "in_transit", "paid", "failed", "cancelled"]
LineKind = Literal[
    "charge", "refund", "refund_failed", "return", "chargeback", "chargeback_won", "fee", "payout_failed", "adjustment"
]


class ProviderError(Exception):
    """The base of every error of a provider."""


class ProviderRefused(ProviderError):
    """The provider refused for good and did nothing (a bad token, an amount it can't take, an unknown id)."""

    def __init__(self, message: str, code: str | None = None) -> None:
        super().__init__(message)
        self.code = code


class ProviderUnknown(ProviderError):
    """It is not known if the provider acted (a timeout, a lost connection, its own failure): ask again."""


class ProviderDown(ProviderUnknown):
    """The provider can't be reached, or refuses every call. The outcome of an earlier call stays unknown."""


class BadSignature(ProviderError):
    """A webhook was not signed by the provider, or too long ago."""


@dataclass(frozen=True, slots=True)
class MethodDetails:
    """A payment method as the provider keeps it. `expires` is (year, month); `funding` is None for a bank account.

    `country` (ISO 3166-1 alpha-2), `state` and `postal_code` are of its billing address, if it has one.
    """

    provider_id: str
    kind: MethodKind
    funding: Funding | None
    brand: str | None
    last4: str | None
    expires: tuple[int, int] | None
    country: str | None = None
    state: str | None = None
    postal_code: str | None = None


@dataclass(frozen=True, slots=True)
class ChargeRequest:
    """One attempt to take money. `amount_minor` is in ISO 4217 minor units.

    `on_session`: the payer is present, so the card's bank may ask for a confirmation, and leads the payer back to
    `return_url`. Otherwise a card whose bank would ask is declined.
    """

    attempt_id: str
    payment_id: str
    provider_customer: str
    provider_method: str
    amount_minor: int
    currency: str
    on_session: bool = False
    return_url: str | None = None


@dataclass(frozen=True, slots=True)
class RefundRequest:
    """A refund of a charge, made once per `refund_id`. `amount_minor` is in ISO 4217 minor units."""

    refund_id: str
    charge_id: str
    amount_minor: int
    currency: str


@dataclass(frozen=True, slots=True)
class TakenBack:
    """Money of a charge that goes back: a refund, a bank's return, or a chargeback, in ISO 4217 minor units.

    `open`: the payer's bank holds it until the chargeback is decided; `won`: decided for us. `refund_id`: our own id,
    if it is a refund of ours. `code` is the provider's reason; `at` is when the provider says that this state began.
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

    `captured_minor` is the money that the provider really has: a bank debit's is 0 until it clears, at `cleared_on`.
    `reason` is the provider's decline code. While it `requires_action`, the payer confirms it at `next_action_url`. In
    an event about money that goes back, `attempt_id` is None; `get_charge` returns the whole record.
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
    next_action_url: str | None = None


@dataclass(frozen=True, slots=True)
class SetupPage:
    """The provider's own page on which a customer enters a payment method; its outcome is asked for by `id`."""

    id: str
    url: str


@dataclass(frozen=True, slots=True)
class SetupOutcome:
    """The outcome of a setup so far.

    `open`: the customer has entered nothing yet. `verifying`: the bank account `method` can't be charged until the
    customer enters the amounts, or the code, of two small deposits, which arrive at `deposits_at`. `failed`: `reason`
    is the provider's code.
    """

    state: SetupState
    method: MethodDetails | None = None
    deposits_at: datetime | None = None
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class Payout:
    """Money that the provider sends to the company's bank account, in ISO 4217 minor units.

    `arrives_on` is the day that the provider expects. `trace` is the id that the bank line will have, if it is known.
    `reason`: the provider's code of a failure. `by_hand`: a person made it, and the provider lists no lines for it.
    """

    provider_id: str
    state: PayoutState
    amount_minor: int
    currency: str
    arrives_on: date
    created_at: datetime
    trace: str | None = None
    descriptor: str | None = None
    reason: str | None = None
    by_hand: bool = False


@dataclass(frozen=True, slots=True)
class PayoutLine:
    """A movement of a payout, in ISO 4217 minor units: `net = amount - fee`; Σ net is the payout.

    Money that the provider took from the company has a negative `amount_minor`. `charge_id` is a `Charge.provider_id`;
    None if the movement has no charge. `payout_id`: the failed or cancelled payout whose money it pays out again.
    """

    provider_id: str
    kind: LineKind
    charge_id: str | None
    amount_minor: int
    fee_minor: int
    net_minor: int
    currency: str
    at: datetime
    payout_id: str | None = None


@dataclass(frozen=True, slots=True)
class ProviderEvent:
    """An event of the provider: about a charge, a payout, a setup, or something that payments does not use.

    `setup_id` is the reference that was given to `begin_setup`. For payouts and setups, the record is read afterwards.
    """

    id: str
    kind: str
    occurred_at: datetime
    charge: Charge | None
    payout_id: str | None = None
    setup_id: str | None = None


class Provider(Protocol):
    """A payment provider. Every call may raise `ProviderRefused` or `ProviderUnknown`."""

    async def create_customer(self, customer_id: str) -> str:
        """Return the provider's id of our customer; a second call returns the same one."""
        ...

    async def attach_method(self, provider_customer: str, token: str, idempotency_key: str) -> MethodDetails:
        """Keep the payment method of the token with the customer."""
        ...

    async def begin_setup(
        self, provider_customer: str, kinds: tuple[MethodKind, ...], return_url: str, reference: str
    ) -> SetupPage:
        """Return a page that takes one of `kinds`, a billing address and consent to the terms.

        The page leads back to `return_url`, also if the customer leaves it. A second call with the same reference
        returns the same page.
        """
        ...

    async def setup_outcome(self, setup_page_id: str) -> SetupOutcome: ...

    async def verify_deposits(
        self, setup_page_id: str, *, amounts_minor: tuple[int, int] | None = None, code: str | None = None
    ) -> SetupOutcome:
        """Verify a bank account by the deposits' amounts, or by the code of one. Raises `ProviderRefused` with the code
        `deposits_wrong`, or `deposits_exhausted` after the last guess."""
        ...

    async def detach_method(self, provider_method: str) -> None:
        """Remove a method, so that it can't be charged any more. A method that is gone already is no error."""
        ...

    async def charge(self, request: ChargeRequest) -> Charge:
        """Take money once per `attempt_id`, however often it is called. A decline is an answer, not an error."""
        ...

    async def get_charge(self, provider_id: str) -> Charge:
        """Return the provider's record as of now, with all money that has gone back or will."""
        ...

    async def find_charge(self, provider_customer: str, attempt_id: str, since: datetime) -> Charge | None:
        """Return the charge that an attempt made at `since` or later; None if there is none so far."""
        ...

    async def cancel_charge(self, provider_id: str) -> Charge:
        """Cancel a charge that has taken no money. If it is too late, the returned charge is not `cancelled`."""
        ...

    async def refund(self, request: RefundRequest) -> TakenBack:
        """Give money back once per `refund_id`, however often it is called."""
        ...

    async def payouts_since(self, cursor: str | None, limit: int) -> list[Payout]:
        """Return payouts made after the one with the id `cursor`, or from the first on; oldest first."""
        ...

    async def get_payout(self, payout_id: str) -> Payout: ...

    async def payout_lines(self, payout_id: str) -> list[PayoutLine]:
        """Return all movements of a payout, oldest first."""
        ...

    async def events_since(self, cursor: str | None, limit: int) -> list[ProviderEvent]:
        """Return events after the one with the id `cursor`, or from the oldest that is kept; oldest first."""
        ...

    async def get_event(self, event_id: str) -> ProviderEvent:
        """An event again."""
        ...

    def read_webhook(self, body: bytes, signature: str, now: datetime) -> ProviderEvent:
        """Return the event of a webhook. Raises `BadSignature` unless it was signed within 300 s of `now`."""
        ...

    def accepts(self, amount_minor: int, currency: str) -> str | None:
        """Return why the provider can't take this amount; None if it can."""
        ...

    def charges_in(self, currency: str) -> int:
        """Return the step of amounts: the provider charges multiples of so many minor units."""
        ...

    async def close(self) -> None: ...
